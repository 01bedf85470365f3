"""Legends: class ids, names and colours, in one order.

Ids run from 1 without gaps; 0 is "no data" everywhere and forever. Colours are the same on
every run and machine, and chosen to be told apart by colour-blind readers too.

Sources of the methods:
    * Okabe, M. and Ito, K. (2008), "Color Universal Design": the first seven colours.
    * Machado, G. M., Oliveira, M. M. and Fernandes, L. A. F. (2009), "A Physiologically-based
      Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6): the matrices for
      protanopia, deuteranopia and tritanopia (severity 1.0), applied to linear RGB.
    * CIE 1976 L*a*b* under D65 (CIE 15): the distance between two colours (Delta E 1976).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import LegendError

__all__ = ["MAX_CLASSES", "NODATA_ID", "Legend", "LegendEntry", "distinct_colours"]

NODATA_ID = 0
"""The id that is never a class."""

MAX_CLASSES = 65_534
"""Most classes a legend holds: what a uint16 raster can number beside 0."""

_CURATED = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_HEX = re.compile(r"#[0-9a-f]{6}\Z")
_LATTICE_LEVELS = 16
_LIGHTNESS = (28.0, 90.0)  # L* kept: away from black, which reads as no data, and from white
_STRIDE = 9_973_831  # a prime, hence coprime with 2**24: visits every RGB code once

_VISIONS: NDArray[np.float64] = np.array(
    [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ]
)
_XYZ_OVER_WHITE: NDArray[np.float64] = (
    np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    / np.array([0.95047, 1.0, 1.08883])[:, None]
)


def perceived(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return colours in CIELAB as four kinds of eyes see them.

    Args:
        rgb: Colours, shape (n, 3), 0-255, sRGB.

    Returns:
        Array (4, n, 3) of L*, a*, b* under normal vision, protanopia, deuteranopia and
        tritanopia, in that order (Machado et al. 2009; CIE 1976).
    """
    share = np.asarray(rgb, dtype=np.float64) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.einsum("vij,nj->vni", _VISIONS, linear), 0.0, 1.0)
    xyz = seen @ _XYZ_OVER_WHITE.T
    cube = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16.0) / 116.0)
    x, y, z = cube[..., 0], cube[..., 1], cube[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def distinct_colours(n: int) -> list[str]:
    """Return ``n`` different colours that colour-blind readers can tell apart as far as possible.

    The first seven are those of Okabe and Ito without black. Each further one is the colour of
    an RGB lattice that lies farthest from all before it, the distance being the smallest of
    those under normal vision, protanopia, deuteranopia and tritanopia. The list is
    prefix-stable: the first k of n colours are ``distinct_colours(k)``.

    Args:
        n: Number of colours, 0 to ``MAX_CLASSES``.

    Returns:
        Lower-case ``#rrggbb`` strings.

    Raises:
        LegendError: If ``n`` is negative or above ``MAX_CLASSES``.
    """
    if not 0 <= n <= MAX_CLASSES:
        raise LegendError(f"cannot make {n} colours: ask for 0 to {MAX_CLASSES}")
    if n <= len(_CURATED):
        return list(_CURATED[:n])
    step = 64
    while step < n and step < 1024:
        step *= 2
    colours = list(_farthest(step))
    return colours[:n] if n <= len(colours) else colours + _scrambled(n - len(colours), colours)


@lru_cache(maxsize=8)
def _farthest(n: int) -> tuple[str, ...]:
    """Greedy farthest-point colours (Gonzalez 1985), the curated set first."""
    levels = np.round(np.linspace(0, 255, _LATTICE_LEVELS)).astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    lightness = perceived(lattice)[0, :, 0]
    lattice = lattice[(lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1])]
    rgb = np.concatenate([[_rgb(c) for c in _CURATED], lattice]).astype(np.uint8)
    lab = perceived(rgb)
    nearest = np.full(len(rgb), np.inf)
    chosen: list[int] = []
    for index in range(n):
        pick = index if index < len(_CURATED) else int(np.argmax(nearest))
        chosen.append(pick)
        square = np.square(lab - lab[:, pick : pick + 1]).sum(axis=-1).min(axis=0)
        # Rounded, so that the last bit of another machine's cube root cannot turn a tie.
        nearest = np.minimum(nearest, np.round(square, 6))
        nearest[pick] = -1.0
    return tuple(_hex(rgb[i]) for i in chosen)


def _scrambled(n: int, taken: Iterable[str]) -> list[str]:
    """Return ``n`` further colours, unique but no longer told apart by eye."""
    used = set(taken)
    found: list[str] = []
    code = 0
    while len(found) < n:
        code = (code + _STRIDE) % (1 << 24)
        colour = f"#{code:06x}"
        if colour not in used and min(_rgb(colour)) < 230 and max(_rgb(colour)) > 60:
            found.append(colour)
    return found


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _hex(rgb: Sequence[int] | NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in rgb)


@dataclass(frozen=True)
class LegendEntry:
    """One class.

    Attributes:
        id: The number in the raster, from 1.
        name: What a reader sees; any printable text.
        colour: ``#rrggbb``, lower case.
    """

    id: int
    name: str
    colour: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0-255."""
        return _rgb(self.colour)


@dataclass(frozen=True)
class Legend:
    """The classes of a map, in the order of their ids.

    Attributes:
        entries: One entry a class; ids are 1 to n, names are unique.

    Raises:
        LegendError: If there is no class, ids are not 1 to n in order, a name is empty, double
            or unprintable, or a colour is not ``#rrggbb``.
    """

    entries: tuple[LegendEntry, ...]

    def __post_init__(self) -> None:
        """Check every entry; colours and the outer blanks of names are brought to one form."""
        entries = tuple(
            replace(e, name=_checked_name(e.id, e.name), colour=_checked_colour(e.id, e.colour))
            for e in self.entries
        )
        if not entries:
            raise LegendError("a legend needs at least one class; give it a name")
        if len(entries) > MAX_CLASSES:
            raise LegendError(f"{len(entries)} classes are more than {MAX_CLASSES}; merge some")
        _check_ids([e.id for e in entries])
        _check_unique([e.name for e in entries])
        object.__setattr__(self, "entries", entries)

    @classmethod
    def of(cls, names: Sequence[str], colours: Sequence[str] | None = None) -> Legend:
        """Make a legend of names; ids are 1 to n in the order given.

        Args:
            names: One name a class.
            colours: One ``#rrggbb`` a class; without it, ``distinct_colours``.

        Raises:
            LegendError: If the numbers of names and colours differ, or as the class says.
        """
        names = list(names)
        chosen = distinct_colours(len(names)) if colours is None else list(colours)
        if len(chosen) != len(names):
            raise LegendError(
                f"{len(names)} names but {len(chosen)} colours; give one colour a name, or none"
            )
        pairs = enumerate(zip(names, chosen, strict=True), start=1)
        return cls(tuple(LegendEntry(i, name, colour) for i, (name, colour) in pairs))

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.entries)

    def __iter__(self) -> Iterator[LegendEntry]:
        """Walk the entries in the order of ids."""
        return iter(self.entries)

    def __getitem__(self, id: int) -> LegendEntry:
        """Return the class with this id.

        Raises:
            LegendError: If there is no such class.
        """
        if not 1 <= id <= len(self.entries):
            raise LegendError(f"there is no class {id}; ids run from 1 to {len(self.entries)}")
        return self.entries[id - 1]

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids, 1 to n."""
        return tuple(e.id for e in self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of ids."""
        return tuple(e.name for e in self.entries)

    @property
    def colours(self) -> tuple[str, ...]:
        """Colours in the order of ids."""
        return tuple(e.colour for e in self.entries)

    @property
    def rgb(self) -> list[tuple[int, int, int]]:
        """Colours as red, green and blue, 0-255, in the order of ids."""
        return [e.rgb for e in self.entries]

    def renamed(self, names: Mapping[int, str]) -> Legend:
        """Return a copy in which the classes of these ids have these names.

        Raises:
            LegendError: If an id is not in the legend, or the new names are not unique.
        """
        for id in names:
            self[id]
        return Legend(tuple(replace(e, name=names.get(e.id, e.name)) for e in self))

    def recoloured(self, colours: Mapping[int, str]) -> Legend:
        """Return a copy in which the classes of these ids have these colours.

        Raises:
            LegendError: If an id is not in the legend, or a colour is not ``#rrggbb``.
        """
        for id in colours:
            self[id]
        return Legend(tuple(replace(e, colour=colours.get(e.id, e.colour)) for e in self))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data: ``{"classes": [{"id", "name", "colour"}, ...]}``."""
        return {"classes": [{"id": e.id, "name": e.name, "colour": e.colour} for e in self]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Legend:
        """Make a legend of what ``as_dict`` returned.

        Raises:
            LegendError: If a key is missing or a value does not make a legend.
        """
        try:
            rows = [(row["id"], row["name"], row["colour"]) for row in data["classes"]]
        except (KeyError, TypeError) as fault:
            raise LegendError(
                f"not a legend: {fault}; it needs 'classes' with id, name and colour each"
            ) from fault
        return cls(tuple(LegendEntry(*row) for row in rows))


def _checked_name(id: object, name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise LegendError(f"class {id} has no name; give it some text")
    if not name.isprintable():
        raise LegendError(
            f"the name of class {id} has a line break or control character: {name!r}; remove it"
        )
    return name.strip()


def _checked_colour(id: object, colour: object) -> str:
    text = colour.strip().lower() if isinstance(colour, str) else ""
    if not _HEX.match(text):
        raise LegendError(f"class {id} has colour {colour!r}; write it as '#rrggbb'")
    return text


def _check_ids(ids: Sequence[object]) -> None:
    for expected, id in enumerate(ids, start=1):
        if isinstance(id, bool) or not isinstance(id, int) or id != expected:
            raise LegendError(
                f"class ids must be 1, 2, 3, ... in order, but place {expected} has {id!r};"
                " 0 is kept for no data"
            )


def _check_unique(names: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for id, name in enumerate(names, start=1):
        if name in first:
            raise LegendError(
                f"classes {first[name]} and {id} are both named {name!r}; give each its own name"
            )
        first[name] = id
