"""What is looked for: cells, at coordinates or at the points of a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.errors import OutsideError, SamplesError
from terrapatch.features import FeatureRaster
from terrapatch.learn.similarity import DIGITS

Place = tuple[float, float]

LIKE = "like"
"""Column of a file of points that says which are examples and which are not."""

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class QueryCell:
    """A cell that was given as an example.

    Attributes:
        row: Row of cells, from 0.
        col: Column of cells, from 0.
        like: Whether such cells are looked for, or to be left out.
        x: Centre of the cell in the scene's CRS.
        y: The same, northing or latitude.
        score: Its score, once there is one.
    """

    row: int
    col: int
    like: bool
    x: float
    y: float
    score: float = math.nan


def scene_geobox(raster: FeatureRaster) -> GeoBox:
    """Return the GeoBox of the scene that features were made from."""
    told = raster.recipe.scene
    return GeoBox(tuple(told["shape"]), Affine(*told["transform"]), raster.geobox.crs)


def cells_at(
    raster: FeatureRaster,
    valid: npt.NDArray[np.bool_],
    places: Sequence[Place],
    like: bool,
    crs: str | None = None,
) -> list[QueryCell]:
    """Find the cells that hold coordinates.

    Args:
        raster: The features.
        valid: Which cells are not empty ``(rows, cols)``.
        places: ``(x, y)``; in a scene without georeference column and row of the pixel.
        like: Whether they are examples or counterexamples.
        crs: CRS of the coordinates, always in the order x, y; the scene's own by default.

    Raises:
        OutsideError: If a place lies outside the scene.
        SamplesError: If the CRS is not known or the scene has none, or a cell is empty.
    """
    moved = _moved(raster, places, crs)
    found = []
    for given, (x, y) in zip(places, moved, strict=True):
        told = f"{_number(given[0])},{_number(given[1])}"
        cell = _cell(raster, x, y)
        if cell is None:
            raise OutsideError(_outside(raster, told, given, crs))
        if not valid[cell]:
            raise SamplesError(
                f"{told} lies on an empty cell (row {cell[0]}, column {cell[1]}): the scene has no "
                "data there; give another place"
            )
        found.append(query_cell(raster, cell, like))
    return found


def query_cell(raster: FeatureRaster, cell: tuple[int, int], like: bool) -> QueryCell:
    """Return a cell with its centre."""
    x, y = raster.geobox.affine * (cell[1] + 0.5, cell[0] + 0.5)
    return QueryCell(cell[0], cell[1], like, float(x), float(y))


def cells_of_points(
    raster: FeatureRaster, valid: npt.NDArray[np.bool_], points: Any, layer: str | None = None
) -> tuple[list[QueryCell], list[str]]:
    """Find the cells that hold the points of a file.

    Args:
        raster: The features.
        valid: Which cells are not empty ``(rows, cols)``.
        points: Anything OGR reads, or a ``GeoDataFrame``. A column ``like`` tells examples
            (true) from counterexamples (false); where it is empty a point does not count.
            Without that column all points are examples.
        layer: Layer of the file, where it has several.

    Returns:
        The cells, and sentences about points that did not count.

    Raises:
        SamplesError: If there are no points, or ``like`` is neither true nor false.
        OutsideError: If none lies in the scene.
    """
    import shapely

    from terrapatch.learn._vector_shapes import place_shapes
    from terrapatch.learn._vector_source import read_table

    table, name = read_table(points, layer)
    placed = place_shapes(table, raster.geobox, name)
    if not placed.points:
        raise SamplesError(
            f"{name} holds polygons, but examples are points; give points, or the centres of the "
            "polygons"
        )
    wanted = _likes(table, name)
    xy, source = shapely.get_coordinates(placed.geometries, return_index=True)
    cells, outside, empty = [], 0, 0
    for (col, row), index in zip(xy, source, strict=True):
        like = wanted[index]
        if like is None:
            continue
        cell = _cell_of(raster, float(row), float(col))
        if cell is None:
            outside += 1
        elif not valid[cell]:
            empty += 1
        else:
            cells.append(query_cell(raster, cell, like))
    counted = (
        (outside, "outside the scene"),
        (empty, "on empty cells"),
        (sum(like is None for like in wanted), f"without a value in the column {LIKE!r}"),
    )
    notes = [f"{n} points of {name} lie {where} and do not count" for n, where in counted[:2] if n]
    notes += [f"{n} points of {name} are {where} and do not count" for n, where in counted[2:] if n]
    return cells, notes


def distinct(cells: Iterable[QueryCell]) -> list[QueryCell]:
    """Return each cell once, in the order given.

    Raises:
        SamplesError: If a cell is an example and a counterexample.
    """
    found: dict[tuple[int, int], QueryCell] = {}
    for cell in cells:
        first = found.setdefault((cell.row, cell.col), cell)
        if first.like != cell.like:
            raise SamplesError(
                f"the cell in row {cell.row}, column {cell.col} is given as an example and as a "
                "counterexample; decide for one, or embed the scene in smaller cells"
            )
    return list(found.values())


def _moved(raster: FeatureRaster, places: Sequence[Place], crs: str | None) -> list[Place]:
    """Bring coordinates into the scene's CRS."""
    if crs is None or not places:
        return [(float(x), float(y)) for x, y in places]
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    if raster.geobox.crs is None:
        raise SamplesError(
            f"the scene has no CRS, so coordinates in {crs} have no place in it; leave out the CRS "
            "and give column and row of a pixel, or assign the scene's CRS and embed it again"
        )
    try:
        source = CRS.from_user_input(crs)
    except CRSError as fault:
        raise SamplesError(
            f"{crs!r} is no CRS that is known; write for instance EPSG:4326"
        ) from fault
    target = CRS.from_wkt(raster.geobox.crs.to_wkt())
    transformer = Transformer.from_crs(source, target, always_xy=True)
    return [transformer.transform(float(x), float(y)) for x, y in places]


def _cell(raster: FeatureRaster, x: float, y: float) -> tuple[int, int] | None:
    """Return the cell that holds a place, ``None`` outside the scene."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    col, row = ~raster.geobox.affine * (x, y)
    return _cell_of(raster, row, col)


def _cell_of(raster: FeatureRaster, row: float, col: float) -> tuple[int, int] | None:
    """Return the cell at a place in cells; the last cells hang over the scene."""
    told, stride = raster.recipe.scene["shape"], raster.recipe.grid["stride_px"]
    inside = 0 <= row < told[0] / stride[0] and 0 <= col < told[1] / stride[1]
    return (math.floor(row), math.floor(col)) if inside else None


def _outside(raster: FeatureRaster, told: str, given: Place, crs: str | None) -> str:
    from terrapatch.learn._vector_shapes import extent_text, scene_extent

    box = scene_geobox(raster)
    text = f"{told} lies outside the scene ({extent_text(scene_extent(box))})"
    if box.crs is None:
        return f"{text}; give column and row of a pixel inside it"
    degrees = abs(given[0]) <= 180 and abs(given[1]) <= 90
    if crs is None and degrees and not box.crs.geographic:
        return f"{text}; if it is longitude and latitude, say so with --crs EPSG:4326"
    order = " (longitude comes first)" if degrees else ""
    return f"{text}; check the coordinate{order} and its CRS"


def _likes(table: Any, name: str) -> list[bool | None]:
    """Read the column ``like``: true, false, or nothing."""
    if LIKE not in table.columns:
        return [True] * len(table)
    missing = np.asarray(table[LIKE].isna(), bool)
    found: list[bool | None] = []
    for number, (value, gone) in enumerate(zip(table[LIKE].tolist(), missing, strict=True), 1):
        word = "" if gone else _word(value)
        if word and word not in _WORDS:
            raise SamplesError(
                f"{name}, point {number}: the column {LIKE!r} holds {value!r}; write true, false "
                "or nothing"
            )
        found.append(_WORDS[word] if word else None)
    return found


def _word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().lower()


def _number(value: float) -> str:
    return f"{value:.10g}"


def with_scores(
    cells: Iterable[QueryCell], scores: npt.NDArray[np.float32]
) -> tuple[QueryCell, ...]:
    """Return the cells with their scores."""
    return tuple(
        replace(cell, score=round(float(scores[cell.row, cell.col]), DIGITS)) for cell in cells
    )
