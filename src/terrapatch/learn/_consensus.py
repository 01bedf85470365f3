"""Evidence accumulation: what many runs of k-means have in common.

Fred and Jain ("Combining multiple clusterings using evidence accumulation", IEEE TPAMI 27, 2005):
each run votes for the pairs of cells it puts together, with its own start and its own number of
clusters from ``k`` to ``2k``; the share of votes is a similarity, and average linkage on it gives
the groups. Pairs are quadratic, so they are formed of at most 4,000 cells, a seeded sample where
there are more; the others go to the group with the nearest mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn._features import Progress
from terrapatch.learn._held_cells import Rows, any_seed, kmeans
from terrapatch.learn._kmeans import nearest

Labels = NDArray[np.int32]

MOST_PAIRED = 4_000
WIDEST = 2  # runs have from k to this many times k clusters


def consensus_groups(
    rows: Rows, k: int, runs: int, seed: int, progress: Progress | None = None
) -> Labels:
    """Return the consensus group of each cell, from 0 ``(n,)``; none of the ``k`` is empty.

    Args:
        rows: Cells ``(n, d)``, at least ``k`` of them.
        k: Number of groups.
        runs: Runs of k-means that vote.
        seed: Seed of the sample and the runs.
        progress: Called as ``progress(stage, runs done, runs in all)``.
    """
    n = len(rows)
    if n == 1:  # there is no pair to vote on
        return np.zeros(1, np.int32)
    rng = np.random.default_rng([seed, 21])
    size = min(n, max(MOST_PAIRED, 2 * k))
    paired = np.sort(rng.choice(n, size, replace=False)) if size < n else np.arange(n)
    groups = _linked(_votes(rows[paired], k, runs, rng, progress), k)
    if size == n:
        return groups
    means = group_means(rows[paired], groups, k)
    every: Labels = nearest(rows.astype(np.float64), means)[0].astype(np.int32)
    every[paired] = groups
    return every


def group_means(rows: Rows, groups: Labels, k: int) -> Rows:
    """Return the mean of each group ``(k, d)``; no group may be empty."""
    means = np.empty((k, rows.shape[1]), np.float32)
    for group in range(k):
        means[group] = rows[groups == group].mean(axis=0, dtype=np.float64)
    return means


def _votes(
    rows: Rows, k: int, runs: int, rng: np.random.Generator, progress: Progress | None
) -> NDArray[np.float32]:
    """Return the share of runs that part two cells ``(n (n - 1) / 2,)``, a condensed distance."""
    from scipy.spatial.distance import squareform

    together = np.zeros((len(rows), len(rows)), np.float32)
    most = min(WIDEST * k, len(rows))
    for turn in range(runs):
        labels = kmeans(rows, int(rng.integers(k, most + 1)), any_seed(rng))[0]
        for label in range(labels.max() + 1):
            members = np.flatnonzero(labels == label)
            together[np.ix_(members, members)] += 1
        if progress is not None:
            progress("runs that vote", turn + 1, runs)
    np.subtract(1, together / np.float32(runs), out=together)
    np.fill_diagonal(together, 0)
    return np.asarray(squareform(together, checks=False), np.float32)


def _linked(distance: NDArray[np.float32], k: int) -> Labels:
    """Return the ``k`` groups of average linkage, from 0.

    The tree is cut by the order of its mergers: cut by height, equal heights would give fewer
    groups.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    tree = linkage(distance, "average")
    n = len(tree) + 1
    kept = n - k
    joins = np.r_[tree[:kept, 0], tree[:kept, 1]].astype(np.int64)
    nodes = np.tile(np.arange(n, n + kept), 2)
    links = coo_array((np.ones(2 * kept, np.int8), (joins, nodes)), shape=(n + kept, n + kept))
    return np.asarray(connected_components(links, directed=False)[1][:n], np.int32)
