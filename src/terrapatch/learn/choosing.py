"""How many clusters: stability under resampling as the guide, other measures beside it.

No measure knows the number of kinds of settlement. Stability (Ben-Hur, Elisseeff and Guyon,
PSB 2002; Lange, Roth, Braun and Buhmann, Neural Computation 16, 2004) asks which numbers of
clusters come out alike from different samples of the same cells. It is trivially high at two to
four clusters, where water splits from land and no settlement from another, so the recommendation
looks at eight and more, and of numbers that are about as stable takes the largest: two clusters
of one kind are merged by name later, while a kind that was never split off is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import ClusterError
from terrapatch.learn._cluster_indices import (
    davies_bouldin,
    elbow,
    gap_choice,
    gap_statistic,
    silhouette,
)
from terrapatch.learn._features import Features, Progress, occupied, single_thread
from terrapatch.learn._held_cells import (
    MEMORY_BYTES,
    Rows,
    any_seed,
    check_seed,
    count_distinct,
    hold,
    kmeans,
)
from terrapatch.learn.clusters import fit_scaling

__all__ = ["DEFAULT_KS", "KChoice", "Why", "choose_k", "recommend"]

Floats = NDArray[np.float64]
Why = Literal["separate", "peak", "no peak", "last", "few"]

DEFAULT_KS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 21, 24, 27, 30, 35, 40)
LEAST_K = 8
"""Fewer clusters than this hide kinds of settlement, unless cells fall apart by themselves."""

_CURVES = (
    "stability",
    "stability_error",
    "silhouette",
    "davies_bouldin",
    "gap",
    "gap_error",
    "inertia",
)
_CELLS_EACH = 10  # cells of a subsample for each cluster, on average, at the largest default k
_FEWEST_CELLS = 20
_STARTS = 3
_STARTS_OF_ALL = 10  # starts of the one clustering of all cells
_SEPARATE = 0.8  # least stability of groups that lie apart
_STRUCTURE = 0.5  # silhouette of "a reasonable structure", Kaufman and Rousseeuw 1990


@dataclass(frozen=True, eq=False)
class KChoice:
    """What each measure says of each number of clusters.

    Attributes:
        ks: Numbers of clusters that were tried ``(m,)``, rising.
        stability: Mean adjusted Rand index between the clusters of two subsamples ``(m,)``.
        stability_error: Standard error of that mean ``(m,)``.
        silhouette: Mean silhouette ``(m,)``, -1 to 1.
        davies_bouldin: Davies-Bouldin index ``(m,)``, the lower the better.
        gap: Gap statistic ``(m,)``.
        gap_error: Its standard error ``(m,)``.
        inertia: Mean squared distance to the nearest centre ``(m,)``.
        recommended: The number of clusters to begin with.
        why: Why that one: groups that are ``separate``; a ``peak`` of stability; ``no peak``
            (about as stable as the best); the ``last`` that was tried; or too ``few`` cells
            for eight clusters.
        cells: Occupied cells.
        cells_used: Cells that were looked at.
        repeats: Pairs of subsamples for each number.
        share: Share of the cells in a subsample.
        scaling: Name of the scaling.
        seed: The seed.
    """

    ks: NDArray[np.int64]
    stability: Floats
    stability_error: Floats
    silhouette: Floats
    davies_bouldin: Floats
    gap: Floats
    gap_error: Floats
    inertia: Floats
    recommended: int
    why: Why
    cells: int
    cells_used: int
    repeats: int
    share: float
    scaling: str
    seed: int

    def picks(self) -> dict[str, int | None]:
        """Return the number of clusters each measure would take, ``None`` where it takes none."""
        return {
            "stability": _best(self.ks, self.stability),
            "silhouette": _best(self.ks, self.silhouette),
            "davies_bouldin": _best(self.ks, -self.davies_bouldin),
            "gap": gap_choice(self.ks, self.gap, self.gap_error),
            "elbow": elbow(self.ks, self.inertia),
        }

    def words(self) -> list[str]:
        """Say in plain sentences what is recommended, why, and what the other measures say."""
        from terrapatch.learn._choosing_words import sentences

        return sentences(self)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values; numbers that are not known are ``None``."""
        plain = {
            name: [float(v) if np.isfinite(v) else None for v in getattr(self, name)]
            for name in _CURVES
        }
        rest = ("recommended", "why", "cells", "cells_used", "repeats", "share", "scaling", "seed")
        return (
            {"ks": [int(k) for k in self.ks], **plain}
            | {name: getattr(self, name) for name in rest}
            | {"picks": self.picks()}
        )


def choose_k(
    features: Features,
    ks: Sequence[int] | None = None,
    *,
    seed: int = 0,
    scaling: str = "standardise-l2",
    repeats: int = 6,
    share: float = 0.8,
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
) -> KChoice:
    """Try numbers of clusters and recommend one.

    For each number, k-means is run on two subsamples of the cells, ``repeats`` times, and the
    adjusted Rand index is taken over the cells in both. The subsamples are the same for all
    numbers. Above 20,000 cells a seeded sample stands for all. Beside it, over all cells held:
    the silhouette (Rousseeuw 1987), the Davies-Bouldin index (1979), the gap statistic
    (Tibshirani, Walther and Hastie 2001) and the elbow of the inertia.

    Args:
        features: The feature raster.
        ks: Numbers of clusters to try; if left out 2 to 40, as far as there are cells for them.
        seed: Seed of everything random.
        scaling: A name of ``terrapatch.learn.scaling``.
        repeats: Pairs of subsamples, 2 or more.
        share: Share of the cells in a subsample, between 0.5 and 1.
        memory_bytes: Limit for the cells that are held.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        The curves and the recommendation.

    Raises:
        ClusterError: If there are too few cells, if they are alike, or an argument is out of
            range.
    """
    _check(seed, repeats, share)
    mask = occupied(features)
    _refuse_few(int(mask.sum()))
    with single_thread():
        fitted = fit_scaling(features, scaling, mask, memory_bytes, progress)
        held = hold(features, fitted, seed=seed, memory_bytes=memory_bytes, progress=progress)
        tried = _numbers(ks, held.axes, share)
        curves = _curves(held.axes, tried, seed, repeats, share, progress)
    chosen, why = recommend(
        tried, curves["stability"], curves["stability_error"], curves["silhouette"]
    )
    return KChoice(
        ks=tried,
        **curves,
        recommended=chosen,
        why=why,
        cells=held.total,
        cells_used=held.count,
        repeats=repeats,
        share=share,
        scaling=scaling,
        seed=seed,
    )


def recommend(
    ks: NDArray[np.int64], stability: Floats, error: Floats, silhouettes: Floats
) -> tuple[int, Why]:
    """Return the number of clusters to begin with, and why.

    1. Groups that lie apart are taken as they are, however few: the number of highest silhouette
       from 3, if that is .5 or more and its groups come out alike (stability .8 or more; the
       chance of where k-means starts costs some of it even then).
    2. Else, of the local peaks of stability at eight clusters or more, those within one standard
       error of the highest peak are held to be as good as it, and the largest is taken. (The
       smallest within one standard error is the habit of Breiman et al., 1984, for trees; here
       more clusters are the safer side.) The last number is a peak only if none is more stable.
    3. Without a peak, the largest number within one standard error of the most stable one.

    Measured at several seeds with standardise-layer-l2 and standardise-pca64-half: 14 to 35 for
    UC Merced, which has 21 classes; 8 to 14 (21 once) for a sample of RSSCN7 of seven classes.

    Args:
        ks: Numbers of clusters ``(m,)``, rising.
        stability: Mean adjusted Rand index ``(m,)``.
        error: Its standard error ``(m,)``.
        silhouettes: Mean silhouette ``(m,)``, NaN where unknown.
    """
    apart = np.where(
        (ks > 2) & (stability >= _SEPARATE), np.nan_to_num(silhouettes, nan=-1.0), -1.0
    )
    if apart.max() >= _STRUCTURE:
        return int(ks[np.argmax(apart)]), "separate"
    study = ks >= LEAST_K
    if not study.any():
        return int(ks[_largest_near_best(stability, error, np.ones(len(ks), bool))]), "few"
    peaks = study & _local_peaks(stability)
    peaks[-1] &= stability[-1] >= stability[study].max()
    if peaks.any():
        place = _largest_near_best(stability, error, peaks)
        return int(ks[place]), "last" if place == len(ks) - 1 else "peak"
    place = _largest_near_best(stability, error, study)
    return int(ks[place]), "no peak"


def _largest_near_best(stability: Floats, error: Floats, allowed: NDArray[np.bool_]) -> int:
    places = np.flatnonzero(allowed)
    best = places[np.argmax(stability[places])]
    return int(places[stability[places] >= stability[best] - error[best]][-1])


def _local_peaks(stability: Floats) -> NDArray[np.bool_]:
    """Return which numbers are at least as stable as both neighbours; the first never is."""
    padded = np.r_[np.inf, stability, -np.inf]
    return np.asarray((stability >= padded[:-2]) & (stability >= padded[2:]))


def _curves(
    rows: Rows,
    ks: NDArray[np.int64],
    seed: int,
    repeats: int,
    share: float,
    progress: Progress | None,
) -> dict[str, Floats]:
    curves = {name: np.full(len(ks), np.nan) for name in _CURVES}
    for place, k in enumerate(int(k) for k in ks):
        agreement = _agreement(rows, k, seed, repeats, share)
        labels, _, inertia = kmeans(rows, k, seed, _STARTS_OF_ALL)
        curves["stability"][place] = agreement.mean()
        curves["stability_error"][place] = agreement.std(ddof=1) / np.sqrt(repeats)
        curves["silhouette"][place] = silhouette(rows, labels, seed)
        curves["davies_bouldin"][place] = davies_bouldin(rows, labels)
        curves["gap"][place], curves["gap_error"][place] = gap_statistic(rows, k, inertia, seed)
        curves["inertia"][place] = inertia / len(rows)
        if progress is not None:
            progress("trying numbers of clusters", place + 1, len(ks))
    return curves


def _agreement(rows: Rows, k: int, seed: int, repeats: int, share: float) -> Floats:
    """Return the adjusted Rand index of each pair of subsamples ``(repeats,)``."""
    from sklearn.metrics import adjusted_rand_score

    size = round(share * len(rows))
    scores = np.empty(repeats)
    for turn in range(repeats):
        rng = np.random.default_rng([seed, 12, turn])
        labels = np.full((2, len(rows)), -1, np.int32)
        for side in range(2):
            drawn = np.sort(rng.choice(len(rows), size, replace=False))
            labels[side, drawn] = kmeans(rows[drawn], k, any_seed(rng), _STARTS)[0]
        both = (labels >= 0).all(axis=0)
        scores[turn] = adjusted_rand_score(labels[0, both], labels[1, both])
    return scores


def _check(seed: int, repeats: int, share: float) -> None:
    check_seed(seed)
    if repeats < 2:
        raise ClusterError(
            f"{repeats} pairs of subsamples say nothing of spread; ask for 2 or more"
        )
    if not 0.5 < share < 1:
        raise ClusterError(
            f"subsamples of {share:g} of the cells cannot be compared; give a share above 0.5 "
            "and below 1, such as 0.8"
        )


def _refuse_few(cells: int) -> None:
    if cells < _FEWEST_CELLS:
        raise ClusterError(
            f"the number of clusters cannot be chosen from {cells} non-empty cells, at least "
            f"{_FEWEST_CELLS} are needed; embed the scene with smaller patches, or name a number "
            "with -k"
        )


def _numbers(ks: Sequence[int] | None, rows: Rows, share: float) -> NDArray[np.int64]:
    """Return the numbers of clusters to try."""
    held = round(share * len(rows))
    if ks is None:
        most = max(held // _CELLS_EACH, DEFAULT_KS[2])
        asked = [k for k in DEFAULT_KS if k <= most]
    else:
        most = held
        asked = sorted({int(k) for k in ks})
        if len(asked) < 3 or asked[0] < 2 or asked[-1] > most:
            raise ClusterError(
                f"the numbers of clusters {', '.join(map(str, asked)) or '(none)'} cannot be "
                f"tried; give three or more from 2 to {most}, the cells in a subsample"
            )
    distinct = count_distinct(rows, asked[-1])
    if distinct < asked[-1]:
        if ks is not None or distinct < asked[2]:
            raise ClusterError(
                f"the number of clusters cannot be chosen: the {len(rows)} non-empty cells hold "
                f"only {distinct} distinct descriptor{'s' if distinct != 1 else ''} after scaling; "
                "choose another scaling, or name a smaller number with -k"
            )
        asked = [k for k in asked if k <= distinct]
    return np.array(asked, np.int64)


def _best(ks: NDArray[np.int64], scores: Floats) -> int | None:
    return int(ks[np.nanargmax(scores)]) if np.isfinite(scores).any() else None
