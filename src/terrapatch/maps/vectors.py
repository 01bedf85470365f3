"""Class maps as polygons: a GeoPackage that QGIS opens styled.

Cells of one class that share a side become one polygon. Areas are geodesic: measured on the
ellipsoid of the map's own CRS (Karney 2013, through ``pyproj.Geod``) with a vertex at each cell
corner, hence right in degrees and in Web Mercator too. The style stands in the ``layer_styles``
table, which QGIS reads as the layer's default. The same map gives the same bytes.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import shapes

from terrapatch.errors import MapError
from terrapatch.legend import Legend
from terrapatch.maps.qml import polygon_qml

__all__ = ["MAX_POLYGONS", "ClassPolygons", "class_polygons", "write_polygons"]

MAX_POLYGONS = 200_000
"""Above this many polygons a map is speckle, and nobody is served by them."""

WRITE_FAULTS = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.GeometryError,
)
_EPOCH = "1970-01-01T00:00:00.000Z"

_STYLES = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
    f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
    styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT,
    owner TEXT(30), ui TEXT(30), update_time DATETIME
)
"""


@dataclass(frozen=True)
class ClassPolygons:
    """Polygons of a class map, ordered by class, then from the top down.

    Attributes:
        ids: Class of each polygon, shape (n,).
        cells: Number of cells in each, shape (n,).
        geometries: Shapely polygons in the coordinates of the grid, shape (n,).
        area_ha: Geodesic area in hectares, NaN where the grid does not tell; shape (n,).
    """

    ids: NDArray[np.int32]
    cells: NDArray[np.int64]
    geometries: NDArray[Any]
    area_ha: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of polygons."""
        return len(self.ids)


def class_polygons(values: NDArray[Any], geobox: GeoBox) -> ClassPolygons:
    """Turn a class raster into polygons.

    Args:
        values: Array (rows, cols) of uint8 or uint16; 0 is left out.
        geobox: Its grid. Without a CRS, or with one that is not tied to the Earth, areas are NaN.

    Raises:
        MapError: If there are more than ``MAX_POLYGONS`` polygons.
    """
    found = list(islice(_traced(values), MAX_POLYGONS + 1))
    if len(found) > MAX_POLYGONS:
        raise MapError(
            f"the map falls into more than {MAX_POLYGONS} polygons; smooth it first, or save it"
            " without polygons"
        )
    ids = np.array([id for id, _ in found], dtype=np.int32)
    order = np.argsort(ids, kind="stable")
    outlines = np.array([polygon for _, polygon in found], dtype=object)[order]
    return ClassPolygons(
        ids=ids[order],
        cells=np.rint(shapely.area(outlines)).astype(np.int64),
        geometries=shapely.transform(outlines, _onto(geobox.affine)),
        area_ha=_geodesic_hectares(outlines, geobox),
    )


def write_polygons(
    path: Path, layer: str, polygons: ClassPolygons, legend: Legend, geobox: GeoBox
) -> None:
    """Write a GeoPackage 1.3 of one layer with its style.

    Args:
        path: The file; must not exist.
        layer: Name of the layer.
        polygons: What to write.
        legend: Names and colours.
        geobox: The grid whose CRS the coordinates are in; without one, the layer's is undefined.

    Raises:
        OSError: If GDAL cannot write the file.
        sqlite3.Error: If the style cannot be written.
    """
    entries = [legend[int(id)] for id in polygons.ids]
    fields = {
        "id": polygons.ids,
        "name": np.array([e.name for e in entries], dtype=object),
        "colour": np.array([e.colour for e in entries], dtype=object),
        "cells": polygons.cells,
        "area_ha": polygons.area_ha,
    }
    try:
        _write_layer(path, layer, polygons, fields, geobox)
    except WRITE_FAULTS as fault:
        raise OSError(f"{path.name}: {fault}") from None
    add_style(path, layer, polygon_qml(legend), len(polygons))


def _write_layer(
    path: Path,
    layer: str,
    polygons: ClassPolygons,
    fields: dict[str, NDArray[Any]],
    geobox: GeoBox,
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(polygons.geometries),
            field_data=list(fields.values()),
            fields=np.array(list(fields), dtype=object),
            layer=layer,
            driver="GPKG",
            geometry_type="Polygon",
            crs=None if geobox.crs is None else geobox.crs.to_wkt(),
            dataset_options={"VERSION": "1.3"},
            layer_options={"FID": "fid", "GEOMETRY_NAME": "geom"},
        )


def _traced(values: NDArray[Any]) -> Iterator[tuple[int, Any]]:
    """Yield class and outline, in cells, of each four-connected patch."""
    for geometry, id in shapes(values, mask=values != 0, connectivity=4):
        shell, *holes = geometry["coordinates"]
        yield int(id), shapely.Polygon(shell, holes)


def _onto(affine: Affine) -> Any:
    def move(cells: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = cells[:, 0], cells[:, 1]
        return np.stack(
            [affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f], axis=1
        )

    return move


def _geodesic_hectares(outlines: NDArray[Any], geobox: GeoBox) -> NDArray[np.float64]:
    """Measure polygons given in cells; a vertex a cell keeps parallels from becoming geodesics."""
    areas = np.full(len(outlines), np.nan)
    crs = None if geobox.crs is None else geobox.crs.proj
    if crs is None or crs.geodetic_crs is None or not len(outlines):
        return areas
    geod = crs.get_geod()
    if geod is None:
        return areas
    to_degrees = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    rings, owner = shapely.get_rings(outlines, return_index=True)
    dense = shapely.segmentize(rings, 1.0)
    points, of_ring = shapely.get_coordinates(dense, return_index=True)
    lon, lat = to_degrees.transform(*_onto(geobox.affine)(points).T)
    starts = np.flatnonzero(np.diff(of_ring, prepend=-1))
    stops = np.append(starts[1:], len(of_ring))
    first = np.diff(owner, prepend=-1) != 0
    areas[:] = 0.0
    for ring, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        size, _ = geod.polygon_area_perimeter(lon[start:stop], lat[start:stop])
        areas[owner[ring]] += abs(size) if first[ring] else -abs(size)
    areas[~np.isfinite(areas)] = np.nan
    return areas / 10_000.0


def add_style(path: Path, layer: str, qml: str, count: int) -> None:
    """Add the default style, and take everything out that tells the time."""
    with closing(sqlite3.connect(path)) as file:
        file.execute(_STYLES)
        file.execute(
            "INSERT INTO layer_styles VALUES (1, '', '', ?, 'geom', ?, ?, '', 1, ?, '', NULL, ?)",
            (layer, "classes", qml, "Colours of the map's legend", _EPOCH),
        )
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change)"
            " VALUES ('layer_styles', 'attributes', 'layer_styles', ?)",
            (_EPOCH,),
        )
        file.execute("INSERT INTO gpkg_ogr_contents VALUES ('layer_styles', 1)")
        file.execute("UPDATE gpkg_contents SET last_change = ?", (_EPOCH,))
        file.commit()
        file.execute("VACUUM")
        written = file.execute(f'SELECT count(*) FROM "{layer.replace(chr(34), chr(34) * 2)}"')
        if written.fetchone()[0] != count:
            raise OSError(f"{path.name} does not hold all polygons")
    _reset_counter(path)


def _reset_counter(path: Path) -> None:
    """Forget how often a closed SQLite file was written to on the way; it is no part of the data.

    The counter stands at byte 24 of the header and, for which state the header's other figures
    hold, again at byte 92 (SQLite, "Database File Format", 1.3.7 and 1.3.17).
    """
    with path.open("r+b") as file:
        for place in (24, 92):
            file.seek(place)
            file.write((1).to_bytes(4, "big"))
