"""Look into one cluster: cluster its cells again, by what tells them apart from each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import ClusterError
from terrapatch.learn._features import Features, Groups, Mask, Progress, Recipe
from terrapatch.learn.clusters import fit_clusters
from terrapatch.learn.model import ClusterModel, Clusters

__all__ = ["OnlyCells", "SubClusters", "cells_of", "split"]


@dataclass(frozen=True, eq=False)
class CellBlock:
    """A rectangle of cells, as ``Features.blocks`` gives them."""

    rows: slice
    cols: slice
    values: NDArray[np.float32]
    valid: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OnlyCells:
    """A feature raster in which all cells but some look empty; nothing is copied or written.

    Attributes:
        features: The whole feature raster.
        kept: The cells that stay, boolean ``(rows, cols)``.
    """

    features: Features
    kept: Mask

    def __post_init__(self) -> None:
        """Refuse a mask of another shape."""
        if self.kept.shape != self.features.shape:
            raise ClusterError(
                f"a mask of {self.kept.shape} cells does not fit features of "
                f"{self.features.shape} cells; make it from the map of the same features"
            )

    @property
    def geobox(self) -> GeoBox:
        """The grid of the cells."""
        return self.features.geobox

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.features.shape

    @property
    def n_features(self) -> int:
        """Numbers in a cell."""
        return self.features.n_features

    @property
    def groups(self) -> Groups:
        """Layers as ``(name, start, stop)``."""
        return self.features.groups

    @property
    def recipe(self) -> Recipe:
        """How the features were made."""
        return self.features.recipe

    def valid(self) -> NDArray[np.float32]:
        """Return the share of valid pixels of each cell, 0 for cells that are not kept."""
        return np.where(self.kept, self.features.valid(), np.float32(0))

    def blocks(self) -> Iterator[CellBlock]:
        """Go over the blocks that hold kept cells; other cells are NaN."""
        shares = self.valid()
        for block in self.features.blocks():
            share = shares[block.rows, block.cols]
            if (share > 0).any():
                values = np.where(share[..., None] > 0, block.values, np.float32("nan"))
                yield CellBlock(block.rows, block.cols, values, share)


@dataclass(frozen=True, eq=False)
class SubClusters:
    """The clusters within one cluster.

    Attributes:
        parent: Id of the cluster that was split.
        clusters: Ids from 1, the largest first, and distances; 0 and NaN outside the parent.
        model: The model of the parent's cells. It says nothing of other cells: apply it to
            ``OnlyCells`` of the parent.
    """

    parent: int
    clusters: Clusters
    model: ClusterModel

    @property
    def names(self) -> tuple[str, ...]:
        """Names such as ``Cluster 3.1``, in the order of the ids."""
        return tuple(f"Cluster {self.parent}.{i}" for i in range(1, self.model.k + 1))


def cells_of(
    features: Features, model: ClusterModel, id: int, progress: Progress | None = None
) -> OnlyCells:
    """Return a view of features in which only the cells of one cluster are not empty.

    Args:
        features: Features of the space the model was fitted in.
        model: The model.
        id: The cluster, from 1.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Raises:
        RecipeError: If the features were made by another recipe.
        ClusterError: If there is no such cluster.
    """
    if not 1 <= id <= model.k:
        raise ClusterError(f"there is no cluster {id}; the model has clusters 1 to {model.k}")
    return OnlyCells(features, model.predict(features, progress).labels == id)


def split(
    features: Features,
    model: ClusterModel,
    id: int,
    k: int,
    *,
    seed: int = 0,
    scaling: str | None = None,
    progress: Progress | None = None,
) -> SubClusters:
    """Cluster the cells of one cluster again.

    The scaling is fitted to these cells alone: what they have in common falls away, and what
    tells them apart decides.

    Args:
        features: Features of the space the model was fitted in.
        model: The model whose cluster is looked into.
        id: The cluster, from 1.
        k: Number of clusters within it.
        seed: Seed of everything random.
        scaling: A name of ``terrapatch.learn.scaling``; that of the model if left out.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Raises:
        RecipeError: If the features were made by another recipe.
        ClusterError: If there is no such cluster, it has fewer (distinct) cells than ``k``, or
            an argument is out of range.
    """
    view = cells_of(features, model, id, progress)
    count = int(view.kept.sum())
    if count < max(k, 2):
        raise ClusterError(
            f"cluster {id} has {count} cell{'s' if count != 1 else ''} here, too few to make "
            f"{k} clusters of; ask for fewer, or look into a larger cluster"
        )
    name = scaling or str(model.description["scaling"])
    fitted = fit_clusters(view, k, seed=seed, scaling=name, progress=progress)
    return SubClusters(id, fitted.predict(view, progress), fitted)
