"""Zones of maps whose areas are known, in metres and in degrees."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from made_maps import UTM, class_map
from terrapatch.errors import MapError, OutputError, OutsideError, SamplesError
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.studies.zones import class_columns, zones

DEGREES = GeoBox((40, 30), Affine(0.001, 0, 72.8, 0, -0.001, 60.04), "EPSG:4326")


def halves(geobox: GeoBox, where: float = 0.37) -> Any:
    """Two zones that part a grid by a line through cells, and meet."""
    left, bottom, right, top = geobox.boundingbox
    middle = left + where * (right - left)
    shapes = [shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)]
    return gpd.GeoDataFrame({"name": ["west", "east"]}, geometry=shapes, crs=str(geobox.crs))


def plain(geobox: GeoBox, values: np.ndarray) -> ClassMap:
    names = [f"c{i}" for i in range(1, int(values.max()) + 1)]
    return ClassMap(values.astype(np.uint8), geobox, Legend.of(names))


@pytest.mark.parametrize("geobox", [UTM, DEGREES], ids=["metres", "degrees"])
@pytest.mark.parametrize("crs", [None, "EPSG:4326", "EPSG:3857"])
def test_zones_that_part_the_map_add_up_to_its_area(geobox: GeoBox, crs: str | None) -> None:
    made = class_map(5, geobox)
    table = halves(geobox) if crs is None else halves(geobox).to_crs(crs)
    found = zones(made, table, id="name")
    whole = gpd.GeoDataFrame(geometry=[shapely.union_all(table.geometry)], crs=table.crs)
    once = zones(made, whole)
    assert found.areas.hectares.sum(axis=0) == pytest.approx(once.areas.hectares[0], rel=1e-6)
    # A straight edge in another CRS bows by a few centimetres on a map of some kilometres.
    cells = made.counts()[1:]
    each = once.areas.zone[0] / (geobox.shape[0] * geobox.shape[1])
    assert once.areas.hectares[0] == pytest.approx(cells * each, rel=2e-3)
    assert not [note for note in found.notes if "overlap" in note]


def test_known_areas_in_degrees() -> None:
    """At 60 degrees north a cell of 0.001 degrees is half as wide as it is high."""
    values = np.ones(DEGREES.shape)
    values[:, 15:] = 2
    found = zones(plain(DEGREES, values), halves(DEGREES, 0.5), id="name")
    geod = pyproj.Geod(ellps="WGS84")
    left, bottom, right, top = DEGREES.boundingbox
    ring = shapely.segmentize(shapely.box(left, bottom, right, top), 0.001).exterior
    area = abs(geod.polygon_area_perimeter(*shapely.get_coordinates(ring).T)[0]) / 1e4
    assert found.areas.hectares == pytest.approx(np.eye(2) * area / 2, rel=1e-4, abs=1e-6)
    assert found.areas.zone == pytest.approx([area / 2] * 2, rel=1e-4)
    assert found.dominant.tolist() == [1, 2]
    assert found.areas.covered == pytest.approx([1, 1])


def test_cells_that_are_cut_count_by_their_part() -> None:
    grid = GeoBox((2, 2), Affine(100, 0, 300_000, 0, -100, 2_000_000), "EPSG:32643")
    zone = shapely.box(300_050, 1_999_825, 300_150, 2_000_000)
    table = gpd.GeoDataFrame(geometry=[zone], crs="EPSG:32643")
    found = zones(plain(grid, np.array([[1, 2], [3, 0]])), table)
    cell = found.areas.zone[0] / 1.75
    assert found.areas.hectares[0] == pytest.approx(np.array([0.5, 0.5, 0.375]) * cell, rel=1e-5)
    assert found.areas.covered[0] == pytest.approx((0.5 + 0.5 + 0.375) / 1.75)
    assert found.share[0].sum() == pytest.approx(1.0)


def test_a_map_of_many_strips_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made, table = class_map(5), halves(UTM)
    whole = zones(made, table)
    monkeypatch.setattr("terrapatch.studies._zone_areas._CELLS_AT_ONCE", 700)
    parts = zones(made, table)
    assert parts.areas.hectares == pytest.approx(whole.areas.hectares, rel=1e-9)
    assert parts.areas.covered == pytest.approx(whole.areas.covered)


def test_what_is_outside_partly_covered_or_twice_is_said() -> None:
    left, bottom, right, top = UTM.boundingbox
    shapes = [
        shapely.box(left, bottom, right, top),
        shapely.box(left, bottom, left + 1000, top),
        shapely.box(right - 500, bottom, right + 500, top),
        shapely.box(right + 1000, bottom, right + 2000, top),
        shapely.Polygon([(left, bottom), (left + 600, top), (left + 600, bottom), (left, top)]),
    ]
    table = gpd.GeoDataFrame({"n": list("abcde")}, geometry=shapes, crs="EPSG:32643")
    found = zones(class_map(3), table, id="n")
    said = " ".join(found.notes)
    assert "1 zone(s) (d) lie where" in said
    assert "(a, b, c, e)" in said  # a corner of the map is no data
    assert "overlap" in said
    assert "mended: 1 zone(s)" in said
    assert found.dominant[3] == 0
    assert np.isnan(found.share[3]).all()


def test_the_files_say_the_same(tmp_path: Path) -> None:
    table = halves(UTM).to_crs(4326)
    found = zones(class_map(3), table, tmp_path / "z.gpkg", id="name")
    assert [f.name for f in found.files] == ["z.gpkg", "z.html", "z.csv"]
    held = pyogrio.read_dataframe(tmp_path / "z.gpkg", layer="z")
    assert held.crs == "EPSG:4326"
    assert held["zone"].tolist() == ["west", "east"]
    keys = class_columns(found.legend)
    assert held[[f"{key}_ha" for key in keys]].to_numpy() == pytest.approx(found.areas.hectares)
    assert "layer_styles" in pyogrio.list_layers(tmp_path / "z.gpkg")[:, 0]
    with (tmp_path / "z.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row[f"{keys[0]}_share"]) for row in rows] == pytest.approx(
        found.share[:, 0], rel=1e-4
    )
    page = (tmp_path / "z.html").read_text(encoding="utf-8")
    assert "west" in page
    assert "Hectares by zone" in page


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        zones(class_map(3), halves(UTM), tmp_path / name / "z.gpkg", id="name")
    for suffix in ("gpkg", "csv", "html"):
        first, second = ((tmp_path / n / f"z.{suffix}").read_bytes() for n in ("a", "b"))
        assert first == second


def test_columns_of_classes_are_all_different() -> None:
    legend = Legend.of(["Roof", "roof!", "zone", "Büro & Halle", "…"])
    assert class_columns(legend) == ["roof", "roof_2", "zone_3", "büro_halle", "class"]
    assert class_columns(Legend.of(["Roof 3", "Roof", "roof"])) == ["roof_3", "roof", "roof_3_"]


def wards(column: list[Any]) -> tuple[ClassMap, Any]:
    """Eight zones, the first four all class 1, the others all class 2."""
    grid = GeoBox((8, 8), Affine(100, 0, 300_000, 0, -100, 2_000_000), "EPSG:32643")
    values = np.repeat([[1] * 8, [2] * 8], 4, axis=0)
    tops = [2_000_000 - 400 * (i // 4) for i in range(8)]
    lefts = [300_000 + 200 * (i % 4) for i in range(8)]
    shapes = [shapely.box(x, y - 400, x + 200, y) for x, y in zip(lefts, tops, strict=True)]
    return plain(grid, values), gpd.GeoDataFrame({"v": column}, geometry=shapes, crs="EPSG:32643")


@pytest.mark.parametrize(
    ("column", "kind", "measure"),
    [
        (list("aaaabbbb"), "auto", "Cramér's V"),
        ([5.0] * 4 + [9.0] * 4, "auto", "eta²"),
        ([5] * 4 + [9] * 4, "category", "Cramér's V"),
    ],
)
def test_a_column_that_goes_with_the_classes(column: list[Any], kind: Any, measure: str) -> None:
    made, table = wards(column)
    found = zones(made, table, value="v", kind=kind)
    assert found.association[0].measure == measure
    assert [one.value for one in found.association] == pytest.approx([1.0, 1.0])
    assert all(0.01 < one.p < 0.05 for one in found.association)  # 2 of 70 orders


def test_zones_without_a_value_take_no_part() -> None:
    made, table = wards(["a", "a", "a", None, "b", "b", "b", " "])
    found = zones(made, table, value="v")
    assert found.association[0].zones == 6
    assert "2 zone(s) with nothing in 'v'" in " ".join(found.notes)


def test_bad_zones_are_refused(tmp_path: Path) -> None:
    made, table = class_map(3), halves(UTM)
    far = table.set_geometry(table.translate(1e6, 0))
    points = table.set_geometry(table.centroid)
    nowhere = ClassMap(made.values, GeoBox(UTM.shape, UTM.affine, None), made.legend)
    turned = ClassMap(
        made.values, GeoBox(UTM.shape, UTM.affine * Affine.rotation(20), "EPSG:32643"), made.legend
    )
    for fault, sentence, call in (
        (
            SamplesError,
            "states no CRS",
            lambda: zones(made, table.set_crs(None, allow_override=True)),
        ),
        (OutsideError, "no zone of the table reaches", lambda: zones(made, far)),
        (SamplesError, "no column 'x'; its columns: name", lambda: zones(made, table, id="x")),
        (SamplesError, "no column 'y'", lambda: zones(made, table, value="y")),
        (SamplesError, "holds points", lambda: zones(made, points)),
        (SamplesError, "both called 'same'", lambda: zones(made, table.assign(k="same"), id="k")),
        (SamplesError, "at least 4 zones", lambda: zones(made, table, value="name")),
        (MapError, "has no CRS", lambda: zones(nowhere, table)),
        (MapError, "turned", lambda: zones(turned, table)),
        (OutputError, "ends in .gpkg", lambda: zones(made, table, tmp_path / "z.shp")),
    ):
        with pytest.raises(fault, match=sentence):
            call()
    assert list(tmp_path.iterdir()) == []


def test_an_older_result_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"z\.csv exists already"):
        zones(class_map(3), halves(UTM), tmp_path / "z.gpkg")
    assert (tmp_path / "z.csv").read_text() == "mine"
    found = zones(class_map(3), halves(UTM), tmp_path / "z.gpkg", overwrite=True)
    assert len(found.files) == 3
