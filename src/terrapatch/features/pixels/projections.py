"""Principal components and the minimum noise fraction of a pixel's spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import NDArray

from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature
from terrapatch.features.pixels.components import Components

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments


@dataclass(frozen=True)
class Pca(PixelFeature):
    """The first principal components.

    Attributes:
        components: Their number.
        whiten: Whether each is brought to unit variance.
    """

    kind: ClassVar[str] = "pca"
    summary: ClassVar[str] = "the first principal components"
    source: ClassVar[str] = "Hotelling, Journal of Educational Psychology 24, 1933"
    components: int = 10
    whiten: bool = False

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Pca:
        """Make it from ``components`` and ``whiten``."""
        read = Options(cls.kind, options)
        made = cls(read.whole("components", 10), read.flag("whiten"))
        read.done()
        return made

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(self.kind, components=self.components, whiten=self.whiten)

    def fit(self, cube: Cube, moments: Moments) -> FittedPca:  # noqa: ARG002
        """Find the components."""
        return FittedPca(Components.fit(moments, self.components, "pca", self.whiten))


@dataclass(frozen=True)
class Mnf(PixelFeature):
    """The components with the most signal for their noise, in units of the noise.

    Attributes:
        components: Their number.
        ridge: Share of each band's noise variance that is added to it, for noise whose
            covariance is singular.
    """

    kind: ClassVar[str] = "mnf"
    summary: ClassVar[str] = "the components with the most signal for their noise"
    source: ClassVar[str] = "Green, Berman, Switzer and Craig, IEEE TGRS 26, 1988"
    components: int = 10
    ridge: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Mnf:
        """Make it from ``components`` and ``ridge``."""
        read = Options(cls.kind, options)
        made = cls(read.whole("components", 10), read.number("ridge", 0.0))
        read.done()
        return made

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(self.kind, components=self.components, ridge=self.ridge)

    def fit(self, cube: Cube, moments: Moments) -> FittedMnf:  # noqa: ARG002
        """Find the components, or refuse noise whose covariance is singular."""
        return FittedMnf(Components.fit(moments, self.components, "mnf", ridge=self.ridge))


class _Projection(FittedFeature):
    """Projects spectra on components.

    Args:
        components: The components.
    """

    def __init__(self, components: Components) -> None:
        self.layer, self._components = type(self).kind, components
        self.names = tuple(str(i) for i in range(1, components.n + 1))

    def compute(self, block: PixelBlock) -> Floats:
        """Project the spectra of a block ``(rows, cols, N)``."""
        return self._components.project(block.values)

    def settings(self) -> dict[str, Any]:
        """Return nothing: the arrays say it all."""
        return {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return mean, axes and variances."""
        return self._components.arrays()

    @classmethod
    def restore(
        cls,
        settings: Mapping[str, Any],  # noqa: ARG003
        arrays: Mapping[str, NDArray[Any]],
    ) -> Self:
        """Make it again."""
        return cls(Components.restore(arrays))


class FittedPca(_Projection):
    """Principal components of a cube."""

    kind: ClassVar[str] = "pca"


class FittedMnf(_Projection):
    """Minimum noise fraction of a cube."""

    kind: ClassVar[str] = "mnf"
