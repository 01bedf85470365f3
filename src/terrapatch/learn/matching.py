"""Which new cluster is which old one, so that names survive another run.

The old model is applied to the new features; each cell then has an old id and a new one, and
what clusters share is counted in cells. Two rules say which old group (a cluster, or clusters a
person merged) a new cluster takes:

``majority``: the group that holds most of its cells. Several new clusters may take one group.
``assignment``: old and new clusters are paired one to one so that the cells they share are as
many as possible (Kuhn, "The Hungarian method for the assignment problem", 1955).

Measured by ``benchmarks/bench_names.py`` (Mumbai, cells of 60 m, k = 12, clusters of seed 0 named
by what most of their cells are and merged by name, then runs with seeds 1 to 4), the share of
cells that keep their name is, by majority and by assignment: g1_1 .869 and .836, g3_1 .921 and
.871, g6_1 .944 and .931. Majority is the better one everywhere, and the default: for given
clusters no rule can keep more cells, since each new cluster takes what most of its cells had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import ClusterError

__all__ = ["RULES", "Match", "Rule", "match"]

Ids = NDArray[np.int64]
Rule = Literal["majority", "assignment"]
RULES = ("majority", "assignment")


@dataclass(frozen=True, eq=False)
class Match:
    """Which old group each new cluster takes.

    Attributes:
        taken: Old group of each new cluster ``(n_new + 1,)``, 0 for none; entry 0 is 0.
        agreement: Share of each new cluster's cells that lie in that group ``(n_new + 1,)``,
            0 to 1; 0 without cells.
        kept: Share of each old group's cells that lie in new clusters which took it
            ``(n_old + 1,)``; NaN for an id that is no group or has no cells.
        shared: Cells that new cluster ``i`` shares with the group it took ``(n_new + 1,)``.
    """

    taken: Ids
    agreement: NDArray[np.float64]
    kept: NDArray[np.float64]
    shared: Ids

    def followers(self, group: int) -> tuple[int, ...]:
        """Return the new clusters that took an old group, the one sharing most cells first."""
        found = np.flatnonzero(self.taken == group)
        found = found[found > 0]
        return tuple(int(i) for i in found[np.lexsort((found, -self.shared[found]))])


def match(
    old: ArrayLike,
    new: ArrayLike,
    n_old: int,
    n_new: int,
    *,
    groups: ArrayLike | None = None,
    rule: Rule = "majority",
) -> Match:
    """Match new clusters to old ones by the cells they share.

    Args:
        old: Old cluster ids of the cells, any shape, 0 where empty: what the old model gives
            for the new features.
        new: New cluster ids of the same shape.
        n_old: Clusters in the old model.
        n_new: Clusters in the new model.
        groups: The group each old cluster belongs to ``(n_old + 1,)``, an id of one of them;
            each its own if left out.
        rule: ``majority`` or ``assignment``, see the module.

    Returns:
        The match. Of equal ones the lower id is taken.

    Raises:
        ClusterError: If the shapes differ, an id is out of range, or the rule is not known.
    """
    if rule not in RULES:
        raise ClusterError(f"there is no rule {rule!r}; choose {' or '.join(RULES)}")
    before, after = _checked(old, n_old, "old"), _checked(new, n_new, "new")
    if before.shape != after.shape:
        raise ClusterError(
            f"old ids have shape {before.shape} and new ids {after.shape}; apply the old model to "
            "the new features first"
        )
    group = np.arange(n_old + 1) if groups is None else np.asarray(groups, np.int64)
    both = (before > 0) & (after > 0)
    before, after = before[both], after[both]
    if rule == "majority":
        taken = _most_common(group[before], after, n_new)
    else:
        taken = group[_one_to_one(before, after, n_old, n_new)]
    return _measured(taken, group[before], after, n_old, n_new)


def _checked(ids: ArrayLike, n: int, which: str) -> Ids:
    found = np.asarray(ids, np.int64)
    if found.size and not 0 <= found.min() <= found.max() <= n:
        raise ClusterError(f"{which} ids go from {found.min()} to {found.max()}, not from 0 to {n}")
    return found


def _pairs(before: Ids, after: Ids) -> tuple[Ids, Ids, Ids]:
    """Return the pairs of ids that occur, and in how many cells; memory goes with the cells."""
    width = int(after.max(initial=0)) + 1
    codes, counts = np.unique(before * width + after, return_counts=True)
    return codes // width, codes % width, counts


def _most_common(before: Ids, after: Ids, n_new: int) -> Ids:
    one, other, counts = _pairs(before, after)
    taken = np.zeros(n_new + 1, np.int64)
    order = np.lexsort((-one, counts))  # the last to be written wins: most cells, lowest id
    taken[other[order]] = one[order]
    return taken


def _one_to_one(before: Ids, after: Ids, n_old: int, n_new: int) -> Ids:
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((n_old + 1, n_new + 1), np.int64)
    one, other, counts = _pairs(before, after)
    table[one, other] = counts
    rows, cols = linear_sum_assignment(table[1:, 1:], maximize=True)
    taken = np.zeros(n_new + 1, np.int64)
    meet = table[rows + 1, cols + 1] > 0  # a pair that shares no cell is none
    taken[cols[meet] + 1] = rows[meet] + 1
    return taken


def _measured(taken: Ids, before: Ids, after: Ids, n_old: int, n_new: int) -> Match:
    same = (taken[after] == before) & (before > 0)
    cells = np.bincount(after, minlength=n_new + 1)
    shared = np.bincount(after[same], minlength=n_new + 1)
    held = np.bincount(before, minlength=n_old + 1)
    stayed = np.bincount(before[same], minlength=n_old + 1)
    return Match(taken, _ratio(shared, cells, 0.0), _ratio(stayed, held, np.nan), shared)


def _ratio(part: NDArray[Any], whole: NDArray[Any], otherwise: float) -> NDArray[np.float64]:
    out = np.full(len(whole), otherwise)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
