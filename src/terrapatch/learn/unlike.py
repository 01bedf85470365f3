"""Which cells of another scene are unlike anything a cluster model has seen.

k-means puts every cell into a cluster, be it ever so far away. Here a cell is *unlike* when it lies
farther from its cluster than cells of the home scene do which the clusters were not made from:

1. Features are standardised by the home scene, and not brought to unit length: an unusual place is
   mostly one whose features are unusually large, and length is what unit rows throw away.
2. The distance of a cell is the root of the mean square, over layers of equal weight, of its
   deviation from the mean of its cluster's cells. 1 is about what a random cell of the home scene
   has from the mean of all.
3. The home scene is cut into blocks of ground, dealt to two halves. Scaling, clusters and means are
   made from one half, and the cells of the other are measured against them; then the other way
   round. Patches that reach into the other half are not learned from. This is done for three
   deals, and a cell is given its median: a cluster that lies in few blocks may fall into one half
   whole, and would then seem to be far from all.
4. The threshold of a cluster is the ``quantile`` of these held-out distances of its cells. A
   cluster with too few cells for that takes its own median and adds what the quantile of all cells
   lies above the median of their clusters.

So about ``1 - quantile`` of the ground that a model comes from would be called unlike, had the
model not been made from it. More on another scene means that other things are there, or another
season, light or sensor.

Measured by ``benchmarks/bench_change.py`` with clusters of Mumbai g1_1 (cells of 60 m, k = 12), the
share of unlike cells is .01 to .15 on four other mosaics of the city, and .94 to 1 on Kampala,
Manila, NAIP, Sentinel-2 and a painted scene. By distances in the space the clusters were made in,
where rows have unit length, it would be 0 to .09 and 0 to .38: those do not separate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import ClusterError, RecipeError
from terrapatch.learn._features import Features, Floats, Progress, occupied, single_thread
from terrapatch.learn._held_out import held_out
from terrapatch.learn.model import ClusterModel, Clusters
from terrapatch.learn.off_centre import OffCentre

__all__ = ["QUANTILE", "OffCentre", "Unlike", "cluster_thresholds", "fit_unlike"]

Ids = NDArray[Any]
How = Literal["held out", "own cells", "distance map"]

QUANTILE = 0.99
# Cells that a cluster needs beyond its quantile, for it to be the cluster's own.
_BEYOND = 5
# Cells that a median needs.
_FEW = 5
_EPS = 1e-12


@dataclass(frozen=True, eq=False)
class Unlike:
    """From which distance on a cell is unlike anything seen.

    Attributes:
        thresholds: One for each cluster ``(k,)``, above 0.
        cells: Cells of the home scene behind each ``(k,)``.
        quantile: Share of the home scene's cells that lie within.
        how: ``held out``: as the module says. ``own cells``: the scene was too small to be cut in
            two, so cells were measured against clusters made from themselves, which is tighter
            and calls more unlike. ``distance map``: from distances in the model's own space, as
            ``distance.tif`` holds them; also the clusters' own cells, and hardly telling.
        off_centre: What distances are measured from; ``None`` for ``distance map``.
    """

    thresholds: Floats
    cells: NDArray[np.int64]
    quantile: float
    how: How
    off_centre: OffCentre | None = None

    @classmethod
    def from_distance_map(
        cls, labels: Ids, distance: NDArray[Any], k: int, quantile: float = QUANTILE
    ) -> Unlike:
        """Calibrate by the distances to the model's centres, where no features are left.

        Args:
            labels: Cluster of each cell of the home scene, from 1; 0 where empty.
            distance: What ``ClusterModel.predict`` gave for them.
            k: Number of clusters.
            quantile: Share of the cells that lie within.
        """
        there = labels > 0
        ids = labels[there].astype(np.int64) - 1
        thresholds, cells = cluster_thresholds(distance[there], ids, k, quantile)
        return cls(thresholds, cells, quantile, "distance map")

    def ratio(
        self, features: Features, clusters: Clusters, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Return distance over threshold ``(rows, cols)``: above 1 is unlike; NaN where empty.

        Args:
            features: Features of the model's space.
            clusters: What the model gave for them.
            progress: Called as ``progress(stage, cells done, cells in all)``.
        """
        there = occupied(features)
        distance: NDArray[np.float32] = clusters.distance
        if self.off_centre is not None:
            with single_thread():
                distance = self.off_centre.distances(features, clusters.labels, there, progress)
        limits = np.concatenate([[np.nan], self.thresholds])
        return np.asarray(distance / limits[clusters.labels], np.float32)

    def description(self) -> dict[str, Any]:
        """Return the numbers a person may want to see, as JSON values."""
        return {
            "how": self.how,
            "quantile": self.quantile,
            "thresholds": [round(float(t), 6) for t in self.thresholds],
            "cells": [int(n) for n in self.cells],
        }

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that was learned, as named arrays for a safetensors file."""
        arrays: dict[str, NDArray[Any]] = {"thresholds": self.thresholds, "cells": self.cells}
        if self.off_centre is not None:
            of = self.off_centre
            starts = np.array([start for _, start, _ in of.groups] + [of.groups[-1][2]], np.int64)
            arrays |= {"mean": of.mean, "scale": of.scale, "centres": of.centres, "starts": starts}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], quantile: float, how: How) -> Unlike:
        """Take over what ``to_arrays`` gave.

        Raises:
            RecipeError: If an array is missing, or they do not fit each other.
        """
        off_centre = None
        try:
            thresholds, cells = (np.asarray(arrays[name]) for name in ("thresholds", "cells"))
            if how != "distance map":
                mean, scale, centres, starts = (
                    np.asarray(arrays[name]) for name in ("mean", "scale", "centres", "starts")
                )
                ends = [int(n) for n in starts]
                if not (centres.shape == (len(cells), len(mean)) and ends[-1] == len(scale)):
                    raise ValueError("the arrays do not fit each other")
                groups = tuple((f"layer {i}", a, b) for i, (a, b) in enumerate(pairwise(ends)))
                off_centre = OffCentre(mean, scale, centres, groups)
            if thresholds.shape != cells.shape or not (thresholds > 0).all():
                raise ValueError("the thresholds are damaged")
        except (KeyError, ValueError, IndexError) as fault:
            raise RecipeError(
                f"what is unlike anything seen cannot be read ({fault}); apply the model again"
            ) from fault
        return cls(thresholds, cells, float(quantile), how, off_centre)


def fit_unlike(
    features: Features,
    model: ClusterModel,
    *,
    quantile: float = QUANTILE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Unlike:
    """Learn from the home scene what a model has seen.

    Args:
        features: The features the model was made from.
        model: The model.
        quantile: Share of the home scene's cells that lie within, between 0.5 and 1.
        seed: Seed of the dealing of blocks.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Raises:
        ClusterError: If the quantile is out of range.
        RecipeError: If the features are of another space.
    """
    _check_quantile(quantile)
    labels, there = model.predict(features, progress).labels, occupied(features)
    with single_thread():
        off_centre = OffCentre.fit(features, labels, model.k, there, progress)
        distance = held_out(features, model, seed=seed, progress=progress)
        how: How = "own cells" if distance is None else "held out"
        if distance is None:
            distance = off_centre.distances(features, labels, there, progress)
    measured = np.isfinite(distance)
    ids = labels[measured].astype(np.int64) - 1
    thresholds, cells = cluster_thresholds(distance[measured], ids, model.k, quantile)
    return Unlike(thresholds, cells, quantile, how, off_centre)


def cluster_thresholds(
    distance: NDArray[Any], ids: NDArray[np.int64], k: int, quantile: float
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the threshold of each cluster ``(k,)``, and the cells behind it.

    Args:
        distance: Distance of each cell ``(n,)``.
        ids: Its cluster ``(n,)``, from 0.
        k: Number of clusters.
        quantile: Share of the cells that lie within.

    Raises:
        ClusterError: If there is no cell, or the quantile is out of range.
    """
    _check_quantile(quantile)
    if not len(distance):
        raise ClusterError("the home scene has no cell to calibrate with; cluster another scene")
    far = np.asarray(distance, np.float64)
    cells = np.bincount(ids, minlength=k)
    own = [far[ids == i] for i in range(k)]
    middle = np.array([np.median(d if len(d) >= _FEW else far) for d in own])
    excess = np.quantile(far - middle[ids], quantile)
    enough = cells * (1 - quantile) >= _BEYOND
    limits = [np.quantile(own[i], quantile) if enough[i] else middle[i] + excess for i in range(k)]
    # Distances that are all 0 (cells all alike) leave no room for rounding.
    return np.maximum(np.array(limits, np.float64), _EPS), cells.astype(np.int64)


def _check_quantile(quantile: float) -> None:
    if not 0.5 <= quantile < 1:
        raise ClusterError(
            f"the quantile is {quantile:g}; give a share from 0.5 to below 1, such as 0.99"
        )
