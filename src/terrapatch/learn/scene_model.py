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
from terrapatch.learn._features import Features, Groups, occupied, single_thread, stream
from terrapatch.learn._head_file import dumped, restored
from terrapatch.learn._model_folder import SCENES, read, read_more, write
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
    """

    labels: NDArray[Any]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]
    set_size: NDArray[np.float32] | None
    geobox: GeoBox
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SceneModel:
    """A fitted head with its scaling, calibrated, for features of one space.

    Attributes:
        pipeline: Fitted scikit-learn pipeline of a scaling and a classifier over ids from 1.
        legend: The classes.
        description: JSON values: groups, head, parameters, space, temperature, conformal
            level, counts, seed, versions, metrics.
    """

    pipeline: Any
    legend: Legend
    description: dict[str, Any]

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

    def check(self, features: Features) -> list[str]:
        """Refuse features of another space.

        Args:
            features: Anything with a ``recipe`` and ``n_features``.

        Returns:
            Sentences a person should know.

        Raises:
            RecipeError: If the features were made by another recipe; it says in what they
                differ from what the model expects.
        """
        mine, theirs = dict(self.description["space"]), dict(features.recipe.space)
        notes = []
        if self.any_size and mine.get(_SIZE) != theirs.get(_SIZE):
            notes.append(
                f"the model was trained on images of {_said(mine[_SIZE])} and the patches here "
                f"have {_said(theirs[_SIZE])}; both are brought to the same input size, so "
                "patches should show as much ground as the images did"
            )
            mine[_SIZE] = theirs[_SIZE]
        if mine != theirs:
            told = "; ".join(features.recipe.space_differences(mine))
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
        confidence, margin, size = (np.full(shape, np.nan, np.float32) for _ in range(3))
        with single_thread():
            for cells, rows in stream(features, occupied(features), "classifying", progress):
                given = self.probabilities(rows)
                order = np.sort(given, axis=1)
                labels.flat[cells] = given.argmax(axis=1) + 1
                confidence.flat[cells] = order[:, -1]
                margin.flat[cells] = order[:, -1] - order[:, -2]
                if level is not None:
                    size.flat[cells] = (given >= 1.0 - level["threshold"]).sum(axis=1)
        told = {"model": self.description, "features": features.recipe.as_dict()}
        sets = None if level is None else size
        return Classified(labels, confidence, margin, sets, features.geobox, told)

    def save(self, folder: Path | str, overwrite: bool = False) -> Path:
        """Write ``model.json``, ``head.safetensors`` (scaling) and ``head.skops`` (classifier).

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
            scaling = scaling.from_arrays(description["n_features"], arrays)
            pipeline = Pipeline([("scaling", scaling), ("head", head)])
            model = cls(pipeline, legend, description)
            given = model.probabilities(np.zeros((1, description["n_features"])))
            if given.shape != (1, len(legend)) or not description["space_fingerprint"]:
                raise ValueError("classifier and legend do not fit each other")
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise RecipeError(
                f"{folder} is not a usable scene classifier ({fault}); train and save it again"
            ) from fault
        return model


def _said(size: Any) -> str:
    return f"{size} px" if str(size).isdigit() else str(size)
