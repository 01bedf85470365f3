"""Cloud Optimized GeoTIFFs, written without ever holding a second copy of the raster.

A tiled temporary GeoTIFF is filled window by window with its tags, colour table and statistics,
then GDAL's COG driver copies it: a COG must not be touched afterwards. The finished file is read
back and compared, since GDAL may report a full disk only in its log.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from terrapatch.errors import OutputError

__all__ = ["BLOCK", "CogFacts", "Statistics", "statistics", "write_cog"]

BLOCK = 512
"""Side of a tile, pixels."""


@dataclass(frozen=True)
class Statistics:
    """What the valid cells of a raster hold.

    Attributes:
        count: Number of valid cells.
        minimum: Smallest valid value; NaN without valid cells, as are the following.
        maximum: Largest valid value.
        mean: Mean over valid cells.
        std: Standard deviation over valid cells (population).
        share: Valid cells over all cells, 0 to 1.
    """

    count: int
    minimum: float
    maximum: float
    mean: float
    std: float
    share: float

    def tags(self) -> dict[str, str]:
        """Return GDAL's ``STATISTICS_*`` band tags; none without valid cells."""
        if not self.count:
            return {}
        return {
            "STATISTICS_MINIMUM": repr(self.minimum),
            "STATISTICS_MAXIMUM": repr(self.maximum),
            "STATISTICS_MEAN": repr(self.mean),
            "STATISTICS_STDDEV": repr(self.std),
            "STATISTICS_VALID_PERCENT": f"{100 * self.share:.4g}",
        }


@dataclass(frozen=True)
class CogFacts:
    """What a file says beside its values.

    Attributes:
        nodata: 0 for classes, NaN for values.
        tags: Tags of the data set.
        statistics: Statistics of the band, written as tags.
        colours: Colour table, id to red, green, blue, alpha; empty for none.
        description: Name of the band.
        unit: Unit of the band; empty for none.
        overviews: ``"MODE"`` for classes, ``"AVERAGE"`` for values.
    """

    nodata: float
    tags: Mapping[str, str]
    statistics: Statistics
    colours: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    description: str = ""
    unit: str = ""
    overviews: str = "MODE"


def statistics(values: NDArray[Any], nodata: float) -> Statistics:
    """Measure the valid cells of a raster, block by block.

    Args:
        values: Array (rows, cols).
        nodata: Value of cells that do not count; NaN stands for NaN.
    """
    count, low, high, total = 0, math.inf, -math.inf, 0.0
    for window in _windows(values.shape):
        block = _valid(values, window, nodata)
        if block.size:
            count += block.size
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            total += float(block.sum())
    if not count:
        return Statistics(0, math.nan, math.nan, math.nan, math.nan, 0.0)
    mean = total / count
    squares = sum(
        float(np.square(_valid(values, window, nodata) - mean).sum())
        for window in _windows(values.shape)
    )
    return Statistics(count, low, high, mean, math.sqrt(squares / count), count / values.size)


def write_cog(path: Path, values: NDArray[Any], geobox: GeoBox, facts: CogFacts) -> None:
    """Write a one-band Cloud Optimized GeoTIFF.

    Args:
        path: The file; must not exist. A temporary file stands beside it meanwhile.
        values: Array (rows, cols) of uint8, uint16 or float32.
        geobox: Grid of the same shape; its CRS may be None.
        facts: Tags, colours and whatever else is not a value.

    Raises:
        OutputError: If the file does not hold the values in the end.
        rasterio.errors.RasterioIOError: If GDAL fails to write.
    """
    strips = path.with_name(path.name + ".strips.tif")
    predictor = "FLOATING_POINT" if values.dtype.kind == "f" else "NO"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            _write_tiled(strips, values, geobox, facts)
            rasterio.shutil.copy(
                strips,
                path,
                driver="COG",
                COMPRESS="DEFLATE",
                PREDICTOR=predictor,
                BLOCKSIZE=str(BLOCK),
                OVERVIEW_RESAMPLING=facts.overviews,
                BIGTIFF="IF_SAFER",
            )
        finally:
            strips.unlink(missing_ok=True)
        _verify(path, values)


def _write_tiled(path: Path, values: NDArray[Any], geobox: GeoBox, facts: CogFacts) -> None:
    rows, cols = values.shape
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": cols,
        "height": rows,
        "count": 1,
        "dtype": values.dtype.name,
        "nodata": facts.nodata,
        "transform": geobox.affine,
        "crs": None if geobox.crs is None else CRS.from_wkt(geobox.crs.to_wkt()),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "DEFLATE",
        "zlevel": 1,
        "bigtiff": "IF_SAFER",
    }
    with rasterio.open(path, "w", **profile) as file:
        file.update_tags(**facts.tags)
        file.update_tags(1, **facts.statistics.tags())
        if facts.colours:
            file.write_colormap(1, dict(facts.colours))
        if facts.description:
            file.set_band_description(1, facts.description)
        if facts.unit:
            file.units = (facts.unit,)
        for window in _windows(values.shape):
            file.write(np.ascontiguousarray(values[window.toslices()]), 1, window=window)


def _verify(path: Path, values: NDArray[Any]) -> None:
    with rasterio.open(path) as file:
        for window in _windows(values.shape):
            written = file.read(1, window=window)
            if not np.array_equal(
                written, values[window.toslices()], equal_nan=values.dtype.kind == "f"
            ):
                raise OutputError(
                    f"cannot write {path.name}: what came to the disk is not what was written;"
                    " free some space, or write to another disk"
                )


def _valid(values: NDArray[Any], window: Window, nodata: float) -> NDArray[np.float64]:
    block = values[window.toslices()]
    keep = ~np.isnan(block) if math.isnan(nodata) else block != nodata
    return np.asarray(block[keep], dtype=np.float64)


def _windows(shape: tuple[int, ...]) -> Iterator[Window]:
    """Walk rows of whole tiles; each window is a strip at most 16 tiles wide."""
    rows, cols = shape
    width = 16 * BLOCK
    for row in range(0, rows, BLOCK):
        for col in range(0, cols, width):
            yield Window(col, row, min(width, cols - col), min(BLOCK, rows - row))
