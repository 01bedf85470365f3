"""Bands by name, number or named triplet."""

from __future__ import annotations

import re
from collections.abc import Sequence

from terrapatch.errors import BandError

BandChoice = str | int | Sequence[str | int]

TRIPLETS: dict[str, tuple[str, ...]] = {
    "rgb": ("red", "green", "blue"),
    "cir": ("nir", "red", "green"),
}
_ALIASES = {
    "r": "red",
    "g": "green",
    "b": "blue",
    "n": "nir",
    "near infrared": "nir",
    "near-infrared": "nir",
    "near_infrared": "nir",
}
_NUMBERS = re.compile(r"^(\d+)\s*-\s*(\d+)$")


def role(name: str) -> str:
    """Return the plain name of a band: lower case, with the usual short forms resolved."""
    plain = name.strip().lower()
    return _ALIASES.get(plain, plain)


def split_choice(choice: BandChoice) -> list[str]:
    """Cut a choice such as ``"red,green,nir"``, ``"4,3,2"``, ``"1-6"`` or ``[1, 2]`` into words."""
    if isinstance(choice, int):
        return [str(choice)]
    if not isinstance(choice, str):
        return [str(part).strip() for part in choice]
    if choice.strip().lower() in TRIPLETS:
        return list(TRIPLETS[choice.strip().lower()])
    return [part.strip() for part in choice.split(",") if part.strip()]


def choose_bands(choice: BandChoice, names: Sequence[str], where: str) -> tuple[int, ...]:
    """Find the bands a person asked for.

    Args:
        choice: Names, numbers from 1, ranges of numbers (``"1-6"``) or a named
            triplet (``rgb``, ``cir``); a band may be named more than once.
        names: Name of every band of the raster, in order; empty where it has none.
        where: The scene's name, for messages.

    Returns:
        Band numbers, from 1, in the order asked for.

    Raises:
        BandError: If a band does not exist, or a name stands for several bands.
    """
    found: list[int] = []
    words = split_choice(choice)
    for word in words:
        span = _NUMBERS.match(word)
        if span and role(word) not in map(role, names):
            found += range(int(span[1]), min(int(span[2]), len(names) + 1) + 1)
        else:
            found.append(_one(word, names, where))
    bad = [n for n in found if not 1 <= n <= len(names)]
    if bad:
        raise BandError(
            f"{where} has no band {bad[0]}: its bands are numbered 1 to {len(names)}; "
            f"choose from {listing(names)}"
        )
    if not found:
        raise BandError(f"no band is chosen from {where}; choose from {listing(names)}")
    return tuple(found)


def _one(word: str, names: Sequence[str], where: str) -> int:
    hits = [i for i, name in enumerate(names, 1) if name and role(name) == role(word)]
    if len(hits) == 1:
        return hits[0]
    if len(hits) > 1:
        raise BandError(
            f"{where} has {len(hits)} bands named {word!r} (numbers {', '.join(map(str, hits))}); "
            "choose by number"
        )
    if re.fullmatch(r"\d+", word):
        return int(word)
    raise BandError(
        f"{where} has no band named {word!r}; choose from {listing(names)}, by name or by number"
    )


def listing(names: Sequence[str], most: int = 12) -> str:
    """Write the bands of a raster as ``1 blue, 2 green, …`` for messages."""
    shown = [f"{i} {name}".strip() for i, name in enumerate(names[:most], 1)]
    more = f", … {len(names)}" if len(names) > most else ""
    return ", ".join(shown) + more
