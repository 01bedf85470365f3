"""Opening a raster file as a scene, or refusing by name what cannot be one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioIOError

from terrapatch.bands import TRIPLETS, role
from terrapatch.errors import SceneError, SceneNotFoundError
from terrapatch.scene import REMOTE, Scene

_COLOURS = {colour for triplet in TRIPLETS.values() for colour in triplet}


def open_raster(path: str) -> rasterio.DatasetReader:
    """Open a raster with rasterio, turning its failures into one sentence.

    Raises:
        SceneNotFoundError: If there is no such file.
        SceneError: If the file is not a raster.
    """
    try:
        return rasterio.open(path)
    except RasterioIOError as fault:
        # Asked only now: names such as NETCDF:file.nc:band are no files but open.
        if not path.startswith(REMOTE) and not Path(path).exists():
            raise SceneNotFoundError(f"there is no file {path}; check the path") from fault
        if Path(path).is_dir():
            raise SceneError(f"{path} is a folder, not a raster; give a file's path") from fault
        raise SceneError(
            f"{path} cannot be opened as a raster ({_first_line(fault)}); "
            "check that it is a GeoTIFF or another format GDAL reads, and whole"
        ) from fault


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__


def scene_from_file(path: str, nodata: float | None) -> Scene:
    """Take a file as a scene, with all of its bands but alpha.

    Args:
        path: Anything GDAL reads.
        nodata: Value that means nodata in every band, whatever the file says.

    Raises:
        SceneError: If it is not a raster, holds no bands or no plain numbers, or is
            rotated, south-up, or located by control points only.
    """
    with open_raster(path) as src:
        if src.count == 0:
            raise SceneError(
                f"{path} holds no bands of its own; name one of its "
                f"{len(src.subdatasets)} sub-datasets instead"
                if src.subdatasets
                else f"{path} holds no bands; give a raster with pixels"
            )
        _refuse_awkward_grids(src, path)
        alpha = next((b for b in src.indexes if _is_alpha(src, b)), None)
        bands = tuple(b for b in src.indexes if b != alpha) or (1,)
        dtype = _common_dtype(src, bands, path)
        declared = src.nodatavals if nodata is None else (nodata,) * src.count
        flags = src.mask_flag_enums[bands[0] - 1]
        return Scene(
            source=path,
            geobox=GeoBox(src.shape, src.transform, src.crs),
            dtype=dtype,
            band_names=tuple(_band_name(src, b) for b in src.indexes),
            bands=bands,
            chosen=False,
            band_nodata=tuple(declared),
            alpha=alpha,
            has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
            any_invalid=dtype != "uint8",
            block_shape=src.block_shapes[0],
            driver=src.driver,
            datetime=_acquired(src),
        )


def _is_alpha(src: rasterio.DatasetReader, band: int) -> bool:
    """Whether a band is alpha; GDAL also tags the fourth of four eight-bit bands so unasked."""
    named = role(src.descriptions[band - 1] or "")
    return src.colorinterp[band - 1] is ColorInterp.alpha and named not in _COLOURS


def _band_name(src: rasterio.DatasetReader, band: int) -> str:
    interp = src.colorinterp[band - 1]
    plain = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    return src.descriptions[band - 1] or (interp.name if interp in plain else "")


def _refuse_awkward_grids(src: rasterio.DatasetReader, path: str) -> None:
    t, name = src.transform, Path(path).name
    if t.is_identity and src.gcps[0]:
        raise SceneError(
            f"{name} is located only by {len(src.gcps[0])} ground control points; "
            f"warp it to a grid first: gdalwarp {name} warped.tif"
        )
    if t.is_identity and src.rpcs:
        raise SceneError(
            f"{name} is located only by rational polynomials (RPC); "
            f"orthorectify it first: gdalwarp -rpc {name} ortho.tif"
        )
    if t.b or t.d:
        fix = f"gdalwarp {name} north_up.tif" if src.crs else "assign its CRS, then gdalwarp"
        raise SceneError(
            f"{name} is rotated: its rows do not run east to west; warp it north up first: {fix}"
        )
    if t.is_identity and src.crs:
        raise SceneError(
            f"{name} states a CRS but no position: give it its corners first: "
            f"gdal_translate -a_ullr LEFT TOP RIGHT BOTTOM {name} placed.tif"
        )
    if t.e > 0 and not t.is_identity:
        raise SceneError(
            f"{name} is stored south-up: its first row is the southernmost; "
            f"turn it first: gdalwarp {name} north_up.tif"
        )
    if t.a < 0:
        raise SceneError(
            f"{name} runs from east to west; turn it first: gdalwarp {name} north_up.tif"
        )


def _common_dtype(src: rasterio.DatasetReader, bands: tuple[int, ...], path: str) -> str:
    """Return the type that holds the values of all bands, or refuse what is no brightness."""
    name = Path(path).name
    if src.colorinterp[bands[0] - 1] is ColorInterp.palette:
        raise SceneError(
            f"{name} is a palette image: its values are indices into a colour table, not "
            f"brightness; expand it first: gdal_translate -expand rgb {name} rgb.tif"
        )
    dtypes = [str(src.dtypes[b - 1]) for b in bands]
    if any(d.startswith("complex") for d in dtypes):
        raise SceneError(
            f"{name} holds complex numbers; derive amplitude or phase first, for example "
            "with gdal_calc.py"
        )
    return np.result_type(*dtypes).name


def _acquired(src: rasterio.DatasetReader) -> str | None:
    """Return the acquisition time as RFC 3339 where the TIFF states one."""
    text = src.tags().get("TIFFTAG_DATETIME", "")[:19].replace("-", ":")
    try:
        return f"{dt.datetime.strptime(text, '%Y:%m:%d %H:%M:%S').isoformat()}Z"
    except ValueError:
        return None
