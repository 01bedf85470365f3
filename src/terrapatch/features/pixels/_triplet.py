"""Three channels of a cube as a picture from 0 to 255, for networks that know photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from terrapatch.errors import FeatureError
from terrapatch.features.pixels.base import Floats, Mask
from terrapatch.features.pixels.components import SOURCES, Components
from terrapatch.features.pixels.moments import Moments

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

# The picture shows so many deviations on either side of the mean; some 1 % lie beyond.
DEVIATIONS, MIDDLE = 2.5, 127.5
# Invalid pixels take the mean of the valid ones that are no further.
FILL = 4


def triplet_of(cube: Cube, moments: Moments, bands: tuple[str, ...]) -> Components:
    """Choose the three channels.

    Args:
        cube: The cube.
        moments: Its statistics.
        bands: ``pca`` or ``mnf`` for the first three components, or three bands: wavelengths
            in nm, or names such as ``red``.

    Returns:
        Components whose variances scale the picture; single bands are axes too.

    Raises:
        FeatureError: If there are fewer than three bands, or none of that name.
        CubeError: If there is none near a wavelength.
    """
    if bands[0] in SOURCES:
        return Components.fit(moments, 3, bands[0])
    axes = np.zeros((3, cube.n_bands))
    picked = [_index(cube, band) for band in bands]
    axes[range(3), picked] = 1.0
    return Components(moments.mean, axes, np.diagonal(moments.covariance)[picked].copy())


def _index(cube: Cube, band: str) -> int:
    if band.replace(".", "", 1).isdecimal():
        return int(cube.nearest_band(float(band)))
    roles = list(cube.roles)
    if band not in roles:
        known = sorted({str(role) for role in roles if role})
        listed = f"it has {', '.join(known)}" if known else "its bands have no such names"
        raise FeatureError(
            f"{cube.name} has no band {band!r} ({listed}); name three wavelengths in nm such as "
            "bands=650+550+450, or take bands=pca"
        )
    return roles.index(band)


def pictured(components: Components, values: Floats, valid: Mask) -> Floats:
    """Show a block's three channels.

    Args:
        components: What ``triplet_of`` gave.
        values: ``(rows, cols, bands)``.
        valid: ``(rows, cols)``.

    Returns:
        ``(rows, cols, 3)`` float32 in 0 to 255, with the mean at 127.5; not rounded. Invalid
        pixels hold the mean of the valid ones around them, or 127.5.
    """
    shown = components.project(values).astype(np.float64) * _gains(components) + MIDDLE
    shown = np.clip(shown, 0.0, 255.0)
    if not valid.all():
        shown = _filled(np.where(valid[..., None], shown, 0.0), valid)
    return shown.astype(np.float32)


def _gains(components: Components) -> NDArray[np.float64]:
    """Return grey steps a unit of each channel; 0 for one that is constant but for rounding."""
    deviation = np.sqrt(np.maximum(components.variances, 0.0))
    flat = deviation <= 1e-6 * float(np.linalg.norm(components.mean))
    return np.where(flat, 0.0, MIDDLE / DEVIATIONS / np.where(flat, 1.0, deviation))


def _filled(image: NDArray[np.float64], valid: Mask) -> NDArray[np.float64]:
    """Fill invalid pixels of ``(rows, cols, 3)``, which hold 0."""
    side = (2 * FILL + 1, 2 * FILL + 1)
    count = uniform_filter(valid.astype(np.float64), side, mode="constant")
    total = uniform_filter(image, (*side, 0), mode="constant")
    held = count > 0.5 / (side[0] * side[1])
    mean = np.where(held[..., None], total / np.where(held, count, 1.0)[..., None], MIDDLE)
    return np.where(valid[..., None], image, mean)
