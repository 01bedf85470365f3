"""Measures that look at one clustering at a time: silhouette, Davies-Bouldin, gap, elbow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn._held_cells import Rows, any_seed, kmeans

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

MOST_SILHOUETTES = 2_000
REFERENCES = 5


def silhouette(rows: Rows, labels: Labels, seed: int) -> float:
    """Return the mean silhouette (Rousseeuw, J. Comput. Appl. Math. 20, 1987), -1 to 1.

    It compares each cell's mean distance to its own cluster with that to the nearest other. Of
    more than 2,000 cells a seeded sample is looked at; NaN where that holds one cluster only.
    """
    from sklearn.metrics import silhouette_score

    if len(rows) > MOST_SILHOUETTES:
        rng = np.random.default_rng([seed, 13])
        drawn = np.sort(rng.choice(len(rows), MOST_SILHOUETTES, replace=False))
        rows, labels = rows[drawn], labels[drawn]
    found = len(np.unique(labels))
    if not 2 <= found < len(rows):
        return float("nan")
    return float(silhouette_score(rows, labels))


def davies_bouldin(rows: Rows, labels: Labels) -> float:
    """Return the index of Davies and Bouldin (IEEE TPAMI 1, 1979): lower is better.

    The mean over clusters of how wide it and its most similar other are against the distance
    of their centres; NaN where there is one cluster only.
    """
    from sklearn.metrics import davies_bouldin_score

    found = len(np.unique(labels))
    if not 2 <= found < len(rows):
        return float("nan")
    return float(davies_bouldin_score(rows, labels))


def gap_statistic(rows: Rows, k: int, inertia: float, seed: int) -> tuple[float, float]:
    """Return the gap statistic and its standard error.

    Tibshirani, Walther and Hastie (J. R. Stat. Soc. B 63, 2001): the mean log inertia of cells
    without any clusters, less that of the cells. Such cells are uniform in the box around the
    rows, whose axes are the principal ones already (their reference b).

    Args:
        rows: Cells along their principal axes ``(n, d)``.
        k: Number of clusters.
        inertia: Inertia of the cells' k-means.
        seed: Seed of the references, which are the same for every ``k``.

    Returns:
        Gap and standard error; NaN where the cells have no inertia left.
    """
    if inertia <= 0:
        return float("nan"), float("nan")
    low, high = rows.min(axis=0), rows.max(axis=0)
    logs = np.empty(REFERENCES)
    for turn in range(REFERENCES):
        rng = np.random.default_rng([seed, 14, turn])
        reference = low + (high - low) * rng.random(rows.shape, np.float32)
        logs[turn] = np.log(kmeans(reference, k, any_seed(rng))[2])
    error = float(logs.std() * np.sqrt(1 + 1 / REFERENCES))
    return float(logs.mean() - np.log(inertia)), error


def gap_choice(ks: NDArray[np.int64], gap: Floats, error: Floats) -> int | None:
    """Return the smallest k whose gap is at least that of the next less its standard error.

    ``None`` where the gap rises to the end.
    """
    for place in range(len(ks) - 1):
        if gap[place] >= gap[place + 1] - error[place + 1]:
            return int(ks[place])
    return None


def elbow(ks: NDArray[np.int64], inertia: Floats) -> int | None:
    """Return the k whose inertia lies farthest below the chord from the first to the last.

    Both axes are brought to 0 to 1 first (Satopää et al., ICDCS Workshops 2011); ``None`` where
    the curve nowhere lies below its chord.
    """
    fall = inertia[0] - inertia[-1]
    if not fall > 0:
        return None
    across = (ks - ks[0]) / (ks[-1] - ks[0])
    below = (1 - across) - (inertia - inertia[-1]) / fall
    place = int(np.argmax(below))
    return int(ks[place]) if below[place] > 1e-9 else None
