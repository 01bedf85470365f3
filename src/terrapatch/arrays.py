"""Using an ``xarray.DataArray`` as a scene, or refusing by name what cannot be one."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.errors import SceneError
from terrapatch.scene import ArraySource, Scene


def scene_from_array(array: Any, nodata: float | None) -> Scene:
    """Take a data array as a scene, with all of its bands.

    Args:
        array: An ``xarray.DataArray`` with a ``y`` and an ``x`` dimension.
        nodata: Value that means nodata, where the array does not say.

    Raises:
        SceneError: If its grid is not regular and north-up, or it holds no numbers.
    """
    if hasattr(array, "data_vars"):
        raise SceneError(
            "an xarray.Dataset is not one raster; pass one of its variables, or several as bands "
            "with dataset[names].to_dataarray('band')"
        )
    name = str(array.name or "array")
    down = [d for d in array.dims if str(d).lower() in ("y", "lat", "latitude", "northing")]
    across = [d for d in array.dims if str(d).lower() in ("x", "lon", "longitude", "easting")]
    extra = [d for d in array.dims if d not in (*down, *across)]
    if len(down) != 1 or len(across) != 1 or len(extra) > 1:
        raise SceneError(
            f"the dimensions of {name} are {tuple(array.dims)}; a scene has y and x (or latitude "
            "and longitude) and at most one band dimension; select or rename them first"
        )
    if array.dtype.kind not in "iuf":
        raise SceneError(
            f"{name} holds {array.dtype}, which is not brightness; convert it to whole or real "
            "numbers first, for example with .astype('float32')"
        )
    if not extra:
        array, extra = array.expand_dims("band"), ["band"]
    array = array.transpose(*extra, *down, *across)
    count, chunks = int(array.shape[0]), array.chunks
    stated = {"nodata": array.attrs.get("nodata")} | array.encoding | array.attrs
    value = nodata if nodata is not None else stated.get("_FillValue", stated["nodata"])
    return Scene(
        source=ArraySource(array, name),
        geobox=_array_grid(array, name),
        dtype=array.dtype.name,
        band_names=_array_bands(array, count),
        bands=tuple(range(1, count + 1)),
        chosen=False,
        band_nodata=(None if value is None else float(value),) * count,
        alpha=None,
        has_mask=False,
        any_invalid=array.dtype != np.uint8,
        block_shape=(chunks[1][0], chunks[2][0]) if chunks else (512, int(array.shape[2])),
        driver="array",
    )


def _array_bands(array: Any, count: int) -> tuple[str, ...]:
    """Name the bands by their coordinate, or by ``long_name`` as rioxarray reads it."""
    labels = array.coords[array.dims[0]].values if array.dims[0] in array.coords else ()
    names = tuple(str(v) if isinstance(v, str) else "" for v in labels) or ("",) * count
    written = array.attrs.get("long_name")
    if not any(names) and isinstance(written, tuple | list) and len(written) == count:
        return tuple(map(str, written))
    return names


def _array_grid(array: Any, name: str) -> GeoBox:
    """Find the grid from the coordinates of the pixel centres, and the CRS beside them."""
    import rioxarray  # noqa: F401  (registers the accessor that finds the CRS)

    steps = [_step(array, dim) for dim in array.dims[1:]]
    if None in steps or array.sizes[array.dims[1]] == array.sizes[array.dims[2]] == 1:
        raise SceneError(
            f"{name} has no regular coordinates, so its grid is not known; give it evenly spaced "
            "y and x coordinates of its pixel centres (and a CRS with .rio.write_crs)"
        )
    # A single row is as high as a column is wide, and the other way round.
    dy, dx = steps[0] or -abs(steps[1] or 1.0), steps[1] or abs(steps[0] or 1.0)
    if dy > 0 or dx < 0:
        raise SceneError(
            f"{name} is not north-up (its first row is not the northernmost); "
            "sort it first: array.sortby('y', ascending=False).sortby('x')"
        )
    top, left = (float(array.coords[dim][0]) for dim in array.dims[1:])
    grid = Affine(dx, 0.0, left - dx / 2, 0.0, dy, top - dy / 2)
    return GeoBox(array.shape[1:], grid, array.rio.crs)


def _step(array: Any, dim: Any) -> float | None:
    """Return the spacing along a dimension: 0 for one pixel, ``None`` if it is not even."""
    if dim not in array.coords or array.coords[dim].dtype.kind not in "iuf":
        return None
    places = array.coords[dim].values.astype(np.float64)
    if len(places) == 1:
        return 0.0
    step = float(places[-1] - places[0]) / (len(places) - 1)
    even = np.abs(places - places[0] - step * np.arange(len(places))).max() < 0.1 * abs(step)
    return step if even else None
