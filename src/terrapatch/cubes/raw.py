"""What a file says about a cube before anybody chooses bands, and how its pixels are reached."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from terrapatch.cubes.bands import CubeBand

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]


class Handle(Protocol):
    """An open source of raw pixels; one thread at a time."""

    def read(self, numbers: Sequence[int], rows: slice, cols: slice) -> tuple[Pixels, Mask | None]:
        """Return raw values ``(rows, cols, bands)``, and the file's own mask if it has one."""

    def close(self) -> None:
        """Let go of the file."""


class Store(Protocol):
    """Where pixels come from; cheap to copy and to pickle."""

    def open(self) -> Handle:
        """Open it for reading."""

    def digest(self) -> str:
        """Return a cheap hash of the content."""


@dataclass(frozen=True)
class RawCube:
    """A cube as its file describes it.

    Attributes:
        name: Short name, for messages.
        source: The path, or ``array``.
        store: Where its pixels come from.
        kind: Format, in words.
        geobox: Shape, transform and CRS; identity and none where it has no place.
        dtype: Type of the raw values.
        bands: Every band.
        good: Whether the file's bad-band list lets each band pass.
        nodata: Nodata value of each band, raw.
        fills: Further values that mean nodata in each band: such as the file does not
            state but is full of.
        scale: Factor of each band.
        offset: Added to each band after the factor.
        block_shape: Rows and columns of the blocks it is stored in.
        variable: Name of the variable in a file of several.
        axes: Order of the axes in the file, such as ``yxb``; empty for rasters.
        datetime: When the image was taken, if the file says so.
        notes: What was assumed on the way.
    """

    name: str
    source: str
    store: Store
    kind: str
    geobox: GeoBox
    dtype: str
    bands: tuple[CubeBand, ...]
    good: tuple[bool, ...]
    nodata: tuple[float | None, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    block_shape: tuple[int, int]
    variable: str | None = None
    axes: str = ""
    datetime: str | None = None
    notes: tuple[str, ...] = ()
    fills: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        """Keep one NaN object, so that cubes whose nodata is NaN compare equal."""
        plain = tuple(math.nan if v is not None and math.isnan(v) else v for v in self.nodata)
        object.__setattr__(self, "nodata", plain)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled cube."""
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (int(self.geobox.shape[0]), int(self.geobox.shape[1]))


def windows(shape: tuple[int, int], block: tuple[int, int], most: int) -> Iterator[Window]:
    """Cut a grid into windows of whole blocks, from the top.

    Args:
        shape: Rows and columns.
        block: Rows and columns of a block.
        most: Pixels of a window, unless a single block has more.
    """
    (height, width), (tall, wide) = shape, (min(b, s) for b, s in zip(block, shape, strict=True))
    cols = width if width * tall <= most else max(1, most // (tall * wide)) * wide
    rows = max(1, most // (tall * cols)) * tall
    for top in range(0, height, rows):
        for left in range(0, width, cols):
            yield slice(top, min(top + rows, height)), slice(left, min(left + cols, width))


def file_digest(paths: Sequence[str | os.PathLike[str]], also: object) -> str:
    """Hash up to sixteen 64 KiB pieces of each file, its size, and what else decides the pixels."""
    digest = hashlib.sha256(repr(also).encode())
    for path in map(Path, paths):
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as stream:
            for start in sorted({int(size * i / 16) for i in range(16)}):
                stream.seek(min(start, max(0, size - 65536)))
                digest.update(stream.read(65536))
    return digest.hexdigest()[:16]
