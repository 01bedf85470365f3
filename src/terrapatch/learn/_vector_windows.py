"""The sub-pixels of cells, and the blocks they are counted in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# Sub-pixels that the windows of one block hold together.
_BLOCK_PIXELS = 1 << 20


@dataclass(frozen=True)
class Rule:
    """How the class of a cell is taken from the shares of the classes in its window.

    Attributes:
        fine: Sub-pixels along each side of a cell.
        window: Height and width of the window around a cell, in sub-pixels, at least ``fine``.
        minimum: Share of the window that has to be covered.
        by_class: Whether the winning class must cover it alone (else all classes together).
    """

    fine: int
    window: tuple[int, int]
    minimum: float
    by_class: bool


@dataclass(frozen=True)
class Frame:
    """The sub-pixels that the windows of a block of cells need.

    Attributes:
        rows: Rows of cells.
        cols: Columns of cells.
        grid: Rows and columns of all cells.
        rule: Size of sub-pixels and windows.
    """

    rows: slice
    cols: slice
    grid: tuple[int, int]
    rule: Rule

    @property
    def first(self) -> tuple[int, int]:
        """Row and column of the first sub-pixel, counted from the scene's corner."""
        fine, window = self.rule.fine, self.rule.window
        return (
            self.rows.start * fine - (window[0] - fine) // 2,
            self.cols.start * fine - (window[1] - fine) // 2,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in sub-pixels."""
        fine, window = self.rule.fine, self.rule.window
        return (
            (self.rows.stop - self.rows.start - 1) * fine + window[0],
            (self.cols.stop - self.cols.start - 1) * fine + window[1],
        )

    @property
    def transform(self) -> Affine:
        """What brings sub-pixels into the coordinates of the cells."""
        return Affine.scale(1 / self.rule.fine) * Affine.translation(self.first[1], self.first[0])

    @property
    def box(self) -> shapely.Polygon:
        """The frame in the coordinates of the cells."""
        (top, left), (tall, wide), fine = self.first, self.shape, self.rule.fine
        return shapely.box(left / fine, top / fine, (left + wide) / fine, (top + tall) / fine)

    def inside(self) -> NDArray[np.bool_]:
        """Return which sub-pixels lie in a cell of the grid."""
        down, across = (
            (np.arange(self.first[i], self.first[i] + self.shape[i]) // self.rule.fine)
            for i in (0, 1)
        )
        tall = (down >= 0) & (down < self.grid[0])
        return np.asarray(tall[:, None] & (across >= 0) & (across < self.grid[1]))

    def windows(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the sub-pixels of the window of each cell, row by row: ``(cells, pixels)``."""
        step = self.rule.fine
        every = sliding_window_view(pixels, self.rule.window)[::step, ::step]
        return every.reshape(every.shape[0] * every.shape[1], -1)


def frames(grid: tuple[int, int], rule: Rule) -> Iterator[Frame]:
    """Cut a grid of cells into blocks whose windows hold about a million sub-pixels."""
    side = max(1, math.isqrt(_BLOCK_PIXELS // (rule.window[0] * rule.window[1])))
    for top in range(0, grid[0], side):
        for left in range(0, grid[1], side):
            yield Frame(
                slice(top, min(top + side, grid[0])),
                slice(left, min(left + side, grid[1])),
                grid,
                rule,
            )
