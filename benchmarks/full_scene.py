"""A generated scene of the size and the classes of the full Indian Pines.

The real one is not free to carry along (``data_catalog/datasets/indian-pines-full`` says how
to get it). This one has its 614 x 2,166 pixels of 200 bands, its 52 classes with exactly their
numbers of labelled and of training pixels, in fields, and background between them. Classes
come in families of like spectra, fields differ in brightness and kind, and pixels are noisy,
so that neither nothing nor everything is told apart.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CATALOGUE = Path(__file__).parent.parent / "data_catalog" / "datasets" / "indian-pines-full"
ROWS, COLS, BANDS = 614, 2166, 200
# Rows of the strips that fields are laid out along.
STRIP = 24
FAMILIES, BACKGROUNDS = 9, 12
SCALE = 10_000.0


@dataclass(frozen=True, eq=False)
class FullScene:
    """Where the scene is and what is in it.

    Attributes:
        path: The ENVI header.
        ids: Class ids ``(rows, cols)`` uint8, 0 where not labelled.
        train: Training pixels ``(rows, cols)``.
        names: Names of the classes.
    """

    path: Path
    ids: NDArray[np.uint8]
    train: NDArray[np.bool_]
    names: tuple[str, ...]


def write_full_scene(folder: Path, shrink: int = 1, bands: int = BANDS, seed: int = 0) -> FullScene:
    """Write the scene as ENVI int16, strip by strip.

    Args:
        folder: Where ``full.hdr`` and ``full.bil`` go.
        shrink: Divides rows, columns and, squared, the pixels of each class (at least 4 stay).
        bands: Number of bands.
        seed: Seed of all that is random; the same gives the same bytes.
    """
    classes = _classes()
    rows, cols, part = ROWS // shrink, COLS // shrink, shrink * shrink
    counts = np.array([max(4, c["count"] // part) for c in classes])
    trains = np.array([max(2, round(c["train"] / part)) for c in classes])
    rng = np.random.default_rng(seed)
    kinds, fields = _layout(rows, cols, counts, rng)
    ids = np.where(kinds <= len(classes), kinds, 0).astype(np.uint8)
    wavelengths = _wavelengths(bands)
    spectra = _spectra(len(classes) + BACKGROUNDS, wavelengths, rng)
    shapes = _bumps(6, wavelengths, rng, 0.02)
    lights = rng.normal(1.0, 0.04, int(fields.max()) + 1)
    ways = rng.normal(0.0, 1.0, (int(fields.max()) + 1, len(shapes)))
    with (folder / "full.bil").open("wb") as out:
        for top in range(0, rows, STRIP):
            own = np.random.default_rng([seed, top])
            kind, field = kinds[top : top + STRIP], fields[top : top + STRIP]
            values = spectra[kind - 1] + ways[field] @ shapes
            values += own.normal(0.0, 1.0, (*kind.shape, len(shapes))) @ shapes
            values *= lights[field][..., None]
            values += own.normal(0.0, 0.03, values.shape)
            whole = np.clip(np.rint(values * SCALE), 0, 32_000).astype("<i2")
            out.write(np.ascontiguousarray(whole.transpose(0, 2, 1)).tobytes())
    (folder / "full.hdr").write_text(_header(rows, cols, wavelengths))
    train = np.zeros(ids.shape, bool)
    for id, n in enumerate(trains, 1):
        train.flat[rng.permutation(np.flatnonzero(ids == id))[:n]] = True
    return FullScene(folder / "full.hdr", ids, train, tuple(c["name"] for c in classes))


def _classes() -> list[dict[str, Any]]:
    item = json.loads((CATALOGUE / "indian-pines-full.json").read_text(encoding="utf-8"))
    return list(item["properties"]["terrapatch:classes"])


def _layout(
    rows: int, cols: int, counts: NDArray[Any], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lay runs of pixels along strips that go to and fro: fields, and background between them.

    Returns:
        Kind of each pixel, classes from 1 and backgrounds after them, and its field's number.
    """
    pieces = []
    for id, count in enumerate(counts, 1):
        n = max(1, round(count / rng.uniform(400, 1200)))
        ends = np.sort(rng.choice(np.arange(1, count), n - 1, replace=False))
        pieces += [(id, int(size)) for size in np.diff([0, *ends, count])]
    rng.shuffle(pieces)
    rest = rows * cols - int(counts.sum())
    ends = np.sort(rng.integers(0, rest + 1, len(pieces)))
    gaps = np.diff([0, *ends, rest])
    kinds, sizes = [], []
    for (id, size), gap in zip(pieces, gaps[:-1], strict=True):
        kinds += [len(counts) + 1 + int(rng.integers(BACKGROUNDS)), id]
        sizes += [int(gap), size]
    kinds.append(len(counts) + 1)
    sizes.append(int(gaps[-1]))
    order = _to_and_fro(rows, cols)
    out = np.empty((2, rows * cols), np.int64)
    out[0, order] = np.repeat(kinds, sizes)
    out[1, order] = np.repeat(np.arange(len(sizes)), sizes)
    return out[0].reshape(rows, cols), out[1].reshape(rows, cols)


def _to_and_fro(rows: int, cols: int) -> NDArray[np.int64]:
    """Number the pixels along strips, one from left to right, the next from right to left."""
    number = np.arange(rows * cols).reshape(rows, cols)
    strips = [number[top : top + STRIP] for top in range(0, rows, STRIP)]
    return np.concatenate(
        [(s.T if i % 2 == 0 else s.T[::-1]).ravel() for i, s in enumerate(strips)]
    )


def _wavelengths(bands: int) -> NDArray[np.float64]:
    """Return band centres in nm, none of them where water vapour leaves no light."""
    n = bands
    while True:
        found = np.linspace(400.0, 2495.0, n)
        dark = ((found >= 1340) & (found <= 1430)) | ((found >= 1790) & (found <= 1960))
        if (~dark).sum() >= bands:
            return found[~dark][:bands]
        n += 1


def _bumps(
    n: int, wavelengths: NDArray[np.float64], rng: np.random.Generator, height: float
) -> NDArray[np.float64]:
    centres = rng.uniform(400, 2500, (n, 4, 1))
    widths = rng.uniform(60, 500, (n, 4, 1))
    heights = rng.normal(0.0, height, (n, 4, 1))
    return np.asarray((heights * np.exp(-0.5 * ((wavelengths - centres) / widths) ** 2)).sum(1))


def _spectra(
    n: int, wavelengths: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return spectra ``(n, bands)`` about 0.3, in families that differ little within."""
    families = 0.3 + _bumps(FAMILIES, wavelengths, rng, 0.1)
    own = _bumps(n, wavelengths, rng, 0.012)
    return np.asarray(np.maximum(families[rng.integers(FAMILIES, size=n)] + own, 0.02))


def _header(rows: int, cols: int, wavelengths: NDArray[np.float64]) -> str:
    listed = ", ".join(f"{nm:.3f}" for nm in wavelengths)
    return (
        f"ENVI\nsamples = {cols}\nlines = {rows}\nbands = {len(wavelengths)}\nheader offset = 0\n"
        "file type = ENVI Standard\ndata type = 2\ninterleave = bil\nbyte order = 0\n"
        "map info = {UTM, 1, 1, 491000, 4485000, 20, 20, 16, North, WGS-84, units=Meters}\n"
        "wavelength units = Nanometers\n"
        f"reflectance scale factor = {SCALE:.0f}\nwavelength = {{{listed}}}\n"
    )
