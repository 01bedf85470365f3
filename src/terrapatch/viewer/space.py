"""Descriptors of all cells in the scaled space of the cluster model."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from terrapatch.features import FeatureRaster
from terrapatch.learn import ClusterModel

__all__ = ["Floats", "Numbers", "Space"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

MOST_BYTES = 512 << 20
"""Descriptors are kept in memory as float32 up to this size, and as float16, whose rounding
moves a cosine by less than 0.001, up to twice as many; larger stores are read each time."""

_ROWS = 4096


class Space:
    """Scaled descriptors, by the number of their cell (``row * columns + column``).

    Attributes:
        numbers: Numbers of the cells that are not empty, ascending.
        shape: Rows and columns of cells.
        width: Length of a scaled descriptor.
    """

    def __init__(self, raster: FeatureRaster, model: ClusterModel) -> None:
        """Remember where descriptors come from; none is read yet."""
        self._raster, self._model = raster, model
        self._lock = threading.Lock()
        self._kept: npt.NDArray[np.floating] | None = None
        self.shape = raster.shape
        self.width = int(model.centres.shape[1])
        self.numbers: Numbers = np.flatnonzero(raster.valid() > 0).astype(np.int64)
        self._kind = self._choose()

    def _choose(self) -> type[np.float32] | type[np.float16] | None:
        """Return the type descriptors are kept as, ``None`` where they are too many."""
        size = len(self.numbers) * self.width
        if size * 4 <= MOST_BYTES:
            return np.float32
        return np.float16 if size * 2 <= 2 * MOST_BYTES else None

    def chunks(self) -> Iterator[tuple[Numbers, Floats]]:
        """Go over all cells that are not empty: their numbers and scaled descriptors."""
        kind = self._kind
        if kind is None:
            yield from self._stream()
            return
        with self._lock:
            if self._kept is None:
                self._kept = self._gather(kind)
        for start in range(0, len(self.numbers), _ROWS):
            part = slice(start, start + _ROWS)
            yield self.numbers[part], self._kept[part].astype(np.float32, copy=False)

    def rows(self, wanted: Numbers) -> Floats:
        """Return the scaled descriptors of some cells, in the order asked for.

        Args:
            wanted: Numbers of cells that are not empty, each once.
        """
        order = np.argsort(wanted)
        found = np.zeros((len(wanted), self.width), np.float32)
        if self._kept is not None:
            found[:] = self._kept[np.searchsorted(self.numbers, wanted)]
            return found
        for numbers, scaled in self.chunks():
            here = np.isin(numbers, wanted)
            if here.any():
                found[order[np.searchsorted(wanted[order], numbers[here])]] = scaled[here]
        return found

    def _gather(self, kind: type[np.float32] | type[np.float16]) -> npt.NDArray[np.floating]:
        kept = np.empty((len(self.numbers), self.width), kind)
        for numbers, scaled in self._stream():
            kept[np.searchsorted(self.numbers, numbers)] = scaled
        return kept

    def _stream(self) -> Iterator[tuple[Numbers, Floats]]:
        columns = self.shape[1]
        for block in self._raster.blocks():
            r, c = np.nonzero(block.valid > 0)
            for start in range(0, len(r), _ROWS):
                part = slice(start, start + _ROWS)
                numbers = (r[part] + block.rows.start) * columns + c[part] + block.cols.start
                scaled = self._model.scaling.transform(block.values[r[part], c[part]])
                yield numbers.astype(np.int64), scaled.astype(np.float32)
