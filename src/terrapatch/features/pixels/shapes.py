"""The shape of a pixel's spectrum: its derivatives, and its depth below the continuum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels._hull import below_continuum
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature
from terrapatch.features.pixels.components import linear
from terrapatch.features.pixels.spectra import band_labels

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Derivative(PixelFeature):
    """The slope or the curvature of a spectrum, from a polynomial fitted around each band.

    Where bands lie evenly this is the filter of Savitzky and Golay; where they do not
    (gaps left by dropped bands), the polynomial is fitted at their wavelengths. Without
    wavelengths bands count as evenly spaced. The ends use the window nearest to them.

    Attributes:
        order: 1 for the slope, per micrometre (per band without wavelengths), 2 for the
            curvature.
        window: Bands that a polynomial is fitted to; an odd number.
        degree: Degree of the polynomial.
    """

    kind: ClassVar[str] = "derivative"
    summary: ClassVar[str] = "slope or curvature of the spectrum at each band"
    source: ClassVar[str] = "Savitzky and Golay, Analytical Chemistry 36, 1964"
    order: int = 1
    window: int = 7
    degree: int = 2

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Derivative:
        """Make it from ``order``, ``window`` and ``degree``."""
        read = Options(cls.kind, options)
        order = int(read.word("order", ("1", "2"), "1"))
        made = cls(order, read.odd("window", 7, 3), read.whole("degree", 2, order))
        read.done()
        if made.degree >= made.window:
            raise FeatureError(
                f"a polynomial of degree {made.degree} needs more than {made.window} bands; give "
                f"'derivative' a window of at least {made.degree + 1 + made.degree % 2}"
            )
        return made

    @property
    def learns(self) -> bool:
        """Whether the moments are used."""
        return False

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(self.kind, order=self.order, window=self.window, degree=self.degree)

    def fit(self, cube: Cube, moments: Moments) -> FittedDerivative:  # noqa: ARG002
        """Make the filter for the cube's bands."""
        waves = wavelengths_or_numbers(cube)
        if len(waves) < self.window:
            raise FeatureError(
                f"derivative with a window of {self.window} bands needs as many but {cube.name} "
                f"has {len(waves)}; give it a smaller window"
            )
        matrix = slopes(waves, self.order, self.window, self.degree)
        return FittedDerivative(self.order, band_labels(cube), matrix)


class FittedDerivative(FittedFeature):
    """Derivatives of the spectra of a cube.

    Args:
        order: 1 or 2.
        names: Names of the bands.
        matrix: Weights ``(B, B)`` of all bands for the derivative at each.
    """

    kind: ClassVar[str] = "derivative"

    def __init__(self, order: int, names: tuple[str, ...], matrix: Doubles) -> None:
        self.layer, self.names = f"derivative{order}", names
        self._order, self._matrix = order, matrix

    def compute(self, block: PixelBlock) -> Floats:
        """Return the derivative at each band ``(rows, cols, B)``."""
        return linear(block.values, self._matrix)

    def settings(self) -> dict[str, Any]:
        """Return the order and the names."""
        return {"order": self._order, "names": list(self.names)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights."""
        return {"matrix": self._matrix}

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedDerivative:
        """Make it again."""
        return cls(int(settings["order"]), tuple(settings["names"]), arrays["matrix"])


@dataclass(frozen=True)
class Continuum(PixelFeature):
    """The spectrum divided by its continuum, the convex hull that lies over it.

    1 means on the hull, less means an absorption. Where the hull is not above zero, no
    absorption can be told and the number is 1.
    """

    kind: ClassVar[str] = "continuum"
    summary: ClassVar[str] = "the spectrum divided by the convex hull over it"
    source: ClassVar[str] = "Clark and Roush, Journal of Geophysical Research 89, 1984"

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Continuum:
        """Make it; it has no options."""
        Options(cls.kind, options).done()
        return cls()

    @property
    def learns(self) -> bool:
        """Whether the moments are used."""
        return False

    @property
    def text(self) -> str:
        """Its canonical text."""
        return self.kind

    def fit(self, cube: Cube, moments: Moments) -> FittedContinuum:  # noqa: ARG002
        """Take the wavelengths of the bands.

        Raises:
            FeatureError: If there are fewer than three bands.
        """
        waves = wavelengths_or_numbers(cube)
        if len(waves) < 3:
            raise FeatureError(
                f"continuum needs three bands or more but {cube.name} has {len(waves)}; use ratios"
            )
        return FittedContinuum(band_labels(cube), waves)


class FittedContinuum(FittedFeature):
    """Continuum removal for the bands of a cube.

    Args:
        names: Names of the bands.
        wavelengths: Where they lie ``(B,)``.
    """

    kind: ClassVar[str] = "continuum"

    def __init__(self, names: tuple[str, ...], wavelengths: Doubles) -> None:
        self.layer, self.names, self._waves = "continuum", names, wavelengths

    def compute(self, block: PixelBlock) -> Floats:
        """Return the share of the continuum ``(rows, cols, B)``."""
        order = np.argsort(self._waves, kind="stable")
        out = np.ones_like(block.values)
        spectra = block.values[block.valid][:, order]
        made = np.empty_like(spectra)
        made[:, order] = below_continuum(spectra, self._waves[order])
        out[block.valid] = made
        return out

    def settings(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the wavelengths."""
        return {"wavelengths": self._waves}

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedContinuum:
        """Make it again."""
        return cls(tuple(settings["names"]), arrays["wavelengths"])


def wavelengths_or_numbers(cube: Cube) -> Doubles:
    """Return where the bands lie ``(B,)``: in micrometres, or 0, 1, … without wavelengths.

    Raises:
        FeatureError: If two bands lie at the same wavelength.
    """
    if cube.wavelengths is None:
        return np.arange(cube.n_bands, dtype=np.float64)
    waves = np.asarray(cube.wavelengths, np.float64) / 1000.0
    if len(np.unique(waves)) < len(waves):
        ordered = np.sort(waves)
        twice = 1000.0 * float(ordered[1:][np.diff(ordered) == 0][0])
        raise FeatureError(
            f"two bands of {cube.name} lie at {twice:g} nm, so its spectrum has no shape there; "
            "drop one of them"
        )
    return waves


def slopes(waves: Doubles, order: int, window: int, degree: int) -> Doubles:
    """Return the weights ``(B, B)`` that make the derivative at each band of a spectrum.

    Args:
        waves: Where the bands lie ``(B,)``.
        order: Order of the derivative.
        window: Bands that each polynomial is fitted to.
        degree: Its degree.
    """
    ranked = np.argsort(waves, kind="stable")
    matrix = np.zeros((len(waves), len(waves)))
    for place, band in enumerate(ranked):
        first = min(max(place - window // 2, 0), len(waves) - window)
        near = ranked[first : first + window]
        away = waves[near] - waves[band]
        span = float(np.abs(away).max())
        powers = np.vander(away / span, degree + 1, increasing=True)
        matrix[band, near] = np.linalg.pinv(powers)[order] * math.factorial(order) / span**order
    return matrix
