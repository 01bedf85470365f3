"""The spectrum of a pixel, as it is or freed of its brightness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

SCALINGS = ("none", "unit", "standard", "range")


@dataclass(frozen=True)
class Spectra(PixelFeature):
    """The values of a pixel's bands.

    Attributes:
        scaling: ``none``; ``unit`` brings each spectrum to length 1, so that only its shape
            counts; ``standard`` each band to mean 0 and deviation 1; ``range`` each band
            to 0–1 between its smallest and largest value.
    """

    kind: ClassVar[str] = "spectra"
    summary: ClassVar[str] = "the values of all bands, scaled or not"
    scaling: str = "none"

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Spectra:
        """Make it from ``scaling``."""
        read = Options(cls.kind, options)
        made = cls(read.word("scaling", SCALINGS, "none"))
        read.done()
        return made

    @property
    def learns(self) -> bool:
        """Whether the moments are used."""
        return self.scaling in ("standard", "range")

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(self.kind, scaling=self.scaling)

    def fit(self, cube: Cube, moments: Moments) -> FittedSpectra:
        """Take the bands' offsets and scales."""
        offset, scale = np.zeros(cube.n_bands), np.ones(cube.n_bands)
        if self.scaling == "standard":
            offset, scale = moments.mean, moments.scale
        elif self.scaling == "range":
            span = moments.maximum - moments.minimum
            offset, scale = moments.minimum, 1.0 / np.where(span > 0, span, np.inf)
        return FittedSpectra(self.scaling, band_labels(cube), offset, scale)


class FittedSpectra(FittedFeature):
    """Spectra with the offset and scale of each band.

    Args:
        scaling: As in ``Spectra``.
        names: Names of the bands.
        offset: Subtracted from each band ``(B,)``.
        scale: Multiplied with each band after that ``(B,)``.
    """

    kind: ClassVar[str] = "spectra"

    def __init__(
        self,
        scaling: str,
        names: tuple[str, ...],
        offset: NDArray[np.float64],
        scale: NDArray[np.float64],
    ) -> None:
        self.layer, self.names, self._scaling = "spectra", names, scaling
        self._offset, self._scale = offset, scale

    def compute(self, block: PixelBlock) -> Floats:
        """Scale the spectra of a block ``(rows, cols, B)``."""
        if self._scaling == "none":
            return block.values
        if self._scaling == "unit":
            return unit_length(block.values)
        return ((block.values - self._offset) * self._scale).astype(np.float32)

    def settings(self) -> dict[str, Any]:
        """Return the scaling and the names."""
        return {"scaling": self._scaling, "names": list(self.names)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return offsets and scales."""
        return {"offset": self._offset, "scale": self._scale}

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> FittedSpectra:
        """Make it again."""
        names = tuple(settings["names"])
        return cls(str(settings["scaling"]), names, arrays["offset"], arrays["scale"])


@dataclass(frozen=True)
class Snv(PixelFeature):
    """The standard normal variate: each spectrum to mean 0 and deviation 1 over its bands."""

    kind: ClassVar[str] = "snv"
    summary: ClassVar[str] = "spectra brought to mean 0 and deviation 1 each"
    source: ClassVar[str] = "Barnes, Dhanoa and Lister, Applied Spectroscopy 43, 1989"

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Snv:
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

    def fit(self, cube: Cube, moments: Moments) -> FittedSnv:  # noqa: ARG002
        """Take the names of the bands."""
        return FittedSnv(band_labels(cube))


class FittedSnv(FittedFeature):
    """The standard normal variate of a cube's spectra.

    Args:
        names: Names of the bands.
    """

    kind: ClassVar[str] = "snv"

    def __init__(self, names: tuple[str, ...]) -> None:
        self.layer, self.names = "snv", names

    def compute(self, block: PixelBlock) -> Floats:
        """Return ``(rows, cols, B)``; a spectrum without any shape becomes zeros."""
        centred = block.values - block.values.mean(axis=2, keepdims=True, dtype=np.float64)
        return unit_length(centred) * np.float32(np.sqrt(block.values.shape[2]))

    def settings(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    @classmethod
    def restore(
        cls,
        settings: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],  # noqa: ARG003
    ) -> FittedSnv:
        """Make it again."""
        return cls(tuple(settings["names"]))


def unit_length(spectra: NDArray[np.floating]) -> Floats:
    """Divide spectra ``(…, B)`` by their Euclidean lengths; those of zeros stay zeros."""
    length = np.sqrt(np.einsum("...b,...b->...", spectra, spectra, dtype=np.float64))
    small = length <= np.finfo(np.float32).tiny
    return (spectra / np.where(small, 1.0, length)[..., None]).astype(np.float32)


def band_labels(cube: Cube) -> tuple[str, ...]:
    """Name the bands of a cube by their wavelengths, where they have them, or as it does."""
    names = [
        band.name if band.wavelength is None else f"{band.wavelength:.5g} nm" for band in cube.bands
    ]
    counts = {name: names.count(name) for name in names}
    return tuple(
        name if counts[name] == 1 else f"{name} ({band.number})"
        for name, band in zip(names, cube.bands, strict=True)
    )
