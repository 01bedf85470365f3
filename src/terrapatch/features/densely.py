"""Embedding tile by tile: one pass of the network for all windows of a tile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from terrapatch.errors import GridError
from terrapatch.features.filling import fill
from terrapatch.features.tiles import Tiling
from terrapatch.grid import CellBlock
from terrapatch.reading import Mask, Pixels
from terrapatch.stream import PixelBlock

if TYPE_CHECKING:
    from terrapatch.backbones.dense import DenseEmbedder

# Tiles that need this much more work than the best ones are taken if they are smaller.
SLACK = 1.02

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dense:
    """A network and tiles for it: what embeds one tile of cells.

    Attributes:
        embedder: The network over whole tiles.
        tiling: Where tiles and windows lie.
        side: Cells along each side of a block of the store.
        pixel_bytes: Memory the network takes for each input pixel.
        sample: Features of some cells beside each other ``(rows, cols, features)``.
    """

    embedder: DenseEmbedder
    tiling: Tiling
    side: int
    pixel_bytes: float = 0.0
    sample: Floats | None = field(default=None, repr=False, compare=False)

    @property
    def n_features(self) -> int:
        """Length of a cell's descriptor."""
        return self.embedder.groups[-1][2]

    def embed(self, tile: PixelBlock) -> Iterator[tuple[CellBlock, Floats]]:
        """Describe the cells of a tile, piece by piece.

        Yields:
            The cells of a piece and their features ``(rows, cols, features)``; cells
            outside all pieces are empty.
        """
        for cells in self.pieces(tile.block, tile.share > 0):
            pixels, valid = self._cut(tile, cells)
            if valid is not None:
                pixels = fill(pixels, valid, self.tiling.coarse)
            size, windows = self.tiling.input_size(cells), self.tiling.windows(cells)
            yield cells, self.embedder.describe(pixels, valid, size, windows)

    def pieces(self, tile: CellBlock, wanted: Mask) -> list[CellBlock]:
        """Choose what to run the network over: all of a tile, or the parts that are not empty.

        Args:
            tile: The tile's cells.
            wanted: Which of them are not empty.

        Returns:
            The smallest rectangle around the wanted cells, or one in every block of the
            store, whichever has fewer pixels with its halo.
        """
        whole = _bounds(tile, wanted)
        if whole is None:
            return []
        parts = []
        for top in range(0, tile.shape[0], self.side):
            for left in range(0, tile.shape[1], self.side):
                rows, cols = slice(top, top + self.side), slice(left, left + self.side)
                corner = CellBlock(
                    tile.index,
                    slice(tile.rows.start + top, tile.rows.stop),
                    slice(tile.cols.start + left, tile.cols.stop),
                )
                part = _bounds(corner, wanted[rows, cols])
                parts += [] if part is None else [part]
        pixels = sum(math.prod(self.tiling.input_size(part)) for part in parts)
        return parts if pixels < math.prod(self.tiling.input_size(whole)) else [whole]

    def _cut(self, tile: PixelBlock, cells: CellBlock) -> tuple[Pixels, Mask | None]:
        """Cut a piece with its halo out of the tile's pixels."""
        outer = self.tiling.grid.block_window(tile.block)
        inner = self.tiling.grid.block_window(cells)
        rows, cols = (
            slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
        )
        valid = None if tile.valid is None else tile.valid[rows, cols]
        return tile.pixels[:, rows, cols], None if valid is None or valid.all() else valid


def _bounds(tile: CellBlock, wanted: Mask) -> CellBlock | None:
    """Return the smallest rectangle that holds all wanted cells of a tile."""
    if not wanted.any():
        return None
    rows, cols = (np.flatnonzero(wanted.any(axis=axis)) for axis in (1, 0))
    top, left = tile.rows.start, tile.cols.start
    return CellBlock(
        tile.index,
        slice(top + int(rows[0]), top + int(rows[-1]) + 1),
        slice(left + int(cols[0]), left + int(cols[-1]) + 1),
    )


def choose_tile(
    tiling: Tiling, side: int, pixel_bytes: float, features: int, budget: int
) -> tuple[int, int]:
    """Choose how many blocks of cells a tile has down and across.

    Args:
        tiling: Where tiles lie.
        side: Cells along each side of a block.
        pixel_bytes: Memory the network takes for each input pixel.
        features: Length of a descriptor.
        budget: Bytes that a tile may take.

    Returns:
        Of the tiles that fit, the one with the least work for the whole scene (or one
        that is smaller and hardly more work).

    Raises:
        GridError: If not even one block fits.
    """
    shape = tiling.grid.shape
    most = [-(-n // side) for n in shape]
    fitting: list[tuple[int, int, int, int]] = []
    for down in range(1, most[0] + 1):
        for across in range(1, most[1] + 1):
            need = tile_bytes(tiling, (down, across), side, pixel_bytes, features)
            if need > budget:
                break
            work = _along(tiling, down * side, 0) * _along(tiling, across * side, 1)
            fitting.append((work, down * across, down, across))
    if not fitting:
        need = tile_bytes(tiling, (1, 1), side, pixel_bytes, features)
        raise GridError(
            f"one tile of the dense mode takes {need / 1e9:.1f} GB of memory but "
            f"{budget / 1e9:.1f} GB can be used; use --mode exact, a smaller --size or a smaller "
            "--backbone"
        )
    least = min(fitting)[0]
    _, _, down, across = min(
        (one for one in fitting if one[0] <= SLACK * least), key=lambda one: one[1:]
    )
    return down, across


def tile_bytes(
    tiling: Tiling, tile: tuple[int, int], side: int, pixel_bytes: float, features: int
) -> int:
    """Return the memory that one tile takes, its features included."""
    rows, cols = (min(t * side, n) for t, n in zip(tile, tiling.grid.shape, strict=True))
    cells = CellBlock((0, 0), slice(0, rows), slice(0, cols))
    area = math.prod(tiling.input_size(cells))
    return int(area * pixel_bytes + 3 * 4 * rows * cols * features)


def _along(tiling: Tiling, cells: int, axis: int) -> int:
    """Add up the input pixels of all tiles along one axis."""
    total = 0
    for start in range(0, tiling.grid.shape[axis], cells):
        stop = min(start + cells, tiling.grid.shape[axis])
        span = slice(start, stop)
        one = (
            CellBlock((0, 0), span, slice(0, 1))
            if axis == 0
            else CellBlock((0, 0), slice(0, 1), span)
        )
        total += tiling.input_size(one)[axis]
    return total
