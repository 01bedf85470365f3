"""Clusters of cells: k-means over a feature raster."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np

from terrapatch.errors import ClusterError
from terrapatch.learn._features import Features, Mask, Progress, occupied, single_thread, stream
from terrapatch.learn._kmeans import (
    Cells,
    Centres,
    distinct_cells,
    in_memory,
    nearest,
    streamed,
)
from terrapatch.learn.model import MOST_CLUSTERS, ClusterModel, Clusters
from terrapatch.learn.scaling import Scaling, covariance_bytes, make_scaling

__all__ = ["Algorithm", "ClusterModel", "Clusters", "fit_clusters"]

Algorithm = Literal["auto", "kmeans", "minibatch"]


def fit_clusters(
    features: Features,
    k: int,
    *,
    seed: int = 0,
    scaling: str = "standardise-l2",
    algorithm: Algorithm = "auto",
    n_init: int = 10,
    memory_bytes: int = 1 << 30,
    progress: Progress | None = None,
) -> ClusterModel:
    """Fit k-means to the non-empty cells of a feature raster, each weighing the same.

    The scaling is fitted first and stored with the model. Ids are ordered by size,
    the largest cluster being 1 (of equals, the one met first, row by row). The same
    features, arguments and library versions give the same bytes, whatever the number of
    threads.

    Args:
        features: The feature raster.
        k: Number of clusters, 2 to 65,534.
        seed: Seed of everything random.
        scaling: A name of ``terrapatch.learn.scaling``.
        algorithm: ``kmeans`` holds all scaled cells in memory; ``minibatch``
            streams them (see ``_kmeans``); ``auto`` takes the former if they fit.
        n_init: Starts of k-means, of which the best is kept.
        memory_bytes: Limit for what is held beside one block of the features.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Returns:
        The model; ``model.predict(features)`` gives the map.

    Raises:
        ClusterError: If there are fewer (distinct) non-empty cells than ``k``, if
            features are not finite, or an argument is out of range.
    """
    mask = occupied(features)
    check_request(features, k, seed, algorithm, n_init, int(mask.sum()))
    with single_thread():
        fitted = fit_scaling(features, scaling, mask, memory_bytes, progress)
        cells, spread = distinct_scaled(features, fitted, mask, k, scaling, progress)
        chosen = _choose(algorithm, cells, memory_bytes)
        centres, counts, inertia = ordered_by_size(
            cells, _centres(cells, k, seed, n_init, chosen, memory_bytes, spread)
        )
    return ClusterModel(
        centres=centres,
        scaling=fitted,
        description={
            "algorithm": chosen,
            "counts": counts,
            "groups": [[name, int(a), int(b)] for name, a, b in features.groups],
            "inertia": inertia,
            "k": k,
            "n_features": features.n_features,
            "n_init": n_init,
            "scaling": scaling,
            "seed": seed,
            "space": dict(features.recipe.space),
            "space_fingerprint": features.recipe.space_fingerprint,
            "versions": library_versions(),
        },
    )


def check_request(
    features: Features, k: int, seed: int, algorithm: str, n_init: int, cells: int
) -> None:
    if algorithm not in ("auto", "kmeans", "minibatch"):
        raise ClusterError(f"there is no algorithm {algorithm!r}; choose auto, kmeans or minibatch")
    if not 2 <= k <= MOST_CLUSTERS:
        raise ClusterError(f"{k} clusters cannot be made; ask for 2 to {MOST_CLUSTERS:,}")
    if not 0 <= seed < 1 << 32:
        raise ClusterError(f"the seed {seed} is out of range; choose one from 0 to {(1 << 32) - 1}")
    if n_init < 1:
        raise ClusterError(f"k-means cannot be started {n_init} times; ask for 1 start or more")
    if features.n_features < 1:
        raise ClusterError("the feature raster has no features; embed the scene again")
    if cells == 0:
        raise ClusterError(
            "all cells are empty, so there is nothing to cluster; "
            "check the scene's nodata value and the bands chosen"
        )
    if k > cells:
        raise ClusterError(
            f"{k} clusters cannot be made of {cells} non-empty cells; "
            "ask for fewer clusters, or embed the scene with smaller patches"
        )


def fit_scaling(
    features: Features, name: str, mask: Mask, memory_bytes: int, progress: Progress | None
) -> Scaling:
    scaling = make_scaling(name, features.groups)
    need = covariance_bytes(name, features.n_features)
    if need > memory_bytes:
        raise ClusterError(
            f"the scaling {name} of {features.n_features} features needs {need / 2**20:.0f} MiB, "
            f"more than the {memory_bytes / 2**20:.0f} MiB allowed; raise memory_bytes, "
            "or choose standardise-l2"
        )
    for _, rows in stream(features, mask, f"fitting the scaling {name}", progress):
        scaling.partial_fit(rows)
    return scaling


def distinct_scaled(
    features: Features,
    scaling: Scaling,
    mask: Mask,
    k: int,
    name: str,
    progress: Progress | None,
) -> tuple[Cells, list[int]]:
    """Return the scaled cells and the numbers of ``k`` distinct ones."""
    width = scaling.transform(np.zeros((1, features.n_features))).shape[1]
    cells = Cells(features, scaling, mask, width, progress)
    spread = distinct_cells(cells, k)
    if len(spread) < k:
        raise ClusterError(
            f"{k} clusters cannot be made: the {cells.count} non-empty cells hold only "
            f"{len(spread)} distinct descriptors after the scaling {name}; "
            + (f"ask for at most {len(spread)}" if len(spread) > 1 else "they are all alike")
        )
    return cells, spread


def _choose(algorithm: Algorithm, cells: Cells, memory_bytes: int) -> str:
    need = 4 * cells.count * cells.width
    if algorithm == "auto":
        return "kmeans" if need <= memory_bytes else "minibatch"
    if algorithm == "kmeans" and need > memory_bytes:
        raise ClusterError(
            f"k-means over {cells.count} cells needs {need / 2**20:.0f} MiB, more than the "
            f"{memory_bytes / 2**20:.0f} MiB allowed; raise memory_bytes, or use minibatch"
        )
    return algorithm


def _centres(
    cells: Cells,
    k: int,
    seed: int,
    n_init: int,
    algorithm: str,
    memory_bytes: int,
    spread: list[int],
) -> Centres:
    if algorithm == "kmeans":
        return in_memory(cells, k, seed, n_init)
    return streamed(cells, k, seed, n_init, memory_bytes, spread)


def ordered_by_size(cells: Cells, centres: Centres) -> tuple[Centres, list[int], float]:
    """Order the centres by the cells that are nearest to them, and count these.

    Cells equally near to two centres go to the first of them, so reordering may
    move them; it is repeated until the order stands.
    """
    k = len(centres)
    for _ in range(4):
        counts, first, inertia = np.zeros(k, np.int64), np.full(k, cells.wanted.size), 0.0
        for numbers, rows in cells.scaled("counting the clusters"):
            label, distance = nearest(rows, centres)
            counts += np.bincount(label, minlength=k)
            np.minimum.at(first, label, numbers)
            inertia += float((distance**2).sum())
        order = np.lexsort((first, -counts))
        if (order == np.arange(k)).all():
            break
        centres = np.ascontiguousarray(centres[order])
        counts = counts[order]
    return centres, [int(n) for n in counts], inertia


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide the numbers."""
    found = {}
    for name in ("numpy", "scikit-learn", "scipy", "terrapatch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
