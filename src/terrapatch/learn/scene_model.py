"""The scene classifier: a head, the feature space it is valid in, and what it is sure of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import RecipeError
from terrapatch.learn._features import Features, Groups, Recipe, occupied, single_thread, stream
from terrapatch.learn._head_file import dumped, restored
from terrapatch.learn._model_folder import SCENES, read, read_more, write
from terrapatch.learn._training_index import PREFIX, TrainingIndex
from terrapatch.learn.heads import scores
from terrapatch.learn.scaling import make_scaling

if TYPE_CHECKING:
    from terrapatch.legend import Legend

Progress = Callable[[str, int, int], None]
Floats = NDArray[np.float64]

HEAD_FILE = "head.skops"
# What a space must share with the model's, beside the size of a patch where the model has none.
_SIZE = "size"


@dataclass(frozen=True, eq=False)
class Classified:
    """What a classifier says of the cells of a raster.

    Attributes:
        labels: Class ids ``(rows, cols)`` uint8 (uint16 above 254 classes), 0 in empty cells.
        confidence: Probability of that class, float32, NaN in empty cells.
        margin: Its distance to the probability of the second class, likewise.
        set_size: Classes that cannot be ruled out at the model's level (conformal
            prediction), likewise; ``None`` if the model has no level.
        geobox: The grid of the cells.
        provenance: The model and the features.
        dissimilarity: Distance of each cell to the nearest training sample, in mean distances
            between training samples, likewise (see ``SceneModel.dissimilarity``); ``None``
            for a model that does not know its training samples.
    """

    labels: NDArray[Any]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]
    set_size: NDArray[np.float32] | None
    geobox: GeoBox
    provenance: dict[str, Any] = field(default_factory=dict)
    dissimilarity: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class SceneModel:
    """A fitted head with its scaling, calibrated, for features of one space.

    Attributes:
        pipeline: Fitted scikit-learn pipeline of a scaling and a classifier over ids from 1.
        legend: The classes.
        description: JSON values: groups, head, parameters, space, temperature, conformal
            level, counts, seed, versions, metrics.
        index: How far a sample is from the training samples; ``None`` in a model that was
            saved before models knew.
    """

    pipeline: Any
    legend: Legend
    description: dict[str, Any]
    index: TrainingIndex | None = None

    def __post_init__(self) -> None:
        """Bring the description to what it will be when read back from JSON."""
        plain = json.loads(json.dumps(self.description, sort_keys=True))
        object.__setattr__(self, "description", plain)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, id 1 first."""
        return tuple(entry.name for entry in self.legend)

    @property
    def any_size(self) -> bool:
        """Whether it was trained on images, which have no size on the ground."""
        return bool(self.description["any_size"])

    @property
    def index_threshold(self) -> float | None:
        """Dissimilarity above which a sample is farther than training samples usually are.

        From each other, that is, across the groups named in ``description["index"]``;
        ``None`` in a model without index.
        """
        return None if self.index is None else self.index.threshold

    def embedding_options(self, images: bool = False) -> dict[str, Any]:
        """Return the options of ``embed`` that make features of the model's space.

        Args:
            images: Whether they are for ``embed_images``, which knows one mode only.
        """
        space = self.description["space"]
        return {
            "backbone": space["backbone"],
            "layers": ",".join(space["layers"]),
            "pooling": ",".join(space["pooling"]),
            "l2": space["l2"],
            "input_size": space["input_size"],
            "average": space.get("average", "none"),
            **({} if images else {"mode": space["mode"]}),
        }

    def check(self, features: Features) -> list[str]:
        """Refuse features of another space; see ``check_recipe``."""
        return self.check_recipe(features.recipe)

    def check_recipe(self, recipe: Recipe) -> list[str]:
        """Refuse features that were made by another recipe.

        Args:
            recipe: How the features were made.

        Returns:
            Sentences a person should know.

        Raises:
            RecipeError: If the features were made by another recipe; it says in what they
                differ from what the model expects.
        """
        mine, theirs = dict(self.description["space"]), dict(recipe.space)
        notes = []
        if self.any_size and mine.get(_SIZE) != theirs.get(_SIZE):
            notes.append(
                f"the model was trained on images of {_said(mine[_SIZE])} and the patches here "
                f"have {_said(theirs[_SIZE])}; both are brought to the same input size, so "
                "patches should show as much ground as the images did"
            )
            mine[_SIZE] = theirs[_SIZE]
        if mine != theirs:
            told = "; ".join(recipe.space_differences(mine))
            raise RecipeError(
                f"the model cannot be applied to these features, which were made by another recipe "
                f"({told}); embed the scene again with the model's recipe, or train a new model"
            )
        return notes

    def probabilities(self, rows: NDArray[Any]) -> Floats:
        """Return calibrated probabilities.

        Args:
            rows: Features ``(n, F)``.

        Returns:
            ``(n, classes)``, rows adding up to 1 (temperature scaling: Guo et al. 2017).
        """
        from terrapatch.learn.calibration import apply_temperature

        given = scores(self.pipeline, np.asarray(rows, np.float64))
        return apply_temperature(given, self.description["temperature"])

    def dissimilarity(self, rows: NDArray[Any]) -> Floats:
        """Return how far samples are from the nearest training sample.

        The index of Meyer and Pebesma (Methods in Ecology and Evolution 12, 2021) on scaled
        features brought to their principal components; above ``index_threshold`` a sample
        is unlike all that was trained on.

        Args:
            rows: Features ``(n, F)``.

        Returns:
            ``(n,)``, in mean distances between training samples.

        Raises:
            RecipeError: If the model has no index.
        """
        if self.index is None:
            raise RecipeError(
                "the model does not know how far samples are from its training samples, since it "
                "was saved before models did; train it again"
            )
        with single_thread():
            return self.index.transform(self.pipeline[0].transform(np.asarray(rows, np.float64)))

    def predict(self, features: Features, progress: Progress | None = None) -> Classified:
        """Classify every non-empty cell, block by block.

        Args:
            features: Features of the space the model was trained in.
            progress: Called as ``progress(stage, cells done, cells in all)``.

        Raises:
            RecipeError: If the features were made by another recipe.
            ClusterError: If a cell that is not empty holds NaN or infinite features.
        """
        self.check(features)
        shape, level = features.shape, self.description["conformal"]
        labels = np.zeros(shape, np.uint8 if len(self.legend) <= 254 else np.uint16)
        confidence, margin, size, far = (np.full(shape, np.nan, np.float32) for _ in range(4))
        with single_thread():
            for cells, rows in stream(features, occupied(features), "classifying", progress):
                given = self.probabilities(rows)
                order = np.sort(given, axis=1)
                labels.flat[cells] = given.argmax(axis=1) + 1
                confidence.flat[cells] = order[:, -1]
                margin.flat[cells] = order[:, -1] - order[:, -2]
                if self.index is not None:
                    far.flat[cells] = self.dissimilarity(rows)
                if level is not None:
                    size.flat[cells] = (given >= 1.0 - level["threshold"]).sum(axis=1)
        told = {"model": self.description, "features": features.recipe.as_dict()}
        return Classified(
            labels=labels,
            confidence=confidence,
            margin=margin,
            set_size=None if level is None else size,
            geobox=features.geobox,
            provenance=told,
            dissimilarity=None if self.index is None else far,
        )

    def save(self, folder: Path | str, overwrite: bool = False) -> Path:
        """Write ``model.json``, ``head.safetensors`` (scaling, index) and ``head.skops``.

        The same model gives the same bytes, and none of the files can hold code.

        Args:
            folder: Made if missing; may hold other files.
            overwrite: Replace a model that is there.

        Raises:
            OutputError: If there is a model already, or the folder cannot be written.
            SamplesError: If the classifier could only be kept together with code.
        """
        description = self.description | {"legend": self.legend.as_dict()}
        head = {HEAD_FILE: dumped(self.pipeline[-1])}
        arrays = self.pipeline[0].to_arrays()
        arrays |= {} if self.index is None else self.index.to_arrays()
        return write(Path(folder), description, arrays, overwrite, SCENES, head)

    @classmethod
    def load(cls, folder: Path | str) -> SceneModel:
        """Read back what ``save`` wrote; nothing in it is ever run.

        Raises:
            RecipeError: If a file is missing, damaged, changed, of another version, or holds
                what could run code.
        """
        from sklearn.pipeline import Pipeline

        from terrapatch.legend import Legend

        folder = Path(folder)
        description, arrays = read(folder, SCENES)
        head = restored(read_more(folder, HEAD_FILE, SCENES), str(folder / HEAD_FILE))
        try:
            legend = Legend.from_dict(description.pop("legend"))
            groups: Groups = tuple((str(n), int(a), int(b)) for n, a, b in description["groups"])
            scaling = make_scaling(description["scaling"], groups)
            kept = {name: arrays.pop(name) for name in list(arrays) if name.startswith(PREFIX)}
            scaling = scaling.from_arrays(description["n_features"], arrays)
            pipeline = Pipeline([("scaling", scaling), ("head", head)])
            index = TrainingIndex.from_arrays(kept) if kept else None
            model = cls(pipeline, legend, description, index)
            one = np.zeros((1, description["n_features"]))
            given = model.probabilities(one)
            if index is not None:
                model.dissimilarity(one)
            if given.shape != (1, len(legend)) or not description["space_fingerprint"]:
                raise ValueError("classifier and legend do not fit each other")
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise RecipeError(
                f"{folder} is not a usable scene classifier ({fault}); train and save it again"
            ) from fault
        return model


def _said(size: Any) -> str:
    return f"{size} px" if str(size).isdigit() else str(size)
