"""Labels of cells from polygons, points or a label raster.

Ids are 1 to the number of classes and 0 is "no label", as everywhere. What gets no label is
counted by its reason, never dropped in silence.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import OutsideError, SamplesError
from terrapatch.learn._vector_source import choose_column, class_codes, read_table

__all__ = ["RULES", "SUBPIXELS", "CellLabels", "label_cells", "label_cells_by_raster"]

RULES = ("majority", "centre", "share")
"""How the class of a cell is taken from the polygons in it."""

SUBPIXELS = 16
"""Sub-pixels along each side of a cell by which shares are measured."""

Ids = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class CellLabels:
    """Labels of the cells of a scene.

    Attributes:
        labels: Class ids ``(rows, cols)`` int32 from 1, 0 for none.
        classes: Names in the order of ids: sorted, whole numbers by their value.
        counts: Cells of each class, by name; a class of the source may have none.
        left_out: What got no label, by reason. ``outside the scene``, ``empty geometry`` and
            ``no class`` count features; ``below the minimum share``, ``tie between classes``,
            ``overlap of classes`` and ``cell not in use`` count cells.
        features_used: Features with a class and a geometry that reach the scene (of a label
            raster, 0).
        notes: What else should be known, a sentence each.
        feature_ids: Number, from 0 in the order of the file, of the polygon or point that gave
            each label ``(rows, cols)`` int32; -1 for none, and everywhere for a label raster.
    """

    labels: Ids
    classes: tuple[str, ...]
    counts: dict[str, int]
    left_out: dict[str, int]
    features_used: int
    notes: tuple[str, ...]
    feature_ids: Ids

    def describe(self) -> str:
        """Say in a few lines what was labelled, what was left out, and what else to know."""
        per_class = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        lines = [f"{sum(self.counts.values())} cells labelled: {per_class}"]
        if self.left_out:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.left_out.items())
            lines.append(f"left out: {reasons}")
        return "\n".join([*lines, *self.notes])


def label_cells(
    geobox: GeoBox,
    vectors: Any,
    column: str | None = None,
    *,
    rule: str = "majority",
    minimum: float = 0.5,
    layer: str | None = None,
    size: float | tuple[float, float] | None = None,
    where: ArrayLike | None = None,
) -> CellLabels:
    """Label cells by the polygons that cover them or the points they hold.

    Areas are counted on 16 x 16 sub-pixels a cell, a sub-pixel being where its centre is; a
    straight border makes a share wrong by at most about 1/32. Sub-pixels on which polygons of
    different classes overlap count for neither. Cells count whole, also where the last row
    and column hang over the scene. Memory is bounded by blocks of cells.

    Args:
        geobox: GeoBox of the cells, as ``FeatureRaster.geobox``.
        vectors: Path of a GeoPackage, Shapefile, GeoJSON or whatever else OGR reads, or a
            ``GeoDataFrame``; (multi-)polygons or (multi-)points in any CRS.
        column: Column of the classes (texts or whole numbers); may be left out where just one
            column can be meant.
        rule: For polygons: ``majority`` takes the class with the largest part of the labelled
            area, if the labelled share of the cell is at least ``minimum``; ``centre`` the
            class at the cell's centre; ``share`` the class that covers at least ``minimum`` of
            the cell, the largest where several do. Points label the cell that holds them, by
            majority.
        minimum: Share of the cell, above 0 and up to 1; ``centre`` and points do without.
        layer: Layer of the file, where it has several.
        size: Height and width, in cells, of the window around a cell whose area is counted:
            ``grid.size / grid.stride`` counts the whole patch. The cell itself if left out;
            ``centre`` and points do without.
        where: Boolean ``(rows, cols)``: cells that may be labelled, such as those that hold
            data (``features.valid() > 0``).

    Returns:
        The labels. Where two classes are equal there is none, and that is counted.

    Raises:
        SamplesError: If the vectors cannot be read; have no such layer or column; hold other
            shapes than polygons or points, or both, or only empty ones; have a CRS and the
            scene none, or the reverse; lie entirely outside the scene; or label no cell. If the
            scene has no georeference, or an option is not understood.
    """
    from terrapatch.learn._vector_burn import burn_polygons
    from terrapatch.learn._vector_points import count_points
    from terrapatch.learn._vector_shapes import place_shapes

    grid = int(geobox.shape[0]), int(geobox.shape[1])
    window = _checked_options(rule, minimum, size)
    usable = _checked_mask(where, grid)
    table, name = read_table(vectors, layer)
    column = choose_column(table, column, name)
    placed = place_shapes(table, geobox, name)
    codes, classes = class_codes(table, column, name)
    used = np.flatnonzero(~placed.empty & ~placed.outside & (codes > 0)).astype(np.int32)
    shapes = placed.geometries[used]
    if placed.points:
        tally = count_points(shapes, codes[used], used, grid)
    else:
        tally = burn_polygons(shapes, codes[used], used, grid, _rule(rule, minimum, window))
    unused = (tally.labels > 0) & ~usable
    tally.labels[unused], tally.features[unused] = 0, -1
    left_out = {
        "outside the scene": int(placed.outside.sum()),
        "empty geometry": int(placed.empty.sum()),
        "no class": int((~placed.empty & ~placed.outside & (codes == 0)).sum()),
        "below the minimum share": tally.below,
        "tie between classes": tally.tied,
        "overlap of classes": tally.overlapped,
        "cell not in use": int(unused.sum()),
    }
    kind = "points" if placed.points else "polygons"
    notes = [f"The classes are those of the column {column!r} of {name}."]
    notes += _feature_notes(tally, used, kind)
    return _finish(tally.labels, classes, left_out, notes, tally.features, len(used), name)


def label_cells_by_raster(
    geobox: GeoBox,
    raster_path: str | os.PathLike[str],
    *,
    classes: Mapping[int, str] | Sequence[str] | None = None,
    ignore: tuple[int, ...] = (0,),
    minimum: float = 0.5,
    where: ArrayLike | None = None,
) -> CellLabels:
    """Label cells by the most frequent class of a label raster on the scene's own pixels.

    The names are those given, else those the file states (an attribute table or category names
    in its ``.aux.xml``, or a tag ``classes`` such as ``"0 none,1 water"``), else the values.

    Args:
        geobox: GeoBox of the cells, as ``FeatureRaster.geobox``.
        raster_path: One band of whole numbers, with pixels such that each cell holds a whole
            number of them: the scene's pixels, or one a cell.
        classes: Name of each value, or the names of the values 1, 2, ... in order. Values of
            the same name become one class.
        ignore: Values that are no class, beside the file's nodata value.
        minimum: Share of a cell's pixels that must have a class, above 0 and up to 1.
        where: Boolean ``(rows, cols)``: cells that may be labelled.

    Returns:
        The labels. Where two classes are equal there is none, and that is counted.

    Raises:
        SceneError: If the file is missing or is no raster.
        SamplesError: If it is not on the scene's grid, is not one band of whole numbers, holds
            a value that has no name, or labels no cell; or if the scene has no georeference.
    """
    from terrapatch.learn._vector_raster import count_raster
    from terrapatch.learn.metrics import majority_class

    _checked_options("majority", minimum, None)
    grid = int(geobox.shape[0]), int(geobox.shape[1])
    usable = _checked_mask(where, grid)
    counted = count_raster(geobox, raster_path, classes, ignore)
    total, top = counted.counts.sum(axis=-1), counted.counts.max(axis=-1)
    enough = (total > 0) & (total >= minimum * counted.pixels - 1e-9)
    tied = enough & ((counted.counts == top[..., None]).sum(axis=-1) > 1)
    labels = np.where(enough & ~tied, majority_class(counted.counts), 0).astype(np.int32)
    unused = (labels > 0) & ~usable
    labels[unused] = 0
    left_out = {
        "below the minimum share": int(((total > 0) & ~enough).sum()),
        "tie between classes": int(tied.sum()),
        "cell not in use": int(unused.sum()),
    }
    nobody = np.full(grid, -1, np.int32)
    return _finish(labels, counted.classes, left_out, [], nobody, 0, counted.name)


def _checked_options(
    rule: str, minimum: float, size: float | tuple[float, float] | None
) -> tuple[int, int]:
    """Return the window in sub-pixels, or refuse an option."""
    if rule not in RULES:
        raise SamplesError(f"the rule {rule!r} is not known; choose one of {', '.join(RULES)}")
    if not 0 < minimum <= 1:
        raise SamplesError(
            f"the minimum share {minimum:g} must be above 0 and at most 1; 0.5 is half of a cell"
        )
    sides = (1.0, 1.0) if size is None else size if isinstance(size, tuple) else (size, size)
    if len(sides) != 2 or not all(math.isfinite(side) and side >= 1 for side in sides):
        raise SamplesError(
            f"the window of {size} cells is smaller than a cell or not understood; give its size "
            "in cells, 1 or more, such as the patch's size divided by its stride"
        )
    return round(SUBPIXELS * sides[0]), round(SUBPIXELS * sides[1])


def _checked_mask(where: ArrayLike | None, grid: tuple[int, int]) -> NDArray[np.bool_]:
    usable = np.ones(grid, bool) if where is None else np.asarray(where, bool)
    if usable.shape != grid:
        raise SamplesError(
            f"where has the shape {usable.shape} but there are {grid[0]} x {grid[1]} cells; give "
            "one value a cell"
        )
    return usable


def _rule(rule: str, minimum: float, window: tuple[int, int]) -> Any:
    """Turn a rule into sub-pixels; the centre is the only sub-pixel of a cell."""
    from terrapatch.learn._vector_windows import Rule

    if rule == "centre":
        return Rule(fine=1, window=(1, 1), minimum=1.0, by_class=False)
    return Rule(fine=SUBPIXELS, window=window, minimum=minimum, by_class=rule == "share")


def _feature_notes(tally: Any, used: Ids, kind: str) -> list[str]:
    """Say what polygons and points did to each other."""
    notes = []
    silent = len(used) - len(np.intersect1d(used, tally.features))
    if silent and kind == "polygons":
        notes.append(
            f"{silent} of {len(used)} polygons in the scene are the main one of no labelled cell: "
            "they are smaller than a cell, or others cover more of it."
        )
    if tally.overlaps:
        notes.append(
            f"Polygons of different classes overlap in {tally.overlaps} cells; where they do, "
            "the ground counts for neither."
        )
    if tally.mixed:
        notes.append(f"{tally.mixed} cells hold points of several classes.")
    return notes


def _finish(
    labels: Ids,
    classes: tuple[str, ...],
    left_out: dict[str, int],
    notes: list[str],
    features: Ids,
    features_used: int,
    name: str,
) -> CellLabels:
    """Count the labels, and refuse where there are none."""
    cells = np.bincount(labels.ravel(), minlength=len(classes) + 1)[1:]
    counts = {c: int(n) for c, n in zip(classes, cells, strict=True)}
    left_out = {reason: n for reason, n in left_out.items() if n}
    if not cells.any():
        reasons = ", ".join(f"{reason} {n}" for reason, n in left_out.items()) or "nothing there"
        raise OutsideError(
            f"{name} labels no cell ({reasons}); use smaller cells, a lower minimum share or the "
            "centre rule"
        )
    missing = [c for c, n in counts.items() if not n]
    if missing:
        notes = [*notes, f"No cell of this scene has the class {', '.join(missing)}."]
    return CellLabels(labels, classes, counts, left_out, features_used, tuple(notes), features)
