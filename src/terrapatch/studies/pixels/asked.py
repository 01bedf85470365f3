"""What a study of pixels is asked: a cube, its labels, a recipe, and how to judge it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.cubes import Cube
from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._class_names import read_class_names
from terrapatch.learn.pixels.labels import VECTORS, PixelLabels, read_labels
from terrapatch.learn.pixels.learners import parse_learner
from terrapatch.learn.pixels.smoothers import parse_smoothing

if TYPE_CHECKING:
    import xarray as xr

    from terrapatch.features.pixels.stack import FeatureStack
    from terrapatch.learn.pixels._class_names import ClassNames
    from terrapatch.learn.pixels.base import PixelLearner, PixelValues, Progress
    from terrapatch.scene import Scene

    CubeSource = str | os.PathLike[str] | xr.DataArray | Scene | Cube

NO_SMOOTHING = "none"


@dataclass(frozen=True)
class PixelRecipe:
    """What a pixel's class is told by.

    Attributes:
        features: Texts of the features, such as ``spectra`` and ``emp:components=4,radii=1-5``.
        learner: Text of the learner, such as ``rbf-svm`` or ``net:hybridsn,patch=9``.
        smooth: Text of the smoothing of posteriors, or ``none``.
    """

    features: tuple[str, ...] = ("spectra",)
    learner: str = "rbf-svm"
    smooth: str = NO_SMOOTHING

    def __post_init__(self) -> None:
        """Refuse what does not exist before anything is read.

        Raises:
            FeatureError: If a feature is not understood.
            SamplesError: If learner or smoothing are not.
        """
        from terrapatch.features.pixels.registry import parse_feature

        texts = tuple(parse_feature(text).text for text in self.features)
        object.__setattr__(self, "features", texts)
        parse_learner(self.learner)
        smoother = parse_smoothing(self.smooth)
        text = NO_SMOOTHING if smoother is None else smoother.text
        object.__setattr__(self, "smooth", text)

    @property
    def smoothing(self) -> str | None:
        """Text of the smoothing; ``None`` for none."""
        return None if self.smooth == NO_SMOOTHING else self.smooth

    def make_learner(self, seed: int) -> PixelLearner:
        """Return the unfitted learner."""
        return parse_learner(self.learner, seed)

    def __str__(self) -> str:
        """Return it in one line."""
        parts = [" + ".join(self.features), self.learner]
        return ", ".join([*parts, *([] if self.smoothing is None else [f"smoothed {self.smooth}"])])


@dataclass(frozen=True, eq=False)
class PixelTask:
    """A cube and the labels of its pixels.

    Attributes:
        cube: The cube.
        labels: The labels.
        source: What the labels were read from.
        reading: How the cube and further labels are read, see ``open_task``.
    """

    cube: Cube
    labels: PixelLabels
    source: Any = None
    reading: dict[str, Any] = field(default_factory=dict)

    def more_labels(self, source: Any, *, masks: bool = False) -> PixelLabels:
        """Read further labels of the same cube, such as the tested part of a published split.

        Args:
            source: As the labels.
            masks: Whether its values are no classes, but regions or a mask: they need no names,
                and its pixels may be invalid in the cube.
        """
        told = dict(self.reading)
        if masks or not _has_columns(source):
            told |= {"column": None, "layer": None}
        if masks:
            told |= {"classes": None, "ignore": (0,)}
        return read_labels(self.cube, source, check_valid=not masks, **told)


def _has_columns(source: Any) -> bool:
    """Whether a source is a table of polygons or points, not a raster or an array."""
    if isinstance(source, str | os.PathLike):
        return Path(os.fspath(source)).suffix.lower() in VECTORS
    return hasattr(source, "geometry")


def open_task(
    cube: CubeSource,
    labels: Any,
    *,
    reading: Mapping[str, Any] | None = None,
    column: str | None = None,
    layer: str | None = None,
    classes: ClassNames | None = None,
    ignore: Sequence[int] = (0,),
    rule: str = "centre",
) -> PixelTask:
    """Open a cube and read its labels.

    Args:
        cube: What ``Cube.open`` takes.
        labels: What ``read_labels`` takes; or labels.
        reading: Options of ``Cube.open``.
        column: Column of the classes of polygons and points.
        layer: Layer of a vector file.
        classes: Names of the values.
        ignore: Values that are no class.
        rule: How polygons give pixels a class.

    Raises:
        CubeError: If the cube cannot be read.
        SamplesError: If the labels cannot be read, or a class is named that no pixel has.
    """
    opened = Cube.open(cube, **(reading or {}))
    told: dict[str, Any] = {
        "column": column, "layer": layer, "classes": classes, "ignore": ignore, "rule": rule
    }  # fmt: skip
    if isinstance(labels, PixelLabels):
        return PixelTask(opened, labels, None, told)
    found = read_labels(opened, labels, **told)
    _refuse_empty_classes(found, _unused(classes, ignore, found.classes), opened.name)
    return PixelTask(opened, found, labels, told)


def _unused(classes: ClassNames | None, ignore: Sequence[int], found: tuple[str, ...]) -> list[str]:
    """Return the names that a person gave to values and that no label has."""
    given = read_class_names(classes) or {}
    wanted = [name for value, name in given.items() if value > 0 and value not in ignore]
    return [name for name in dict.fromkeys(wanted) if name not in found]


def _refuse_empty_classes(labels: PixelLabels, unused: Sequence[str], name: str) -> None:
    gone = [c for c, n in labels.counts.items() if not n]
    empty = [*gone, *unused]
    if empty:
        left_out = labels.left_out if gone else {}
        lost = ", ".join(f"{reason} {n:,}" for reason, n in left_out.items())
        raise SamplesError(
            f"no pixel of {name} has the class {', '.join(map(repr, empty))}, so it cannot be "
            f"learned{f' (left out: {lost})' if lost else ''}; label some of it, leave the class "
            "out, or leave out bands that miss data there (see terrapatch pixels info, --drop)"
        )
    if len(labels.classes) == 1:
        raise SamplesError(
            f"all {len(labels):,} labelled pixels of {name} are of the class "
            f"{labels.classes[0]!r}; a learner needs training pixels of two classes, so label "
            "another one too"
        )


def fit_stack(
    task: PixelTask, recipe: PixelRecipe, progress: Progress | None = None
) -> FeatureStack:
    """Fit the features of a recipe to all pixels of a cube; no label is looked at.

    Raises:
        FeatureError: If the cube cannot give one of them.
    """
    from terrapatch.features.pixels.stack import FeatureStack

    return FeatureStack.fit(recipe.features, task.cube, progress=progress)


@contextmanager
def held_values(task: PixelTask, stack: FeatureStack) -> Iterator[PixelValues]:
    """Give the features of a cube, each computed once however often it is read."""
    from terrapatch.learn.pixels.cached import CachedPixels

    with stack.over(task.cube) as live:
        yield CachedPixels(live)
