"""The cluster model and what it gives: apply it to features of the same space, save it, load it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import ClusterError, RecipeError
from terrapatch.learn._features import Features, Groups, Progress, occupied, single_thread, stream
from terrapatch.learn._kmeans import Centres, nearest
from terrapatch.learn._model_folder import read, write
from terrapatch.learn.scaling import Scaling, make_scaling, scaling_names

if TYPE_CHECKING:
    from terrapatch.legend import Legend
    from terrapatch.maps import ClassMap, ValueMap

MOST_CLUSTERS = 65_534
_SMALL_IDS = 254


@dataclass(frozen=True)
class Clusters:
    """Which cluster each cell belongs to.

    Attributes:
        labels: Cluster ids ``(rows, cols)``, uint8 (uint16 above 254 clusters);
            1 is the largest cluster of the scene the model was fitted on, 0 an
            empty cell.
        distance: Euclidean distance to the cluster's centre in the scaled feature
            space, float32 ``(rows, cols)``, NaN in empty cells.
        geobox: The grid of the cells.
        n_clusters: Clusters in the model; not all need occur here.
        inertia: Sum of the squared distances.
        provenance: The model and the features they were made with.
    """

    labels: NDArray[np.uint8] | NDArray[np.uint16]
    distance: NDArray[np.float32]
    geobox: GeoBox
    n_clusters: int
    inertia: float
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of cells of each cluster ``(n_clusters,)``, cluster 1 first."""
        return np.bincount(self.labels.ravel(), minlength=self.n_clusters + 1)[1:]

    def to_class_map(
        self,
        legend: Legend | None = None,
        provenance: dict[str, Any] | None = None,
        title: str = "Clusters",
    ) -> ClassMap:
        """Return the ids as a map.

        Args:
            legend: Names and colours, one for each cluster of the model;
                ``Cluster 1`` and so on if left out.
            provenance: What to write into the map in place of ``self.provenance``.
            title: Title of the map.

        Raises:
            ClusterError: If the legend has another number of entries.
        """
        from terrapatch.legend import Legend
        from terrapatch.maps import ClassMap

        if legend is None:
            legend = Legend.of([f"Cluster {i}" for i in range(1, self.n_clusters + 1)])
        if len(legend) != self.n_clusters:
            raise ClusterError(
                f"the legend has {len(legend)} entries but there are {self.n_clusters} clusters; "
                "give one entry for each cluster"
            )
        recipe = self.provenance if provenance is None else provenance
        return ClassMap(self.labels, self.geobox, legend, recipe, title=title)

    def to_value_map(
        self,
        provenance: dict[str, Any] | None = None,
        title: str = "Distance to the cluster's centre",
    ) -> ValueMap:
        """Return the distances as a map without unit; arguments as in ``to_class_map``."""
        from terrapatch.maps import ValueMap

        recipe = self.provenance if provenance is None else provenance
        return ValueMap(self.distance, self.geobox, "distance to centre", "", recipe, title=title)


@dataclass(frozen=True)
class ClusterModel:
    """Centres in a scaled feature space, and the space they are valid in.

    Attributes:
        centres: Float32 ``(k, d)``, the largest cluster first.
        scaling: The fitted scaling, ``F`` features to ``d`` numbers.
        description: JSON values: algorithm, counts, groups, inertia, k, n_features,
            n_init, scaling, seed, space, space_fingerprint, versions.
    """

    centres: Centres
    scaling: Scaling
    description: dict[str, Any]

    def __post_init__(self) -> None:
        """Bring the description to what it will be when read back from JSON."""
        plain = json.loads(json.dumps(self.description, sort_keys=True))
        object.__setattr__(self, "description", plain)

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    @property
    def counts(self) -> list[int]:
        """Cells of each cluster in the scene the model was fitted on."""
        return [int(n) for n in self.description["counts"]]

    def check(self, features: Features) -> None:
        """Refuse features of another space.

        Raises:
            RecipeError: If the features were made by another recipe; it says in what
                they differ from what the model expects.
        """
        recipe = features.recipe
        if recipe.space_fingerprint == self.description["space_fingerprint"]:
            if features.n_features == self.description["n_features"]:
                return
            differences = [
                f"number of features: {features.n_features}, "
                f"model was made with {self.description['n_features']}"
            ]
        else:
            differences = recipe.space_differences(self.description["space"])
        told = "; ".join(differences) or "their fingerprints differ"
        raise RecipeError(
            f"the model cannot be applied to these features, which were made by another recipe "
            f"({told}); embed the scene again with the model's recipe, or fit a new model"
        )

    def predict(self, features: Features, progress: Progress | None = None) -> Clusters:
        """Give each non-empty cell the cluster with the nearest centre, block by block.

        Args:
            features: Features of the space the model was fitted in.
            progress: Called as ``progress(stage, cells done, cells in all)``.

        Raises:
            RecipeError: If the features were made by another recipe.
            ClusterError: If a cell that is not empty holds NaN or infinite features.
        """
        self.check(features)
        labels = np.zeros(features.shape, np.uint8 if self.k <= _SMALL_IDS else np.uint16)
        distance = np.full(features.shape, np.nan, np.float32)
        inertia = 0.0
        with single_thread():
            for cells, rows in stream(features, occupied(features), "clustering", progress):
                nearest_centre, gap = nearest(self.scaling.transform(rows), self.centres)
                labels.flat[cells] = nearest_centre + 1
                distance.flat[cells] = gap
                inertia += float((gap**2).sum())
        provenance = {"model": self.description, "features": features.recipe.as_dict()}
        return Clusters(labels, distance, features.geobox, self.k, inertia, provenance)

    def save(self, folder: Path | str, overwrite: bool = False) -> Path:
        """Write ``model.json`` and ``head.safetensors`` into a folder.

        ``model.json`` is written last and holds the other file's hash, so a folder
        without both, whole, is no model. The same model gives the same bytes.

        Args:
            folder: Made if missing; may hold other files.
            overwrite: Replace a model that is there.

        Returns:
            The folder.

        Raises:
            OutputError: If there is a model already, or the folder cannot be written.
        """
        arrays = {f"scaling.{name}": a for name, a in self.scaling.to_arrays().items()}
        arrays["centres"] = self.centres
        return write(Path(folder), self.description, arrays, overwrite)

    @classmethod
    def load(cls, folder: Path | str) -> ClusterModel:
        """Read back what ``save`` wrote; nothing in it is ever run.

        Raises:
            RecipeError: If a file is missing, damaged, changed, or of another version.
        """
        description, arrays = read(Path(folder))
        try:
            return cls._restored(description, arrays)
        except (KeyError, TypeError, ValueError) as fault:
            raise RecipeError(
                f"{Path(folder)} is not a usable cluster model ({fault}); fit and save it again"
            ) from fault

    @classmethod
    def _restored(cls, description: dict[str, Any], arrays: dict[str, Any]) -> ClusterModel:
        k, n_features = description["k"], description["n_features"]
        name, groups = description["scaling"], _groups(description["groups"])
        if name not in scaling_names():
            raise ValueError(f"unknown scaling {name!r}")
        if not (isinstance(description["space"], dict) and description["space_fingerprint"]):
            raise ValueError("no feature space")
        centres = np.asarray(arrays["centres"])
        if centres.dtype != np.float32 or centres.ndim != 2 or not np.isfinite(centres).all():
            raise ValueError("the centres are damaged")
        if not (2 <= k == len(centres) == len(description["counts"]) <= MOST_CLUSTERS):
            raise ValueError("the number of centres is not k")
        start = "scaling."
        own = {key[len(start) :]: a for key, a in arrays.items() if key.startswith(start)}
        scaling = make_scaling(name, groups).from_arrays(n_features, own)
        if scaling.transform(np.zeros((1, n_features))).shape[1] != centres.shape[1]:
            raise ValueError("scaling and centres do not fit each other")
        return cls(centres, scaling, description)


def _groups(stored: list[list[Any]]) -> Groups:
    return tuple((str(name), int(start), int(stop)) for name, start, stop in stored)
