"""Ratios and normalised differences of any two bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import FeatureError
from terrapatch.features.pixels._bands import find_word
from terrapatch.features.pixels._index_table import contrast, quotient
from terrapatch.features.pixels._options import Options, canonical
from terrapatch.features.pixels.base import FittedFeature, Floats, PixelBlock, PixelFeature

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features.pixels.moments import Moments

FORMS = ("ratio", "difference")
# Numbers beyond this are those of a divisor that is next to nothing.
MOST = 1000.0


@dataclass(frozen=True)
class Ratios(PixelFeature):
    """Ratios or normalised differences of pairs of bands.

    A division by zero gives 0; a ratio is kept within 1000 to either side, a normalised
    difference within 1.

    Attributes:
        pairs: Such as ``800/670``, ``nir/red`` or ``b4/b3`` (numbers in the file).
        form: ``ratio`` (a / b) or ``difference`` ((a - b) / (a + b)).
        within: How far a band may lie from a wavelength, nm.
    """

    kind: ClassVar[str] = "ratios"
    summary: ClassVar[str] = "ratios or normalised differences of pairs of bands"
    pairs: tuple[str, ...] = ("nir/red",)
    form: str = "ratio"
    within: float = 20.0

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Ratios:
        """Make it from ``pairs``, ``form`` and ``within``."""
        read = Options(cls.kind, options)
        pairs = read.words("pairs", ("nir/red",))
        made = cls(pairs, read.word("form", FORMS, "ratio"), read.number("within", 20.0))
        read.done()
        wrong = [pair for pair in pairs if len([p for p in pair.split("/") if p.strip()]) != 2]
        if wrong:
            raise FeatureError(
                f"{wrong[0]!r} is no pair of bands; write for example pairs=800/670+1650/2200"
            )
        return made

    @property
    def learns(self) -> bool:
        """Whether the moments are used."""
        return False

    @property
    def text(self) -> str:
        """Its canonical text."""
        return canonical(self.kind, pairs=self.pairs, form=self.form, within=self.within)

    def fit(self, cube: Cube, moments: Moments) -> FittedRatios:  # noqa: ARG002
        """Find the bands.

        Raises:
            FeatureError: If the cube lacks one.
        """
        places = []
        for pair in self.pairs:
            upper, lower = (
                find_word(cube, word.strip(), self.within, f"ratio {pair}")
                for word in pair.split("/")
            )
            if upper == lower:
                raise FeatureError(
                    f"both bands of {pair} are {cube.bands[upper].label} of {cube.name}; choose "
                    "two that lie apart"
                )
            places.append((upper, lower))
        return FittedRatios(self.form, self.pairs, tuple(places))


class FittedRatios(FittedFeature):
    """Ratios of a cube.

    Args:
        form: As in ``Ratios``.
        names: The pairs as they were asked for.
        places: Places of both bands of each.
    """

    kind: ClassVar[str] = "ratios"

    def __init__(
        self, form: str, names: tuple[str, ...], places: tuple[tuple[int, int], ...]
    ) -> None:
        self.layer, self.names = "ratios", names
        self._form, self._places = form, places

    def compute(self, block: PixelBlock) -> Floats:
        """Return the ratios ``(rows, cols, N)``."""
        out = np.empty((*block.valid.shape, len(self.names)), np.float32)
        for i, pair in enumerate(self._places):
            upper, lower = (block.values[..., place].astype(np.float64) for place in pair)
            if self._form == "ratio":
                out[..., i] = np.clip(quotient(upper, lower), -MOST, MOST)
            else:
                out[..., i] = np.clip(contrast([upper, lower]), -1.0, 1.0)
        return out

    def settings(self) -> dict[str, Any]:
        """Return form, names and places."""
        places = [list(pair) for pair in self._places]
        return {"form": self._form, "names": list(self.names), "places": places}

    @classmethod
    def restore(
        cls,
        settings: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],  # noqa: ARG003
    ) -> FittedRatios:
        """Make it again."""
        places = tuple((int(a), int(b)) for a, b in settings["places"])
        return cls(str(settings["form"]), tuple(settings["names"]), places)
