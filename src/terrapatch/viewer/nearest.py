"""Which cells look like one cell: the cosine of their scaled descriptors."""

from __future__ import annotations

import numpy as np

from terrapatch.learn.scaling import unit_rows
from terrapatch.viewer.space import Floats, Numbers, Space

__all__ = ["apart", "similarity"]


def similarity(space: Space, number: int) -> Floats:
    """Return the cosine of every cell with one cell.

    Args:
        space: The scaled descriptors.
        number: Number of a cell that is not empty.

    Returns:
        ``(cells,)`` float32 from -1 to 1, NaN in empty cells; the cell itself has 1.
    """
    asked = unit_rows(space.rows(np.array([number])))[0].astype(np.float32)
    scores = np.full(space.shape[0] * space.shape[1], np.nan, np.float32)
    for numbers, rows in space.chunks():
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        cosines = (rows @ asked) / np.where(lengths == 0, 1, lengths)
        scores[numbers] = np.clip(cosines, -1.0, 1.0)
    scores[number] = 1.0
    return scores


def apart(
    order: Numbers, first: int, shape: tuple[int, int], reach: tuple[int, int], n: int
) -> list[int]:
    """Take the first cells of an order whose patches overlap neither each other nor the first.

    Args:
        order: Numbers of cells, best first.
        first: The cell that was asked about; not in the answer.
        shape: Rows and columns of cells.
        reach: Rows and columns of cells at which patches no longer overlap.
        n: Most cells to take.
    """
    taken = [divmod(first, shape[1])]
    for number in order:
        row, col = divmod(int(number), shape[1])
        if all(abs(row - r) >= reach[0] or abs(col - c) >= reach[1] for r, c in taken):
            taken.append((row, col))
        if len(taken) > n:
            break
    return [r * shape[1] + c for r, c in taken[1:]]
