"""Finding the bands that an index needs: by wavelength, else by what bands are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrapatch.errors import CubeError, FeatureError

if TYPE_CHECKING:
    from terrapatch.cubes import Cube

_SAME = {
    "swir1": "swir1",
    "swir16": "swir1",
    "swir2": "swir2",
    "swir22": "swir2",
    "nir08": "nir",
    "nir1": "nir",
    "rededge": "rededge",
    "rededge1": "rededge",
}


@dataclass(frozen=True)
class Needed:
    """A band that an index needs.

    Attributes:
        nm: Its wavelength.
        within: How far the centre of a band may lie from it, in nm.
        role: What a band of a sensor without wavelengths is called, if any would do.
    """

    nm: float
    within: float
    role: str | None = None


BLUE = Needed(480.0, 35.0, "blue")
GREEN = Needed(560.0, 35.0, "green")
RED = Needed(660.0, 35.0, "red")
NIR = Needed(850.0, 60.0, "nir")
SWIR1 = Needed(1640.0, 80.0, "swir1")
SWIR2 = Needed(2200.0, 100.0, "swir2")
BY_ROLE = {str(b.role): b for b in (BLUE, GREEN, RED, NIR, SWIR1, SWIR2)}
_NUMBER = re.compile(r"^b(\d+)$")


def find_needed(cube: Cube, needed: Needed, what: str) -> int:
    """Return the place of a band among those kept.

    Args:
        cube: The cube.
        needed: The band.
        what: What needs it, for messages.

    Raises:
        FeatureError: If the cube has none.
    """
    if any(band.wavelength is not None for band in cube.bands):
        try:
            return cube.nearest_band(needed.nm, needed.within)
        except CubeError as fault:
            raise FeatureError(f"{what} needs a band at {needed.nm:g} nm: {fault}") from fault
    if needed.role is None:
        raise FeatureError(
            f"{what} needs a band at {needed.nm:g} nm but {cube.name} states no wavelengths; give "
            "them when opening it (wavelengths=), or choose another feature"
        )
    roles = [_SAME.get(re.sub(r"[\s_-]", "", role), role) for role in cube.roles]
    if roles.count(needed.role) != 1:
        listed = ", ".join(cube.roles[:8]) + (" …" if len(cube.roles) > 8 else "")
        many = "several bands are" if roles.count(needed.role) else "no band is"
        raise FeatureError(
            f"{what} needs a band at {needed.nm:g} nm but {cube.name} states no wavelengths, and "
            f"{many} called {needed.role} (its bands: {listed}); give wavelengths when opening "
            "it, or name its bands"
        )
    return roles.index(needed.role)


def find_word(cube: Cube, word: str, within: float, what: str) -> int:
    """Return the place of a band that a person names: ``800`` (nm), ``nir`` or ``b4``.

    Args:
        cube: The cube.
        word: Its wavelength, role, or number in the file after a ``b``.
        within: How far a band may lie from a wavelength, nm.
        what: What needs it, for messages.

    Raises:
        FeatureError: If the cube has none.
    """
    number = _NUMBER.match(word)
    if number:
        places = [i for i, band in enumerate(cube.bands) if band.number == int(number[1])]
        if places:
            return places[0]
        raise FeatureError(
            f"{what} needs band {number[1]} of {cube.name}, which is not among those kept; choose "
            "another"
        )
    if word in BY_ROLE:
        return find_needed(cube, BY_ROLE[word], what)
    try:
        nm = float(word)
    except ValueError:
        raise FeatureError(
            f"{word!r} in {what} is no band; write a wavelength in nm (800), a number in the file "
            f"(b4) or one of {', '.join(BY_ROLE)}"
        ) from None
    return find_needed(cube, Needed(nm, within), what)
