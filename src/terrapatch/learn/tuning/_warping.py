"""Moving pixels: exact turns and mirror images, and resampling along an affine map.

An affine map here goes from the pixels of what comes out to the pixels of what goes in,
in coordinates whose integers are the corners of pixels, ``(0, 0)`` the upper left one of
the image: the convention of a raster's geotransform, so the two multiply.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

TURNS = 8
# How smooth a distortion is: deviation of the Gaussian, as a share of the image's side.
SMOOTHNESS = 0.125


def turn(array: Array, which: int) -> Array:
    """Turn the last two axes: one of the eight symmetries of a square.

    Args:
        array: ``(..., h, w)``.
        which: 0 to 3 for so many quarter turns anticlockwise, 4 to 7 for those of the
            image mirrored left to right; the order of ``terrapatch.backbones.turning``.

    Returns:
        A view ``(..., h, w)``, or ``(..., w, h)`` after an odd number of quarter turns.
    """
    return np.rot90(array[..., ::-1] if which >= 4 else array, which % 4, axes=(-2, -1))


def turn_matrix(which: int, height: int, width: int) -> Affine:
    """Return the affine map of ``turn`` for an image of ``height`` x ``width`` pixels."""
    matrix = Affine(-1, 0, width, 0, 1, 0) if which >= 4 else Affine.identity()
    for _ in range(which % 4):
        matrix = matrix * Affine(0, -1, width, 1, 0, 0)
        height, width = width, height
    return matrix


def about_centre(matrix: Affine, height: int, width: int) -> Affine:
    """Return a linear map that leaves the centre of the image where it is."""
    x, y = width / 2, height / 2
    return Affine.translation(x, y) * matrix * Affine.translation(-x, -y)


def source_places(matrix: Affine, shift: Floats | None, height: int, width: int) -> Floats:
    """Return where every pixel of the result comes from.

    Args:
        matrix: The affine map.
        shift: What is added to it, in pixels, ``(2, h, w)`` as x and y, or ``None``.
        height: Height of the result.
        width: Width of the result.

    Returns:
        Indices into the image ``(2, h, w)`` as row and column; 0 is the middle of the
        first pixel.
    """
    y, x = np.mgrid[:height, :width] + 0.5
    column = matrix.a * x + matrix.b * y + matrix.c - 0.5
    row = matrix.d * x + matrix.e * y + matrix.f - 0.5
    places = np.stack([row, column])
    return places if shift is None else places + shift[::-1]


def resample(image: Array, places: Floats) -> NDArray[np.float32]:
    """Interpolate an image linearly; beyond its edge it goes on as its mirror image.

    Args:
        image: ``(c, h, w)``.
        places: What ``source_places`` gave.

    Returns:
        ``(c, rows, columns)`` float32.
    """
    from scipy.ndimage import map_coordinates

    out = np.empty((len(image), *places.shape[1:]), np.float32)
    for channel, made in zip(image, out, strict=True):
        map_coordinates(channel.astype(np.float32), places, made, order=1, mode="reflect")
    return out


def pick(raster: Array, places: Floats) -> Array:
    """Take the nearest pixel of a raster ``(h, w)``, 0 (or ``False``) beyond its edge."""
    rows, columns = np.floor(places + 0.5).astype(np.int64)
    height, width = raster.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    out = np.zeros(inside.shape, raster.dtype)
    out[inside] = raster[rows[inside], columns[inside]]
    return out


def distortion(rng: np.random.Generator, strength: float, height: int, width: int) -> Floats:
    """Draw a smooth random field of displacements.

    Simard, Steinkraus and Platt 2003, Best practices for convolutional neural networks
    applied to visual document analysis, ICDAR: white noise, smoothed by a Gaussian.

    Args:
        rng: Where it is drawn from.
        strength: Root mean square of each component, as a share of the larger side.
        height: Height in pixels.
        width: Width in pixels.

    Returns:
        Displacements in pixels ``(2, h, w)``, x and y.
    """
    from scipy.ndimage import gaussian_filter

    side = max(height, width)
    noise = rng.standard_normal((2, height, width))
    field = gaussian_filter(noise, (0, SMOOTHNESS * side, SMOOTHNESS * side), mode="reflect")
    spread = np.sqrt((field**2).mean(axis=(1, 2), keepdims=True))
    return np.asarray(field / np.maximum(spread, 1e-12) * (strength * side))
