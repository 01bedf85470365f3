"""``zones``, ``area`` and ``smooth`` by the command line, and what they say of bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely

from made_maps import UTM, class_map


@pytest.fixture
def placed(tmp_path: Path, cli: Callable[..., Any]) -> Callable[..., Any]:
    """A map and a file of four zones in the test's folder; returns the runner."""
    class_map(3).save(tmp_path / "map.tif", polygons=False)
    left, bottom, right, top = UTM.boundingbox
    wide = (right - left) / 4
    shapes = [shapely.box(left + i * wide, bottom, left + (i + 1) * wide, top) for i in range(4)]
    data = {"ward": list("ABCD"), "kind": ["old", "old", "new", "new"]}
    gpd.GeoDataFrame(data, geometry=shapes, crs="EPSG:32643").to_file(tmp_path / "zones.gpkg")
    return cli


def test_zones(placed: Callable[..., Any]) -> None:
    run = placed(
        "zones", "map.tif", "zones.gpkg", "-o", "z.gpkg", "--id", "ward", "--value", "kind"
    )
    assert run.code == 0, run.err
    assert "What it does not mean" in run.out
    assert "wrote z.gpkg" in run.out
    as_json = placed("zones", "map.tif", "zones.gpkg", "-o", "y.gpkg", "--json")
    assert [zone["zone"] for zone in as_json.result["zones"]] == ["1", "2", "3", "4"]


def test_area(placed: Callable[..., Any]) -> None:
    run = placed("area", "sample", "map.tif", "-n", "90", "-o", "p.gpkg")
    assert run.code == 0, run.err
    assert "fill in the column 'reference'" in run.out
    table = pyogrio.read_dataframe("p.gpkg", layer="p")
    table["reference"] = table["map_class"]
    pyogrio.write_dataframe(table, "done.gpkg", layer="points")
    run = placed("area", "estimate", "done.gpkg", "--map", "map.tif", "-o", "out", "--json")
    assert run.code == 0, run.err
    assert run.result["overall_accuracy"] == 1.0
    assert Path("out/report.html").exists()


def test_area_by_a_standard_error(placed: Callable[..., Any]) -> None:
    first = class_map(3).legend.names[0]
    args = ("area", "sample", "map.tif", "--standard-error", "0.05", "-o", "p.gpkg", "--json")
    run = placed(*args, "--expected", f"{first}=0.6")
    assert run.code == 0, run.err
    other = placed(*args, "--overwrite", "--expected", "0.95")
    assert other.result["points"] < run.result["points"]


def test_smooth(placed: Callable[..., Any]) -> None:
    run = placed("smooth", "map.tif", "-o", "s.tif", "--size", "5", "--min-hectares", "8")
    assert run.code == 0, run.err
    assert "have another class now" in run.out
    run = placed("smooth", "map.tif", "-o", "t.tif", "--json")
    moved = sum(move["cells"] for move in run.result["moves"])
    assert moved == run.result["changed"]


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("zones map.tif bare.gpkg -o z.gpkg", "states no CRS"),
        ("zones map.tif far.gpkg -o z.gpkg", "no zone of far.gpkg reaches map.tif"),
        ("zones map.tif zones.gpkg -o z.gpkg --id name", "has no column 'name'"),
        ("zones map.tif zones.gpkg -o z.gpkg --value pop", "has no column 'pop'"),
        ("zones map.tif zones.gpkg -o z.gpkg --value kind --kind x", "--kind is 'x'"),
        ("zones map.tif none.gpkg -o z.gpkg", "there is no file none.gpkg"),
        ("zones none.tif zones.gpkg -o z.gpkg", "there is no map at none.tif"),
        ("area sample map.tif -o p.gpkg", "how large the sample is"),
        ("area sample map.tif -o p.gpkg --standard-error 0.1 --expected x", "--expected is 'x'"),
        ("area estimate bare_points.gpkg --map map.tif -o o", "has no column 'reference'"),
        ("area estimate few.gpkg --map map.tif -o o", "too few labelled points in"),
        ("smooth map.tif -o s.tif --size 2", "has no middle"),
        ("smooth map.tif -o map.tif --overwrite", "is the map itself"),
    ],
)
def test_every_fault_is_one_sentence(
    placed: Callable[..., Any], command: str, sentence: str
) -> None:
    table = gpd.read_file("zones.gpkg")
    table.translate(1e6).to_file("far.gpkg")
    table.set_crs(None, allow_override=True).to_file("bare.gpkg")
    placed("area", "sample", "map.tif", "-n", "30", "-o", "drawn.gpkg", "-q")
    points = gpd.read_file("drawn.gpkg", layer="drawn")
    points.drop(columns="reference").to_file("bare_points.gpkg")
    points["reference"] = points["map_class"].where(points["map_class"] != points["map_class"][0])
    points.to_file("few.gpkg")
    run = placed(*command.split())
    assert run.code == 2
    assert sentence in run.err
    assert len(run.err.strip().splitlines()) == 1
    assert not Path("z.gpkg").exists()
    assert not Path("o").exists()
    assert not list(Path().glob("*.part"))
