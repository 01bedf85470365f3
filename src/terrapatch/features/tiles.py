"""The geometry of the dense mode: tiles of cells, what they see, and where windows lie in a map.

A network halves its map at every other layer, so what a position stands for depends on
where the image begins. Every tile begins a multiple of ``unit`` pixels from where the
first patch begins, and reaches so far beyond its patches (the halo) that no position
which is used can see its rim. So one tile or many, the numbers are the same, and patches
begin on whole positions wherever the stride lets them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from terrapatch.features.filling import SPREADS, coarse_side
from terrapatch.grid import CellBlock, PatchGrid

if TYPE_CHECKING:
    from terrapatch.backbones.dense import Tap
    from terrapatch.backbones.windows import Window

Pair = tuple[int, int]


@dataclass(frozen=True)
class TileGrid(PatchGrid):
    """The cells and patches of a grid, read with a halo around every block.

    Attributes:
        before: Rows and columns of pixels looked at before a block's first patch.
        after: The same after its last.
        unit: Every block is read from a multiple of so many rows and columns after the
            first patch.
    """

    before: Pair = (0, 0)
    after: Pair = (0, 0)
    unit: Pair = (1, 1)

    def block_window(self, block: CellBlock) -> tuple[slice, slice]:
        """Return the pixels that a block of cells is read with, outside the scene too."""
        rows, cols = super().block_window(block)
        return self._spread(rows, 0), self._spread(cols, 1)

    def _spread(self, span: slice, axis: int) -> slice:
        unit, origin = self.unit[axis], -self.margin[axis]
        first = (span.start - self.before[axis] - origin) // unit * unit
        last = -(-(span.stop + self.after[axis] - origin) // unit) * unit
        return slice(first + origin, last + origin)


@dataclass(frozen=True)
class Tiling:
    """How a scene is cut into tiles, and where each cell's window lies in every layer's map.

    Attributes:
        grid: The grid, with halo.
        taps: The layers.
        side: Side in input pixels that a patch is brought to.
    """

    grid: TileGrid
    taps: tuple[Tap, ...]
    side: int

    @classmethod
    def over(
        cls, grid: PatchGrid, taps: Sequence[Tap], side: int, *, holes: bool = False
    ) -> Tiling:
        """Lay tiles over a grid for a network's taps.

        Args:
            grid: The grid.
            taps: The layers.
            side: Side in input pixels that a patch is brought to.
            holes: Whether pixels may be invalid; what they are filled with is looked for
                a little further out.
        """
        before: list[int] = []
        after: list[int] = []
        unit: list[int] = []
        for axis in (0, 1):
            scale = Fraction(side, grid.size[axis])
            windows = [_plain_window(grid, tap, scale, axis) for tap in taps]
            halos = [_halo(tap, side, window) for tap, window in zip(taps, windows, strict=True)]
            before.append(math.ceil(max(h[0] for h in halos) / scale))
            after.append(math.ceil(max(h[1] for h in halos) / scale))
            # Sub-blocks of windows between positions have to begin alike in every tile.
            pairs = zip(taps, windows, strict=True)
            steps = math.lcm(*(tap.stride * (1 if w.aligned else w.block) for tap, w in pairs))
            wanted = scale.denominator * steps
            unit.append(wanted // math.gcd(scale.numerator, steps))
            if holes:
                before[axis] += SPREADS * coarse_side(unit[axis])
                after[axis] += SPREADS * coarse_side(unit[axis])
        tiles = TileGrid(
            scene=grid.scene,
            size=grid.size,
            stride=grid.stride,
            edge=grid.edge,
            size_text=grid.size_text,
            stride_text=grid.stride_text,
            before=(before[0], before[1]),
            after=(after[0], after[1]),
            unit=(unit[0], unit[1]),
        )
        return cls(tiles, tuple(taps), side)

    @property
    def coarse(self) -> Pair:
        """Height and width of the coarse pixels that holes are filled by."""
        return coarse_side(self.grid.unit[0]), coarse_side(self.grid.unit[1])

    def scale(self, axis: int) -> Fraction:
        """Input pixels a pixel of the scene."""
        return Fraction(self.side, self.grid.size[axis])

    def input_size(self, cells: CellBlock) -> Pair:
        """Height and width in input pixels that a block of cells is brought to."""
        spans = self.grid.block_window(cells)
        rows, cols = (
            int((span.stop - span.start) * self.scale(axis)) for axis, span in enumerate(spans)
        )
        return rows, cols

    def windows(self, cells: CellBlock) -> dict[str, tuple[Window, Window]]:
        """Place every cell's window in every layer's map, by layer, rows and columns."""
        return {
            tap.layer: (self._window(tap, cells, 0), self._window(tap, cells, 1))
            for tap in self.taps
        }

    def _window(self, tap: Tap, cells: CellBlock, axis: int) -> Window:
        from terrapatch.backbones.windows import Window

        span = (cells.rows, cells.cols)[axis]
        begin = self.grid.block_window(cells)[axis].start
        first = span.start * self.grid.stride[axis] - self.grid.margin[axis] - begin
        scale = self.scale(axis) / tap.stride
        return Window(
            start=float(first * scale),
            step=float(self.grid.stride[axis] * scale),
            count=span.stop - span.start,
            length=float(tap.size[axis]),
        )


def _plain_window(grid: PatchGrid, tap: Tap, scale: Fraction, axis: int) -> Window:
    """Return a layer's windows in a tile that begins where the first patch does."""
    from terrapatch.backbones.windows import Window

    step = float(grid.stride[axis] * scale / tap.stride)
    return Window(0.0, step, 1, float(tap.size[axis]))


def _halo(tap: Tap, side: int, window: Window) -> Pair:
    """Return the input pixels that a window's positions see beyond the patch, before and after."""
    before, after = tap.halo(side)
    # A window between positions takes a part of one more on either side.
    more = 0 if window.aligned else tap.stride
    return before + more, after + more
