"""Where a pixel lies on the Earth: exactly for one, by a small table for the pointer."""

from __future__ import annotations

from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

__all__ = ["describe", "place"]

_NODES = 17


def place(grid: GeoBox, row: float, col: float) -> dict[str, float | None]:
    """Return map coordinates, longitude and latitude of a place in pixels of a grid.

    Args:
        grid: The grid.
        row: Row, from the upper edge.
        col: Column, from the left edge.

    Returns:
        ``x``, ``y``, ``lon`` and ``lat``; the last two ``None`` where they are not known.
    """
    t = grid.affine
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    lon, lat = _degrees(grid, np.array([x]), np.array([y]))
    return {"x": float(x), "y": float(y), "lon": _known(lon), "lat": _known(lat)}


def describe(grid: GeoBox) -> dict[str, Any]:
    """Return all the page needs to say where the pointer is.

    Args:
        grid: GeoBox of the scene.

    Returns:
        ``transform`` (six numbers), ``crs`` (a name or ``None``) and ``degrees``: longitudes
        and latitudes at 17 by 17 nodes spread over the scene, row by row, or ``None``.
    """
    t = grid.affine
    rows, cols = np.meshgrid(
        np.linspace(0, int(grid.shape[0]), _NODES),
        np.linspace(0, int(grid.shape[1]), _NODES),
        indexing="ij",
    )
    x = t.a * cols + t.b * rows + t.c
    y = t.d * cols + t.e * rows + t.f
    lon, lat = _degrees(grid, x.ravel(), y.ravel())
    known = bool(np.isfinite(lon).all() and np.isfinite(lat).all())
    degrees = {"nodes": _NODES, "lon": lon.tolist(), "lat": lat.tolist()} if known else None
    return {"transform": [float(v) for v in t[:6]], "crs": _name(grid), "degrees": degrees}


def _degrees(grid: GeoBox, x: Any, y: Any) -> tuple[Any, Any]:
    if grid.crs is None:
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    from pyproj import CRS, Transformer

    crs = CRS.from_wkt(grid.crs.to_wkt())
    if crs.geodetic_crs is None:
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)


def _known(value: Any) -> float | None:
    return float(value[0]) if np.isfinite(value[0]) else None


def _name(grid: GeoBox) -> str | None:
    if grid.crs is None:
        return None
    from pyproj import CRS

    crs = CRS.from_wkt(grid.crs.to_wkt())
    authority = crs.to_authority()
    return f"{':'.join(authority)} {crs.name}" if authority else str(crs.name)
