"""The files beside the raster: sidecar, style, polygons, STAC item."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pyproj
import pystac
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from made_maps import UTM, class_map, value_map
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap, vectors
from terrapatch.maps.qml import nice_range, value_qml
from terrapatch.maps.stac import classes, footprint


def test_the_sidecar_names_every_class(twelve: ClassMap, tmp_path: Path) -> None:
    twelve.save(tmp_path / "map.tif", polygons=False)
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()
    assert [c.text for c in root.iter("Category")] == ["no data", *twelve.legend.names]
    rows = [[f.text for f in row] for row in root.iter("Row")]
    assert [int(row[0] or 0) for row in rows] == list(twelve.legend.ids)
    assert sum(int(row[1] or 0) for row in rows) == np.count_nonzero(twelve.values)


@pytest.mark.parametrize("number", [1, 12, 254, 300])
def test_the_style_has_one_entry_a_class(number: int, tmp_path: Path) -> None:
    made = class_map(number)
    made.save(tmp_path / "map.tif", polygons=False)
    root = ET.parse(tmp_path / "map.qml").getroot()
    found = [(int(e.attrib["value"]), e.attrib["label"]) for e in root.iter("paletteEntry")]
    assert found == [(e.id, e.name) for e in made.legend]


@given(st.floats(-1e9, 1e9, width=32), st.floats(0, 1e9, width=32))
def test_nice_ranges_enclose_and_stay_close(low: float, width: float) -> None:
    high = low + width
    bottom, top = nice_range(low, high)
    assert bottom < top
    slack = 1e-5 * max(abs(low), abs(high), 1e-30)
    assert bottom <= low + slack
    assert top >= high - slack
    if width > 1e-3 * max(abs(low), 1e-3):
        assert top - bottom <= 1.5 * width


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.013, 0.97, (0.0, 1.0)), (0, 19.4, (0, 20)), (-3.2, 812, (-100, 900)), (5, 5, (4.75, 5.25))],
)
def test_nice_ranges_are_nice(low: float, high: float, expected: tuple[float, float]) -> None:
    assert nice_range(low, high) == pytest.approx(expected)


def test_a_value_style_carries_the_unit() -> None:
    root = ET.fromstring(value_qml(0, 2, "m<s>").split("\n", 1)[1])
    assert [i.attrib["label"] for i in root.iter("item")][-1] == "2 m<s>"


def test_polygons_are_the_raster_again(twelve: ClassMap) -> None:
    found = vectors.class_polygons(twelve.values, UTM)
    again = rasterize(
        zip(found.geometries, found.ids, strict=True), out_shape=UTM.shape, transform=UTM.affine
    )
    np.testing.assert_array_equal(again, twelve.values)
    cells = Counter[int]()
    for id, number in zip(found.ids, found.cells, strict=True):
        cells[int(id)] += int(number)
    assert cells == Counter({i: int(n) for i, n in enumerate(twelve.counts()) if i})
    assert shapely.is_valid(found.geometries).all()
    np.testing.assert_array_equal(found.ids, np.sort(found.ids))


def test_a_ring_around_a_lake_counts_without_the_lake() -> None:
    values = np.ones((5, 5), np.uint8)
    values[1:4, 1:4] = 0
    values[2, 2] = 2
    found = vectors.class_polygons(values, UTM[:5, :5])
    assert list(found.ids) == [1, 2]
    assert list(found.cells) == [16, 1]
    assert found.area_ha[0] == pytest.approx(16 * found.area_ha[1], rel=1e-4)


@pytest.mark.parametrize("latitude", [0.0, 45.0, 80.0])
def test_areas_are_geodesic(latitude: float) -> None:
    """A band of one degree has the area of its zone, in degrees and in Web Mercator alike."""
    zone = _zone_hectares(latitude, latitude + 1)
    degrees = GeoBox((100, 200), Affine(0.01, 0, 10, 0, -0.01, latitude + 1), "EPSG:4326")
    values = np.ones((100, 200), np.uint8)
    found = vectors.class_polygons(values, degrees)
    assert found.area_ha[0] == pytest.approx(zone * 2 / 360, rel=1e-4)
    to_mercator = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    (west, east), (south, north) = to_mercator.transform([10, 12], [latitude, latitude + 1])
    step_x, step_y = (east - west) / 200, (north - south) / 100
    mercator = GeoBox((100, 200), Affine(step_x, 0, west, 0, -step_y, north), "EPSG:3857")
    found = vectors.class_polygons(values, mercator)
    assert found.area_ha[0] == pytest.approx(zone * 2 / 360, rel=1e-4)


def _zone_hectares(south: float, north: float) -> float:
    """Return the area of a zone of the WGS 84 ellipsoid by its closed formula (Snyder 1987)."""
    a, e = 6378137.0, np.sqrt(6.69437999014e-3)

    def q(latitude: float) -> float:
        s = np.sin(np.radians(latitude))
        log = np.log((1 - e * s) / (1 + e * s)) / (2 * e)
        return float((1 - e**2) * (s / (1 - e**2 * s**2) - log))

    return np.pi * a**2 * (q(north) - q(south)) / 1e4


def test_the_geopackage_is_what_it_says(twelve: ClassMap, tmp_path: Path) -> None:
    twelve.save(tmp_path / "map.tif")
    path = tmp_path / "map_polygons.gpkg"
    info = pyogrio.read_info(path, layer="map_polygons")
    assert info["crs"] == "EPSG:32643"
    assert list(info["fields"]) == ["id", "name", "colour", "cells", "area_ha"]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (10300,)
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        style = file.execute("SELECT f_table_name, styleQML, useAsDefault FROM layer_styles")
        layer, qml, default = style.fetchone()
    assert (layer, default) == ("map_polygons", 1)
    assert len(list(ET.fromstring(qml.split("\n", 1)[1]).iter("category"))) == 12


def test_without_a_crs_polygons_have_no_area_and_the_notes_say_so(tmp_path: Path) -> None:
    geobox = GeoBox((12, 16), Affine(2, 0, 0, 0, -2, 0), None)
    saved = class_map(3, geobox).save(tmp_path / "map.tif")
    assert any("no CRS" in note for note in saved.notes)
    with closing(sqlite3.connect(tmp_path / "map_polygons.gpkg")) as file:
        areas = file.execute("SELECT DISTINCT area_ha FROM map_polygons").fetchall()
    assert areas == [(None,)]
    item = json.loads((tmp_path / "map.json").read_text())
    assert item["geometry"] is None
    assert "bbox" not in item


def test_speckle_is_not_turned_into_polygons(
    twelve: ClassMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "MAX_POLYGONS", 5)
    saved = twelve.save(tmp_path / "map.tif")
    assert not (tmp_path / "map_polygons.gpkg").exists()
    assert any("more than 5 polygons" in note for note in saved.notes)


def test_an_empty_map_has_no_polygons(tmp_path: Path) -> None:
    values = np.zeros(UTM.shape, np.uint8)
    saved = ClassMap(values, UTM, Legend.of(["a"])).save(tmp_path / "map.tif")
    assert pyogrio.read_info(tmp_path / "map_polygons.gpkg", layer="map_polygons")["features"] == 0
    assert len(saved.files) == 5


def _checked_item(path: Path) -> pystac.Item:
    """Validate the core of an item; schemas of extensions cannot be had offline."""
    item = pystac.Item.from_file(path)
    core = item.clone()
    core.stac_extensions = []
    core.validate()
    return item


@pytest.mark.parametrize("geobox", [UTM, GeoBox(UTM.shape, UTM.affine, None)])
def test_the_item_is_valid_and_names_every_file(geobox: GeoBox, tmp_path: Path) -> None:
    made = class_map(12, geobox)
    saved = made.save(tmp_path / "map.tif")
    item = _checked_item(tmp_path / "map.json")
    linked = {(tmp_path / a.href).resolve() for a in item.assets.values()}
    assert linked | {tmp_path / "map.json"} == {f.resolve() for f in saved.files}
    assert item.properties["terrapatch:recipe"] == made.provenance
    assert item.properties["proj:shape"] == [96, 128]
    assert item.properties["proj:code"] == (None if geobox.crs is None else "EPSG:32643")
    band = item.assets["map"].extra_fields["bands"][0]
    assert (band["data_type"], band["nodata"]) == ("uint8", 0)
    assert [c["value"] for c in band["classification:classes"]] == list(range(13))


def test_the_item_is_dated_by_the_provenance(tmp_path: Path) -> None:
    made = ClassMap(
        np.ones(UTM.shape, np.uint8),
        UTM,
        Legend.of(["a"]),
        {"datetime": "2024-05-01T12:00:00+05:30"},
    )
    saved = made.save(tmp_path / "map.tif")
    assert json.loads((tmp_path / "map.json").read_text())["properties"]["datetime"] == (
        "2024-05-01T06:30:00Z"
    )
    assert not saved.notes
    assert any("1970" in note for note in value_map().save(tmp_path / "v.tif").notes)
    assert _checked_item(tmp_path / "v.json").datetime is not None


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=20, unique=True))
@settings(deadline=None)
def test_class_names_of_the_item_follow_the_extension(names: list[str]) -> None:
    usable = list(dict.fromkeys(n.strip() for n in names if n.isprintable() and n.strip()))
    found = classes(Legend.of(usable or ["a"]))
    short = [c["name"] for c in found]
    assert len(set(short)) == len(short)
    assert all(n.replace("-", "").isalnum() and n.isascii() for n in short)


def test_footprints_across_the_antimeridian_and_around_a_pole() -> None:
    fiji = GeoBox((100, 100), Affine(10_000, 0, 1_500_000, 0, -10_000, 4_500_000), "EPSG:3460")
    found = footprint(fiji)
    assert found is not None
    west, south, east, north = found[1]
    assert west > 0 > east
    assert south < north
    shape = shapely.from_geojson(json.dumps(found[0]))
    assert shape.geom_type == "MultiPolygon"
    assert -180 <= shape.bounds[0] < shape.bounds[2] <= 180
    pole = GeoBox((100, 100), Affine(1e4, 0, -5e5, 0, -1e4, 5e5), "EPSG:3031")
    found = footprint(pole)
    assert found is not None
    assert found[1][:2] == [-180, -90]
    assert found[1][3] < -80
    assert footprint(GeoBox((5, 5), Affine.identity(), "IAU_2015:49900")) is None


@given(st.floats(-170, 160), st.floats(-80, 70))
@settings(max_examples=20, deadline=None)
def test_footprints_in_degrees_are_the_extent(lon: float, lat: float) -> None:
    found = footprint(GeoBox((10, 10), Affine(0.5, 0, lon, 0, -0.5, lat + 5), "EPSG:4326"))
    assert found is not None
    assert found[1] == pytest.approx([lon, lat, lon + 5, lat + 5], abs=1e-8)
