"""Filling the holes of a tile before a network runs over it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from terrapatch.reading import Mask, Pixels

Doubles = npt.NDArray[np.float64]

# What pixels without any valid one around them are filled with: the middle of 0 to 255.
GREY = 127
# How many times the means of coarse pixels are spread to their neighbours.
SPREADS = 2
COARSE = 16


def coarse_side(unit: int) -> int:
    """Return the largest side of a coarse pixel of which tiles begin at a multiple."""
    return max(d for d in range(1, min(unit, COARSE) + 1) if unit % d == 0)


def fill(pixels: Pixels, valid: Mask, coarse: tuple[int, int]) -> Pixels:
    """Fill invalid pixels with the mean of the valid ones around them.

    Means are taken over coarse pixels and spread to empty neighbours a few times; beyond
    that stands the middle of the scale. Nothing but the surroundings decides, so tiles
    fill what they share alike.

    Args:
        pixels: ``(bands, height, width)`` in 0–255; multiples of ``coarse``.
        valid: ``(height, width)``.
        coarse: Height and width of a coarse pixel.

    Returns:
        A copy of the pixels.
    """
    height, width = (n // c for n, c in zip(valid.shape, coarse, strict=True))
    shape = (height, coarse[0], width, coarse[1])
    count = valid.reshape(shape).sum(axis=(1, 3)).astype(np.float64)
    filled = np.empty_like(pixels)
    for band, out in zip(pixels, filled, strict=True):
        total = np.where(valid, band, 0).reshape(shape).sum(axis=(1, 3), dtype=np.float64)
        mean = _spread(total, count)
        if pixels.dtype.kind == "u":
            mean = np.floor(mean + 0.5)
        plain = np.repeat(np.repeat(mean.astype(pixels.dtype), coarse[0], 0), coarse[1], 1)
        out[...] = np.where(valid, band, plain)
    return filled


def _spread(
    total: npt.NDArray[np.float64], count: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return means of coarse pixels; empty ones take that of their neighbours."""
    for _ in range(SPREADS):
        empty = count == 0
        if not empty.any():
            break
        around = _neighbours(total), _neighbours(count)
        held = empty & (around[1] > 0)
        total = np.where(held, around[0] / np.where(held, around[1], 1.0), total)
        count = np.where(held, 1.0, count)
    mean: npt.NDArray[np.float64] = np.where(
        count > 0, total / np.where(count > 0, count, 1.0), float(GREY)
    )
    return mean


def _neighbours(values: Doubles) -> Doubles:
    """Add up every 3 x 3, always in the same order, so that tiles round alike."""
    wide, (height, width) = np.pad(values, 1), values.shape
    total = np.zeros_like(values)
    for top in range(3):
        for left in range(3):
            total += wide[top : top + height, left : left + width]
    return total
