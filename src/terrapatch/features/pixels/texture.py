"""Texture around a pixel: local deviation and grey-level co-occurrence of components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels._boxes import local_deviations
from terrapatch.features.pixels._glcm import MEASURES, CoOccurrence
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature
from terrapatch.features.pixels.components import SOURCES, Components

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

ALL_MEASURES = ("std", *MEASURES)
# Grey levels span so many standard deviations of a component to either side of its mean.
SPAN = 3.0
MOST_LEVELS = 64


@dataclass(frozen=True)
class Texture(PixelFeature):
    """Texture of components over the square around each pixel.

    ``std`` is the standard deviation of the component itself. The others are Haralick's, of
    the symmetric co-occurrence of grey levels at a distance in four directions, pooled:
    contrast, homogeneity (inverse difference moment), entropy (natural logarithm), asm
    (angular second moment) and correlation. Grey levels divide three standard deviations
    to either side of the mean evenly; what lies beyond is in the last ones.

    Attributes:
        side: Side of the square, pixels.
        source_of: ``pca`` or ``mnf``.
        components: Number of components.
        levels: Number of grey levels.
        distance: Pixels between the two of a pair.
        measures: Some of ``std``, ``contrast``, ``homogeneity``, ``entropy``, ``asm`` and
            ``correlation``.
    """

    kind: ClassVar[str] = "texture"
    summary: ClassVar[str] = "local deviation and grey-level co-occurrence of components"
    source: ClassVar[str] = "Haralick, Shanmugam and Dinstein, IEEE Trans. SMC 3, 1973"
    side: int = 9
    source_of: str = "pca"
    components: int = 3
    levels: int = 8
    distance: int = 1
    measures: tuple[str, ...] = ALL_MEASURES

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Texture:
        """Make it from ``window``, ``of``, ``components``, ``levels``, ``distance``, ``measures``.

        Raises:
            FeatureError: If the distance leaves the window, or the levels are too many.
        """
        read = Options(cls.kind, options)
        made = cls(
            read.odd("window", 9, 3),
            read.word("of", SOURCES, "pca"),
            read.whole("components", 3),
            read.whole("levels", 8, 2),
            read.whole("distance", 1),
            read.words("measures", ALL_MEASURES, ALL_MEASURES),
        )
        read.done()
        if made.distance >= made.side:
            raise FeatureError(
                f"pairs {made.distance} pixels apart do not fit into a window of {made.side}; give "
                "'texture' a smaller distance or a larger window"
            )
        if made.levels > MOST_LEVELS:
            raise FeatureError(
                f"{made.levels} grey levels are too many for 'texture'; give 2 to {MOST_LEVELS}"
            )
        return made

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(
            self.kind,
            window=self.side,
            of=self.source_of,
            components=self.components,
            levels=self.levels,
            distance=self.distance,
            measures=self.measures,
        )

    def fit(self, cube: Cube, moments: Moments) -> FittedTexture:  # noqa: ARG002
        """Find the components and their spread."""
        components = Components.fit(moments, self.components, self.source_of)
        return FittedTexture(components, self.side, self.levels, self.distance, self.measures)


class FittedTexture(FittedFeature):
    """Texture of a cube's components.

    Args:
        components: The components.
        side: Side of the square.
        levels: Number of grey levels.
        distance: Pixels between the two of a pair.
        measures: As in ``Texture``.
    """

    kind: ClassVar[str] = "texture"

    def __init__(
        self,
        components: Components,
        side: int,
        levels: int,
        distance: int,
        measures: tuple[str, ...],
    ) -> None:
        self.layer, self.window, self.halo = f"texture{side}", side, side // 2
        self.names = tuple(f"{m} {i}" for i in range(1, components.n + 1) for m in measures)
        self._components, self._levels = components, levels
        self._distance, self._measures = distance, measures

    def compute(self, block: PixelBlock) -> Floats:
        """Measure the texture around each pixel ``(rows, cols, N)``."""
        numbers, side = self._components.project(block.values), 2 * self.halo + 1
        paired = [name for name in self._measures if name != "std"]
        out = np.empty((*block.trimmed(0).valid.shape, len(self.names)), np.float32)
        for i, deviation in enumerate(np.sqrt(self._components.variances)):
            one = np.where(block.valid, numbers[..., i], np.float32(0))
            part = out[..., i * len(self._measures) : (i + 1) * len(self._measures)]
            if "std" in self._measures:
                part[..., self._measures.index("std")] = local_deviations(one, block.valid, side)
            if paired:
                grey = grey_levels(one, float(deviation), self._levels)
                meeting = CoOccurrence(grey, block.valid, self._levels, side, self._distance)
                part[..., [self._measures.index(m) for m in paired]] = meeting.measures(paired)
        return out

    def settings(self) -> dict[str, Any]:
        """Return window, levels, distance and measures."""
        return {
            "side": self.window,
            "levels": self._levels,
            "distance": self._distance,
            "measures": list(self._measures),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the components."""
        return self._components.arrays()

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedTexture:
        """Make it again."""
        side, levels, distance = (int(settings[k]) for k in ("side", "levels", "distance"))
        measures = tuple(settings["measures"])
        return cls(Components.restore(arrays), side, levels, distance, measures)


def grey_levels(values: Floats, deviation: float, levels: int) -> NDArray[np.int32]:
    """Bring numbers around 0 to grey levels from 0; all to the middle without spread."""
    if deviation <= 0:
        return np.full(values.shape, levels // 2, np.int32)
    scaled = (values / (2 * SPAN * deviation) + 0.5) * levels
    grey: NDArray[np.int32] = np.clip(np.floor(scaled), 0, levels - 1).astype(np.int32)
    return grey
