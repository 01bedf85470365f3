"""A small copy of a scene in memory, made piece by piece where it is looked at.

A large file without overviews would have to be decoded whole for every coarse view of it.
Instead each piece is decoded once, averaged down and kept.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from terrapatch.scene import Scene
from terrapatch.viewer.thin import Mask, Pixels, read_thin

__all__ = ["SmallCopy"]

# What is decoded at once has to fit GDAL's cache in all bands, or it is decoded once a band.
_PIECE_PIXELS = 6 << 20
_AT_ONCE = 2

Places = npt.NDArray[np.intp]


class SmallCopy:
    """A scene averaged down to a number of pixels a side; nothing is read before it is needed.

    Attributes:
        step: Pixels of the scene along each side of one pixel of the copy.
        shape: Rows and columns of the copy.
    """

    def __init__(self, scene: Scene, side: int) -> None:
        """Plan the copy.

        Args:
            scene: A scene with one or three bands and known units.
            side: Most pixels along each side of the copy.
        """
        height, width = scene.shape
        self._scene = scene
        self.step = max(1, -(-max(height, width) // side))
        self.shape = (-(-height // self.step), -(-width // self.step))
        self._piece = self._piece_shape()
        self._pieces: dict[tuple[int, int], tuple[Pixels, Mask]] = {}
        self._locks: dict[tuple[int, int], threading.Lock] = {}
        self._lock = threading.Lock()
        # Few at a time, so that the first windows are whole soon instead of all of them late.
        self._turns = threading.Semaphore(_AT_ONCE)

    @property
    def pieces_made(self) -> int:
        """How many pieces have been decoded so far."""
        return len(self._pieces)

    def read(self, rows: slice, cols: slice, shape: tuple[int, int]) -> tuple[Pixels, Mask]:
        """Return a window, nearest neighbours; pieces that are missing are decoded now.

        Args:
            rows: Rows of the scene.
            cols: Columns of the scene.
            shape: Rows and columns of the result.

        Returns:
            ``(rows, cols, 3)`` and the validity.
        """
        down, across = (
            self._places(part, n, most)
            for part, n, most in zip((rows, cols), shape, self.shape, strict=True)
        )
        with self._turns:
            return self._gathered(down, across)

    def _gathered(self, down: Places, across: Places) -> tuple[Pixels, Mask]:
        shape = (len(down), len(across))
        rgb, valid = np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
        for i in np.unique(down // self._piece[0]):
            for j in np.unique(across // self._piece[1]):
                piece, mask = self._made((int(i), int(j)))
                r = np.flatnonzero(down // self._piece[0] == i)
                c = np.flatnonzero(across // self._piece[1] == j)
                inside = np.ix_(down[r] - i * self._piece[0], across[c] - j * self._piece[1])
                rgb[np.ix_(r, c)], valid[np.ix_(r, c)] = piece[inside], mask[inside]
        return rgb, valid

    def whole(self) -> tuple[Pixels, Mask]:
        """Return all of it."""
        height, width = self._scene.shape
        return self.read(slice(0, height), slice(0, width), self.shape)

    def _places(self, part: slice, n: int, most: int) -> Places:
        """Return the places in the copy of the middles of ``n`` equal pieces of a range."""
        middles = (np.arange(n) + 0.5) * (part.stop - part.start) / n + part.start
        places: Places = np.minimum(middles // self.step, most - 1).astype(np.intp)
        return places

    def _piece_shape(self) -> tuple[int, int]:
        """Return rows and columns of a piece in the copy; strips of a file are kept whole."""
        if self._scene.block_shape[1] >= self._scene.shape[1]:
            rows = _PIECE_PIXELS // (self._scene.shape[1] * self.step * self.step)
            return max(1, rows), self.shape[1]
        side = max(1, int(_PIECE_PIXELS**0.5) // self.step)
        return side, side

    def _made(self, key: tuple[int, int]) -> tuple[Pixels, Mask]:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._pieces:
                self._pieces[key] = self._decode(*key)
            return self._pieces[key]

    def _decode(self, i: int, j: int) -> tuple[Pixels, Mask]:
        spans = []
        for place, side, n in zip((i, j), self._piece, self._scene.shape, strict=True):
            start = place * side * self.step
            spans.append(slice(start, min(start + side * self.step, n)))
        shape = tuple(-(-(span.stop - span.start) // self.step) for span in spans)
        rgb, mask = read_thin(self._scene, spans[0], spans[1], (shape[0], shape[1]))
        return rgb, np.ones(rgb.shape[:2], bool) if mask is None else mask
