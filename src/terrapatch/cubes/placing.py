"""The grid of an array from the coordinates that lie beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from terrapatch.arrays import scene_from_array
from terrapatch.cubes.axes import ACROSS, DOWN
from terrapatch.cubes.containers import Container, Variable
from terrapatch.errors import CubeError

Placed = tuple[GeoBox | None, bool, bool, tuple[str, ...]]


def place(
    box: Container, found: Sequence[Variable], chosen: Variable, letters: str, where: str
) -> Placed:
    """Find the grid of a variable.

    Args:
        box: The file.
        found: Its variables.
        chosen: The cube.
        letters: What each of its axes is.
        where: Its name, for messages.

    Returns:
        The grid (``None`` without coordinates), whether rows and columns have to be turned
        to run north to south and west to east, and notes.

    Raises:
        SceneError: If the coordinates are not evenly spaced.
        CubeError: If the CRS that is stated is not understood.
    """
    axes = {a: _coordinate(found, chosen, letters, a) for a in "yx"}
    if axes["y"] is None or axes["x"] is None:
        return None, False, False, ()
    down, across = (np.asarray(box.small(v.name), np.float64).ravel() for v in axes.values() if v)
    crs, notes = _crs(box, found, chosen, axes["y"], where)
    flip_y, flip_x = _rises(down), len(across) > 1 and across[0] > across[-1]
    if flip_y:
        notes = (*notes, "stored south-up; its rows are turned")
    if flip_x:
        notes = (*notes, "stored from east to west; its columns are turned")
    return (
        _grid(down[:: -1 if flip_y else 1], across[:: -1 if flip_x else 1], crs, where),
        flip_y,
        flip_x,
        notes,
    )


def _rises(values: npt.NDArray[np.float64]) -> bool:
    return len(values) > 1 and bool(values[0] < values[-1])


def _grid(
    down: npt.NDArray[np.float64], across: npt.NDArray[np.float64], crs: Any, where: str
) -> GeoBox:
    import rioxarray  # noqa: F401  (registers the accessor that writes the CRS)
    import xarray as xr

    blank = np.broadcast_to(np.uint8(0), (len(down), len(across)))
    array = xr.DataArray(blank, dims=("y", "x"), coords={"y": down, "x": across}, name=where)
    return scene_from_array(array if crs is None else array.rio.write_crs(crs), None).geobox


def _coordinate(
    found: Sequence[Variable], chosen: Variable, letters: str, axis: str
) -> Variable | None:
    """Find the coordinate of an axis: named as the axis is, or else by a usual name."""
    at = letters.index(axis)
    length, group = chosen.shape[at], chosen.name.rpartition("/")[0]
    lists = [v for v in found if v.numeric and len(v.shape) == 1 and v.shape[0] == length]
    lists.sort(key=lambda v: v.name.rpartition("/")[0] != group)
    if chosen.dims and chosen.dims[at]:
        dim = chosen.dims[at].strip("/")
        return next(
            (v for v in lists if v.name.strip("/") in (dim, f"{group}/{dim}".strip("/"))), None
        )
    usual = DOWN if axis == "y" else ACROSS
    return next((v for v in lists if v.leaf in usual and v.dtype and v.dtype.kind == "f"), None)


def _crs(
    box: Container, found: Sequence[Variable], chosen: Variable, down: Variable, where: str
) -> tuple[Any, tuple[str, ...]]:
    """Return the CRS that is stated, or WGS 84 for degrees of latitude without one."""
    mapping = _text(chosen.attrs.get("grid_mapping"))
    beside = next((v for v in found if v.name.strip("/") == mapping.strip("/") and mapping), None)
    beside = beside or next((v for v in found if v.leaf in ("spatial_ref", "crs")), None)
    for attrs in (*((beside.attrs,) if beside else ()), chosen.attrs, box.attrs()):
        crs = _stated(attrs, where)
        if crs is not None:
            return crs, ()
    if _text(down.attrs.get("units")).lower() in ("degrees_north", "degree_north"):
        return "EPSG:4326", ("states no CRS; its degrees are taken as WGS 84 (EPSG:4326)",)
    return None, ()


def _stated(attrs: Mapping[str, Any], where: str) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    texts = [_text(attrs.get(key)) for key in ("crs_wkt", "spatial_ref", "crs", "proj4")]
    text = next((t for t in texts if t), "")
    try:
        if text:
            return CRS.from_user_input(text).to_wkt()
        if "grid_mapping_name" in attrs:
            return CRS.from_cf({k: _number(v) for k, v in attrs.items()}).to_wkt()
    except (CRSError, KeyError, ValueError) as fault:
        raise CubeError(
            f"the CRS that {where} states is not understood ({text or 'grid mapping'}); convert "
            "it to a GeoTIFF with its CRS set: gdal_translate -a_srs"
        ) from fault
    return None


def _number(value: Any) -> Any:
    """Unwrap arrays of one number, as HDF5 keeps attributes."""
    if isinstance(value, np.ndarray):
        return value.item() if value.size == 1 else value.tolist()
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
