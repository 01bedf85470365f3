"""Sums over squares around pixels, the same to the last bit wherever a block begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Bands that are summed at once: doubles of a block take twice the memory of its values.
_AT_ONCE = 16


def run_sums(values: NDArray[np.generic], length: int, axis: int) -> NDArray[np.generic]:
    """Sum every run of ``length`` numbers along an axis.

    Runs are put together from runs of 1, 2, 4, … numbers, so that a sum depends on its
    own numbers only: no running total carries rounding from one run into the next.

    Args:
        values: Numbers, at least ``length`` of them along the axis.
        length: Numbers in a run.
        axis: The axis.

    Returns:
        The same but for the axis, which is ``length - 1`` shorter.
    """
    power = np.moveaxis(values, axis, 0)
    n, offset, size = len(power) - length + 1, 0, 1
    total: NDArray[np.generic] | None = None
    while True:
        if length & size:
            part = power[offset : offset + n]
            total = part if total is None else np.add(total, part)
            offset += size
        if 2 * size > length:
            break
        power = np.add(power[:-size], power[size:])
        size *= 2
    return np.moveaxis(values if total is None else total, 0, axis)


def box_sums(values: NDArray[np.generic], height: int, width: int) -> NDArray[np.generic]:
    """Sum every rectangle of the first two axes."""
    return run_sums(run_sums(values, height, 0), width, 1)


def local_means(values: NDArray[np.float32], valid: Mask, side: int) -> NDArray[np.float32]:
    """Average the valid pixels of the square around each pixel.

    Args:
        values: ``(rows + side - 1, cols + side - 1, N)`` with context.
        valid: The same without ``N``.
        side: Side of the squares, odd.

    Returns:
        ``(rows, cols, N)`` float32; 0 where no pixel is valid.
    """
    count = np.maximum(box_sums(valid.astype(np.int32), side, side), 1)[..., None]
    out = np.empty((*count.shape[:2], values.shape[2]), np.float32)
    for start in range(0, values.shape[2], _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        some = np.where(valid[..., None], values[..., part], 0.0).astype(np.float64)
        out[..., part] = box_sums(some, side, side) / count
    return out


def local_deviations(values: NDArray[np.float32], valid: Mask, side: int) -> NDArray[np.float32]:
    """Return the standard deviation of the valid pixels of the square around each pixel.

    Args:
        values: ``(rows + side - 1, cols + side - 1)`` with context.
        valid: The same.
        side: Side of the squares, odd.

    Returns:
        ``(rows, cols)`` float32, divided by the number of pixels; 0 where they are equal.
    """
    count = np.maximum(box_sums(valid.astype(np.int32), side, side), 1)
    some = np.where(valid, values, 0.0).astype(np.float64)
    squares = box_sums(some**2, side, side) / count
    variance = squares - (box_sums(some, side, side) / count) ** 2
    # What is left of equal numbers by rounding is not a variance.
    return np.sqrt(np.where(variance > 1e-12 * squares, variance, 0.0)).astype(np.float32)
