"""How much of each class lies in each zone, cells that are cut counting by their part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from terrapatch.errors import OutsideError, SamplesError
from terrapatch.learn._vector_shapes import place_shapes
from terrapatch.maps import ClassMap
from terrapatch.studies._map_areas import row_hectares

Floats = NDArray[np.float64]
Shapely = NDArray[Any]

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True, eq=False)
class ZoneAreas:
    """What lies in each of n zones.

    Attributes:
        hectares: Area of each class (n, K).
        zone: Geodesic area of each zone in hectares (n,).
        covered: Share of each zone that has a class (n,), 0 to 1.
        mended: Zones whose outline crosses itself and was mended.
        twice: Hectares of classes that lie in several zones.
        missed: Hectares of classes that lie in no zone.
    """

    hectares: Floats
    zone: Floats
    covered: Floats
    mended: int
    twice: float
    missed: float


def zone_areas(class_map: ClassMap, table: Any, map_name: str, name: str) -> ZoneAreas:
    """Measure the classes of a map in each polygon of a table.

    Args:
        class_map: The map; its CRS must be known and its grid upright.
        table: A ``GeoDataFrame`` of polygons in any CRS.
        map_name: What to call the map in messages.
        name: What to call the table in messages.

    Raises:
        MapError: If the cells of the map cannot be measured.
        SamplesError: If the zones have no CRS or are no polygons.
        OutsideError: If no zone reaches the map.
    """
    hectares = row_hectares(class_map, map_name)
    if table.crs is None:
        raise SamplesError(
            f"{name} states no CRS, so nobody knows where its zones lie; say which it is with "
            "ogr2ogr -a_srs or GeoDataFrame.set_crs"
        )
    try:
        placed = place_shapes(table, class_map.geobox, name)
    except OutsideError as fault:
        raise OutsideError(
            f"no zone of {name} reaches {map_name}; check the CRS of the zones, or give those of "
            "this place"
        ) from fault
    if placed.points:
        raise SamplesError(f"{name} holds points; zones are polygons, so give a layer of those")
    shapes = placed.geometries.copy()
    shapes[placed.empty | placed.outside] = None
    shapes, mended = _mended(shapes)
    found, covered, seen = _extracted(class_map, shapes, hectares)
    twice, missed = seen
    inside = shapely.area(shapes)
    share = np.zeros(len(shapes))
    np.divide(covered, inside, out=share, where=np.nan_to_num(inside) > 0)
    return ZoneAreas(found, geodesic_hectares(table), np.clip(share, 0, 1), mended, twice, missed)


def geodesic_hectares(table: Any) -> Floats:
    """Measure polygons of a table in any CRS on the ellipsoid, in hectares ``(n,)``."""
    from pyproj import Transformer

    crs = table.crs
    geod, geodetic = crs.get_geod(), crs.geodetic_crs
    if geod is None or geodetic is None:
        return np.full(len(table), np.nan)
    to_degrees = Transformer.from_crs(crs, geodetic, always_xy=True)
    areas = np.zeros(len(table))
    for i, shape in enumerate(table.geometry.array):
        if shape is None or shape.is_empty:
            continue
        left, bottom, right, top = shape.bounds
        # A straight edge of the CRS is no geodesic; short pieces of it are.
        fine = shapely.segmentize(shape, max(right - left, top - bottom) / 64 or 1.0)
        for part in shapely.get_parts(shapely.make_valid(shapely.force_2d(fine))):
            for polygon in shapely.get_parts(part):
                if polygon.geom_type == "Polygon":
                    areas[i] += _ring_area(polygon, to_degrees, geod)
    areas[~np.isfinite(areas)] = np.nan
    return areas / 1e4


def _ring_area(polygon: Any, to_degrees: Any, geod: Any) -> float:
    sizes = []
    for ring in (polygon.exterior, *polygon.interiors):
        lon, lat = to_degrees.transform(*shapely.get_coordinates(ring).T)
        sizes.append(abs(geod.polygon_area_perimeter(lon, lat)[0]))
    return float(sizes[0] - sum(sizes[1:]))


def _mended(shapes: Shapely) -> tuple[Shapely, int]:
    """Mend outlines that cross themselves; what is left of them without an area goes."""
    wrong = np.flatnonzero(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes))
    for i in wrong:
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapes[i])))
        shapes[i] = shapely.multipolygons(parts[shapely.get_dimensions(parts) == 2])
    return shapes, len(wrong)


def _extracted(
    class_map: ClassMap, shapes: Shapely, hectares: Floats
) -> tuple[Floats, Floats, tuple[float, float]]:
    """Walk the map in strips of rows, so that memory is bounded by a strip.

    Returns:
        Hectares (n, K); covered cells (n,); and hectares in several zones and in none.
    """
    k = len(class_map.legend)
    rows, cols = class_map.values.shape
    found, covered = np.zeros((len(shapes), k + 1)), np.zeros(len(shapes))
    twice = missed = 0.0
    bounds = shapely.bounds(shapes)  # NaN where there is no shape: compares as false
    step = max(1, _CELLS_AT_ONCE // cols)
    for top in range(0, rows, step):
        strip = class_map.values[top : top + step]
        area = np.repeat(hectares[top : top + step], cols)
        near = np.flatnonzero((bounds[:, 1] < top + len(strip)) & (bounds[:, 3] > top))
        seen = np.zeros(strip.size)
        for i, cells, part in _in_strip(strip, top, shapes, near):
            ids = strip.ravel()[cells]
            found[i] += np.bincount(ids, part * area[cells], k + 1)
            covered[i] += part[ids > 0].sum()
            seen[cells] += part
        there = area * (strip.ravel() > 0)
        twice += float(there @ np.maximum(0.0, seen - 1))
        missed += float(there @ np.maximum(0.0, 1 - seen))
    return found[:, 1:], covered, (twice, missed)


def _in_strip(
    strip: NDArray[Any], top: int, shapes: Shapely, near: NDArray[np.intp]
) -> list[tuple[int, NDArray[np.int64], Floats]]:
    """Return number, cells and the covered part of each of them, for the shapes near a strip."""
    from exactextract import exact_extract
    from exactextract.feature import JSONFeatureSource
    from exactextract.raster import NumPyRasterSource

    if not len(near):
        return []
    rows, cols = strip.shape
    # Rows of cells run down, y runs up.
    raster = NumPyRasterSource(strip, 0, -(top + rows), cols, -top)
    turned = shapely.transform(shapes[near], lambda xy: xy * (1.0, -1.0))
    features = JSONFeatureSource(
        [
            {"type": "Feature", "id": int(i), "properties": {}, "geometry": shape.__geo_interface__}
            for i, shape in zip(near, turned, strict=True)
        ]
    )
    done = exact_extract(raster, features, ["cell_id", "coverage"], include_cols=["id"])
    return [
        (int(one["id"]), one["properties"]["cell_id"], one["properties"]["coverage"])
        for one in done
    ]
