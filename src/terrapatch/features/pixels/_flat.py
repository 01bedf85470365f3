"""Erosion and dilation of grey images by flat discs and squares, and geodesic steps.

Beyond the edge of an image, and in its invalid pixels, there is nothing: they neither
lower an erosion nor raise a dilation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SHAPES = ("disc", "square")


def half_widths(radius: int, shape: str) -> list[int]:
    """Return how far a shape reaches to either side in its rows ``-radius`` to ``radius``.

    Args:
        radius: Radius of a disc (pixels whose centres are no further), half the side of a square.
        shape: ``disc`` or ``square``.
    """
    if shape == "square":
        return [radius] * (2 * radius + 1)
    return [math.isqrt(radius * radius - dy * dy) for dy in range(-radius, radius + 1)]


def eroded(image: Floats, radius: int, shape: str = "disc") -> Floats:
    """Return the smallest value under a shape around every pixel.

    Args:
        image: ``(rows, cols)`` float32, plus infinity in invalid pixels.
        radius: See ``half_widths``.
        shape: ``disc`` or ``square``.

    Returns:
        ``(rows, cols)`` float32, plus infinity where the shape holds no valid pixel.
    """
    widths = half_widths(radius, shape)
    along = {
        w: minimum_filter1d(image, 2 * w + 1, axis=1, mode="constant", cval=np.inf)
        for w in set(widths)
    }
    rows = image.shape[0]
    out = np.full_like(image, np.inf)
    for dy, width in zip(range(-radius, radius + 1), widths, strict=True):
        to, start = slice(max(0, -dy), min(rows, rows - dy)), max(0, dy)
        if to.start < to.stop:
            taken = along[width][start : start + to.stop - to.start]
            np.minimum(out[to], taken, out=out[to])
    return out


def dilated(image: Floats, radius: int, shape: str = "disc") -> Floats:
    """Return the largest value under a shape around every pixel.

    Args:
        image: ``(rows, cols)`` float32, minus infinity in invalid pixels.
        radius: See ``half_widths``.
        shape: ``disc`` or ``square``.
    """
    return -eroded(-image, radius, shape)


def marker(image: Floats, valid: Mask, radius: int, shape: str) -> Floats:
    """Return the erosion by a shape, minus infinity in invalid pixels.

    Args:
        image: ``(rows, cols)`` float32.
        valid: ``(rows, cols)``.
        radius: See ``half_widths``.
        shape: ``disc`` or ``square``.
    """
    low = eroded(np.where(valid, image, np.float32(np.inf)), radius, shape)
    return np.where(valid, low, np.float32(-np.inf))


def opened(image: Floats, valid: Mask, radius: int, shape: str) -> Floats:
    """Return the plain opening: the erosion, dilated by the same shape.

    Args:
        image: ``(rows, cols)`` float32.
        valid: ``(rows, cols)``.
        radius: See ``half_widths``.
        shape: ``disc`` or ``square``.

    Returns:
        ``(rows, cols)`` float32, minus infinity in invalid pixels.
    """
    low = dilated(marker(image, valid, radius, shape), radius, shape)
    return np.where(valid, low, np.float32(-np.inf))


def grown(seeds: Floats, image: Floats, steps: int) -> Floats:
    """Dilate seeds by 3 x 3 pixels under an image, so many times at most.

    Args:
        seeds: ``(rows, cols)`` float32, nowhere above ``image``.
        image: ``(rows, cols)`` float32, minus infinity in invalid pixels.
        steps: Number of steps; it ends early once nothing changes.
    """
    for _ in range(steps):
        more = np.minimum(dilated(seeds, 1, "square"), image)
        if np.array_equal(more, seeds):
            break
        seeds = more
    return seeds
