"""Points of a reference sample: drawn from a map, written for QGIS, and read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import shapely
from numpy.typing import NDArray

from terrapatch.errors import OutsideError, SamplesError
from terrapatch.learn._vector_shapes import place_shapes
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

COLUMNS = ("id", "map_class", "x", "y", "reference")
_ROWS_AT_ONCE = 256
_NAMED = 5


def draw(class_map: ClassMap, points: Counts, weights: Floats, seed: int) -> Counts:
    """Draw cells of each class at random, without replacement, in random order.

    Where cells differ in area, as in degrees, a cell's chance goes with its area
    (Efraimidis and Spirakis 2006, Information Processing Letters 97).

    Args:
        class_map: The map.
        points: How many of each class (K,); no more than there are cells.
        weights: Area of a cell of each row (rows,).
        seed: Seed; the same one gives the same cells.

    Returns:
        Rows and columns (n, 2).
    """
    random = np.random.default_rng(seed)
    cols = class_map.values.shape[1]
    keys = [np.empty(0) for _ in points]
    cells = [np.empty(0, np.int64) for _ in points]
    for top in range(0, len(class_map.values), _ROWS_AT_ONCE):
        strip = class_map.values[top : top + _ROWS_AT_ONCE].ravel()
        held = np.flatnonzero(strip)
        place = top * cols + held
        key = random.standard_exponential(len(held)) / weights[place // cols]
        for id in np.unique(strip[held]):
            of_class = strip[held] == id
            key_now = np.concatenate([keys[id - 1], key[of_class]])
            cells_now = np.concatenate([cells[id - 1], place[of_class]])
            least = np.argsort(key_now, kind="stable")[: points[id - 1]]
            keys[id - 1], cells[id - 1] = key_now[least], cells_now[least]
    # Shuffled, so that the order tells nothing of the class.
    chosen = random.permutation(np.concatenate(cells))
    return np.stack([chosen // cols, chosen % cols], axis=1)


def write(path: Path, class_map: ClassMap, cells: Counts) -> None:
    """Write drawn cells as points to be labelled in QGIS.

    Args:
        path: The GeoPackage; must not exist.
        class_map: The map they were drawn from.
        cells: Rows and columns (n, 2).

    Raises:
        OSError: If the file cannot be written.
    """
    from terrapatch.maps.points import write_points

    t = class_map.geobox.affine
    row, col = cells.T + 0.5
    xy = np.stack([t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f], axis=1)
    names = class_map.legend.names
    ids = class_map.values[cells[:, 0], cells[:, 1]]
    fields: dict[str, tuple[type, list[Any]]] = {
        "id": (int, list(range(1, len(cells) + 1))),
        "map_class": (str, [names[id - 1] for id in ids]),
        "x": (float, xy[:, 0].tolist()),
        "y": (float, xy[:, 1].tolist()),
        "reference": (str, [None] * len(cells)),
    }
    side = abs(float(t.a))
    style = points_style(class_map.legend, side if abs(abs(float(t.e)) - side) < 1e-6 else None)
    write_points(path, path.stem, xy, fields, class_map.geobox, style)


def points_style(legend: Legend, side: float | None) -> str:
    """Return how QGIS shows the points and their form.

    Each is the outline of its cell, orange until ``reference`` is filled in and blue from then
    on. The form offers the classes to choose from and hides what the map says, so that
    the eye is not led.

    Args:
        legend: The classes.
        side: Side of a cell in units of the CRS; ``None`` draws a marker of fixed size.
    """
    from terrapatch.maps.points import point_qml

    open_ = "CASE WHEN coalesce(\"reference\", '') = '' THEN 'open' ELSE 'done' END"
    kinds = {
        "open": ("to be labelled", "#d55e00", "square"),
        "done": ("labelled", "#0072b2", "square"),
    }
    text = point_qml(open_, kinds)
    head, _, body = text.partition("<qgis")
    root = ET.fromstring("<qgis" + body)
    root.set("styleCategories", "Symbology|Fields|Forms")
    for layer in root.iter("layer"):
        _outline_only(layer, side)
    _form(root, legend)
    ET.indent(root)
    return head + ET.tostring(root, encoding="unicode") + "\n"


def _outline_only(layer: ET.Element, side: float | None) -> None:
    props = {prop.get("k"): prop for prop in layer.iter("prop")}
    props["outline_color"].set("v", props["color"].get("v", ""))
    props["color"].set("v", "255,255,255,0")
    props["outline_width"].set("v", "0.6")
    if side is not None:
        props["size"].set("v", f"{side:.12g}")
        props["size_unit"].set("v", "MapUnit")


def _form(root: ET.Element, legend: Legend) -> None:
    """Offer the classes for ``reference``, and hide ``map_class``."""
    fields = ET.SubElement(root, "fieldConfiguration")
    for name in ("fid", *COLUMNS):
        kind = {"reference": "ValueMap", "map_class": "Hidden"}.get(name, "TextEdit")
        widget = ET.SubElement(ET.SubElement(fields, "field", name=name), "editWidget", type=kind)
        options = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
        if kind == "ValueMap":
            choices = ET.SubElement(options, "Option", type="List", name="map")
            for entry in legend:
                choice = ET.SubElement(choices, "Option", type="Map")
                ET.SubElement(choice, "Option", type="QString", name=entry.name, value=entry.name)
    editable = ET.SubElement(root, "editable")
    for name in ("fid", *COLUMNS):
        ET.SubElement(editable, "field", name=name, editable=str(int(name == "reference")))


@dataclass(frozen=True, eq=False)
class LabelledPoints:
    """What a person has found at the points.

    Attributes:
        counts: Points (K, K); rows are the class of the map, columns the reference.
        points: Points in the file.
        unfilled: Points without a reference, of each class of the map (K,).
        unknown: Words in ``reference`` that are no class of the map, and how often.
    """

    counts: Counts
    points: int
    unfilled: Counts
    unknown: dict[str, int]

    @property
    def labelled(self) -> int:
        """Points whose reference is a class of the map."""
        return int(self.counts.sum())


def read(table: Any, name: str, class_map: ClassMap, map_name: str) -> LabelledPoints:
    """Count what stands in ``reference`` against the map.

    Args:
        table: A ``GeoDataFrame`` of points.
        name: What to call it in messages.
        class_map: The map they were drawn from.
        map_name: What to call it in messages.

    Raises:
        SamplesError: If a column is missing, there are no points, two lie in one cell, or the map
            at a point is of another class than the point says.
    """
    for column in ("map_class", "reference"):
        if column not in table.columns:
            held = ", ".join(str(c) for c in table.columns if c != table.geometry.name)
            raise SamplesError(
                f"{name} has no column {column!r} (its columns: {held or 'none'}); give the "
                "points that terrapatch area sample wrote, labelled in the column 'reference'"
            )
    said, reference = _texts(table["map_class"]), _texts(table["reference"])
    cells = _cells(table, name, class_map, map_name)
    there = class_map.values[cells[:, 0], cells[:, 1]].astype(np.int64)
    labels = _labels(table)
    names = class_map.legend.names
    _check_unchanged(there, said, labels, names, map_name)
    _check_single(cells, labels, name)
    number = {text: i for i, text in enumerate(names)}
    k = len(names)
    counts, unfilled = np.zeros((k, k), np.int64), np.zeros(k, np.int64)
    unknown: dict[str, int] = {}
    for id, text in zip(there, reference, strict=True):
        if text in number:
            counts[id - 1, number[text]] += 1
        elif text:
            unknown[text] = unknown.get(text, 0) + 1
        else:
            unfilled[id - 1] += 1
    return LabelledPoints(counts, len(table), unfilled, unknown)


def _texts(series: Any) -> list[str]:
    missing = np.asarray(series.isna(), bool)
    return [
        "" if gone else str(v).strip() for v, gone in zip(series.tolist(), missing, strict=True)
    ]


def _labels(table: Any) -> list[str]:
    """Return what to call each point: its ``id``, else its place in the file."""
    if "id" not in table.columns:
        return [str(i) for i in range(1, len(table) + 1)]
    return [text or str(i) for i, text in enumerate(_texts(table["id"]), start=1)]


def _cells(table: Any, name: str, class_map: ClassMap, map_name: str) -> Counts:
    try:
        placed = place_shapes(table, class_map.geobox, name)
    except OutsideError as fault:
        raise OutsideError(
            f"no point of {name} lies on {map_name}; give the map the sample was drawn from"
        ) from fault
    if not placed.points:
        raise SamplesError(f"{name} holds polygons; give the points terrapatch area sample wrote")
    astray = placed.empty | placed.outside
    if astray.any():
        raise SamplesError(
            f"{int(astray.sum())} of {len(table)} points of {name} lie beside {map_name} or have "
            f"no place, the first is point {_labels(table)[int(astray.argmax())]}; give the map "
            "the sample was drawn from, and points that were not moved"
        )
    xy = shapely.get_coordinates(shapely.centroid(placed.geometries))
    cells = np.floor(xy[:, ::-1]).astype(np.int64)
    inside: Counts = np.minimum(cells, np.array(class_map.values.shape) - 1)
    return inside


def _check_unchanged(
    there: Counts, said: list[str], labels: list[str], names: tuple[str, ...], map_name: str
) -> None:
    now = ["no data" if id == 0 else names[id - 1] for id in there]
    other = [i for i, (a, b) in enumerate(zip(now, said, strict=True)) if a != b]
    if other:
        i = other[0]
        raise SamplesError(
            f"{len(other)} of {len(said)} points lie on another class of {map_name} than they say: "
            f"point {labels[i]} says {said[i]!r}, the map has {now[i]!r} there; the map has "
            "changed since, so give the one the sample was drawn from, or draw anew"
        )


def _check_single(cells: Counts, labels: list[str], name: str) -> None:
    first: dict[tuple[int, int], str] = {}
    for (row, col), label in zip(cells.tolist(), labels, strict=True):
        if (row, col) in first:
            raise SamplesError(
                f"points {first[row, col]} and {label} of {name} lie in one cell of the map, which "
                "would count twice; delete one of them"
            )
        first[row, col] = label
