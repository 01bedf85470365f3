"""Counting the points of each class in each cell."""

from __future__ import annotations

import numpy as np
import shapely

from terrapatch.learn._vector_burn import Ids, Tally
from terrapatch.learn._vector_shapes import Shapely


def count_points(shapes: Shapely, codes: Ids, numbers: Ids, grid: tuple[int, int]) -> Tally:
    """Label cells by the points they hold: the class of most points, none where two are equal.

    Args:
        shapes: Points or multi-points ``(n,)`` in the coordinates of the cells.
        codes: Class of each, from 1.
        numbers: Number of each; of several that agree the lowest stands for the cell.
        grid: Rows and columns of cells.

    Returns:
        The labels; a point on the border of two cells belongs to the lower or right one.
    """
    tally = Tally.empty(grid)
    cell, source = _cells(shapes, grid)
    if not len(cell):
        return tally
    span = int(codes.max()) + 1
    pairs, first, votes = np.unique(
        cell * span + codes[source], return_index=True, return_counts=True
    )
    cells, code = np.divmod(pairs, span)
    order = np.lexsort((code, -votes, cells))
    cells, code, votes, first = cells[order], code[order], votes[order], first[order]
    leads = np.flatnonzero(np.diff(cells, prepend=-1))
    second = np.minimum(leads + 1, len(cells) - 1)
    mixed = (second > leads) & (cells[second] == cells[leads])
    tied = mixed & (votes[second] == votes[leads])
    won = leads[~tied]
    tally.labels.ravel()[cells[won]] = code[won]
    tally.features.ravel()[cells[won]] = numbers[source[first[won]]]
    tally.tied, tally.mixed = int(tied.sum()), int(mixed.sum())
    return tally


def _cells(shapes: Shapely, grid: tuple[int, int]) -> tuple[Ids, Ids]:
    """Return the cell of each point that lies in one, and the shape it belongs to."""
    xy, source = shapely.get_coordinates(shapes, return_index=True)
    inside = (xy >= 0).all(axis=1) & (xy < (grid[1], grid[0])).all(axis=1)
    column, row = np.floor(xy[inside]).astype(np.int64).T
    return row * grid[1] + column, source[inside]
