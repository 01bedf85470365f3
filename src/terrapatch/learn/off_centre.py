"""How far cells lie from the means of clusters, in standardised features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn._features import Features, Floats, Groups, Mask, Progress, stream
from terrapatch.learn._moments import Moments

__all__ = ["OffCentre"]

Ids = NDArray[Any]


@dataclass(frozen=True, eq=False)
class OffCentre:
    """How far cells lie from the means of clusters, in standardised features.

    Attributes:
        mean: Mean of each feature in the home scene ``(F,)``.
        scale: One over its deviation ``(F,)``, 0 where it is constant.
        centres: Standardised mean of each cluster's cells ``(k, F)``, float32; zeros (the mean
            of all) for a cluster without a cell.
        groups: Layers ``(name, start, stop)``.
    """

    mean: Floats
    scale: Floats
    centres: NDArray[np.float32]
    groups: Groups

    @classmethod
    def fit(
        cls,
        features: Features,
        labels: Ids,
        k: int,
        wanted: Mask,
        progress: Progress | None = None,
    ) -> OffCentre:
        """Take the means over the wanted cells, in two passes.

        Args:
            features: The home scene.
            labels: Cluster of each cell ``(rows, cols)``, from 1.
            k: Number of clusters.
            wanted: Cells to learn from ``(rows, cols)``; all of them occupied.
            progress: Called as ``progress(stage, cells done, cells in all)``.
        """
        moments = Moments(features.n_features)
        for _, rows in stream(features, wanted, "measuring clusters", progress):
            moments.add(rows)
        scale = moments.inverse_deviation()
        total, cells = np.zeros((k, features.n_features)), np.zeros(k, np.int64)
        for numbers, rows in stream(features, wanted, "measuring clusters", progress):
            ids = labels.flat[numbers].astype(np.int64) - 1
            np.add.at(cells, ids, 1)
            for i in np.unique(ids):
                total[i] += ((rows[ids == i] - moments.mean) * scale).sum(axis=0)
        centres = (total / np.maximum(cells, 1)[:, None]).astype(np.float32)
        groups = tuple((str(name), int(a), int(b)) for name, a, b in features.groups)
        return cls(moments.mean, scale, centres, groups)

    def of_rows(self, rows: Floats, ids: NDArray[np.int64]) -> Floats:
        """Return the distances ``(n,)`` of features ``(n, F)`` in the clusters ``ids``, from 0."""
        apart = (rows - self.mean) * self.scale - self.centres[ids]
        apart *= apart
        layers = [apart[:, start:stop].mean(axis=1) for _, start, stop in self.groups]
        return np.asarray(np.sqrt(np.mean(layers, axis=0)), np.float64)

    def distances(
        self,
        features: Features,
        labels: Ids,
        wanted: Mask,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Return the distance of the wanted cells ``(rows, cols)``, NaN elsewhere."""
        out = np.full(features.shape, np.nan, np.float32)
        for numbers, rows in stream(features, wanted, "looking for unlike cells", progress):
            out.flat[numbers] = self.of_rows(rows, labels.flat[numbers].astype(np.int64) - 1)
        return out
