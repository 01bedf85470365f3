"""Large scenes for the benchmarks: pieces of one painted picture, turned and brightened."""

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
    """Write a ``side`` x ``side`` tiled, deflated GeoTIFF of pieces of a picture.

    Every block is another piece, turned and brightened by a seeded draw, so that neither
    the file nor its features hold the same thing twice.

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
    rng, pieces = np.random.default_rng(0), np.random.default_rng(1)
    with rasterio.open(path, "w", **profile) as dst:
        for top in range(0, side, TILE):
            for left in range(0, side, TILE):
                if share < 1.0 and rng.random() >= share:
                    continue
                high, wide = min(TILE, side - top), min(TILE, side - left)
                piece = _piece(tile, pieces)[:, :high, :wide]
                dst.write(piece, window=Window(left, top, wide, high))
    return path


def _piece(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut a block out of the picture at random, turn it and change its brightness."""
    y, x = rng.integers(0, tile.shape[1] - TILE, 2)
    piece = np.rot90(tile[:, y : y + TILE, x : x + TILE], rng.integers(4), axes=(1, 2))
    piece = piece[:, :, ::-1] if rng.integers(2) else piece
    return np.clip(piece * rng.uniform(0.8, 1.2), 1, 255).astype(np.uint8)
