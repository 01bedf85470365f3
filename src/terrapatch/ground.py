"""How large the pixels of a grid are on the ground."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox


def pixel_hectares(geobox: GeoBox) -> npt.NDArray[np.float64] | None:
    """Measure the area of a pixel in every row, geodesically, at the middle column.

    Args:
        geobox: A grid whose rows run east to west.

    Returns:
        Hectares on the CRS's ellipsoid, shape ``(rows,)``; ``None`` without a CRS or
        where the grid leaves the area its projection is made for.
    """
    if geobox.crs is None:
        return None
    from pyproj import CRS, Transformer

    crs = CRS.from_wkt(geobox.crs.to_wkt())
    geod, geodetic = crs.get_geod(), crs.geodetic_crs
    if geod is None or geodetic is None:
        return None
    t, rows = geobox.affine, int(geobox.shape[0])
    x = t.c + t.a * (geobox.shape[1] / 2 + np.array([-0.5, 0.5]))
    edges = t.f + t.e * np.arange(rows + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    to_degrees = Transformer.from_crs(crs, geodetic, always_xy=True)
    lon, lat = to_degrees.transform(np.full(rows + 1, x.mean()), edges)
    left = to_degrees.transform(np.full(rows, x[0]), middles)
    right = to_degrees.transform(np.full(rows, x[1]), middles)
    _, _, tall = geod.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    _, _, wide = geod.inv(*left, *right)
    area = np.asarray(tall) * np.asarray(wide) / 1e4
    return area if np.isfinite(area).all() else None
