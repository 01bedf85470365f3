"""One factory for synthetic rasters, and where the real ones are.

``make_raster`` is a plain function (for hypothesis) and, by ``conftest.py``, a fixture.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

Values = Callable[[int, int, int], NDArray[Any]] | Literal["random", "constant", "gradient"]
PROJECT = Path(__file__).resolve().parents[1]
UTM = Affine(0.5, 0.0, 280_000.0, 0.0, -0.5, 2_110_000.0)


def find_data(*parts: str) -> Path | None:
    """Return a file or folder of the real data, or ``None`` where it is not here."""
    path = _data_root().joinpath(*parts)
    return path if path.exists() else None


def data_dir(*parts: str) -> Path:
    """Return a file or folder of the real data, or skip the test that asks for it."""
    path = find_data(*parts)
    if path is None:
        wanted = _data_root().joinpath(*parts)
        pytest.skip(f"no real data: {wanted} does not exist; set TERRAPATCH_DATA to its folder")
    return path


def _data_root() -> Path:
    named = os.environ.get("TERRAPATCH_DATA")
    return Path(named) if named else PROJECT.parent / "shared" / "data"


def fill(
    values: Values,
    dtype: str,
    shape: tuple[int, int, int],
    *,
    seed: int = 0,
    level: float = 100,
) -> NDArray[Any]:
    """Return an array (bands, rows, cols) filled as ``make_raster`` describes."""
    bands, height, width = shape
    if callable(values):
        data = np.asarray(values(bands, height, width))
        return np.broadcast_to(data, shape).astype(dtype)
    if values == "constant":
        return np.full(shape, level).astype(dtype)
    if values == "gradient":
        ramp = np.linspace(1, 250, height * width).reshape(1, height, width)
        return np.broadcast_to(ramp, shape).astype(dtype)
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.random(shape).astype(dtype)
    top = min(int(np.iinfo(dtype).max), 10_000)
    return random.integers(1, top, shape, endpoint=True).astype(dtype)


def make_raster(
    path: Path | str,
    *,
    dtype: str = "uint8",
    bands: int = 3,
    height: int = 64,
    width: int = 64,
    crs: Any = "EPSG:32643",
    transform: Affine | None = UTM,
    nodata: float | Literal["nan", "alpha", "mask"] | None = None,
    hole: tuple[slice, slice] | None = None,
    layout: Literal["strips", "tiles"] = "tiles",
    block: int = 32,
    compress: str | None = "deflate",
    driver: str = "GTiff",
    descriptions: Sequence[str] | None = None,
    colorinterp: Sequence[ColorInterp | str] | None = None,
    values: Values = "random",
    level: float = 100,
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write a small raster of the kind asked for and return its path.

    Args:
        path: File to write; folders above it are made.
        dtype: numpy name of the pixel type.
        bands: Number of data bands; an alpha band comes on top.
        height: Rows.
        width: Columns.
        crs: Anything rasterio reads as a CRS, or None.
        transform: Affine of the upper-left corner, or None for no georeference.
        nodata: None, a number, "nan", "alpha" (a band) or "mask" (internal).
        hole: Rows and columns without data; the default is the upper-left quarter of
            a raster that has some kind of nodata.
        layout: Strips, or tiles of ``block`` pixels (GTiff only).
        block: Side of a tile or height of a strip, in pixels.
        compress: GDAL's name of the compression, or None.
        driver: GDAL driver; the creation options above are for GTiff alone.
        descriptions: One name a band.
        colorinterp: One colour interpretation a band.
        values: "random", "constant" (all ``level``), "gradient", or a function of
            (bands, rows, cols) whose answer broadcasts to that shape.
        level: Value of a constant raster.
        seed: Seed of the random values.
        **options: Further creation options.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = fill(values, dtype, (bands, height, width), seed=seed, level=level)
    inside = np.ones((height, width), dtype=bool)
    if nodata is not None:
        inside[hole or (slice(0, height // 2), slice(0, width // 2))] = False
    alpha = nodata == "alpha"
    fixed = np.nan if nodata == "nan" else nodata if isinstance(nodata, int | float) else None
    if fixed is not None:
        data[:, ~inside] = fixed
    profile: dict[str, Any] = {"driver": driver, "dtype": dtype, "count": bands + alpha}
    profile |= {"height": height, "width": width, "crs": crs, "nodata": fixed}
    if transform is not None:
        profile["transform"] = transform
    if driver == "GTiff":
        tiled = {"tiled": True, "blockxsize": block, "blockysize": block}
        profile |= tiled if layout == "tiles" else {"tiled": False, "blockysize": block}
        profile |= {"compress": compress} if compress else {}
        profile |= {"photometric": "RGB"} if bands == 3 and dtype == "uint8" else {}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **(profile | options)) as raster,
    ):
        if colorinterp or alpha:
            raster.colorinterp = _interpretations(raster.colorinterp, colorinterp, alpha)
        raster.write(data, list(range(1, bands + 1)))
        if alpha:
            opaque = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
            raster.write((inside * opaque).astype(dtype), bands + 1)
        if nodata == "mask":
            raster.write_mask(inside)
        for index, name in enumerate(descriptions or (), start=1):
            raster.set_band_description(index, name)
    return path


def _interpretations(
    current: Sequence[ColorInterp], wanted: Sequence[ColorInterp | str] | None, alpha: bool
) -> list[ColorInterp]:
    """Return the colour interpretation of every band, alpha last."""
    named = [c if isinstance(c, ColorInterp) else ColorInterp[c] for c in wanted or ()]
    count = len(current) - alpha
    chosen = (named + list(current[len(named) :]))[:count]
    return chosen + [ColorInterp.alpha] * alpha
