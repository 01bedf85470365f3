"""Blocks of a cube with context: beyond its edge the scene is mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from terrapatch.features.pixels.base import PixelBlock
from terrapatch.stream import reflect

if TYPE_CHECKING:
    from terrapatch.cubes import CubeReader


def read_with_halo(
    reader: CubeReader, shape: tuple[int, int], rows: slice, cols: slice, halo: int
) -> PixelBlock:
    """Read a rectangle of a cube with ``halo`` more pixels on every side.

    Beyond the edge the scene is mirrored without repeating the edge itself, as often as
    it takes; of a scene that is one pixel wide, that pixel is repeated.

    Args:
        reader: An open reader of the cube.
        shape: Rows and columns of the cube.
        rows: Rows inside the scene.
        cols: Columns inside the scene.
        halo: Pixels of context.
    """
    picked, spans = [], []
    for span, n in ((rows, shape[0]), (cols, shape[1])):
        index = reflect(np.arange(span.start - halo, span.stop + halo), n)
        spans.append(slice(int(index.min()), int(index.max()) + 1))
        picked.append(index - index.min())
    block = reader.read(spans[0], spans[1])
    values, valid = block.values, block.valid
    if any(len(index) != n for index, n in zip(picked, valid.shape, strict=True)):
        down, across = np.ix_(*picked)
        values, valid = values[down, across], valid[down, across]
    return PixelBlock(rows, cols, halo, values, valid)


def cut(rows: slice, cols: slice, side: int) -> Iterator[tuple[slice, slice]]:
    """Cut a rectangle into squares of a side, row by row; the last ones may be smaller."""
    for top in range(rows.start, rows.stop, side):
        for left in range(cols.start, cols.stop, side):
            yield (
                slice(top, min(top + side, rows.stop)),
                slice(left, min(left + side, cols.stop)),
            )
