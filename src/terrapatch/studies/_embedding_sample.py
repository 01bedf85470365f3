"""A sample of the embedding brought to a plane, and how well its clusters are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.learn._features import single_thread

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

MOST_CELLS = 2000
"""Cells in a sample, at most."""

NEIGHBOURS = 10
_COMPONENTS = 50  # t-SNE begins with this many components
_PERPLEXITY = 30.0


@dataclass(frozen=True)
class Plane:
    """A sample of cells in one space.

    Attributes:
        pca: Places on the first two principal components ``(n, 2)``.
        explained: Share of the variance on each of the two.
        tsne: Places of t-SNE ``(n, 2)``, ``None`` for fewer than 5 cells.
        silhouette: Mean silhouette, -1 to 1; ``None`` where there is none.
        purity: Share of the 10 nearest neighbours that are of the same cluster.
    """

    pca: Floats
    explained: tuple[float, float]
    tsne: Floats | None
    silhouette: float | None
    purity: float


@dataclass(frozen=True)
class EmbeddingSample:
    """A sample of cells before and after scaling.

    Attributes:
        ids: Cluster of each cell ``(n,)``.
        before: The features as they are stored.
        after: The space of the centres.
        chance: Purity if labels were in random order.
    """

    ids: Ids
    before: Plane
    after: Plane
    chance: float


def sample_numbers(labels: npt.NDArray[Any], seed: int) -> Ids:
    """Draw at most 2,000 cells that are not empty; their numbers, ascending."""
    cells = np.flatnonzero(labels.ravel() > 0).astype(np.int64)
    if len(cells) <= MOST_CELLS:
        return cells
    return np.sort(np.random.default_rng(seed).choice(cells, MOST_CELLS, replace=False))


def look_at(
    before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], ids: Ids, seed: int
) -> EmbeddingSample:
    """Bring a sample to the plane.

    Args:
        before: Features ``(n, F)`` as they are stored.
        after: The same, scaled ``(n, d)``.
        ids: Cluster of each ``(n,)``.
        seed: Seed of the projections.
    """
    counts = np.bincount(ids).astype(np.float64)
    others = max(len(ids) - 1, 1)
    chance = float((counts * (counts - 1)).sum() / (len(ids) * others))
    with single_thread():
        return EmbeddingSample(ids, _plane(before, ids, seed), _plane(after, ids, seed), chance)


def _plane(rows: npt.NDArray[np.float32], ids: Ids, seed: int) -> Plane:
    places = rows.astype(np.float64)
    places -= places.mean(axis=0)
    components, explained = _principal(places, seed)
    gaps = _distances(places)
    return Plane(
        np.column_stack([components, np.zeros(len(rows))])[:, :2],
        (float(explained[0]), float(explained[1]) if len(explained) > 1 else 0.0),
        _tsne(components, seed),
        _silhouette(gaps, ids),
        _purity(gaps, ids),
    )


def _principal(places: Floats, seed: int) -> tuple[Floats, Floats]:
    from sklearn.decomposition import PCA

    n = min(_COMPONENTS, *places.shape)
    if not places.any():
        return np.zeros((len(places), n)), np.zeros(n)
    solver = "randomized" if n < min(places.shape) else "full"
    found = PCA(n, svd_solver=solver, random_state=seed).fit(places)
    return found.transform(places), found.explained_variance_ratio_


def _tsne(components: Floats, seed: int) -> Floats | None:
    """Return places by t-SNE (van der Maaten and Hinton 2008), begun from the components."""
    from sklearn.manifold import TSNE

    n = len(components)
    if n < 5 or components.shape[1] < 2 or not components[:, 0].any():
        return None
    perplexity = min(_PERPLEXITY, (n - 1) / 3)
    found: Floats = TSNE(
        perplexity=perplexity, init=_start(components), random_state=seed, n_jobs=1
    ).fit_transform(components)
    return np.asarray(found, np.float64)


def _start(components: Floats) -> Floats:
    """Return where t-SNE begins: the first two components, small (Kobak and Berens 2019)."""
    start: Floats = (components[:, :2] / components[:, 0].std() * 1e-4).astype(np.float32)
    return start


def _distances(places: Floats) -> Floats:
    """Return Euclidean distances ``(n, n)``, exactly 0 on the diagonal."""
    squares = np.square(places).sum(axis=1)
    gaps = squares[:, None] + squares[None] - 2 * (places @ places.T)
    np.fill_diagonal(gaps, 0.0)
    found: Floats = np.sqrt(np.maximum(gaps, 0.0))
    return found


def _silhouette(gaps: Floats, ids: Ids) -> float | None:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(ids)) < len(ids):
        return None
    return float(silhouette_score(gaps, ids, metric="precomputed"))


def _purity(gaps: Floats, ids: Ids) -> float:
    """Return the share of nearest neighbours that are of the same cluster."""
    near = min(NEIGHBOURS, len(ids) - 1)
    if near < 1:
        return 1.0
    others = gaps.copy()
    np.fill_diagonal(others, np.inf)
    order = np.argsort(others, axis=1, kind="stable")[:, :near]
    return float((ids[order] == ids[:, None]).mean())
