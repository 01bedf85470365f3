"""What a raster file says about itself, before a pixel is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import rasterio
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError, ProjError

from terrapatch.grid import ground_resolution


@dataclass(frozen=True)
class BandFacts:
    """What is known of one band.

    Attributes:
        number: Counted from 1.
        name: Its description, or its colour.
        dtype: Type of its values.
        nodata: Its nodata value, ``None`` where there is none.
        low: 2nd percentile of a thinned sample of valid values.
        high: 98th percentile, likewise.
    """

    number: int
    name: str
    dtype: str
    nodata: float | None
    low: float | None = None
    high: float | None = None


def file_facts(src: rasterio.DatasetReader, path: str) -> dict[str, Any]:
    """Return what a file says about itself, by the names of ``Look``'s attributes."""
    crs = src.crs
    transform = src.transform
    bands = tuple(
        BandFacts(i, _band_name(src, i), dtype, nodata)
        for i, dtype, nodata in zip(src.indexes, src.dtypes, src.nodatavals, strict=True)
    )
    compression = src.compression.value.lower() if src.compression else "not compressed"
    return {
        "path": path,
        "driver": src.driver,
        "height": src.height,
        "width": src.width,
        "crs": None if crs is None else _crs_name(crs),
        "pixel": (
            math.hypot(transform.b, transform.e),
            math.hypot(transform.a, transform.d),
        ),
        "pixel_unit": None if crs is None else _unit(crs),
        "ground": _ground(src),
        "bands": bands,
        "mask": _mask(src),
        "blocks": tuple(src.block_shapes[0]),
        "compression": compression,
        "overviews": tuple(src.overviews(1)),
    }


def _band_name(src: rasterio.DatasetReader, band: int) -> str:
    colour = str(src.colorinterp[band - 1].name)
    given: str | None = src.descriptions[band - 1]
    return given or ("" if colour in ("gray", "undefined") else colour)


def _crs_name(crs: Any) -> str:
    try:
        name = pyproj.CRS.from_wkt(crs.to_wkt()).name
    except CRSError:
        name = "a CRS PROJ does not know"
    code = crs.to_epsg()
    return f"EPSG:{code} ({name})" if code else f"{name} (no EPSG code)"


def _unit(crs: Any) -> str:
    if crs.is_geographic:
        return "degrees"
    return {"metre": "m", "meter": "m"}.get(str(crs.linear_units), str(crs.linear_units))


def _mask(src: rasterio.DatasetReader) -> str:
    flags = src.mask_flag_enums[0]
    names = {flag.name for flag in flags}
    if "alpha" in names:
        return "an alpha band"
    if "per_dataset" in names:
        return "a mask of its own"
    if "nodata" in names:
        return "nodata values"
    floats = any(np.dtype(d).kind == "f" for d in src.dtypes)
    return "every finite value is valid" if floats else "every pixel is valid"


def _ground(src: rasterio.DatasetReader) -> tuple[float, float] | None:
    if src.crs is None or src.transform.is_identity:
        return None
    try:
        ground = ground_resolution(GeoBox(src.shape, src.transform, src.crs))
    except ProjError:
        return None
    return None if ground is None else (ground.y, ground.x)
