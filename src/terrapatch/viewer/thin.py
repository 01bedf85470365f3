"""Windows of a scene at a lower resolution, in eight bits, as overviews or averages give them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from terrapatch.opening import open_raster

# The one answer to "is this pixel valid?" lives in ``terrapatch.reading``.
from terrapatch.reading import CACHE_BYTES, _combine, _corrupt, _file_mask, _read_bands, _value_mask
from terrapatch.scene import ArraySource, Scene
from terrapatch.viewer.errors import ViewError

__all__ = ["Mask", "Pixels", "has_overviews", "read_thin"]

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def has_overviews(scene: Scene) -> bool:
    """Whether the file of a scene holds smaller copies of itself."""
    with open_raster(_path(scene)) as src:
        return bool(src.overviews(scene.bands[0]))


def read_thin(
    scene: Scene, rows: slice, cols: slice, shape: tuple[int, int]
) -> tuple[Pixels, Mask | None]:
    """Read a window of a scene at a lower resolution.

    Args:
        scene: A scene with one or three bands and known units.
        rows: Rows of the scene.
        cols: Columns of the scene.
        shape: Rows and columns of the result.

    Returns:
        ``(rows, cols, 3)`` and the validity, ``None`` where every pixel is valid.

    Raises:
        CorruptBlockError: If a block of the file cannot be decoded.
    """
    window = Window.from_slices(rows, cols)
    smaller = shape[0] < rows.stop - rows.start or shape[1] < cols.stop - cols.start
    how = Resampling.average if smaller else Resampling.nearest
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), open_raster(_path(scene)) as src:
        try:
            raw = _read_bands(src, scene, window=window, out_shape=shape, resampling=how)
            mask = _file_mask(src, scene, window=window, out_shape=shape)
        except RasterioIOError as fault:
            raise _corrupt(src, scene, rows, cols, fault) from fault
    mask = _combine(mask, _value_mask(raw, scene))
    eight = scene.require_units().to_eight_bit(raw)
    eight = np.clip(np.rint(eight), 0, 255).astype(np.uint8)
    full = np.repeat(eight, 3 // len(eight), axis=0)
    return np.ascontiguousarray(np.moveaxis(full, 0, -1)), mask


def _path(scene: Scene) -> str:
    if isinstance(scene.source, ArraySource):
        raise ViewError("the page shows scenes that are files; save the array as a GeoTIFF first")
    return scene.source
