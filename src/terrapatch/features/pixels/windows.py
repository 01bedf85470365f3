"""The square around a pixel: its mean, or all of it laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.features.pixels._boxes import local_means
from terrapatch.features.pixels._inputs import Looked, read_of
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments


@dataclass(frozen=True)
class LocalMean(PixelFeature):
    """The mean of the valid pixels of a square around each pixel.

    Attributes:
        side: Side of the square, pixels.
        of_: ``spectra``, ``pca`` or ``mnf``.
        components: Number of components, 0 for spectra.
    """

    kind: ClassVar[str] = "mean"
    summary: ClassVar[str] = "mean over the square around a pixel"
    side: int = 5
    of_: str = "spectra"
    components: int = 0

    @classmethod
    def of(cls, options: Mapping[str, str]) -> LocalMean:
        """Make it from ``window``, ``of`` and ``components``."""
        read = Options(cls.kind, options)
        made = cls(read.odd("window", 5, 3), *read_of(read, "spectra", 10))
        read.done()
        return made

    @property
    def learns(self) -> bool:
        """Whether the moments are used."""
        return self.of_ != "spectra"

    @property
    def text(self) -> str:
        """Its canonical text."""
        more = {"components": self.components} if self.components else {}
        return canonical(self.kind, window=self.side, of=self.of_, **more)

    def fit(self, cube: Cube, moments: Moments) -> FittedMean:
        """Find the components, where it is not the spectra."""
        return FittedMean(Looked.fit(cube, moments, self.of_, self.components), self.side)


@dataclass(frozen=True)
class Patch(PixelFeature):
    """The square around each pixel laid out row by row, all components of a pixel together.

    Invalid pixels of the square take the mean of its valid ones.

    Attributes:
        side: Side of the square, pixels.
        of_: ``pca``, ``mnf`` or ``spectra``.
        components: Number of components, 0 for spectra.
    """

    kind: ClassVar[str] = "patch"
    summary: ClassVar[str] = "all pixels of the square around a pixel"
    side: int = 5
    of_: str = "pca"
    components: int = 3

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Patch:
        """Make it from ``side``, ``of`` and ``components``."""
        read = Options(cls.kind, options)
        made = cls(read.odd("side", 5, 3), *read_of(read, "pca", 3))
        read.done()
        return made

    @property
    def learns(self) -> bool:
        """Whether the moments are used."""
        return self.of_ != "spectra"

    @property
    def text(self) -> str:
        """Its canonical text."""
        more = {"components": self.components} if self.components else {}
        return canonical(self.kind, side=self.side, of=self.of_, **more)

    def fit(self, cube: Cube, moments: Moments) -> FittedPatch:
        """Find the components, where it is not the spectra."""
        return FittedPatch(Looked.fit(cube, moments, self.of_, self.components), self.side)


class _Windowed(FittedFeature):
    """What looks at the square around each pixel.

    Args:
        looked: What it looks at.
        side: Side of the square, odd.
    """

    def __init__(self, looked: Looked, side: int) -> None:
        self.layer, self._looked = f"{type(self).kind}{side}", looked
        self.window, self.halo = side, side // 2
        self.names = self._named()

    def _named(self) -> tuple[str, ...]:
        """Name the numbers."""
        return self._looked.names

    def settings(self) -> dict[str, Any]:
        """Return the side and what it looks at."""
        return {"side": self.window, **self._looked.settings()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the components."""
        return self._looked.arrays()


class FittedMean(_Windowed):
    """Local means of a cube."""

    kind: ClassVar[str] = "mean"

    def compute(self, block: PixelBlock) -> Floats:
        """Average the valid pixels around each pixel ``(rows, cols, N)``."""
        numbers = self._looked.numbers(block.values)
        return local_means(numbers, block.valid, 2 * self.halo + 1)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FittedMean:
        """Make it again."""
        return cls(Looked.restore(settings, arrays), int(settings["side"]))


class FittedPatch(_Windowed):
    """Laid-out squares of a cube."""

    kind: ClassVar[str] = "patch"

    def _named(self) -> tuple[str, ...]:
        reach = range(-self.halo, self.halo + 1)
        return tuple(
            f"{down:+d}{across:+d} {name}"
            for down in reach
            for across in reach
            for name in self._looked.names
        )

    def compute(self, block: PixelBlock) -> Floats:
        """Lay the squares out ``(rows, cols, side * side * N)``."""
        side, (rows, cols) = 2 * self.halo + 1, block.trimmed(0).valid.shape
        numbers = self._looked.numbers(block.values)
        n = numbers.shape[2]
        filling = None if block.valid.all() else local_means(numbers, block.valid, side)
        out = np.empty((rows, cols, side * side * n), np.float32)
        for place in range(side * side):
            down, across = divmod(place, side)
            here = (slice(down, down + rows), slice(across, across + cols))
            part = out[..., place * n : (place + 1) * n]
            part[:] = numbers[here]
            if filling is not None:
                np.copyto(part, filling, where=~block.valid[here][..., None])
        return out

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedPatch:
        """Make it again."""
        return cls(Looked.restore(settings, arrays), int(settings["side"]))
