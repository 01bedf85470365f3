"""Bands of a cube: their names and wavelengths, and choices of them written as text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from terrapatch.errors import CubeError

DropChoice = str | int | Sequence[str | int]

_SPAN = re.compile(r"^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$")
_WAVES = re.compile(r"^\s*([\d.]+)\s*-\s*([\d.]+)\s*(nm|um|µm|μm)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class CubeBand:
    """A band of a cube.

    Attributes:
        number: Number in the file, from 1.
        name: Name; ``band N`` where the file gives none.
        wavelength: Centre in nm, ``None`` where it is not known.
        fwhm: Full width at half maximum in nm, ``None`` where it is not known.
    """

    number: int
    name: str
    wavelength: float | None = None
    fwhm: float | None = None

    @property
    def label(self) -> str:
        """The number, and the wavelength where it is known, for messages."""
        waves = "" if self.wavelength is None else f" ({self.wavelength:g} nm)"
        return f"band {self.number}{waves}"


@dataclass(frozen=True)
class DroppedBand:
    """A band that is left out, and why."""

    band: CubeBand
    reason: str


def find_dropped(choice: DropChoice, bands: Sequence[CubeBand], where: str) -> set[int]:
    """Find the bands that a person wants left out.

    Args:
        choice: Numbers from 1, ranges of numbers (``"1-5"``), ranges of wavelengths
            (``"900-970nm"``, ``"1.8-1.95um"``) or names, with commas or as a list.
        bands: The bands of the cube.
        where: The cube's name, for messages.

    Returns:
        Numbers of the bands.

    Raises:
        CubeError: If a band does not exist, or wavelengths are asked for and missing.
    """
    words = choice.split(",") if isinstance(choice, str) else _listed(choice)
    found: set[int] = set()
    for word in (w.strip() for w in words):
        if word:
            found |= _one(word, bands, where)
    return found


def _listed(choice: int | Sequence[str | int]) -> list[str]:
    return [str(choice)] if isinstance(choice, int) else [str(part) for part in choice]


def _one(word: str, bands: Sequence[CubeBand], where: str) -> set[int]:
    named = {b.number for b in bands if b.name.lower() == word.lower()}
    if named:
        return named
    span, waves = _SPAN.match(word), _WAVES.match(word)
    if waves:
        return _between(word, waves, bands, where)
    if not span:
        raise CubeError(
            f"{word!r} names no bands of {where} to drop; write numbers from 1 (1-5,130-135), "
            "wavelengths (900-970nm) or a band's name"
        )
    low, high = int(span[1]), int(span[2] or span[1])
    known = {b.number for b in bands}
    if low > high or low not in known or high not in known:
        raise CubeError(
            f"{where} has no bands {word} to drop: its bands are numbered {min(known)} to "
            f"{max(known)}"
        )
    return {n for n in known if low <= n <= high}


def _between(word: str, waves: re.Match[str], bands: Sequence[CubeBand], where: str) -> set[int]:
    if all(b.wavelength is None for b in bands):
        raise CubeError(
            f"{where} states no wavelengths, so {word} cannot be dropped; drop by number, or give "
            "its wavelengths with wavelengths="
        )
    factor = 1.0 if waves[3].lower() == "nm" else 1000.0
    try:
        low, high = float(waves[1]) * factor, float(waves[2]) * factor
    except ValueError as fault:
        raise CubeError(f"{word!r} is no range of wavelengths; write 900-970nm") from fault
    if low > high:
        raise CubeError(f"{word} runs backwards; write the smaller wavelength first")
    return {b.number for b in bands if b.wavelength is not None and low <= b.wavelength <= high}


def nearest(bands: Sequence[CubeBand], nm: float, within: float, where: str) -> int:
    """Return the place of the band whose centre is nearest to a wavelength.

    Args:
        bands: The bands to choose from.
        nm: The wavelength, nm.
        within: How far the centre may lie from it, nm.
        where: The cube's name, for messages.

    Raises:
        CubeError: If wavelengths are missing, or no band is that near.
    """
    if all(b.wavelength is None for b in bands):
        raise CubeError(
            f"{where} states no wavelengths, so the band at {nm:g} nm cannot be found; give them "
            "with wavelengths="
        )
    away = [math.inf if b.wavelength is None else abs(b.wavelength - nm) for b in bands]
    place = away.index(min(away))
    if away[place] > within:
        raise CubeError(
            f"{where} has no band within {within:g} nm of {nm:g} nm: the nearest is "
            f"{bands[place].label}"
        )
    return place
