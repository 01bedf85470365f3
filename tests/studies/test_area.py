"""Reference samples: drawn by their allocation, labelled, read back, and estimated."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from made_maps import UTM, class_map
from terrapatch.errors import MapError, OutputError, OutsideError, SamplesError
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.studies._area_points import draw
from terrapatch.studies.area import estimate_area, sample_area


@pytest.fixture
def made() -> ClassMap:
    """Three classes, 60, 30 and 10 % of 60 x 50 cells of one hectare; a row of no data."""
    values = np.random.default_rng(0).choice([1, 2, 3], (60, 50), p=[0.6, 0.3, 0.1])
    values[0] = 0
    grid = GeoBox((60, 50), Affine(100, 0, 300_000, 0, -100, 2_000_000), "EPSG:32643")
    return ClassMap(values.astype(np.uint8), grid, Legend.of(["built", "green", "water"]))


def labelled(path: Path, reference: Any = "map_class") -> Any:
    """Return drawn points whose reference is what the map says, or what is given."""
    table = pyogrio.read_dataframe(path, layer=path.stem)
    table["reference"] = table[reference] if isinstance(reference, str) else reference
    return table


def test_a_sample_holds_its_allocation(made: ClassMap, tmp_path: Path) -> None:
    drawn = sample_area(made, tmp_path / "p.gpkg", 200, minimum=30)
    table = pyogrio.read_dataframe(tmp_path / "p.gpkg", layer="p")
    assert list(table.columns) == ["id", "map_class", "x", "y", "reference", "geometry"]
    assert table["id"].tolist() == list(range(1, 201))
    assert table["reference"].isna().all()
    found = [int((table.map_class == name).sum()) for name in made.legend.names]
    assert found == drawn.points.tolist()
    assert drawn.points.min() == 30
    assert drawn.points.sum() == 200
    col, row = ~made.geobox.affine * (table.geometry.x.to_numpy(), table.geometry.y.to_numpy())
    there = made.values[row.astype(int), col.astype(int)]
    assert [made.legend.names[id - 1] for id in there] == table.map_class.tolist()
    assert len({*zip(row, col, strict=True)}) == 200
    assert (table.x == table.geometry.x).all()


def test_a_seed_gives_the_same_file(made: ClassMap, tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        sample_area(made, tmp_path / folder / "p.gpkg", 100, seed=seed)
    a, b, c = ((tmp_path / f / "p.gpkg").read_bytes() for f in "abc")
    assert a == b
    assert a != c


def test_strips_do_not_matter(made: ClassMap, monkeypatch: pytest.MonkeyPatch) -> None:
    points, weights = np.array([20, 20, 20]), np.ones(60)
    whole = draw(made, points, weights, 1)
    monkeypatch.setattr("terrapatch.studies._area_points._ROWS_AT_ONCE", 7)
    assert (draw(made, points, weights, 1) == whole).all()


def test_cells_are_drawn_evenly_and_by_their_area() -> None:
    """The upper half of the cells is three times as large, and drawn three times as often."""
    grid = GeoBox((10, 40), UTM.affine, "EPSG:32643")
    flat = ClassMap(np.ones((10, 40), np.uint8), grid, Legend.of(["a"]))
    rows = np.concatenate(
        [draw(flat, np.array([10]), np.repeat([3.0, 1.0], 5), seed)[:, 0] for seed in range(200)]
    )
    assert 0.72 < (rows < 5).mean() < 0.78


def test_a_size_from_a_standard_error(made: ClassMap, tmp_path: Path) -> None:
    drawn = sample_area(made, tmp_path / "p.gpkg", standard_error=0.03, expected=0.8)
    n = 0.16 / (0.03**2 + 0.16 / 2950)
    assert drawn.points.sum() == np.ceil(n)


def test_qgis_offers_the_classes_and_hides_the_map(made: ClassMap, tmp_path: Path) -> None:
    sample_area(made, tmp_path / "p.gpkg", 60)
    with closing(sqlite3.connect(tmp_path / "p.gpkg")) as file:
        style = file.execute("SELECT styleQML FROM layer_styles").fetchone()[0]
    root = ET.fromstring(style[style.index("<qgis") :])
    widgets = {f.get("name"): f.find("editWidget") for f in root.iter("field") if len(f)}
    assert widgets["map_class"].get("type") == "Hidden"
    options = [o.get("value") for o in widgets["reference"].iter("Option") if o.get("value")]
    assert options == ["built", "green", "water"]
    sizes = {p.get("v") for p in root.iter("prop") if p.get("k") == "size"}
    assert sizes == {"100"}  # as large as a cell


def test_a_perfect_map_has_its_own_areas(made: ClassMap, tmp_path: Path) -> None:
    sample_area(made, tmp_path / "p.gpkg", 150)
    found = estimate_area(labelled(tmp_path / "p.gpkg"), made)
    assert found.estimate.overall == pytest.approx((1.0, 0.0))
    assert found.estimate.area == pytest.approx(found.estimate.mapped)
    assert found.estimate.mapped == pytest.approx(made.counts()[1:], rel=3e-3)  # 1 ha a cell
    assert "no point was wrong" in " ".join(found.notes)


def test_the_estimate_finds_the_truth_that_the_map_misses(made: ClassMap, tmp_path: Path) -> None:
    """A fifth of what is mapped as built is green: the estimate says so, the map cannot."""
    random = np.random.default_rng(5)
    sample_area(made, tmp_path / "p.gpkg", 600)
    table = labelled(tmp_path / "p.gpkg")
    wrong = (table.map_class == "built") & (random.random(len(table)) < 0.2)
    table.loc[wrong, "reference"] = "green"
    found = estimate_area(table, made, tmp_path / "out")
    built, green = made.counts()[1] * np.array([0.8, 0.2])
    assert abs(found.estimate.area[0] - built) < found.estimate.area_half[0]
    assert found.estimate.area[1] > made.counts()[2] + green / 2
    assert [f.name for f in found.files] == [
        "report.html", "estimate.json", "error_matrix.csv", "areas.csv",
    ]  # fmt: skip
    held = json.loads((tmp_path / "out" / "estimate.json").read_text())
    assert held["classes"][0]["area"] == pytest.approx(found.estimate.area[0])
    assert held["unit"] == "ha"
    assert "mapped_ha,area_ha,area_ha_half" in (tmp_path / "out" / "areas.csv").read_text()
    assert "overall accuracy" in (tmp_path / "out" / "report.html").read_text()


def test_unfilled_and_unknown_words_are_left_out_and_counted(
    made: ClassMap, tmp_path: Path
) -> None:
    sample_area(made, tmp_path / "p.gpkg", 150)
    table = labelled(tmp_path / "p.gpkg")
    table["reference"] = table["reference"].astype(object)
    table.loc[:4, "reference"] = None
    table.loc[5:6, "reference"] = "  "
    table.loc[7:9, "reference"] = "quarry"
    found = estimate_area(table, made)
    assert found.estimate.n == 140
    said = " ".join(found.notes)
    assert "3 of 150 points were left out" in said
    assert "'quarry' (3)" in said
    assert "7 of 150 points have no reference" in said
    assert found.as_dict()["unfilled"] == 7


def test_points_that_do_not_fit_the_map_are_refused(made: ClassMap, tmp_path: Path) -> None:
    sample_area(made, tmp_path / "p.gpkg", 60)
    table = labelled(tmp_path / "p.gpkg")
    other = ClassMap(np.roll(made.values, 1, axis=1), made.geobox, made.legend)
    renamed = ClassMap(made.values, made.geobox, made.legend.renamed({1: "slum"}))
    moved = table.copy()
    moved.loc[0, "geometry"] = shapely.Point(0, 0)
    double = table.copy()
    double.loc[1, ["geometry", "map_class"]] = double.loc[0, ["geometry", "map_class"]]
    few = table.copy()
    few.loc[few.index[few.map_class == "water"][1:], "reference"] = None
    areal = table.set_geometry(table.buffer(5))
    for fault, sentence, points, on in (
        (SamplesError, "lie on another class of the map than they say", table, other),
        (SamplesError, "says 'built', the map has 'slum'", table, renamed),
        (SamplesError, "lie beside the map", moved, made),
        (SamplesError, "points 1 and 2 of the table lie in one cell", double, made),
        (SamplesError, r"too few labelled points in 'water' \(1\)", few, made),
        (SamplesError, "no column 'reference'", table.drop(columns="reference"), made),
        (SamplesError, "no point of the table has a class", table.assign(reference=None), made),
        (SamplesError, "it holds words that are none: 'x'", table.assign(reference="x"), made),
        (SamplesError, "holds polygons", areal, made),
        (
            OutsideError,
            "no point of the table lies on",
            table.set_geometry(table.translate(1e6)),
            made,
        ),
    ):
        with pytest.raises(fault, match=sentence):
            estimate_area(points, on, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_points_that_qgis_saved_in_another_crs_are_read(made: ClassMap, tmp_path: Path) -> None:
    sample_area(made, tmp_path / "p.gpkg", 60)
    pyogrio.write_dataframe(labelled(tmp_path / "p.gpkg").to_crs(4326), tmp_path / "q.geojson")
    assert estimate_area(tmp_path / "q.geojson", made).estimate.n == 60


def test_a_map_without_a_crs_is_measured_in_cells(made: ClassMap, tmp_path: Path) -> None:
    plain = ClassMap(made.values, GeoBox((60, 50), made.geobox.affine, None), made.legend)
    sample_area(plain, tmp_path / "p.gpkg", 60)
    found = estimate_area(labelled(tmp_path / "p.gpkg").set_crs(None, allow_override=True), plain)
    assert found.unit == "cells"
    assert found.estimate.mapped.tolist() == made.counts()[1:].tolist()


def test_bad_samples_are_refused(made: ClassMap, tmp_path: Path) -> None:
    path = tmp_path / "p.gpkg"
    empty = ClassMap(np.zeros((4, 4), np.uint8), GeoBox((4, 4), UTM.affine, UTM.crs), made.legend)
    for fault, sentence, call in (
        (SamplesError, "not both", lambda: sample_area(made, path)),
        (SamplesError, "not both", lambda: sample_area(made, path, 9, standard_error=0.1)),
        (SamplesError, "at least 6", lambda: sample_area(made, path, 3)),
        (SamplesError, "has no 9,999", lambda: sample_area(made, path, 9999)),
        (SamplesError, "which is no class",
         lambda: sample_area(made, path, standard_error=0.1, expected={"x": 0.5})),
        (MapError, "holds no class", lambda: sample_area(empty, path, 9)),
        (OutputError, "ends in .gpkg", lambda: sample_area(made, tmp_path / "p.csv", 9)),
    ):  # fmt: skip
        with pytest.raises(fault, match=sentence):
            call()
    assert list(tmp_path.iterdir()) == []
    sample_area(made, path, 60)
    with pytest.raises(OutputError, match="perhaps with labels in it"):
        sample_area(made, path, 60)


def test_a_map_of_many_classes_can_be_sampled(tmp_path: Path) -> None:
    drawn = sample_area(class_map(12), tmp_path / "p.gpkg", 200)
    assert drawn.points.sum() == 200
    assert drawn.points.min() >= 8
