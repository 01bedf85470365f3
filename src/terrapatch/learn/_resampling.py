"""Bootstrap of a confusion matrix without ever drawing a sample.

What is drawn (samples, or whole groups) falls into kinds that are alike: all samples
of one cell of the matrix and one weight add the same to it. How often each kind
comes up in a bootstrap round is multinomial, so a round costs as much as there are
kinds, whatever the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHUNK = 1 << 21
_FEW_A_KIND = 8


@dataclass(frozen=True, eq=False)
class Units:
    """What a bootstrap draws.

    Attributes:
        often: How many units there are of each kind ``(kinds,)``.
        tables: What one unit of a kind adds to the cells, sparse ``(kinds, cells)``.
    """

    often: Counts
    tables: Any

    @property
    def count(self) -> int:
        """Units in all, and units drawn in each round."""
        return int(self.often.sum())


def kinds_of_units(
    cells: Counts, weights: Floats | None, groups: NDArray[Any] | None, n_cells: int
) -> Units:
    """Sort samples, or groups of samples, into kinds that are alike.

    Args:
        cells: The cell of the confusion matrix each sample falls in ``(n,)``.
        weights: The weight of each sample ``(n,)``; 1 if left out.
        groups: The group of each sample ``(n,)``, if whole groups are drawn.
        n_cells: Cells of the matrix.
    """
    one = np.ones(len(cells)) if weights is None else weights
    if groups is not None:
        names, member = np.unique(groups, return_inverse=True)
        shape = (len(names), n_cells)
        tables = csr_matrix((one, (member.ravel(), cells)), shape=shape)
        return Units(np.ones(len(names), np.int64), tables)
    if weights is None:
        counts = np.bincount(cells, minlength=n_cells)
        kinds = np.flatnonzero(counts)
        values, often = np.ones(1), counts[kinds]
    else:
        values, level = np.unique(weights, return_inverse=True)
        kinds, often = np.unique(level * n_cells + cells, return_counts=True)
    entries = (values[kinds // n_cells], (np.arange(len(kinds)), kinds % n_cells))
    return Units(often.astype(np.int64), csr_matrix(entries, shape=(len(kinds), n_cells)))


def resampled_tables(units: Units, rounds: int, seed: int) -> Iterator[Floats]:
    """Yield confusion matrices ``(some rounds, cells)`` of units drawn with replacement."""
    rng = np.random.default_rng(seed)
    width = max(units.tables.shape)
    step = max(1, _CHUNK // width)
    for start in range(0, rounds, step):
        drawn = _times_drawn(units.often, min(step, rounds - start), rng)
        yield np.asarray(units.tables.T.dot(drawn.T).T, np.float64)


def _times_drawn(often: Counts, rounds: int, rng: np.random.Generator) -> Counts:
    """Return how often each kind comes up ``(rounds, kinds)``.

    Where nearly every unit is a kind of its own, drawing units is faster than drawing
    the multinomial; both have the same distribution.
    """
    kinds, count = len(often), int(often.sum())
    if count > _FEW_A_KIND * kinds:
        return rng.multinomial(count, often / count, size=rounds)
    kind = np.repeat(np.arange(kinds), often)
    return np.array(
        [np.bincount(kind[rng.integers(0, count, count)], minlength=kinds) for _ in range(rounds)]
    )
