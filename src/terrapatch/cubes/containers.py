"""Files that hold named arrays: which of them is the cube, and what lies beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.arrays import Layout
from terrapatch.cubes.raw import Store
from terrapatch.errors import CubeError

LISTED = 12


@dataclass(frozen=True)
class Variable:
    """A named array in a file.

    Attributes:
        name: Name, with the path of its group.
        shape: Length of each axis.
        dtype: Type of its values; ``None`` where they are no plain numbers.
        dims: Name of each axis, empty where it has none.
        attrs: Its attributes.
        chunks: Length of each axis of the parts it is stored in, if it is.
        holds: What it holds, in words, where that is no plain numbers.
        sole: Whether it is what the file is about, and all else lies beside it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    dims: tuple[str, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    chunks: tuple[int, ...] | None = None
    holds: str = ""
    sole: bool = False

    @property
    def leaf(self) -> str:
        """The name without its group, in lower case."""
        return self.name.rpartition("/")[2].lower()

    @property
    def numeric(self) -> bool:
        """Whether it holds whole or real numbers."""
        return self.dtype is not None and self.dtype.kind in "iuf"

    @property
    def depth(self) -> int:
        """Number of axes that are longer than one, or three where there are three."""
        return 3 if len(self.shape) == 3 else sum(n > 1 for n in self.shape)


class Container(Protocol):
    """A file of named arrays, opened only while something is asked of it."""

    @property
    def name(self) -> str:
        """Short name, for messages."""

    @property
    def source(self) -> str:
        """Path of the file, or ``array``."""

    @property
    def kind(self) -> str:
        """Format, in words."""

    def variables(self) -> Sequence[Variable]:
        """List what the file holds."""

    def small(self, name: str) -> npt.NDArray[Any]:
        """Read a small array as a whole."""

    def store(self, variable: Variable, layout: Layout) -> Store:
        """Return where the pixels of a variable come from.

        Raises:
            CubeError: If it has to be held in memory and does not fit.
        """

    def attrs(self) -> Mapping[str, Any]:
        """Return the attributes of the file as a whole."""


def pick(found: Sequence[Variable], wanted: str | None, where: str) -> Variable:
    """Find the cube among the variables of a file.

    Args:
        found: What the file holds.
        wanted: Name a person gave; ``None`` takes the only one with three axes.
        where: The file's name, for messages.

    Raises:
        CubeError: If there is none or several, or it holds no numbers.
    """
    if wanted is not None:
        return _named(found, wanted, where)
    cubes = [v for v in found if v.numeric and v.depth == 3]
    if len(found) and found[0].sole:
        return _named(found, found[0].name, where)
    if len(cubes) == 1:
        return cubes[0]
    if cubes:
        raise CubeError(
            f"{where} holds {len(cubes)} cubes: {listing(cubes)}; name one with variable= "
            f"(--variable), or as {where}:{cubes[0].name}"
        )
    odd = [v for v in found if not v.numeric]
    closed = f"; {odd[0].name} holds {odd[0].holds}, which is not opened" if odd else ""
    flat = [v for v in found if v.numeric and v.depth == 2]
    hint = "; name one with variable= to take it as a single band" if flat else ""
    if len(flat) > 1 and len({v.shape for v in flat}) == 1:
        hint += ", or stack the bands of a NetCDF first with gdalbuildvrt -separate"
    raise CubeError(
        f"{where} holds no array of numbers with three axes, but {listing(found)}{closed}{hint}"
    )


def _named(found: Sequence[Variable], wanted: str, where: str) -> Variable:
    plain = wanted.strip("/")
    hits = [v for v in found if v.name.strip("/") == plain]
    hits = hits or [v for v in found if v.name.rpartition("/")[2] == plain]
    if len(hits) != 1:
        many = f"{len(hits)} variables" if hits else "no variable"
        raise CubeError(f"{where} holds {many} named {wanted!r}; it holds {listing(found)}")
    chosen = hits[0]
    if not chosen.numeric:
        raise CubeError(
            f"{chosen.name} in {where} holds {chosen.holds}, which is not opened; save the cube as "
            "a plain array of numbers"
        )
    if chosen.depth not in (2, 3):
        raise CubeError(
            f"{chosen.name} in {where} has the shape {chosen.shape}, but a cube has three axes; "
            f"it holds {listing(found)}"
        )
    return chosen


def listing(found: Sequence[Variable]) -> str:
    """Write variables with their shapes."""
    shown = [f"{v.name} {_size(v)}".strip() for v in found[:LISTED]]
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return (", ".join(shown) or "nothing") + more


def _size(variable: Variable) -> str:
    return " x ".join(map(str, variable.shape)) if variable.shape else ""
