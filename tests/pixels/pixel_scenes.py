"""A painted scene with labels and features, for the tests of learners, models and maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.learn.pixels.base import LabelledPixels, PixelLearner, PixelValues

NAMES = ("corn", "grass", "oats", "woods")


@dataclass(frozen=True, eq=False)
class PixelScene:
    """A cube, what is true in it, and training pixels.

    Attributes:
        cube: The cube; a corner of it is invalid.
        ids: Class ids ``(rows, cols)`` from 1.
        valid: Pixels with data.
        pixels: About a tenth of the pixels.
    """

    cube: Cube
    ids: Any
    valid: Any
    pixels: LabelledPixels

    def stack(self, *features: str) -> FeatureStack:
        """Fit features to the cube."""
        return FeatureStack.fit(list(features or ("spectra",)), self.cube)


def painted_scene(
    rows: int = 60,
    cols: int = 50,
    noise: float = 0.15,
    share: float = 0.1,
    seed: int = 0,
    fields: bool = False,
) -> PixelScene:
    """Paint a scene of four classes and draw training pixels at random."""
    values, ids, wavelengths = painted_cube(rows, cols, noise=noise, seed=seed)
    values[:7, -9:] = np.nan
    cube = Cube.of_array(values, wavelengths=wavelengths)
    valid = np.isfinite(values[..., 0])
    rng = np.random.default_rng([seed, 1])
    row, col = np.nonzero(valid & (rng.random(ids.shape) < share))
    field = (row // 10 * 100 + col // 10).astype(np.int32) if fields else None
    pixels = LabelledPixels(row, col, ids[row, col], NAMES, field)
    return PixelScene(cube, ids, valid, pixels)


class Brightest(PixelLearner):
    """Says in which feature the mean of the square around a pixel is largest."""

    kind: ClassVar[str] = "brightest"
    window = 3

    def fit(self, values: PixelValues, pixels: LabelledPixels, **_: Any) -> Brightest:
        """Learn nothing but how many features there are."""
        self.classes_ = np.arange(1, values.n_features + 1, dtype=np.int32)
        return self

    def scores(self, values: Any) -> Any:
        """Return sums over squares; what is not a number counts as 0."""
        filled = np.nan_to_num(values)
        rows, cols = values.shape[0] - 2, values.shape[1] - 2
        return sum(filled[i : i + rows, j : j + cols] for i in range(3) for j in range(3))

    def settings(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def files(self) -> dict[str, bytes]:
        """Return nothing."""
        return {}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], files: Mapping[str, bytes]) -> Brightest:
        """Make it again."""
        return cls()
