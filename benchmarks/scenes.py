"""Large scenes for the benchmarks, painted once and laid out as mosaics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from terrapatch.studies.painted import paint

TILE = 512


def painted_tile(scratch: Path) -> np.ndarray:
    """Return a painted picture, ``(3, 1024, 1024)`` uint8 without nodata."""
    made = paint(scratch / "tile.tif", seed=0, size=(1536, 2048), overwrite=True)
    with rasterio.open(made.rgb_path) as src:
        return np.maximum(src.read(window=Window(256, 256, 1024, 1024)), 1)


def large_scene(path: Path, tile: np.ndarray, side: int, share: float = 1.0) -> Path:
    """Write a ``side`` x ``side`` tiled, deflated GeoTIFF that repeats a picture.

    Args:
        path: The file to write.
        tile: The picture, ``(3, 1024, 1024)``.
        side: Height and width in pixels.
        share: Share of the file's blocks that are written; the rest stay sparse
            and are nodata (0).
    """
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32643",
        "transform": from_origin(284_000.0, 2_109_000.0, 0.5, 0.5),
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": "deflate",
        "interleave": "pixel",
        "photometric": "rgb",
        "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": "TRUE",
        **({} if share == 1.0 else {"nodata": 0}),
    }
    rng = np.random.default_rng(0)
    with rasterio.open(path, "w", **profile) as dst:
        for top in range(0, side, TILE):
            for left in range(0, side, TILE):
                if share < 1.0 and rng.random() >= share:
                    continue
                high, wide = min(TILE, side - top), min(TILE, side - left)
                y, x = top % 1024, left % 1024
                dst.write(tile[:, y : y + high, x : x + wide], window=Window(left, top, wide, high))
    return path
