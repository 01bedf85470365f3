"""The scene as square tiles of 256 pixels, each read when it is asked for.

Zoom 0 holds the whole scene in one tile, each further zoom has twice the resolution, and the
last one shows pixels as they are. Tiles come from the overviews of the file; those of a large
file without overviews come from a small copy in memory, where they are coarse.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from terrapatch.scene import Scene
from terrapatch.studies._embedded_scene import for_looking
from terrapatch.viewer.copy import SmallCopy
from terrapatch.viewer.errors import MissingError
from terrapatch.viewer.pictures import Picture, encoded
from terrapatch.viewer.thin import has_overviews, read_thin

__all__ = ["TILE", "Pyramid"]

TILE = 256
CACHE_BYTES = 64 << 20
_COPY_SIDE = 2048


class Pyramid:
    """All tiles of one scene, the last ones kept in memory.

    Attributes:
        scene: The scene with the bands that are shown.
        top: The zoom at which a pixel of the scene is a pixel of the tile.
        copy: The small copy, for a large scene without overviews, else ``None``.
    """

    def __init__(self, scene: Scene) -> None:
        """Look at the scene's file; no pixel is read yet.

        Raises:
            ClusterError: If the scene's bands cannot be shown.
            UnitsError: If black and white are not declared.
        """
        self.scene = for_looking(scene)
        self.scene.require_units()
        self.top = max(0, int(np.ceil(np.log2(max(scene.shape) / TILE))))
        large = max(scene.shape) > 2 * _COPY_SIDE
        self.copy = (
            SmallCopy(self.scene, _COPY_SIDE) if large and not has_overviews(self.scene) else None
        )
        self._kept: OrderedDict[tuple[int, int, int], Picture] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def tile(self, zoom: int, x: int, y: int) -> Picture:
        """Return one tile; at the lower and right edge it is smaller than the others.

        Args:
            zoom: From 0 (the whole scene) to ``top``.
            x: Column of the tile.
            y: Row of the tile.

        Raises:
            MissingError: If there is no such tile.
            CorruptBlockError: If the file cannot be decoded there.
        """
        key = (zoom, x, y)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        picture = self._read(*key)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = picture
                self._bytes += len(picture.data)
            while self._bytes > CACHE_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1].data)
        return picture

    def _read(self, zoom: int, x: int, y: int) -> Picture:
        height, width = self.scene.shape
        if not 0 <= zoom <= self.top:
            raise MissingError(f"there is no zoom {zoom}; ask for 0 to {self.top}")
        step = 1 << (self.top - zoom)
        side = TILE * step
        if not (0 <= x * side < width and 0 <= y * side < height):
            raise MissingError(f"there is no tile {zoom}/{x}/{y}; it lies outside the scene")
        rows = slice(y * side, min((y + 1) * side, height))
        cols = slice(x * side, min((x + 1) * side, width))
        shape = (-(-(rows.stop - rows.start) // step), -(-(cols.stop - cols.start) // step))
        if self.copy is not None and step >= self.copy.step:
            return encoded(*self.copy.read(rows, cols, shape))
        return encoded(*read_thin(self.scene, rows, cols, shape))
