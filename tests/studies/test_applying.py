"""A named model elsewhere: the same on its own scene, and what is unlike it gets its own class."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

import terrapatch as tp
from terrapatch.errors import ClusterError, LegendError, OutputError, RecipeError
from terrapatch.learn.unlike import Unlike, cluster_thresholds, fit_unlike
from terrapatch.studies._unlike_class import unlike_cells, write_named_again
from terrapatch.studies.applying import apply, seen_by
from terrapatch.studies.naming import name
from terrapatch.studies.painted import paint
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.studies.settlements import cluster

UNLIKE = "unlike anything seen"
SIZE = 24


def _stripes(like: Path, path: Path) -> Path:
    """Write a scene of another kind on the grid of a painted one: bold stripes."""
    with rasterio.open(like) as src:
        profile = src.profile
    rows, cols = profile["height"], profile["width"]
    band = np.where(np.add.outer(np.arange(rows), np.arange(cols)) // 4 % 2, 250, 5)
    with rasterio.open(path, "w", **profile) as out:
        out.write(np.stack([band, 255 - band, band]).astype(np.uint8))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Named clusters ``c`` of a painted scene, and the features of it, a second and a third."""
    home = tmp_path_factory.mktemp("applying")
    for seed, stem in ((0, "one"), (1, "two")):
        paint(home / f"{stem}.tif", seed=seed, size=(768, 768))
    _stripes(home / "one.tif", home / "stripes.tif")
    for stem in ("one", "two", "stripes"):
        tp.embed(home / f"{stem}.tif", home / f"{stem}.zarr", size=SIZE, backbone="imagestats")
    cluster(
        home / "one.zarr", home / "c", k=5, scene=home / "one.tif", polygons=False, report=False
    )
    name(home / "c", rename={1: "Town", 2: "Field"}, colour={2: "#123456"}, merge={4: 1})
    return home


@pytest.fixture
def home(project: Path, tmp_path: Path) -> Path:
    """A copy of the project, in the test's own folder."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


# --- thresholds -----------------------------------------------------------------------------


def test_large_clusters_have_their_own_quantile_and_small_ones_borrow() -> None:
    random = np.random.default_rng(0)
    wide, tight = random.uniform(0, 2, 4000), random.uniform(0, 1, 4000)
    few = np.full(20, 5.0)
    distance = np.concatenate([wide, tight, few])
    ids = np.repeat([0, 1, 2], [4000, 4000, 20])
    limits, cells = cluster_thresholds(distance, ids, 4, 0.99)
    assert cells.tolist() == [4000, 4000, 20, 0]
    assert limits[0] == pytest.approx(np.quantile(wide, 0.99))
    assert limits[1] == pytest.approx(np.quantile(tight, 0.99))
    middle = np.array([np.median(wide), np.median(tight), 5.0])
    excess = np.quantile(distance - middle[ids], 0.99)
    assert limits[2] == pytest.approx(5.0 + excess)
    assert limits[3] == pytest.approx(np.median(distance) + excess)


def test_a_quantile_that_is_none() -> None:
    with pytest.raises(ClusterError, match=r"the quantile is 99; give a share from 0\.5"):
        cluster_thresholds(np.ones(3), np.zeros(3, np.int64), 1, 99)


def test_thresholds_are_read_back_as_they_were(project: Path) -> None:
    folder = ClusterFolder.open(project / "c")
    made = fit_unlike(folder.features(), folder.model)
    assert made.how == "held out"
    again = Unlike.from_arrays(made.to_arrays(), made.quantile, made.how)
    clusters = folder.model.predict(folder.features())
    np.testing.assert_array_equal(
        made.ratio(folder.features(), clusters), again.ratio(folder.features(), clusters)
    )
    arrays = made.to_arrays()
    del arrays["centres"]
    with pytest.raises(RecipeError, match="apply the model again"):
        Unlike.from_arrays(arrays, 0.99, "held out")


# --- the folder -----------------------------------------------------------------------------


def test_on_its_own_scene_a_model_says_the_same(home: Path) -> None:
    made = apply(home / "c", home / "one.zarr", home / "o")
    raw = tp.ClassMap.open(home / "c" / "clusters.tif")
    own = tp.ClassMap.open(home / "o" / "clusters.tif")
    np.testing.assert_array_equal(own.values, raw.values)
    assert own.legend == raw.legend
    assert made.unlike_share is not None
    assert made.unlike_share <= 0.015
    named = tp.ClassMap.open(home / "o" / "named.tif")
    before = tp.ClassMap.open(home / "c" / "named.tif")
    assert named.legend.names == (*before.legend.names, UNLIKE)
    assert named.legend.colours == (*before.legend.colours, "#7f7f7f")
    last = len(named.legend)
    alike = named.values != last
    np.testing.assert_array_equal(named.values[alike], before.values[alike])


def test_a_scene_of_another_kind_is_flagged_and_one_of_the_same_is_not(home: Path) -> None:
    same = apply(home / "c", home / "two.zarr", home / "same", polygons=False)
    other = apply(home / "c", home / "stripes.zarr", home / "other", polygons=False)
    assert same.unlike_share is not None
    assert other.unlike_share is not None
    assert other.unlike_share > 0.95
    assert same.unlike_share < 0.2
    assert any("% of the cells are unlike anything seen" in note for note in other.notes)


def test_cells_and_hectares_add_up(home: Path) -> None:
    apply(home / "c", home / "two.zarr", home / "o", quantile=0.9)
    with (home / "o" / "named.csv").open() as text:
        named = list(csv.DictReader(text))
    with (home / "o" / "clusters.csv").open() as text:
        raw = list(csv.DictReader(text))
    assert named[-1]["name"] == UNLIKE
    assert int(named[-1]["cells"]) > 0
    for column, slack in (("cells", 0), ("hectares", 0.01)):
        total = sum(float(row[column]) for row in raw)
        assert sum(float(row[column]) for row in named) == pytest.approx(total, abs=slack)
    assert sum(float(row["share"]) for row in named) == pytest.approx(1, abs=1e-4)
    ratio = tp.ValueMap.open(home / "o" / "unlike_ratio.tif").values
    assert int((np.nan_to_num(ratio) > 1).sum()) == int(named[-1]["cells"])
    samples = tp.ClassMap.open(home / "o" / "samples.tif")
    assert not samples.values[np.nan_to_num(ratio) > 1].any()


def test_the_folder_is_one_that_others_can_use(home: Path) -> None:
    apply(home / "c", home / "two.zarr", home / "o", scene=home / "two.tif")
    source = json.loads((home / "o" / "source.json").read_text())
    assert (source["features"], source["scene"]) == ("../two.zarr", "../two.tif")
    opened = ClusterFolder.open(home / "o")
    assert opened.features().shape == opened.class_map.values.shape
    assert opened.patch(0, 0).shape == (160, 160, 3)
    assert opened.names[1].name == "Town"
    page = (home / "o" / "apply.html").read_text()
    assert "What is unlike anything seen" in page
    assert page.count("data:image") > 12
    name(home / "o", rename={3: "Road"})
    assert "Road" in tp.ClassMap.open(home / "o" / "named.tif").legend.names


def test_new_names_keep_the_unlike_cells(home: Path) -> None:
    apply(home / "c", home / "two.zarr", home / "o", quantile=0.9)
    before = _bytes(home / "o")
    folder = ClusterFolder.open(home / "o")
    with (home / "o" / "clusters.csv").open() as text:
        areas = {int(row["id"]): float(row["hectares"]) for row in csv.DictReader(text)}
    (home / "again").mkdir()
    args = (folder.path, home / "again", folder.class_map)
    write_named_again(*args, folder.names, areas)
    written = _bytes(home / "again")
    assert set(written) > {"named.tif", "named_polygons.gpkg", "samples.tif"}
    # Tables are rounded and JSON is in another order; the maps are the same to the byte.
    maps = [n for n in written if n.endswith((".tif", ".qml", ".aux.xml"))]
    assert {n: before[n] for n in maps} == {n: written[n] for n in maps}
    renamed = folder.names.edited({3: "Road"})
    (home / "third").mkdir()
    named, table, _, _ = write_named_again(
        folder.path, home / "third", folder.class_map, renamed, areas, polygons=False
    )
    assert "Road" in named.legend.names
    assert table[-1].name == UNLIKE
    # Other clusters in the folder: what was unlike before says nothing of them.
    other = cluster(home / "two.zarr", home / "d", k=3, polygons=False, report=False)
    for file in ("unlike.json", "unlike.safetensors", "unlike.csv", "unlike_ratio.tif"):
        shutil.copy(home / "o" / file, home / "d" / file)
    assert unlike_cells(home / "d", other.class_map) is None


def test_thresholds_go_from_folder_to_folder(home: Path) -> None:
    first = apply(home / "c", home / "two.zarr", home / "o", polygons=False)
    shutil.rmtree(home / "one.zarr")
    second = apply(home / "o", home / "two.zarr", home / "p", polygons=False)
    assert first.unlike is not None
    assert second.unlike is not None
    np.testing.assert_array_equal(first.unlike.thresholds, second.unlike.thresholds)
    np.testing.assert_array_equal(first.named.values, second.named.values)
    third = apply(home / "o", home / "two.zarr", home / "q", polygons=False, quantile=0.9)
    assert any("quantile 0.99, not 0.9" in note for note in third.notes)
    (home / "o" / "unlike.safetensors").write_bytes(b"x")
    with pytest.raises(RecipeError, match=r"unlike\.json is damaged"):
        apply(home / "o", home / "two.zarr", home / "r", polygons=False)


def test_without_its_features_a_folder_answers_by_distances_and_says_so(home: Path) -> None:
    shutil.rmtree(home / "one.zarr")
    unlike, notes = seen_by(ClusterFolder.open(home / "c"))
    assert unlike.how == "distance map"
    assert any("told by" in n and "distance.tif alone" in n and "tighter" in n for n in notes)
    made = apply(home / "c", home / "two.zarr", home / "o", polygons=False)
    assert made.unlike is not None
    assert made.unlike.off_centre is None


def test_the_same_call_gives_the_same_bytes_and_older_files_give_way(home: Path) -> None:
    apply(home / "c", home / "two.zarr", home / "o", polygons=False)
    first = _bytes(home / "o")
    (home / "o" / "project.qgz").write_text("mine")
    with pytest.raises(OutputError, match="exists already and is not empty"):
        apply(home / "c", home / "two.zarr", home / "o")
    apply(home / "c", home / "one.zarr", home / "o", unlike=False, polygons=False, overwrite=True)
    assert not (home / "o" / "unlike.json").exists()
    assert UNLIKE not in tp.ClassMap.open(home / "o" / "named.tif").legend.names
    apply(home / "c", home / "two.zarr", home / "o", polygons=False, overwrite=True)
    assert (home / "o" / "project.qgz").read_text() == "mine"
    (home / "o" / "project.qgz").unlink()
    assert _bytes(home / "o") == first


def test_names_that_are_replaced_are_kept(home: Path) -> None:
    apply(home / "c", home / "two.zarr", home / "o", polygons=False)
    name(home / "o", rename={3: "Mine"}, polygons=False)
    theirs = (home / "o" / "names.csv").read_text()
    made = apply(home / "c", home / "two.zarr", home / "o", polygons=False, overwrite=True)
    assert made.notes[0] == "the older names are kept in names.csv.bak"
    assert (home / "o" / "names.csv.bak").read_text() == theirs
    assert "Mine" not in (home / "o" / "names.csv").read_text()


def test_what_cannot_be_applied_is_said_and_nothing_written(home: Path) -> None:
    with pytest.raises(OutputError, match="is the folder of the model itself"):
        apply(home / "c", home / "two.zarr", home / "c", overwrite=True)
    tp.embed(home / "two.tif", home / "fine.zarr", size=16, backbone="imagestats")
    with pytest.raises(RecipeError, match="patch size: the features have 16px"):
        apply(home / "c", home / "fine.zarr", home / "o")
    name(home / "c", rename={3: UNLIKE})
    with pytest.raises(LegendError, match="a cluster is named 'unlike anything seen'"):
        apply(home / "c", home / "two.zarr", home / "o")
    assert not (home / "o").exists()
    assert not list(home.glob(".o*"))
