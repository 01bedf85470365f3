"""Bringing labelled shapes onto the cells of a scene, or refusing by name what has no place there.

Shapes are brought into the coordinates of the cells: ``x`` counts columns and ``y`` rows, from
the scene's upper-left corner, so that cell ``(r, c)`` is the square from ``(c, r)`` to
``(c + 1, r + 1)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import OutsideError, SamplesError

Shapely = NDArray[Any]
Mask = NDArray[np.bool_]

_POINTS = (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT)
_POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
# A straight edge in one CRS is a curve in another; below this length the bow cannot be seen.
_STRAIGHT_CELLS = 16.0
_PIECES = 64


@dataclass(frozen=True)
class PlacedShapes:
    """Shapes in the coordinates of the cells.

    Attributes:
        points: Whether all are points (else all are polygons).
        geometries: Shapely geometries ``(n,)``, one a feature, in the order of the file.
        empty: Features without a geometry ``(n,)``.
        outside: Features that do not reach the scene ``(n,)``, told by their bounding box.
    """

    points: bool
    geometries: Shapely
    empty: Mask
    outside: Mask


def place_shapes(table: Any, geobox: GeoBox, name: str) -> PlacedShapes:
    """Bring the shapes of a table onto the cells.

    Edges longer than 16 cells are given more vertices before they are reprojected, since a
    straight line in one CRS is a curve in another.

    Args:
        table: A ``GeoDataFrame`` in any CRS.
        geobox: GeoBox of the cells.
        name: What to call the table in messages.

    Raises:
        SamplesError: If there are no geometries, or others than points or polygons, or both of
            these; if the scene has no georeference, or only one of the two has a CRS; or if
            nothing reaches the scene.
    """
    check_georeference(geobox)
    shapes = _geometries(table, name)
    empty = np.asarray(shapely.is_missing(shapes) | shapely.is_empty(shapes), bool)
    if empty.all():
        raise SamplesError(
            f"none of the {len(shapes)} features of {name} has a geometry; export it with shapes"
        )
    points = _one_kind(shapes, empty, name)
    shapes = shapely.force_2d(shapes)
    transformer = _transformer(table.crs, geobox, name)
    rows, cols = (int(n) for n in geobox.shape)
    placed = _onto_cells(shapes, transformer, geobox.affine)
    bounds = shapely.bounds(placed)
    if transformer is not None and not points:
        long = np.hypot(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]) > _STRAIGHT_CELLS
        placed[long] = _onto_cells(_with_vertices(shapes[long]), transformer, geobox.affine)
        bounds[long] = shapely.bounds(placed[long])
    reach = np.isfinite(bounds).all(axis=1)
    reach &= (bounds[:, 0] < cols) & (bounds[:, 1] < rows)
    reach &= (bounds[:, 2:] >= 0).all(axis=1) if points else (bounds[:, 2:] > 0).all(axis=1)
    if not reach.any():
        raise _all_outside(bounds[~empty], geobox, name)
    return PlacedShapes(points, placed, empty, ~reach & ~empty)


def check_georeference(geobox: GeoBox) -> None:
    """Refuse cells of a scene that has neither CRS nor position.

    Raises:
        SamplesError: If it has none.
    """
    t = geobox.affine
    if geobox.crs is None and t.c == 0 and t.f == 0 and t.e > 0:
        raise SamplesError(
            "the scene has no georeference, so shapes on the ground have no place in it; give it "
            "one with gdal_translate -a_srs CRS -a_ullr LEFT TOP RIGHT BOTTOM and embed it again"
        )


def extent_text(bounds: tuple[float, float, float, float]) -> str:
    """Write an extent as plain numbers: whole ones, or with five decimals where they are small."""
    small = max(abs(v) for v in bounds) <= 1000
    left, bottom, right, top = (f"{v:.5f}" if small else f"{v:.0f}" for v in bounds)
    return f"x {left} to {right}, y {bottom} to {top}"


def scene_extent(geobox: GeoBox) -> tuple[float, float, float, float]:
    """Return the least and greatest x and y of the cells: left, bottom, right, top."""
    rows, cols = (int(n) for n in geobox.shape)
    return _box_in_crs((0.0, 0.0, float(cols), float(rows)), geobox.affine)


def _geometries(table: Any, name: str) -> Shapely:
    try:
        shapes = table.geometry
    except AttributeError:
        raise SamplesError(f"{name} holds no geometries; give a file or table of shapes") from None
    if not len(shapes):
        raise SamplesError(f"{name} holds no features; draw some, or name another layer")
    return np.array(shapes.array, dtype=object)


def _one_kind(shapes: Shapely, empty: Mask, name: str) -> bool:
    """Return whether all shapes are points, refusing mixtures and what has no area."""
    kinds = np.where(empty, -2, shapely.get_type_id(shapes))
    points, polygons = np.isin(kinds, _POINTS), np.isin(kinds, _POLYGONS)
    wrong = ~(points | polygons | empty)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise SamplesError(
            f"{int(wrong.sum())} of {len(shapes)} features of {name} are neither polygons nor "
            f"points, the first is feature {first} (from 0), a {shapes[first].geom_type}; "
            "turn them into polygons, for example by buffering lines or splitting collections"
        )
    if points.any() and polygons.any():
        raise SamplesError(
            f"{name} mixes {int(points.sum())} points and {int(polygons.sum())} polygons, which "
            "are counted differently; give them one after the other, each as its own layer"
        )
    return bool(points.any())


def _transformer(crs: Any, geobox: GeoBox, name: str) -> Any:
    """Return what brings coordinates into the scene's CRS; ``None`` where they are in it."""
    if crs is None and geobox.crs is None:
        return None
    if crs is None:
        raise SamplesError(
            f"{name} states no CRS but the scene has one ({_short(geobox.crs)}); say which it is "
            "with ogr2ogr -a_srs or GeoDataFrame.set_crs"
        )
    if geobox.crs is None:
        raise SamplesError(
            f"the scene states no CRS but {name} has one ({_short(crs)}); assign the scene's with "
            "gdal_edit.py -a_srs and embed it again"
        )
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    source, target = CRS.from_user_input(crs), CRS.from_wkt(geobox.crs.to_wkt())
    if source == target:
        return None
    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except ProjError as fault:
        raise SamplesError(
            f"there is no way from the CRS of {name} ({_short(crs)}) to that of the scene "
            f"({_short(geobox.crs)}); reproject one of the two"
        ) from fault


def _short(crs: Any) -> str:
    from pyproj import CRS

    known = CRS.from_user_input(crs.to_wkt())
    code = known.to_epsg()
    return known.name if code is None else f"EPSG:{code}"


def _onto_cells(shapes: Shapely, transformer: Any, affine: Affine) -> Shapely:
    inverse = ~affine

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = xy.T if transformer is None else transformer.transform(xy[:, 0], xy[:, 1])
        return np.column_stack(
            [
                inverse.a * x + inverse.b * y + inverse.c,
                inverse.d * x + inverse.e * y + inverse.f,
            ]
        )

    with np.errstate(invalid="ignore"):  # places outside the projection become infinite
        return np.asarray(shapely.transform(shapes, move))


def _with_vertices(shapes: Shapely) -> Shapely:
    bounds = shapely.bounds(shapes)
    diagonal = np.hypot(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    return np.asarray(shapely.segmentize(shapes, np.maximum(diagonal / _PIECES, 1e-12)))


def _all_outside(bounds: NDArray[np.float64], geobox: GeoBox, name: str) -> OutsideError:
    """Say where both are, in the scene's CRS."""
    known = bounds[np.isfinite(bounds).all(axis=1)]
    scene = f"the scene ({extent_text(scene_extent(geobox))})"
    if not len(known):
        return OutsideError(
            f"{name} cannot be brought into the CRS of {scene}: its shapes lie outside the area "
            "that projection is made for; check the CRS of the vectors"
        )
    low, high = known[:, :2].min(axis=0), known[:, 2:].max(axis=0)
    box = _box_in_crs((low[0], low[1], high[0], high[1]), geobox.affine)
    return OutsideError(
        f"{name} lies entirely outside {scene}: its shapes have {extent_text(box)} in the "
        "scene's CRS; check the CRS of the vectors, or give those of this scene"
    )


def _box_in_crs(
    box: tuple[float, float, float, float], affine: Affine
) -> tuple[float, float, float, float]:
    xs, ys = np.array([box[0], box[2]]), np.array([box[1], box[3]])
    x, y = affine.a * xs + affine.c, affine.e * ys + affine.f
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
