"""Features that are computed once and read many times, as splits and seeds do."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from terrapatch.features.raster import FeatureBlock
from terrapatch.features.recipe import Recipe
from terrapatch.learn.pixels._scratch import check_room, scratch_array, scratch_folder
from terrapatch.learn.pixels._tiles import tile_side, tiles
from terrapatch.learn.pixels.base import Floats, PixelValues


class CachedPixels:
    """The features of a scene, each tile kept when it was first read.

    Small scenes are kept in memory, others in a file without a name, which takes only as much
    of the disk as was read.

    Attributes:
        side: Side of the tiles in pixels.
    """

    def __init__(self, values: PixelValues, scratch: Path | None = None) -> None:
        """Keep nothing yet.

        Args:
            values: The features; they have to stay readable.
            scratch: Folder for what memory should not hold.

        Raises:
            OutputError: If the folder is missing, full or not writable.
        """
        self._values, self.side = values, tile_side(values)
        shape = (*values.shape, values.n_features)
        self._held = scratch_array(shape, np.float32, scratch, reserve=False)
        self._place = scratch_folder(scratch) if isinstance(self._held, np.memmap) else None
        self._done: set[tuple[int, int]] = set()

    @property
    def geobox(self) -> GeoBox:
        """Grid of the pixels."""
        return self._values.geobox

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._values.shape

    @property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        """Name, start and stop of each layer's numbers."""
        return self._values.groups

    @property
    def n_features(self) -> int:
        """Numbers of a pixel."""
        return self._values.n_features

    @property
    def recipe(self) -> Recipe:
        """How they are made."""
        return self._values.recipe

    def read(self, rows: slice, cols: slice) -> Floats:
        """Read ``(rows, cols, features)`` float32 inside the scene, NaN in invalid pixels.

        Raises:
            OutputError: If the disk has no room for tiles that are read for the first time.
        """
        tops = range(rows.start // self.side, -(-rows.stop // self.side))
        lefts = range(cols.start // self.side, -(-cols.stop // self.side))
        for key in ((top, left) for top in tops for left in lefts):
            if key not in self._done:
                down, across = (
                    slice(n * self.side, min((n + 1) * self.side, end))
                    for n, end in zip(key, self.shape, strict=True)
                )
                made = self._values.read(down, across)
                if self._place is not None:  # each line of a tile may begin and end within a page
                    check_room(self._place, made.nbytes + 2 * mmap.PAGESIZE * len(made))
                self._held[down, across] = made
                self._done.add(key)
        return np.array(self._held[rows, cols])

    def blocks(self) -> Iterator[FeatureBlock]:
        """Go through all pixels block by block."""
        for rows, cols in tiles(self.shape, self.side):
            values = self.read(rows, cols)
            yield FeatureBlock(rows, cols, values, np.isfinite(values[..., 0]).astype(np.float32))
