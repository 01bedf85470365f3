"""Cubes with a truth, painted for tests: fields of a few spectra, with noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def painted_cube(
    rows: int = 60,
    cols: int = 50,
    bands: int = 24,
    classes: int = 4,
    field: int = 10,
    noise: float = 0.05,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float64]]:
    """Paint square fields, each of one class with a smooth spectrum of its own.

    Args:
        rows: Rows of pixels.
        cols: Columns of pixels.
        bands: Bands, 400 to 2400 nm.
        classes: Number of classes.
        field: Side of a field, pixels.
        noise: Standard deviation of the noise; spectra go from 0 to 1.
        seed: Seed of spectra, places and noise.

    Returns:
        Values ``(rows, cols, bands)``, class ids ``(rows, cols)`` from 1, wavelengths in nm.
    """
    rng = np.random.default_rng(seed)
    wavelengths = np.linspace(400.0, 2400.0, bands)
    centres, widths = rng.uniform(400, 2400, (classes, 3)), rng.uniform(150, 600, (classes, 3))
    bumps = np.exp(-0.5 * ((wavelengths - centres[..., None]) / widths[..., None]) ** 2)
    spectra = bumps.sum(axis=1) / 3
    down, across = -(-rows // field), -(-cols // field)
    fields = np.arange(down * across) % classes + 1
    ids = rng.permutation(fields).reshape(down, across).repeat(field, 0).repeat(field, 1)
    ids = ids[:rows, :cols].astype(np.int32)
    values = spectra[ids - 1] + rng.normal(0.0, noise, (rows, cols, bands))
    return values.astype(np.float32), ids, wavelengths
