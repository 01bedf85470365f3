"""How a cluster lies in space: its pieces, the gaps between them, and whether it clumps.

A piece is a group of cells that touch at their sides. Whether a cluster clumps is told by join
counts (Moran 1948; variance under permutation after Cliff and Ord 1981, "Spatial Processes"):
pairs of neighbouring cells that both belong to it, against what a random order of the same
labels over the same cells would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Joins", "Spread", "joins_of", "spread_of"]

Ids = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

_NEIGHBOURS = 33  # cells of a cluster asked for at once when gaps are measured


@dataclass(frozen=True)
class Joins:
    """Pairs of neighbours of one cluster.

    Attributes:
        found: Pairs that both belong to it.
        expected: What a random order of the labels gives on average.
        deviation: And its standard deviation.
    """

    found: int
    expected: float
    deviation: float

    @property
    def clumping(self) -> float:
        """Found over expected: 1 is random, more is clumped; NaN where no pair can be."""
        return self.found / self.expected if self.expected > 0 else float("nan")

    @property
    def z(self) -> float:
        """Standard deviations above random; NaN where there is no deviation."""
        above = self.found - self.expected
        return above / self.deviation if self.deviation > 0 else float("nan")


@dataclass(frozen=True)
class Spread:
    """How a cluster lies in space.

    Attributes:
        pieces: Groups of cells that touch at their sides.
        largest: Cells of the largest.
        gap: Mean distance from a piece to the nearest other one, middle of cell to middle of
            cell; NaN with one piece.
        joins: Pairs of neighbours.
    """

    pieces: int
    largest: int
    gap: float
    joins: Joins


def spread_of(labels: Ids, ids: Sequence[int], cell: tuple[float, float]) -> dict[int, Spread]:
    """Measure how clusters lie in space.

    Args:
        labels: Cluster ids ``(rows, cols)``, 0 in empty cells.
        ids: The clusters to measure; all occur.
        cell: Height and width of a cell, in the unit of gaps.
    """
    from scipy.ndimage import find_objects, label

    joins, boxes = joins_of(labels), find_objects(labels.astype(np.int32))
    found = {}
    for id in ids:
        pieces, count = label(labels[boxes[id - 1]] == id)
        largest = int(np.bincount(pieces.ravel())[1:].max())
        found[id] = Spread(int(count), largest, _mean_gap(pieces, count, cell), joins[id])
    return found


def joins_of(labels: Ids) -> dict[int, Joins]:
    """Count the neighbours (at sides) that are of one cluster, for each that occurs."""
    degree = np.zeros(labels.shape, np.int64)
    same = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    joins = 0
    whole = slice(None)
    for one, other in (
        ((slice(None, -1), whole), (slice(1, None), whole)),
        ((whole, slice(None, -1)), (whole, slice(1, None))),
    ):
        both = (labels[one] > 0) & (labels[other] > 0)
        alike = both & (labels[one] == labels[other])
        joins += int(both.sum())
        same += np.bincount(labels[one][alike], minlength=len(same))
        degree[one] += both
        degree[other] += both
    sharing = int((degree * (degree - 1)).sum())  # ordered pairs of joins with a cell in common
    counts = np.bincount(labels.ravel(), minlength=len(same))
    cells = int(counts[1:].sum())
    return {
        int(id): Joins(int(same[id]), *_random(int(counts[id]), cells, joins, sharing))
        for id in np.flatnonzero(counts)
        if id > 0
    }


def _random(n: int, cells: int, joins: int, sharing: int) -> tuple[float, float]:
    """Return mean and deviation of the joins of ``n`` cells that lie anywhere among all."""

    def chance(r: int) -> float:
        """Return how likely ``r`` given cells are all of the cluster."""
        share = 1.0
        for i in range(r):
            share *= (n - i) / (cells - i) if cells > i else 0.0
        return max(share, 0.0)

    expected = joins * chance(2)
    apart = joins * (joins - 1) - sharing
    square = expected + sharing * chance(3) + apart * chance(4)
    return expected, float(np.sqrt(max(square - expected**2, 0.0)))


def _mean_gap(pieces: npt.NDArray[np.int32], count: int, cell: tuple[float, float]) -> float:
    """Return the mean distance from a piece to the nearest other one."""
    if count < 2:
        return float("nan")
    from scipy.spatial import cKDTree

    rows, cols = np.nonzero((pieces > 0) & ~_surrounded(pieces))
    mine = pieces[rows, cols]
    places = np.column_stack([rows * cell[0], cols * cell[1]])
    gaps, near = cKDTree(places).query(places, k=min(_NEIGHBOURS, len(places)))
    foreign = np.where(mine[near] == mine[:, None], np.inf, gaps)
    best = np.full(count + 1, np.inf)
    np.minimum.at(best, mine, foreign.min(axis=1))
    # A cell all of whose neighbours are of its own piece may have a nearer other one beyond.
    unsure = np.isinf(foreign.min(axis=1)) & (gaps[:, -1] < best[mine])
    for piece in np.unique(mine[unsure]):
        others = cKDTree(places[mine != piece])
        best[piece] = others.query(places[mine == piece])[0].min()
    return float(best[1:].mean())


def _surrounded(pieces: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return the cells whose four neighbours are of the same cluster."""
    inside = np.pad(pieces > 0, 1)
    found: npt.NDArray[np.bool_] = (
        inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    )
    return found
