"""Means over segments: a pixel's numbers are those of the patch of like pixels it lies in.

The scene is cut, without looking at any label, into segments of neighbouring pixels that are
alike in their first components; each pixel takes the mean of its segment. Fields and roofs are
larger than a pixel, so the noise and texture within them go, and their edges stay. Merging of
regions: Ward (Journal of the American Statistical Association 58, 1963) and Beaulieu and
Goldberg (IEEE PAMI 11, 1989); in hyperspectral scenes Valero, Salembier and Chanussot
(IEEE TIP 22, 2013) and Tilton et al. (IEEE TGRS 50, 2012).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels import _planes as planes
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels._ward import BASE_BYTES, NUMBER_BYTES, Ints, ward_segments
from terrapatch.features.pixels.base import (
    Compute,
    FittedFeature,
    Floats,
    PixelBlock,
    PixelFeature,
)
from terrapatch.features.pixels.components import SOURCES, Components

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

SIZES = (50, 100, 200)


@dataclass(frozen=True)
class Segments(PixelFeature):
    """Means (and deviations) of components over segments of like pixels.

    Attributes:
        components: Number of components that are averaged.
        projection: What they are, ``mnf`` or ``pca``; ``of`` in its text.
        sizes: Mean sizes of the segments in pixels; the scene is cut once for each, into as
            many segments as it has valid pixels for.
        by: Number of components that pixels are compared by.
        spread: Whether the deviation within the segment follows each mean.
        ridge: For ``mnf``: share of each band's noise variance that is added to it.
    """

    kind: ClassVar[str] = "segments"
    summary: ClassVar[str] = "mean over the segment of like pixels that a pixel lies in"
    source: ClassVar[str] = "Ward, JASA 58, 1963; Beaulieu and Goldberg, IEEE PAMI 11, 1989"
    components: int = 20
    projection: str = "mnf"
    sizes: tuple[int, ...] = SIZES
    by: int = 10
    spread: bool = False
    ridge: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Segments:
        """Make it from ``components``, ``of``, ``size``, ``by``, ``spread`` and ``ridge``.

        Raises:
            FeatureError: If an option is unknown or not understood.
        """
        read = Options(cls.kind, options)
        components = read.whole("components", 20)
        made = cls(
            components,
            read.word("of", SOURCES, "mnf"),
            read.whole_list("size", SIZES, 2),
            read.whole("by", min(10, components)),
            read.flag("spread"),
            read.number("ridge", 0.0),
        )
        read.done()
        if made.ridge and made.projection != "mnf":
            raise FeatureError("'segments' has a ridge only with of=mnf; leave it out, or add that")
        return made

    @property
    def text(self) -> str:
        """Its canonical text."""
        more = {"ridge": self.ridge} if self.ridge else {}
        return canonical(
            self.kind,
            components=self.components,
            of=self.projection,
            size=self.sizes,
            by=self.by,
            spread=self.spread,
            **more,
        )

    def fit(self, cube: Cube, moments: Moments) -> FittedSegments:  # noqa: ARG002
        """Find the components.

        Raises:
            FeatureError: If the cube has fewer bands, or noise whose covariance is singular.
        """
        n = max(self.components, self.by)
        found = Components.fit(moments, n, self.projection, ridge=self.ridge)
        return FittedSegments(
            self.projection, self.components, self.by, self.sizes, self.spread, found
        )


class FittedSegments(FittedFeature):
    """Means over the segments of a cube.

    For one size after the other there is the mean of each component over the segment and,
    if asked for, its deviation in it.

    Args:
        projection: ``mnf`` or ``pca``.
        components: Number of components that are averaged.
        by: Number of components that pixels are compared by.
        sizes: Rising mean sizes of the segments, pixels.
        spread: Whether deviations follow means.
        found: The components, as many as the larger number of the two.
    """

    kind: ClassVar[str] = "segments"
    packages: ClassVar[tuple[str, ...]] = ("higra",)
    window: int | None = None

    def __init__(
        self,
        projection: str,
        components: int,
        by: int,
        sizes: tuple[int, ...],
        spread: bool,
        found: Components,
    ) -> None:
        self.layer = self.kind
        self._projection, self._n, self._by = projection, components, by
        self._sizes, self._spread, self._found = sizes, spread, found
        stems = planes.numbered(projection, found)[:components]
        endings = ("", " deviation") if spread else ("",)
        self.names = tuple(f"{s} px {stem}{e}" for s in sizes for e in endings for stem in stems)

    def compute(self, block: PixelBlock) -> Floats:  # noqa: ARG002
        """Refuse: the whole scene decides.

        Raises:
            FeatureError: Always.
        """
        raise planes.whole_scene(self.kind)

    def over(self, cube: Cube, scratch: Path) -> Compute:
        """Cut the whole scene into segments and measure them.

        Raises:
            FeatureError: If the free memory does not hold the scene and its regions.
        """
        planes.check_memory(cube, self.kind, BASE_BYTES + NUMBER_BYTES * self._by)
        parts, valid = planes.component_planes(cube, self._found, scratch / "components")
        n_valid = int(valid.sum())
        if n_valid == 0:
            none = np.zeros((1, len(self.names)), np.float32)
            return _Lookup([(np.full(cube.shape, -1, np.int32), none)]).compute
        numbers = np.moveaxis(parts.data[: self._by], 0, 2).astype(np.float64)
        cuts = ward_segments(numbers, valid, [max(1, round(n_valid / s)) for s in self._sizes])
        del numbers
        held = []
        for i, cut in enumerate(cuts):
            path = scratch / f"segments-{i}"
            on_disk: Ints = np.memmap(path, np.int32, "w+", shape=cut.shape)
            on_disk[:] = cut
            held.append((on_disk, self._table(parts.data, cut)))
        return _Lookup(held).compute

    def _table(self, components: NDArray[np.float32], cut: Ints) -> Floats:
        """Measure every segment ``(segments, numbers)``."""
        inside = cut >= 0
        numbers = cut[inside]
        size = np.bincount(numbers).astype(np.float64)
        means, deviations = [], []
        for plane in components[: self._n]:
            own = plane[inside].astype(np.float64)
            mean = np.bincount(numbers, own) / size
            means.append(mean)
            if self._spread:
                square = np.bincount(numbers, (own - mean[numbers]) ** 2)
                deviations.append(np.sqrt(square / size))
        return np.stack([*means, *deviations], axis=1).astype(np.float32)

    def settings(self) -> dict[str, Any]:
        """Return kind and numbers of components, sizes and whether there are deviations."""
        return {
            "projection": self._projection,
            "components": self._n,
            "by": self._by,
            "sizes": list(self._sizes),
            "spread": self._spread,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return mean, axes and variances of the components."""
        return self._found.arrays()

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedSegments:
        """Make it again."""
        return cls(
            str(settings["projection"]),
            int(settings["components"]),
            int(settings["by"]),
            tuple(int(s) for s in settings["sizes"]),
            bool(settings["spread"]),
            Components.restore(arrays),
        )


class _Lookup:
    """Reads the numbers of pixels from their segments'.

    Args:
        held: Of each size the image of segment numbers and the table of their numbers.
    """

    def __init__(self, held: list[tuple[Ints, Floats]]) -> None:
        self._held = held

    def compute(self, block: PixelBlock) -> Floats:
        """Return the numbers of a block's pixels ``(rows, cols, numbers)``."""
        return np.concatenate(list(self._parts(block)), axis=2)

    def _parts(self, block: PixelBlock) -> Iterator[Floats]:
        for cut, table in self._held:
            yield table[np.maximum(cut[block.rows, block.cols], 0)]
