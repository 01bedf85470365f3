"""Reading rectangles of a cube, in physical values, with one answer to "is this valid?"."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.raw import Mask
from terrapatch.cubes.survey import filled
from terrapatch.errors import CubeError

if TYPE_CHECKING:
    from terrapatch.cubes.cube import Cube

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CubeBlock:
    """Pixels of a rectangle of a cube.

    Attributes:
        rows: Rows of the cube.
        cols: Columns of the cube.
        values: ``(rows, cols, bands)`` float32, physical; NaN in every band of a pixel
            that is invalid.
        valid: ``(rows, cols)`` bool: whether a pixel has a value in every band.
    """

    rows: slice
    cols: slice
    values: Floats
    valid: Mask


class CubeReader:
    """An open cube; a context manager."""

    def __init__(self, cube: Cube) -> None:
        """Open the cube's file (an array is used as it is)."""
        self.cube = cube
        self.bytes_read = 0
        self._handle = cube.raw.store.open()
        self._scale = np.asarray(cube.scale, np.float64)
        self._offset = np.asarray(cube.offset, np.float64)
        self._plain = bool((self._scale == 1).all() and (self._offset == 0).all())

    def __enter__(self) -> CubeReader:
        """Return the reader itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def read(self, rows: slice, cols: slice) -> CubeBlock:
        """Read a rectangle that lies inside the cube.

        Args:
            rows: Rows of pixels, from the top.
            cols: Columns of pixels, from the left.

        Returns:
            Physical values (scale and offset applied), and where they are valid.

        Raises:
            CubeError: If the rectangle is empty or leaves the cube.
            CorruptBlockError: If a block of the file cannot be decoded.
        """
        rows, cols = self._inside(rows, 0), self._inside(cols, 1)
        raw, has = filled(self.cube.raw, self._handle, self.cube.places, rows, cols)
        self.bytes_read += raw.nbytes
        valid = np.asarray(has.all(axis=2))
        values = self._physical(raw)
        values[~valid] = np.nan
        return CubeBlock(rows, cols, values, valid)

    def _inside(self, part: slice, axis: int) -> slice:
        length = self.cube.shape[axis]
        start = 0 if part.start is None else int(part.start)
        stop = length if part.stop is None else int(part.stop)
        if part.step not in (None, 1) or not 0 <= start < stop <= length:
            what = ("rows", "columns")[axis]
            raise CubeError(
                f"{what} {start} to {stop} are not inside {self.cube.name}, which has {length} "
                f"{what}; read a part of it"
            )
        return slice(start, stop)

    def _physical(self, raw: npt.NDArray[Any]) -> Floats:
        if self._plain:
            return np.array(raw, np.float32, order="C")
        # 16-bit numbers and float32 are exact in float32; longer ones are not.
        exact = raw.dtype.itemsize <= 2 or raw.dtype == np.float32
        work: npt.NDArray[np.floating] = raw.astype(np.float32 if exact else np.float64, order="C")
        np.multiply(work, self._scale.astype(work.dtype), out=work)
        np.add(work, self._offset.astype(work.dtype), out=work)
        return np.asarray(work, np.float32)
