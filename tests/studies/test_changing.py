"""Two dates: what changed is where it was painted, what noise is known, and bad pairs refused."""

from __future__ import annotations

import csv
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

import terrapatch as tp
from rasters import make_raster
from terrapatch.errors import LegendError, MapError, RecipeError, SceneError
from terrapatch.legend import Legend
from terrapatch.reading import SceneReader
from terrapatch.scene import Scene
from terrapatch.studies._moved_scene import moved_scene
from terrapatch.studies.applying import apply
from terrapatch.studies.changing import FILES, change, noise_floor
from terrapatch.studies.naming import name
from terrapatch.studies.painted import paint
from terrapatch.studies.settlements import cluster

SIZE = 24
PLACE = (slice(288, 480), slice(96, 384))  # 8 x 12 cells that are another on the second date


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dates ``a`` and ``b`` with classes of one model; a part of the second is another."""
    home = tmp_path_factory.mktemp("changing")
    paint(home / "one.tif", size=(768, 768))
    with rasterio.open(home / "one.tif") as src:
        pixels, profile = src.read(), src.profile
    pixels[(slice(None), *PLACE)] = pixels[:, 0:1, 0:1] // 2 + 10
    with rasterio.open(home / "two.tif", "w", **profile) as out:
        out.write(pixels)
    for stem in ("one", "two"):
        tp.embed(home / f"{stem}.tif", home / f"{stem}.zarr", size=SIZE, backbone="imagestats")
    cluster(home / "one.zarr", home / "c", k=4, scene=home / "one.tif", report=False)
    name(home / "c", rename={1: "Town"})
    for stem, out in (("one", "a"), ("two", "b")):
        apply(home / "c", home / f"{stem}.zarr", home / out, polygons=False)
    return home


@pytest.fixture
def home(project: Path, tmp_path: Path) -> Path:
    """A copy of the project, in the test's own folder."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as text:
        return list(csv.DictReader(text))


# --- what changed ---------------------------------------------------------------------------


def test_change_lies_where_it_was_painted(home: Path) -> None:
    made = change(home / "a", home / "b", home / "ch")
    assert {f.name for f in made.files} == set(FILES)
    changed = tp.ClassMap.open(home / "ch" / "change.tif")
    assert changed.legend.names[0] == "unchanged"
    place = tuple(slice(s.start // SIZE, s.stop // SIZE) for s in PLACE)
    moved = changed.values > 1
    assert moved.sum() == made.transitions.changed > 0
    inside = moved[place].sum()
    assert inside == moved.sum()
    assert inside > 0.5 * moved[place].size
    # Cells, hectares and tables tell the same story.
    rows = _rows(home / "ch" / "transitions.csv")
    assert sum(int(row["cells"]) for row in rows) == made.transitions.changed
    cell = (SIZE * 0.5) ** 2 / 1e4
    for row in rows:
        assert float(row["hectares"]) == pytest.approx(int(row["cells"]) * cell, rel=2e-3)
    matrix = _rows(home / "ch" / "matrix_cells.csv")
    before = made.before[made.after > 0]
    for row, entry in zip(matrix, made.legend, strict=False):
        assert int(row["sum"]) == int((before == entry.id).sum())
    classes = _rows(home / "ch" / "classes.csv")
    assert [row["class"] for row in classes] == list(made.legend.names)
    assert sum(int(row["net"]) for row in classes) == 0
    assert "What became of what" in (home / "ch" / "change.html").read_text()


def test_legends_in_another_order_are_matched_by_name(home: Path) -> None:
    one, two = (tp.ClassMap.open(home / side / "named.tif") for side in "ab")
    turn = np.array([0, *range(len(two.legend), 0, -1)], np.uint8)
    names, colours = two.legend.names[::-1], two.legend.colours[::-1]
    other = replace(two, values=turn[two.values], legend=Legend.of(names, colours))
    plain = change(one, two, noise=False)
    np.testing.assert_array_equal(
        plain.transitions.table, change(one, other, noise=False).transitions.table
    )


def test_equal_maps_have_not_changed(home: Path) -> None:
    made = change(home / "a", home / "a", home / "ch", noise=False, polygons=False)
    assert made.transitions.changed == 0
    assert tp.ClassMap.open(home / "ch" / "change.tif").legend.names == ("unchanged",)
    assert any("was not measured" in note for note in made.notes)


def test_many_changes_become_other_change_and_shades_of_the_class_they_lead_to() -> None:
    legend = Legend.of(["A", "B", "C"], ["#ff0000", "#00ff00", "#0000ff"])
    random = np.random.default_rng(0)
    grid = GeoBox((20, 20), Affine(10, 0, 0, 0, -10, 0), "EPSG:32643")
    one, two = (
        tp.ClassMap(random.integers(1, 4, (20, 20)).astype(np.uint8), grid, legend)
        for _ in range(2)
    )
    made = change(one, two, noise=False, most=4)
    names, colours = made.class_map.legend.names, made.class_map.legend.colours
    assert len(names) == 6
    assert names[-1] == "other change"
    assert len(set(colours)) == 6
    assert {n.split(" → ")[1] for n in names[1:-1]} <= {"A", "B", "C"}
    red = [c for n, c in zip(names, colours, strict=True) if n.endswith("→ A")]
    assert red[0] == "#ff0000"


def test_features_take_a_model_in_memory(home: Path) -> None:
    stored = change(home / "a", home / "b", noise=False)
    direct = change(home / "one.zarr", home / "two.zarr", model=home / "c", noise=False)
    assert set(stored.legend.names) == set(direct.legend.names)
    assert stored.transitions.changed == direct.transitions.changed
    with pytest.raises(RecipeError, match="holds features and no classes"):
        change(home / "one.zarr", home / "two.zarr")


# --- noise ----------------------------------------------------------------------------------


def test_unmoved_patches_have_no_noise_and_moved_ones_have(home: Path) -> None:
    side = change(home / "a", home / "b", noise=False).sides[0]
    still = noise_floor(side, 0)
    assert still.moved.n == int((side.class_map.values > 0).sum())
    assert still.share == 0
    half = noise_floor(side, 0.5)
    assert half.offset == (0.5, 0.5)
    assert 0.02 < half.share < 0.7
    made = change(home / "a", home / "b", scene=str(home / "one.tif"))
    assert made.noise is not None
    np.testing.assert_array_equal(made.noise.moved.table, half.moved.table)
    assert any(word.startswith("Noise floor: ") for word in made.words)
    assert made.class_map.provenance["noise"]["share"] == half.share


def test_where_noise_cannot_be_measured_a_note_says_why(home: Path) -> None:
    (home / "one.tif").rename(home / "gone.tif")
    made = change(home / "a", home / "b")
    assert made.noise is None
    assert any("name it with --scene" in note for note in made.notes)
    assert change(home / "a", home / "b", scene=str(home / "gone.tif")).noise is not None
    shutil.copy(home / "a" / "named.tif", home / "map.tif")
    made = change(home / "map.tif", home / "b")
    assert any("lies in no folder of clusters" in note for note in made.notes)
    with pytest.raises(MapError, match="cannot be moved by 1 cells; give 0 to below 1"):
        change(home / "a", home / "b", offset=1)


@pytest.mark.parametrize("nodata", [None, 7, "mask", "alpha"])
def test_a_moved_scene_is_a_window_of_the_scene(tmp_path: Path, nodata: object) -> None:
    path = make_raster(
        tmp_path / "s.tif", height=60, width=50, nodata=nodata,
        hole=None if nodata is None else (slice(20, 30), slice(0, 40)),
    )  # fmt: skip
    scene = Scene.open(path)
    moved = moved_scene(scene, 7, 12, tmp_path)
    assert moved.shape == (53, 38)
    assert moved.geobox == scene.geobox[7:, 12:]
    with SceneReader(scene) as whole, SceneReader(moved) as part:
        pixels, valid = whole.read(slice(7, 60), slice(12, 50))
        cut, cut_valid = part.read(slice(0, 53), slice(0, 38))
    np.testing.assert_array_equal(cut, pixels)
    np.testing.assert_array_equal(cut_valid, valid)
    again = Scene.open(moved.source)  # and the file says so by itself
    assert again.nodata == scene.nodata
    assert (again.alpha, again.has_mask) == (scene.alpha, scene.has_mask)
    with pytest.raises(SceneError, match="nothing is left of it"):
        moved_scene(scene, 60, 0, tmp_path)


# --- pairs that do not fit ------------------------------------------------------------------


def test_a_scene_in_an_archive_is_moved_too(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "scene.tif", height=60, width=50)
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as archive:
        archive.write(path, "scene.tif")
    packed = Scene.open(f"zip://{tmp_path / 'scenes.zip'}!scene.tif")
    with SceneReader(moved_scene(packed, 7, 12, tmp_path)) as part, SceneReader(packed) as whole:
        found, _ = part.read(slice(0, 53), slice(0, 38))
        expected, _ = whole.read(slice(7, 60), slice(12, 50))
    np.testing.assert_array_equal(found, expected)


def _with(class_map: tp.ClassMap, crs: str | None = None, **moved: float) -> tp.ClassMap:
    """Return a map on another grid."""
    t, step = class_map.geobox.affine, class_map.geobox.affine.a
    size = moved.get("size", 1.0) * step
    x, y = t.c + step * moved.get("x", 0), t.f - step * moved.get("y", 0)
    grid = GeoBox(class_map.geobox.shape, Affine(size, 0, x, 0, -size, y), crs or "EPSG:32643")
    return replace(class_map, geobox=grid)


def test_a_grid_that_is_a_little_apart_is_brought_over(home: Path) -> None:
    one, two = (tp.ClassMap.open(home / side / "named.tif") for side in "ab")
    plain = change(one, two, noise=False)
    near = change(one, _with(two, x=0.02, y=-0.3), noise=False)
    np.testing.assert_array_equal(near.after, plain.after)
    assert any("0.30 of a cell down and 0.02 across" in note for note in near.notes)
    far = change(one, _with(two, x=3), noise=False)
    np.testing.assert_array_equal(far.after[:, 3:], plain.after[:, :-3])
    assert not far.after[:, :3].any()
    assert any("with a class on the first date alone" in note for note in far.notes)


def test_other_grids_are_refused(home: Path) -> None:
    one, two = (tp.ClassMap.open(home / side / "named.tif") for side in "ab")
    for other, said in (
        (_with(two, crs="EPSG:32644"), "is in EPSG:32643 and .* in EPSG:32644"),
        (_with(two, size=1.01), "measure 12 x 12 map units and those of .* 12.12 x 12.12"),
        (_with(two, x=100), "do not overlap"),
    ):
        with pytest.raises(MapError, match=said):
            change(one, other, noise=False)


def test_other_classes_are_refused(home: Path) -> None:
    one, two = (tp.ClassMap.open(home / side / "named.tif") for side in "ab")
    names = ["City" if n == "Town" else n for n in two.legend.names]
    other = replace(two, legend=Legend.of(names, two.legend.colours))
    with pytest.raises(LegendError, match=r"has the class 'City' and .* has not"):
        change(one, other, noise=False)
    cluster(home / "two.zarr", home / "d", k=4, polygons=False, report=False)
    with pytest.raises(LegendError, match="were made with two models, and 'Cluster 1'"):
        change(home / "c" / "clusters.tif", home / "d", noise=False)
    made = change(home / "c", home / "b", noise=False)
    assert any("was made without the class 'unlike anything seen'" in note for note in made.notes)


def test_other_features_are_refused(home: Path) -> None:
    tp.embed(home / "two.tif", home / "fine.zarr", size=16, backbone="imagestats")
    with pytest.raises(RecipeError, match="patch size: the features have 16px"):
        change(home / "a", home / "fine.zarr", model=home / "c")


def test_the_same_call_gives_the_same_bytes(home: Path) -> None:
    change(home / "a", home / "b", home / "ch", polygons=False)
    first = {p.name: p.read_bytes() for p in (home / "ch").iterdir()}
    change(home / "a", home / "b", home / "ch", polygons=False, overwrite=True)
    assert {p.name: p.read_bytes() for p in (home / "ch").iterdir()} == first
