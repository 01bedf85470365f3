"""How far clusters can be trusted: the consensus of many runs, and the stability of each cluster.

k-means with another seed gives other clusters. ``consensus`` combines many runs into one model
that hardly depends on the seed; ``cluster_stability`` says of each cluster of a model whether it
comes back when the cells are drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import ClusterError
from terrapatch.learn._consensus import consensus_groups, group_means
from terrapatch.learn._features import Features, Progress, occupied, single_thread
from terrapatch.learn._held_cells import (
    MEMORY_BYTES,
    HeldCells,
    Rows,
    any_seed,
    check_seed,
    hold,
    kmeans,
)
from terrapatch.learn._kmeans import Centres, nearest
from terrapatch.learn.clusters import (
    check_request,
    distinct_scaled,
    fit_scaling,
    library_versions,
    ordered_by_size,
)
from terrapatch.learn.model import ClusterModel

__all__ = ["RUNS", "ClusterStability", "Verdict", "cluster_stability", "consensus"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]
Verdict = Literal["stable", "pattern", "doubtful", "not here"]

RUNS = 100
STABLE, PATTERN = 0.75, 0.6
_VOTES = 20  # runs of a consensus when it is repeated on cells drawn again
_STARTS = 3


def consensus(
    features: Features,
    k: int,
    *,
    runs: int = RUNS,
    seed: int = 0,
    scaling: str = "standardise-l2",
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
) -> ClusterModel:
    """Combine many runs of k-means into one model.

    Evidence accumulation (Fred and Jain 2005, see ``_consensus``). The centres are the means of
    the groups in the scaled space, so the result is a cluster model like any other. Measured by
    ``benchmarks/bench_choosing.py``: another seed changes it far less than plain k-means
    everywhere, and with most features and scalings it finds the classes of UC Merced, and
    informal settlements in two of three mosaics of Mumbai, better.

    Args:
        features: The feature raster.
        k: Number of clusters, 2 to 65,534.
        runs: Runs that vote.
        seed: Seed of everything random; the same seed gives the same bytes.
        scaling: A name of ``terrapatch.learn.scaling``.
        memory_bytes: Limit for the cells that are held; where they are more, a seeded sample
            (of at most 20,000) stands for all.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        The model, its ``algorithm`` called ``consensus``.

    Raises:
        ClusterError: If there are fewer (distinct) non-empty cells than ``k``, if
            features are not finite, or an argument is out of range.
    """
    mask = occupied(features)
    check_request(features, k, seed, "auto", 1, int(mask.sum()))
    if runs < 2:
        raise ClusterError(f"a consensus of {runs} runs is none; ask for 2 runs or more")
    with single_thread():
        fitted = fit_scaling(features, scaling, mask, memory_bytes, progress)
        cells, _ = distinct_scaled(features, fitted, mask, k, scaling, progress)
        held = hold(features, fitted, seed=seed, memory_bytes=memory_bytes, progress=progress)
        _refuse_more_than_held(k, held)
        groups = consensus_groups(held.axes, k, runs, seed, progress)
        centres = _occupied_centres(held.rows, groups, k)
        centres, counts, inertia = ordered_by_size(cells, centres)
    return ClusterModel(
        centres=centres,
        scaling=fitted,
        description={
            "algorithm": "consensus",
            "counts": counts,
            "groups": [[name, int(a), int(b)] for name, a, b in features.groups],
            "inertia": inertia,
            "k": k,
            "n_features": features.n_features,
            "n_init": 1,
            "runs": runs,
            "scaling": scaling,
            "seed": seed,
            "space": dict(features.recipe.space),
            "space_fingerprint": features.recipe.space_fingerprint,
            "versions": library_versions(),
        },
    )


def _refuse_more_than_held(k: int, held: HeldCells) -> None:
    if k > held.count:
        raise ClusterError(
            f"a consensus of {k} clusters cannot be made of the {held.count} cells that are held "
            "in memory; raise memory_bytes, or ask for fewer clusters"
        )


def _occupied_centres(rows: Rows, groups: Labels, k: int) -> Centres:
    """Return the means of the groups; a group whose cells all lie nearer to others keeps one.

    The centre of such a group is moved onto its cell that is nearest to the mean.
    """
    centres = group_means(rows, groups, k)
    taken = np.bincount(nearest(rows.astype(np.float64), centres)[0], minlength=k)
    for group in np.flatnonzero(taken == 0):
        own = rows[groups == group]
        centres[group] = own[np.argmin(((own - centres[group]) ** 2).sum(axis=1))]
    return centres


@dataclass(frozen=True, eq=False)
class ClusterStability:
    """How well each cluster comes back when cells are drawn again.

    Attributes:
        jaccard: Mean best Jaccard similarity of each cluster ``(k,)``, 0 to 1, cluster 1 first;
            NaN for a cluster without cells here.
        low: The lowest tenth of it ``(k,)``: one draw in ten was worse.
        cells: Cells of each cluster that were looked at ``(k,)``.
        repeats: How often cells were drawn.
        seed: The seed.
    """

    jaccard: Floats
    low: Floats
    cells: NDArray[np.int64]
    repeats: int
    seed: int

    def verdict(self, id: int) -> Verdict:
        """Return ``stable``, ``pattern`` or ``doubtful`` for a cluster id from 1.

        Hennig's bounds: from .75 a stable cluster; from .6 a pattern in the data whose members
        are in doubt; below that, not to be trusted. ``not here`` without cells.
        """
        score = self.jaccard[id - 1]
        if np.isnan(score):
            return "not here"
        if score >= STABLE:
            return "stable"
        return "pattern" if score >= PATTERN else "doubtful"

    def words(self) -> list[str]:
        """Say in plain sentences which clusters may be trusted."""
        ids = range(1, len(self.jaccard) + 1)
        told = []
        for verdict, sentence in _SENTENCES.items():
            found = [i for i in ids if self.verdict(i) == verdict]
            if found:
                told.append(f"{_clusters(found)} {sentence[len(found) > 1]}")
        return told

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "jaccard": [None if np.isnan(v) else float(v) for v in self.jaccard],
            "low": [None if np.isnan(v) else float(v) for v in self.low],
            "cells": [int(n) for n in self.cells],
            "verdicts": [self.verdict(i) for i in range(1, len(self.jaccard) + 1)],
            "repeats": self.repeats,
            "seed": self.seed,
        }


_SENTENCES: dict[Verdict, tuple[str, str]] = {
    "stable": (
        "is stable: it comes back whenever cells are drawn again.",
        "are stable: they come back whenever cells are drawn again.",
    ),
    "pattern": (
        "shows a pattern: it comes back, but which cells belong to it is uncertain.",
        "show a pattern: they come back, but which cells belong to them is uncertain.",
    ),
    "doubtful": (
        "is doubtful: it dissolves when cells are drawn again; merge it with its neighbour, or "
        "look at it closely before giving it a name.",
        "are doubtful: they dissolve when cells are drawn again; merge them with a neighbour, or "
        "look at them closely before giving them names.",
    ),
    "not here": ("has no cells here.", "have no cells here."),
}


def _clusters(ids: list[int]) -> str:
    if len(ids) == 1:
        return f"Cluster {ids[0]}"
    return f"Clusters {', '.join(map(str, ids[:-1]))} and {ids[-1]}"


def cluster_stability(
    features: Features,
    model: ClusterModel,
    *,
    seed: int = 0,
    repeats: int = 20,
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
) -> ClusterStability:
    """Say of each cluster how well it comes back when cells are drawn again.

    Hennig ("Cluster-wise assessment of cluster stability", Computational Statistics & Data
    Analysis 52, 2007): cells are drawn with replacement and clustered anew into as many clusters
    (by k-means, or by a consensus of 20 runs where the model is one); a cluster's Jaccard
    similarity to the new one most like it is taken over the cells drawn, and averaged.

    Args:
        features: Features of the space the model was fitted in.
        model: The model.
        seed: Seed of everything random.
        repeats: How often cells are drawn, 2 or more.
        memory_bytes: Limit for the cells that are held; where they are more (or above 20,000),
            a seeded sample stands for all.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        RecipeError: If the features were made by another recipe.
        ClusterError: If there are no more cells than clusters, or an argument is out of range.
    """
    model.check(features)
    check_seed(seed)
    if repeats < 2:
        raise ClusterError(f"{repeats} draws say nothing of stability; ask for 2 or more")
    with single_thread():
        held = hold(
            features, model.scaling, seed=seed, memory_bytes=memory_bytes, progress=progress
        )
        if held.count <= model.k:
            raise ClusterError(
                f"the stability of {model.k} clusters cannot be judged from {held.count} "
                "non-empty cells; use features with more cells"
            )
        own = nearest(held.rows.astype(np.float64), model.centres)[0]
        found = _redrawn(held.axes, own, model, seed, repeats, progress)
    cells = np.bincount(own, minlength=model.k)
    mean, low = _over_draws(found)
    return ClusterStability(mean, low, cells.astype(np.int64), repeats, seed)


def _redrawn(
    rows: Rows,
    own: NDArray[np.intp],
    model: ClusterModel,
    seed: int,
    repeats: int,
    progress: Progress | None,
) -> Floats:
    """Return the best Jaccard similarity of each cluster at each draw ``(repeats, k)``."""
    found = np.full((repeats, model.k), np.nan)
    for turn in range(repeats):
        rng = np.random.default_rng([seed, 31, turn])
        often = np.bincount(rng.integers(0, len(rows), len(rows)), minlength=len(rows))
        drawn = np.flatnonzero(often)
        again = _clustered(rows, often, drawn, model, rng)
        found[turn] = _best_jaccard(own[drawn], again, model.k)
        if progress is not None:
            progress("clustering cells drawn again", turn + 1, repeats)
    return found


def _clustered(
    rows: Rows,
    often: NDArray[np.intp],
    drawn: NDArray[np.intp],
    model: ClusterModel,
    rng: np.random.Generator,
) -> Labels:
    """Cluster the cells that were drawn; k-means weighs each as often as it was."""
    k, seed = min(model.k, len(drawn)), any_seed(rng)
    if model.description["algorithm"] == "consensus":
        groups = consensus_groups(rows[drawn], k, _VOTES, seed)
        means = group_means(rows[drawn], groups, k)
        return nearest(rows[drawn].astype(np.float64), means)[0].astype(np.int32)
    return kmeans(rows[drawn], k, seed, _STARTS, often[drawn].astype(np.float64))[0]


def _best_jaccard(own: NDArray[np.intp], again: Labels, k: int) -> Floats:
    """Return each cluster's Jaccard similarity to the new cluster most like it ``(k,)``."""
    wide = int(again.max()) + 1
    table = np.bincount(own * wide + again, minlength=k * wide).reshape(k, wide)
    mine, theirs = table.sum(axis=1), table.sum(axis=0)
    scores = table / np.maximum(mine[:, None] + theirs - table, 1)
    return np.asarray(np.where(mine > 0, scores.max(axis=1), np.nan))


def _over_draws(found: Floats) -> tuple[Floats, Floats]:
    """Return mean and lowest tenth of each column, NaN where a cluster was never drawn."""
    mean, low = np.full(found.shape[1], np.nan), np.full(found.shape[1], np.nan)
    for cluster in range(found.shape[1]):
        known = found[:, cluster][np.isfinite(found[:, cluster])]
        if known.size:
            mean[cluster], low[cluster] = known.mean(), np.quantile(known, 0.1)
    return mean, low
