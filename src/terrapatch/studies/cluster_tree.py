"""The tree of clusters: which lie near which, and which to merge first.

Average linkage (Sokal and Michener 1958) over the centres, each as heavy as it has cells: the
distance of two groups is the mean distance of the centres of one to those of the other, taken
over pairs of cells.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_LEAVES", "ClusterTree", "Hint", "Merge", "grow_tree", "merge_hints"]

Floats = npt.NDArray[np.float64]

MOST_LEAVES = 500
"""Clusters a tree is grown over; of more, the largest."""


@dataclass(frozen=True)
class Merge:
    """Two groups of clusters that become one.

    Attributes:
        left: Ids of the clusters in the larger group, ascending.
        right: Ids of those in the other.
        height: Mean distance of the two groups in the scaled space.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    height: float


@dataclass(frozen=True)
class ClusterTree:
    """A tree of clusters.

    Attributes:
        ids: Ids of the leaves, ascending.
        merges: All merges, the lowest first; one less than there are leaves.
        gaps: Distances of the centres ``(n, n)``, in the order of ``ids``.
    """

    ids: tuple[int, ...]
    merges: tuple[Merge, ...]
    gaps: Floats

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The leaves from top to bottom, so that no two branches cross."""
        groups: dict[int, tuple[int, ...]] = {id: (id,) for id in self.ids}
        for merge in self.merges:
            joined = groups[merge.left[0]] + groups[merge.right[0]]
            groups.update(dict.fromkeys(joined, joined))
        return groups[self.ids[0]]

    def nearest(self, id: int) -> tuple[int, float]:
        """Return the cluster whose centre lies nearest to that of another, and how far away.

        Args:
            id: A cluster that is a leaf of a tree of two or more.
        """
        row = self.gaps[self.ids.index(id)].copy()
        row[self.ids.index(id)] = np.inf
        other = int(np.argmin(row))
        return self.ids[other], float(row[other])


@dataclass(frozen=True)
class Hint:
    """A merge that a person may look at first.

    Attributes:
        merge: The two groups.
        source: The cluster to merge.
        into: The cluster it becomes part of.
    """

    merge: Merge
    source: int
    into: int


def grow_tree(
    centres: npt.NDArray[np.floating], cells: npt.NDArray[np.integer]
) -> ClusterTree | None:
    """Join clusters, the nearest first.

    Args:
        centres: Centres ``(k, d)`` in the scaled space, that of cluster 1 first.
        cells: Cells of each cluster ``(k,)``; those without any are left out.

    Returns:
        The tree over the clusters that occur (of more than 500, the largest), ``None`` if there
        are fewer than two.
    """
    weights = np.asarray(cells, np.float64)
    ranked = np.argsort(-weights, kind="stable")[:MOST_LEAVES]
    kept = np.sort(ranked[weights[ranked] > 0])
    if len(kept) < 2:
        return None
    gaps = _distances(np.asarray(centres[kept], np.float64))
    ids = tuple(int(i) + 1 for i in kept)
    return ClusterTree(ids, tuple(_joined(gaps, weights[kept], ids)), gaps)


def merge_hints(
    tree: ClusterTree, roots: Sequence[int], named: Collection[int], n: int
) -> tuple[Hint, ...]:
    """Return the lowest merges of clusters that are not one already.

    All of them can be done one after the other: each joins what the ones before have left, no
    merge of a person is undone, and two clusters with names of their own are left apart.

    Args:
        tree: The tree.
        roots: The cluster that each id ends in after the merges a person made ``(k + 1,)``.
        named: Clusters that have a name and are not merged into another.
        n: How many at most.
    """
    ends, hints = {id: int(roots[id]) for id in tree.ids}, list[Hint]()
    for merge in tree.merges:
        left, right = ({ends[id] for id in group} for group in (merge.left, merge.right))
        if len(left) != 1 or len(right) != 1 or left == right or left | right <= set(named):
            continue
        (into,), (source,) = left, right
        if source in named:
            into, source = source, into
        hints.append(Hint(merge, source, into))
        ends = {id: into if end == source else end for id, end in ends.items()}
    return tuple(hints[:n])


def _distances(rows: Floats) -> Floats:
    """Return Euclidean distances ``(n, n)``."""
    out = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        out[i] = np.sqrt(np.square(rows - row).sum(axis=1))
    return out


def _joined(gaps: Floats, weights: Floats, ids: Sequence[int]) -> list[Merge]:
    """Join the nearest two groups until one is left (the update of Lance and Williams 1967)."""
    between, heavy = gaps.copy(), weights.copy()
    np.fill_diagonal(between, np.inf)
    groups: list[tuple[int, ...]] = [(id,) for id in ids]
    merges = []
    for _ in range(len(ids) - 1):
        a, b = divmod(int(np.argmin(between)), len(ids))
        if heavy[b] > heavy[a]:
            a, b = b, a
        height = float(between[a, b])
        merges.append(Merge(tuple(sorted(groups[a])), tuple(sorted(groups[b])), height))
        row = (heavy[a] * between[a] + heavy[b] * between[b]) / (heavy[a] + heavy[b])
        row[a] = np.inf
        between[a], between[:, a] = row, row
        between[b], between[:, b] = np.inf, np.inf
        heavy[a] += heavy[b]
        groups[a] += groups[b]
    return merges
