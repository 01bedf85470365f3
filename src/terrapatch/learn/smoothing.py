"""Smoothing a map of classes without ever touching what is no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError

Ids = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Smoothed:
    """A smoothed map of classes and what smoothing did.

    Attributes:
        labels: Class ids ``(rows, cols)``, 0 where they were 0.
        changed: Cells that have another class now.
        gained: Cells each class has won or lost ``(classes + 1,)``.
    """

    labels: Ids
    changed: int
    gained: NDArray[np.int64]


def majority_filter(labels: Ids, n_classes: int, side: int = 3) -> Smoothed:
    """Give each cell the most frequent class of the square around it.

    Empty cells neither vote nor get a class. A cell keeps its own class where that is among
    the most frequent, so that nothing moves without a majority; else the lower id wins.

    Args:
        labels: Class ids ``(rows, cols)`` from 1, 0 where empty.
        n_classes: Number of classes.
        side: Side of the square in cells, odd.

    Raises:
        SamplesError: If the side is even or below 3.
    """
    from scipy.ndimage import convolve1d

    if side < 3 or side % 2 == 0:
        raise SamplesError(f"a square of {side} cells has no middle; smooth by 3, 5, 7 …")
    ones = np.ones(side, np.int32)
    best, votes = labels.copy(), np.zeros(labels.shape, np.int32)
    own = np.zeros(labels.shape, np.int32)
    for id in range(1, n_classes + 1):
        is_class = (labels == id).astype(np.int32)
        if not is_class.any():
            continue
        rows = convolve1d(is_class, ones, axis=0, mode="constant")
        count = convolve1d(rows, ones, axis=1, mode="constant")
        own[labels == id] = count[labels == id]
        more = count > votes
        best[more], votes[more] = id, count[more]
    keep = (own == votes) | (labels == 0)
    best[keep] = labels[keep]
    before = np.bincount(labels.ravel(), minlength=n_classes + 1)
    after = np.bincount(best.ravel(), minlength=n_classes + 1)
    return Smoothed(best, int((best != labels).sum()), (after - before).astype(np.int64))
