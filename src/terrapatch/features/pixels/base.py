"""What a pixel feature is: numbers of a pixel from the square of pixels around it.

A feature is asked for by its text, such as ``emp:components=4,radii=1-5``; fitting it to a
cube (or to the pixels of a training part) gives a fitted feature, which turns blocks of
the cube into numbers. A fitted feature says how far it sees: its window decides which
training pixels have seen a tested one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PixelBlock:
    """A rectangle of a cube with ``halo`` more pixels on every side.

    Beyond the edge of the scene the halo is its mirror image.

    Attributes:
        rows: Rows of the scene, without the halo.
        cols: Columns of the scene, without the halo.
        halo: Pixels of context on every side.
        values: ``(rows + 2 halo, cols + 2 halo, bands)`` float32, NaN in invalid pixels.
        valid: The same without bands; bool.
    """

    rows: slice
    cols: slice
    halo: int
    values: Floats
    valid: Mask

    def trimmed(self, halo: int) -> PixelBlock:
        """Return the block with less context.

        Args:
            halo: Pixels to keep on every side, at most those there are.
        """
        cut = self.halo - halo
        inner = (slice(cut, self.values.shape[0] - cut), slice(cut, self.values.shape[1] - cut))
        return PixelBlock(self.rows, self.cols, halo, self.values[inner], self.valid[inner])


Compute = Callable[[PixelBlock], Floats]


class FittedFeature(ABC):
    """A feature that is ready for blocks of a cube.

    Attributes:
        kind: Its kind, as in its text.
        layer: Its name among the layers of a feature raster; one of a kind in a stack.
        names: Name of each number.
        window: Side, in pixels, of the square that decides a pixel's numbers, 1 for the
            pixel alone; ``None`` where any pixel of the scene can.
        halo: Pixels of context that ``compute`` needs on every side.
        packages: Packages whose code makes its numbers, beside NumPy and SciPy.
    """

    kind: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    layer: str
    names: tuple[str, ...]
    window: int | None = 1
    halo: int = 0

    @abstractmethod
    def compute(self, block: PixelBlock) -> Floats:
        """Return the numbers of a block's pixels.

        Args:
            block: The block, with exactly ``halo`` pixels of context.

        Returns:
            ``(rows, cols, numbers)`` float32 without the halo; what it holds in invalid
            pixels does not matter.
        """

    def over(self, cube: Cube, scratch: Path) -> Compute:  # noqa: ARG002
        """Return what computes the blocks of a cube; features of the whole scene prepare here.

        Args:
            cube: The cube.
            scratch: A folder for arrays that memory should not hold.
        """
        return self.compute

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return all that decides its numbers but the arrays, as JSON values."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned from the cube, by name."""
        return {}

    @classmethod
    @abstractmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedFeature:
        """Make the feature again from ``settings`` and ``arrays``."""


class PixelFeature(ABC):
    """A feature before it has seen a cube; subclasses are frozen dataclasses of its options.

    Attributes:
        kind: What its text begins with.
        summary: What it is, in a few words, for lists and help.
        source: Where the method is from.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str] = ""

    @classmethod
    @abstractmethod
    def of(cls, options: Mapping[str, str]) -> PixelFeature:
        """Make it from the options of its text.

        Raises:
            FeatureError: If an option is unknown or not understood.
        """

    @property
    @abstractmethod
    def text(self) -> str:
        """Its canonical text: of one feature always the same, with every option that matters."""

    @property
    def learns(self) -> bool:
        """Whether ``fit`` uses the moments.

        If no feature of a stack does, the pass that measures them is left out, and ``fit``
        is given ``Moments.nothing``.
        """
        return True

    @abstractmethod
    def fit(self, cube: Cube, moments: Moments) -> FittedFeature:
        """Fit it to a cube.

        Args:
            cube: The cube.
            moments: Mean, covariance, noise and range of the pixels to learn from.

        Raises:
            FeatureError: If the cube cannot give it (too few bands, no wavelengths, …).
        """
