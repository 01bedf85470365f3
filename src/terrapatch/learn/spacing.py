"""Choosing the best cells of a raster so that none is too near to a better one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_hits", "surroundings"]


def best_hits(
    scores: NDArray[np.float32],
    n: int,
    apart: tuple[float, float] = (1.0, 1.0),
    taken: Sequence[tuple[int, int]] = (),
) -> list[tuple[int, int]]:
    """Return the cells of the highest scores, none too near to a better one.

    Two cells are too near if they are less than ``apart`` away both down and across (greedy
    non-maximum suppression). Of equal scores the first cell, row by row, is taken.

    Args:
        scores: ``(rows, cols)``, NaN in empty cells.
        n: Cells to return at most.
        apart: Least distance down and across, in cells.
        taken: Cells that keep others away as if they had been returned.

    Returns:
        Row and column of each cell, the best first.
    """
    left = np.where(np.isnan(scores), -np.inf, scores).astype(np.float32)
    for cell in taken:
        left[surroundings(cell, apart)] = -np.inf
    hits: list[tuple[int, int]] = []
    while len(hits) < n:
        row, col = divmod(int(left.argmax()), left.shape[1])
        if left[row, col] == -np.inf:
            break
        hits.append((row, col))
        left[surroundings((row, col), apart)] = -np.inf
    return hits


def surroundings(cell: tuple[int, int], apart: tuple[float, float]) -> tuple[slice, slice]:
    """Return the rows and columns less than ``apart`` away from a cell; at least its own."""
    reach = [max(0, int(np.ceil(one)) - 1) for one in apart]
    rows, cols = (
        slice(max(0, at - far), at + far + 1) for at, far in zip(cell, reach, strict=True)
    )
    return rows, cols
