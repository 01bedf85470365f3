"""Arrays as stores of pixels: any order of axes, turned north up, read part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from terrapatch.cubes.raw import Mask, Pixels

# Rows that are read together where nothing says how an array is stored.
ROWS = 64
SAMPLED = 64


@dataclass(frozen=True)
class Layout:
    """How the axes of an array lie.

    Attributes:
        axes: What each axis is: ``y``, ``x`` and, unless there is but one band, ``b``;
            ``0`` for an axis of length one that is none of them.
        shape: Length of each axis, in the same order.
        flip_y: Whether the first row is the southernmost.
        flip_x: Whether the first column is the easternmost.
    """

    axes: str
    shape: tuple[int, ...]
    flip_y: bool = False
    flip_x: bool = False

    def size(self, axis: str) -> int:
        """Return the length of an axis; 1 for bands that have none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def read(self, array: Any, numbers: Sequence[int], rows: slice, cols: slice) -> Pixels:
        """Cut ``(rows, cols, bands)`` out of anything that is sliced like an array."""
        span = slice(min(numbers) - 1, max(numbers))
        cut = {
            "y": _turned(rows, self.size("y")) if self.flip_y else rows,
            "x": _turned(cols, self.size("x")) if self.flip_x else cols,
            "b": span,
            "0": 0,
        }
        part = np.asarray(array[tuple(cut[axis] for axis in self.axes)])
        order = self.axes.replace("0", "")
        if "b" not in order:
            part, order = part[..., None], f"{order}b"
        part = part.transpose([order.index(axis) for axis in "yxb"])
        part = part[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        places = [n - 1 - span.start for n in numbers]
        if places == list(range(part.shape[2])):
            return part
        return np.asarray(part[..., places])


def _turned(part: slice, length: int) -> slice:
    return slice(length - part.stop, length - part.start)


@dataclass
class ArrayHandle:
    """An array, or what is sliced like one, read by its layout."""

    array: Any
    layout: Layout
    file: Any = None

    def read(self, numbers: Sequence[int], rows: slice, cols: slice) -> tuple[Pixels, Mask | None]:
        """Return raw values ``(rows, cols, bands)``; an array has no mask of its own."""
        return self.layout.read(self.array, numbers, rows, cols), None

    def close(self) -> None:
        """Close the file behind the array."""
        if self.file is not None:
            self.file.close()


@dataclass(frozen=True, eq=False)
class ArrayStore:
    """An array in memory (or a lazy one); equal only to itself."""

    array: Any = field(repr=False)
    layout: Layout

    def open(self) -> ArrayHandle:
        """Use the array as it is."""
        return ArrayHandle(self.array, self.layout)

    def digest(self) -> str:
        """Hash a thinned sample of the values."""
        steps = [max(1, -(-n // SAMPLED)) for n in self.layout.shape]
        part = np.asarray(self.array[tuple(slice(None, None, s) for s in steps)])
        found = hashlib.sha256(repr((self.layout, str(part.dtype))).encode())
        found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()[:16]
