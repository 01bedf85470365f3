"""What a pixel learner is: a head on each pixel's numbers, or a network on the square around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.features.raster import FeatureBlock
from terrapatch.features.recipe import Recipe

Floats = NDArray[np.float32]
Progress = Callable[[str, int, int], None]


class PixelValues(Protocol):
    """Features at one cell a pixel: a store, or a cube whose features are made on the way."""

    @property
    def geobox(self) -> GeoBox:
        """Grid of the pixels."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        """Name, start and stop of each layer's numbers."""

    @property
    def n_features(self) -> int:
        """Numbers of a pixel."""

    @property
    def recipe(self) -> Recipe:
        """How they are made."""

    def read(self, rows: slice, cols: slice) -> Floats:
        """Read ``(rows, cols, features)`` float32 inside the scene, NaN in invalid pixels."""

    def blocks(self) -> Iterator[FeatureBlock]:
        """Go through all pixels block by block."""


@dataclass(frozen=True, eq=False)
class LabelledPixels:
    """Pixels with class ids, in row-major order.

    Attributes:
        rows: Row of each ``(n,)``.
        cols: Column of each ``(n,)``.
        ids: Class id from 1 of each ``(n,)``.
        classes: Names of the classes, id 1 first.
        fields: Number of the field, polygon or region each belongs to ``(n,)``, or ``None``.
    """

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    ids: NDArray[np.int32]
    classes: tuple[str, ...]
    fields: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        """Return their number."""
        return len(self.ids)


class PixelLearner(ABC):
    """Tells classes apart, pixel by pixel.

    Attributes:
        kind: Its name.
        window: Side, in pixels, of the square of features it looks at; 1 for heads.
        temperature: What its scores are divided by to become logarithms of probabilities.
        classes_: Class ids it has learned, rising ``(k,)``, after ``fit``.
    """

    kind: ClassVar[str]
    window: int = 1
    temperature: float = 1.0
    classes_: NDArray[np.int32]

    @abstractmethod
    def fit(
        self, values: PixelValues, pixels: LabelledPixels, *, progress: Progress | None = None
    ) -> PixelLearner:
        """Learn from labelled pixels; hyper-parameters are chosen among them alone.

        Args:
            values: Features of the scene.
            pixels: The training part, and nothing of the tested one.
            progress: Called as ``progress(stage, done, total)``.
        """

    @abstractmethod
    def scores(self, values: Floats) -> NDArray[np.float32]:
        """Return how strongly pixels are held for each class.

        Args:
            values: ``(rows + window - 1, cols + window - 1, features)`` float32, NaN in the
                invalid pixels around valid ones:
                a block with half a window of context on every side.

        Returns:
            ``(rows, cols, len(classes_))`` float32, logarithms of probabilities or
            anything a temperature turns into them; the larger the likelier.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return how it was made and what was chosen, as JSON values."""

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """Return what was learned as files that hold no code (``.skops``, ``.safetensors``)."""

    @classmethod
    @abstractmethod
    def restore(cls, settings: Mapping[str, Any], files: Mapping[str, bytes]) -> PixelLearner:
        """Make the learner again from ``settings`` and ``files``.

        Raises:
            RecipeError: If a file is damaged or holds anything but numbers.
        """
