"""The pixel classifier: features with what they learned, a learner, and the classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.errors import RecipeError
from terrapatch.learn._model_folder import PIXELS, read, read_more, write
from terrapatch.learn.pixels.learners import restore_learner

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.stack import FeatureStack
    from terrapatch.features.recipe import Recipe
    from terrapatch.learn.pixels.base import LabelledPixels, PixelLearner
    from terrapatch.legend import Legend

_PACKAGES = ("numpy", "scikit-learn", "scipy", "skops", "terrapatch")


@dataclass(frozen=True, eq=False)
class PixelModel:
    """A fitted learner on the features of a cube.

    Attributes:
        features: The features, fitted to the cube the model was trained on.
        learner: The fitted learner.
        legend: The classes; the learner may know only some of them.
        description: JSON values: texts of the features, the learner's settings, window,
            temperature, training pixels by class, the split and the metrics it was judged by,
            the feature space, the size of the cube's values, versions.
    """

    features: FeatureStack
    learner: PixelLearner
    legend: Legend
    description: dict[str, Any]

    def __post_init__(self) -> None:
        """Bring the description to what it will be when read back from JSON."""
        plain = json.loads(json.dumps(self.description, sort_keys=True))
        object.__setattr__(self, "description", plain)

    @classmethod
    def of(
        cls,
        features: FeatureStack,
        learner: PixelLearner,
        pixels: LabelledPixels,
        cube: Cube,
        *,
        legend: Legend | None = None,
        split: str = "",
        metrics: Mapping[str, Any] | None = None,
        smooth: str | None = None,
    ) -> PixelModel:
        """Make a model of a fitted learner.

        Args:
            features: The features it was fitted on.
            learner: The learner.
            pixels: What it was fitted on.
            cube: The cube of the features.
            legend: Names and colours in the order of the pixels' classes.
            split: The split it was judged by, in words.
            metrics: What is known of its accuracy, JSON values.
            smooth: Text of the smoothing that belongs to it (``parse_smoothing``).
        """
        from terrapatch.cubes.sizes import value_sizes
        from terrapatch.legend import Legend

        counts = [int((pixels.ids == i + 1).sum()) for i in range(len(pixels.classes))]
        return cls(
            features,
            learner,
            legend or Legend.of(pixels.classes),
            {
                "counts": counts,
                "features": list(features.texts),
                "learner": {"kind": learner.kind, "settings": learner.settings()},
                "metrics": dict(metrics or {}),
                "sizes": value_sizes(cube),
                "smooth": smooth,
                "space": features.recipe(cube).space,
                "split": split,
                "temperature": learner.temperature,
                "versions": {name: version(name) for name in _PACKAGES},
                "window": model_window(features, learner),
            },
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, id 1 first."""
        return self.legend.names

    @property
    def temperature(self) -> float:
        """What the learner's scores are divided by to become logarithms of probabilities."""
        return float(self.description["temperature"])

    @property
    def window(self) -> int | None:
        """Side of the square that decides a pixel's class; ``None`` if all of the scene can."""
        return model_window(self.features, self.learner)

    @property
    def untrained(self) -> tuple[str, ...]:
        """Names of the classes that it never says, having no training pixel."""
        known = {int(id) for id in self.learner.classes_}
        return tuple(entry.name for entry in self.legend if entry.id not in known)

    def check(self, cube: Cube) -> None:
        """Refuse a cube of other bands.

        Raises:
            RecipeError: If its bands are not those the model was trained on; it shows both.
        """
        self.features.check(cube)

    def doubts(self, cube: Cube) -> tuple[str, ...]:
        """Say what makes a map of a cube doubtful, though its bands are right."""
        from terrapatch.cubes.sizes import unlike_sizes

        told = unlike_sizes(cube, self.description.get("sizes", []))
        return (told,) if told else ()

    def check_recipe(self, recipe: Recipe) -> None:
        """Refuse stored features that were made in another way.

        Raises:
            RecipeError: If they were; it says in what they differ.
        """
        mine = self.description["space"]
        if json.loads(json.dumps(recipe.space)) != mine:
            told = "; ".join(recipe.space_differences(mine))
            raise RecipeError(
                f"the model cannot be applied to these features, which were made by another recipe "
                f"({told}); give it the cube itself, or train a new model on these features"
            )

    def save(self, folder: Path | str, overwrite: bool = False) -> Path:
        """Write ``model.json``, ``head.safetensors`` (features) and the learner's files.

        The same model gives the same bytes, and none of the files can hold code.

        Args:
            folder: Made if missing; may hold other files.
            overwrite: Replace a model that is there.

        Raises:
            OutputError: If there is a model already, or the folder cannot be written.
            SamplesError: If the learner could only be kept together with code.
        """
        files = self.learner.files()
        description = self.description | {
            "legend": self.legend.as_dict(),
            "stack": self.features.settings(),
            "files": sorted(files),
        }
        return write(Path(folder), description, self.features.arrays(), overwrite, PIXELS, files)

    @classmethod
    def load(cls, folder: Path | str) -> PixelModel:
        """Read back what ``save`` wrote; nothing in it is ever run.

        Raises:
            RecipeError: If a file is missing, damaged, changed, of another version, or holds
                what could run code.
        """
        from terrapatch.features.pixels.stack import FeatureStack
        from terrapatch.legend import Legend

        folder = Path(folder)
        description, arrays = read(folder, PIXELS)
        try:
            legend = Legend.from_dict(description.pop("legend"))
            stack = FeatureStack.restore(description.pop("stack"), arrays)
            names = [_plain(name) for name in description.pop("files")]
            files = {name: read_more(folder, name, PIXELS) for name in names}
            held = description["learner"]
            learner = restore_learner(held["kind"], held["settings"], files)
            model = cls(stack, learner, legend, description)
            _check_parts(model)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            if isinstance(fault, RecipeError):
                raise
            raise RecipeError(
                f"{folder} is not a usable pixel classifier ({fault}); train and save it again"
            ) from fault
        return model


def model_window(features: FeatureStack, learner: PixelLearner) -> int | None:
    """Return the side of the square of pixels that decides one pixel's class.

    A square of features sees half a feature's window beyond its own sides; ``None`` where any
    pixel of the scene can matter.
    """
    return None if features.window is None else features.window + learner.window - 1


def _plain(name: str) -> str:
    """Return a name that is a file's own, without a folder."""
    if not name or Path(name).name != name or name.startswith("."):
        raise ValueError(f"{name!r} is no file of a model")
    return name


def _check_parts(model: PixelModel) -> None:
    import numpy as np

    side = model.learner.window
    block = np.zeros((side, side, model.features.n_features), np.float32)
    given = model.learner.scores(block)
    classes = model.learner.classes_
    known = len(classes) and classes.min() >= 1 and classes.max() <= len(model.legend)
    if given.shape != (1, 1, len(classes)) or not known:
        raise ValueError("features, learner and legend do not fit each other")
    if not (np.isfinite(model.temperature) and model.temperature > 0):
        raise ValueError(f"the temperature is {model.temperature}")
