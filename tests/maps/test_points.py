"""Points as a GeoPackage: columns, empty values, style, the same bytes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from xml.etree import ElementTree as ET

import pyogrio
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.maps.points import point_qml, write_points

KINDS = {"a": ("first", "#009e73", "star"), "b": ("second", "#d55e00", "cross2")}
FIELDS = {
    "rank": (int, [1, 2, 0]),
    "kind": (str, ["a", "a", "b"]),
    "like": (bool, [True, None, False]),
    "score": (float, [0.5, 0.25, -1.0]),
}
PLACES = [(300000.5, 2100000.0), (300010.0, 2100010.0), (300020.0, 2100020.0)]


@pytest.mark.parametrize("crs", ["EPSG:32643", None])
def test_what_is_written_is_read_back(crs: str | None, tmp_path: Path) -> None:
    box = GeoBox((4, 4), Affine(60, 0, 300000, 0, -60, 2100240), crs)
    for name in ("one.gpkg", "two.gpkg"):
        qml = point_qml("kind", KINDS, '"rank"')
        write_points(tmp_path / name, "hits", PLACES, FIELDS, box, qml)
    assert (tmp_path / "one.gpkg").read_bytes() == (tmp_path / "two.gpkg").read_bytes()
    table = pyogrio.read_dataframe(tmp_path / "one.gpkg", layer="hits")
    assert [(p.x, p.y) for p in table.geometry] == PLACES
    assert table["rank"].tolist() == [1, 2, 0]
    assert table["kind"].tolist() == ["a", "a", "b"]
    assert table["like"].tolist()[0]
    assert table["like"].isna().tolist() == [False, True, False]
    assert (table.crs is None or table.crs.to_epsg() is None) == (crs is None)
    with sqlite3.connect(tmp_path / "one.gpkg") as file:
        told = file.execute("SELECT f_table_name, useAsDefault, styleQML FROM layer_styles")
        layer, default, style = told.fetchone()
    assert (layer, default) == ("hits", 1)
    root = ET.fromstring(style)
    assert root.get("labelsEnabled") == "1"
    labels = root.find("labeling/settings/text-style")
    assert labels is not None
    assert labels.get("fieldName") == '"rank"'
    categories = root.findall("renderer-v2/categories/category")
    assert [one.get("value") for one in categories] == ["a", "b"]


def test_no_points_are_a_layer_with_the_same_columns(tmp_path: Path) -> None:
    box = GeoBox((4, 4), Affine(60, 0, 300000, 0, -60, 2100240), "EPSG:32643")
    empty = {name: (of, []) for name, (of, _) in FIELDS.items()}
    write_points(tmp_path / "none.gpkg", "hits", [], empty, box, point_qml("kind", KINDS))
    info = pyogrio.read_info(tmp_path / "none.gpkg", layer="hits")
    assert info["features"] == 0
    assert info["geometry_type"] == "Point"
    assert list(info["fields"]) == list(FIELDS)
