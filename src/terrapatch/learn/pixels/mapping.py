"""The map of a scene: a class for every pixel, with confidence and margin, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.learn.pixels._scratch import scratch_array
from terrapatch.learn.pixels.posteriors import posterior_blocks
from terrapatch.learn.pixels.smoothers import Smoother, parse_smoothing

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.learn.pixels.base import PixelLearner, PixelValues, Progress
    from terrapatch.learn.pixels.model import PixelModel

MOST_UINT8 = 254


@dataclass(frozen=True, eq=False)
class MappedPixels:
    """What a model says of the pixels of a scene; large arrays lie in files without a name.

    Attributes:
        ids: Class ids ``(rows, cols)`` uint8 (uint16 above 254 classes), 0 without data.
        confidence: Probability of that class, float32, NaN without data.
        margin: Its distance to the probability of the second class, likewise.
        counts: Pixels of each class ``(classes + 1,)``, those without data first.
        geobox: Grid of the pixels.
        provenance: The model, the features and the smoothing, as JSON values.
        notes: Sentences a person should know.
    """

    ids: NDArray[Any]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]
    counts: NDArray[np.int64]
    geobox: GeoBox
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def map_pixels(
    source: Cube | PixelValues,
    model: PixelModel,
    *,
    smooth: Smoother | str | None = None,
    scratch: Path | str | None = None,
    progress: Progress | None = None,
) -> MappedPixels:
    """Give every pixel with data a class.

    Memory is bounded by a tile of the scene and its posteriors, whatever the number of
    classes; the map itself, and posteriors that wait to be smoothed, are on disk where large.

    Args:
        source: A cube with the bands of the model, or stored features of its recipe.
        model: The model.
        smooth: What smooths the posteriors, or its text (``gaussian:sigma=2``).
        scratch: Folder for what memory should not hold; the system's own if ``None``.
        progress: Called as ``progress("classifying" or "smoothing", pixels done, in all)``.

    Raises:
        RecipeError: If the cube has other bands, or the features another recipe.
        SamplesError: If the smoothing is not understood.
        OutputError: If the scratch folder is full or not writable.
    """
    smoother = parse_smoothing(smooth) if isinstance(smooth, str) else smooth
    with _values(source, model) as values:
        mapped = map_values(
            values,
            model.learner,
            len(model.legend),
            model.temperature,
            smooth=smoother,
            scratch=None if scratch is None else Path(scratch),
            progress=progress,
        )
        features = values.recipe.as_dict()
    never = model.untrained
    notes = _doubts(source, model)
    if never:
        notes += (f"classes without a training pixel are never mapped: {', '.join(never)}",)
    return MappedPixels(
        mapped.ids,
        mapped.confidence,
        mapped.margin,
        mapped.counts,
        mapped.geobox,
        {
            "model": model.description,
            "features": features,
            "smoothing": None if smoother is None else smoother.text,
        },
        notes,
    )


def map_values(
    values: PixelValues,
    learner: PixelLearner,
    n_classes: int,
    temperature: float = 1.0,
    *,
    smooth: Smoother | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> MappedPixels:
    """Map features with a learner that is no model yet; see ``map_pixels``.

    Args:
        values: Features of the scene.
        learner: A fitted learner.
        n_classes: Classes of the legend.
        temperature: What the learner's scores are divided by.
        smooth: What smooths the posteriors.
        scratch: Folder for what memory should not hold.
        progress: Called with pixels done and in all.
    """
    shape = values.shape
    ids = scratch_array(shape, np.uint8 if n_classes <= MOST_UINT8 else np.uint16, scratch)
    confidence = scratch_array(shape, np.float32, scratch)
    margin = scratch_array(shape, np.float32, scratch)
    counts = np.zeros(n_classes + 1, np.int64)
    for block in posterior_blocks(
        values, learner, temperature, smooth=smooth, scratch=scratch, progress=progress
    ):
        found = block.probabilities
        best = found.argmax(axis=-1)
        two = np.partition(found, found.shape[-1] - 2, axis=-1)[..., -2:]
        at = (block.rows, block.cols)
        ids[at] = np.where(block.valid, learner.classes_[best], 0)
        confidence[at] = np.where(block.valid, two[..., 1], np.nan)
        margin[at] = np.where(block.valid, two[..., 1] - two[..., 0], np.nan)
        counts += np.bincount(ids[at].ravel(), minlength=n_classes + 1)
    return MappedPixels(ids, confidence, margin, counts, values.geobox)


def _doubts(source: Cube | PixelValues, model: PixelModel) -> tuple[str, ...]:
    from terrapatch.cubes import Cube

    return model.doubts(source) if isinstance(source, Cube) else ()


@contextmanager
def _values(source: Cube | PixelValues, model: PixelModel) -> Iterator[PixelValues]:
    from terrapatch.cubes import Cube

    if isinstance(source, Cube):
        model.check(source)
        with model.features.over(source) as values:
            yield values
    else:
        model.check_recipe(source.recipe)
        yield source
