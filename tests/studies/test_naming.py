"""Names flow into every file, survive another run, and are never lost; QGIS and train read them."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import terrapatch as tp
from qgis_client import ask_qgis, require_qgis
from rasters import make_raster
from terrapatch.errors import ClusterError, LegendError, OutputError, RecipeError
from terrapatch.learn.choosing import choose_k
from terrapatch.learn.stability import cluster_stability, consensus
from terrapatch.legend import Legend
from terrapatch.studies.applying import seen_by
from terrapatch.studies.looking import look
from terrapatch.studies.naming import Name, Names, name, read_names
from terrapatch.studies.settlements import cluster

LEVELS = np.array([[20, 60, 100, 140], [180, 220, 60, 20], [20, 140, 60, 60], [180, 20, 20, 60]])
LEGEND = Legend.of([f"Cluster {i}" for i in range(1, 7)])


def _fields(bands: int, height: int, width: int) -> NDArray[np.float64]:
    """Fields of 32 pixels in six kinds, told apart by brightness and texture."""
    level = np.kron(LEVELS, np.ones((height // 4, width // 4)))
    noise = np.random.default_rng(3).normal(0, 1, (bands, height, width))
    return np.clip(level + noise * (2 + level / 25), 1, 255)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clusters of 16 x 16 cells in ``c``, from ``f.zarr``."""
    home = tmp_path_factory.mktemp("project")
    make_raster(home / "scene.tif", height=128, width=128, values=_fields)
    tp.embed(home / "scene.tif", home / "f.zarr", size=8, backbone="imagestats")
    cluster(home / "f.zarr", home / "c", k=6, scene=home / "scene.tif", report=False)
    return home


@pytest.fixture
def home(project: Path, tmp_path: Path) -> Path:
    """A copy of the project, in the test's own folder."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def _written(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_text("\n".join(("id,name,colour,merge_into", *lines)) + "\n", encoding=encoding)
    return path


# --- names and their file -------------------------------------------------------------------


def test_cluster_writes_names_nobody_has_given(home: Path) -> None:
    rows = list(csv.DictReader((home / "c" / "names.csv").open()))
    legend = tp.ClassMap.open(home / "c" / "clusters.tif").legend
    assert [(r["id"], r["name"], r["merge_into"]) for r in rows] == [
        (str(i), "", "") for i in range(1, 7)
    ]
    assert [r["colour"] for r in rows] == list(legend.colours)
    assert not (home / "c" / "named.tif").exists()


def test_a_written_file_reads_back_the_same(tmp_path: Path) -> None:
    names = Names.of(LEGEND).edited(
        {1: 'Old, "grown" town', 2: "Čtvrť 東", 5: "  spaced "}, {1: "#ABCDEF"}, {3: 2, 4: 3}
    )
    path = tmp_path / "names.csv"
    path.write_text(names.as_csv(), encoding="utf-8")
    assert read_names(path, LEGEND) == names
    assert names[5].name == "spaced"
    assert names[1].colour == "#abcdef"


def test_files_of_spreadsheets_and_short_files_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_bytes("Merge_Into;ID;Name\r\n;3;Čtvrť\r\n3;5;\r\n;;\r\n".encode("utf-8-sig"))
    names = read_names(path, LEGEND)
    assert names == Names.of(LEGEND).edited({3: "Čtvrť"}, merges={5: 3})


def test_chains_are_followed_and_the_largest_comes_first() -> None:
    names = Names.of(LEGEND).edited({2: "Town", 6: "Sea"}, {2: "#102030"}, {3: 4, 4: 2})
    assert names.roots.tolist() == [0, 1, 2, 2, 2, 5, 6]
    assert names.members(2) == (2, 3, 4)
    assert (names.named, names.unnamed) == ((2, 6), (1, 5))
    legend, lookup = names.legend(np.array([7, 30, 12, 11, 10, 3, 3]))
    assert legend.names == ("Town", "Cluster 1", "Cluster 5", "Sea")
    assert legend.colours[0] == "#102030"
    assert legend.colours[1] == LEGEND[1].colour
    assert lookup.tolist() == [0, 2, 1, 1, 1, 3, 4]
    assert names.legend()[0].names == ("Cluster 1", "Town", "Cluster 5", "Sea")


def test_edits_are_checked_together() -> None:
    names = Names.of(LEGEND).edited({3: "Town", 4: "Town"}, merges={4: 3})
    assert names.shown(4) == "Town"
    with pytest.raises(LegendError, match="clusters 3 and 4 are both called 'Town'"):
        names.edited(merges={4: None})
    assert not names.edited({3: "", 4: ""}, merges={4: None}).touched
    with pytest.raises(LegendError, match="there is no cluster 9; ids run from 1 to 6"):
        names.edited({9: "Sea"})
    with pytest.raises(LegendError, match="in the order of ids from 1"):
        Names((Name(2, "", "#000000"),))


# --- the named map --------------------------------------------------------------------------


def test_names_and_merges_flow_into_every_file(home: Path) -> None:
    raw = tp.ClassMap.open(home / "c" / "clusters.tif")
    before = _digests(home / "c")
    made = name(home / "c", rename={1: "Town", 3: "Sea"}, colour={3: "#0072b2"}, merge={4: 1, 2: 4})
    after = _digests(home / "c")
    assert {k: v for k, v in after.items() if k in before and k != "names.csv"} == {
        k: v for k, v in before.items() if k != "names.csv"
    }
    named = tp.ClassMap.open(home / "c" / "named.tif")
    assert set(named.legend.names) == {"Town", "Sea", "Cluster 5", "Cluster 6"}
    counts = named.counts()[1:]
    assert (np.diff(counts) <= 0).all()
    town = next(e.id for e in named.legend if e.name == "Town")
    np.testing.assert_array_equal(named.values == town, np.isin(raw.values, (1, 2, 4)))
    np.testing.assert_array_equal(named.values == 0, raw.values == 0)
    assert next(e.colour for e in named.legend if e.name == "Sea") == "#0072b2"

    rows = list(csv.DictReader((home / "c" / "named.csv").open()))
    assert [r["name"] for r in rows] == list(named.legend.names)
    assert rows[town - 1]["clusters"] == "1 2 4"
    assert [int(r["cells"]) for r in rows] == counts.tolist()
    areas = {
        r["id"]: float(r["hectares"]) for r in csv.DictReader((home / "c/clusters.csv").open())
    }
    assert float(rows[town - 1]["hectares"]) == pytest.approx(
        areas["1"] + areas["2"] + areas["4"], abs=2e-4
    )
    item = json.loads((home / "c" / "named.json").read_text())
    assert item["properties"]["terrapatch:recipe"]["names"]["Town"] == [1, 2, 4]
    assert {f.name for f in made.files} == {
        "named.tif", "named.tif.aux.xml", "named.qml", "named_polygons.gpkg", "named.json",
        "named.csv", "samples.tif", "samples.tif.aux.xml", "samples.qml", "samples.json",
        "names.csv",
    }  # fmt: skip
    assert all(f.is_file() for f in made.files)
    assert any("2 clusters have no name and are shown as Cluster 5, Cluster 6" in n
               for n in made.notes)  # fmt: skip
    assert tp.explain(home / "c" / "named.tif").kind == "class map"


def test_the_same_names_give_the_same_bytes_and_older_files_give_way(home: Path) -> None:
    name(home / "c", rename={1: "Town", 3: "Sea"})
    first = _digests(home / "c")
    (home / "c" / "project.qgz").write_text("mine")
    name(home / "c", rename={1: "", 3: ""}, polygons=False)
    assert not (home / "c" / "samples.tif").exists()
    assert not (home / "c" / "named_polygons.gpkg").exists()
    name(home / "c", rename={1: "Town", 3: "Sea"})
    assert (home / "c" / "project.qgz").read_text() == "mine"
    (home / "c" / "project.qgz").unlink()
    assert _digests(home / "c") == first


def test_a_name_that_is_hidden_by_a_merge_is_told(home: Path) -> None:
    made = name(home / "c", rename={4: "Slum"}, merge={4: 2})
    assert any("cluster 4 'Slum' is merged into cluster 2, which has no name" in n
               for n in made.notes)  # fmt: skip


def test_a_file_from_elsewhere_is_copied_in_and_the_older_one_kept(home: Path) -> None:
    name(home / "c", rename={1: "Mine"})
    other = _written(home / "other.csv", "2,Theirs,,")
    made = name(home / "c", other)
    assert "the older names are kept in names.csv.bak" in made.notes
    assert read_names(home / "c" / "names.csv", LEGEND)[2].name == "Theirs"
    assert "Mine" in (home / "c" / "names.csv.bak").read_text()
    name(home / "c", _written(home / "third.csv", "2,Third,,"))
    assert "Theirs" in (home / "c" / "names.csv.bak2").read_text()
    assert "Mine" in (home / "c" / "names.csv.bak").read_text()


def test_bad_names_write_nothing(home: Path) -> None:
    before = _digests(home / "c")
    with pytest.raises(LegendError, match=r"bad\.csv, line 3: clusters 1 and 2 are both called"):
        name(home / "c", _written(home / "bad.csv", "1,Town,,", "2,Town,,"))
    with pytest.raises(LegendError, match="names for 3 clusters but"):
        name(home / "c", Names.of(Legend.of(["a", "b", "c"])))
    assert _digests(home / "c") == before


def test_a_full_disk_leaves_the_folder_as_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _digests(home / "c")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("terrapatch.studies._named_map.samples_map", full)
    with pytest.raises(OutputError, match="the disk is full"):
        name(home / "c", rename={1: "Town"})
    assert _digests(home / "c") == before
    assert not [p for p in home.rglob("*") if p.name.endswith(".part")]


def test_an_older_named_map_can_be_protected(home: Path) -> None:
    name(home / "c", rename={1: "Town"})
    with pytest.raises(OutputError, match="pass overwrite to replace it"):
        name(home / "c", overwrite=False)


def test_a_folder_without_a_result(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="name a folder that terrapatch cluster wrote"):
        name(tmp_path / "none")


# --- names as samples -----------------------------------------------------------------------


def test_named_clusters_train_a_model(home: Path) -> None:
    """Unnamed clusters are classes in ``named.tif``, and left out of ``samples.tif``."""
    name(home / "c", rename={1: "Town", 3: "Sea"}, merge={2: 1})
    raw = tp.ClassMap.open(home / "c" / "clusters.tif").counts()
    all_of_it = tp.train(
        home / "c" / "named.tif", home / "m1", features=[home / "f.zarr"], baselines=False
    )
    assert all_of_it.samples.classes == ("Cluster 4", "Cluster 5", "Cluster 6", "Sea", "Town")
    assert len(all_of_it.samples) == raw[1:].sum()
    told = tp.train(
        home / "c" / "samples.tif", home / "m2", features=[home / "f.zarr"], baselines=False
    )
    assert told.samples.classes == ("Sea", "Town")
    assert told.samples.counts.tolist() == [raw[3], raw[1] + raw[2]]
    assert told.model is not None
    assert told.accuracy.overall > 0.9


@pytest.mark.qgis
def test_qgis_shows_the_names(home: Path) -> None:
    require_qgis()
    made = name(home / "c", rename={1: "Informal settlement", 3: "Sea"}, merge={2: 1})
    copy = home / "copy"
    shutil.copytree(home / "c", copy)
    raster, polygons = ask_qgis(
        [{"path": str(copy / "named.tif")}, {"path": str(copy / "named_polygons.gpkg")}]
    )
    expected = [[e.id, e.name, e.colour, 255] for e in made.class_map.legend]
    assert raster["renderer"] == "paletted"
    assert raster["classes"] == expected
    assert raster["authid"] == "EPSG:32643"
    assert [[int(id), *rest] for id, *rest in polygons["classes"]] == expected
    assert "Informal settlement" in [row[1] for row in expected]


# --- names survive --------------------------------------------------------------------------


def _cells_of(folder: Path, what: str) -> NDArray[np.bool_]:
    named = tp.ClassMap.open(folder / "named.tif")
    return named.values == next(e.id for e in named.legend if e.name == what)


def _again(home: Path, out: str = "c", **options: object) -> tuple[str, ...]:
    options = {"k": 6, "polygons": False, "report": False, **options}
    return cluster(home / "f.zarr", home / out, **options).notes  # type: ignore[arg-type]


def test_the_same_run_again_changes_nothing(home: Path) -> None:
    name(home / "c", rename={1: "Town", 3: "Sea", 5: "hidden"}, merge={1: 2, 5: 1}, polygons=False)
    before = _digests(home / "c")
    notes = _again(home, scene=home / "scene.tif", overwrite=True)
    assert any("are those of" in note for note in notes)
    after = _digests(home / "c")
    assert after["names.csv"] == before["names.csv"]
    assert after["named.tif"] == before["named.tif"]
    assert not (home / "c" / "names.csv.bak").exists()


def test_another_run_takes_the_names_over_and_says_what_moved(home: Path) -> None:
    name(home / "c", rename={1: "Town", 3: "Sea"}, colour={3: "#56b4e9"}, merge={2: 1})
    town, sea = _cells_of(home / "c", "Town"), _cells_of(home / "c", "Sea")
    old = (home / "c" / "names.csv").read_text()
    notes = _again(home, k=8, seed=4, overwrite=True)
    assert (_cells_of(home / "c", "Town") == town).mean() > 0.9
    assert (_cells_of(home / "c", "Sea") == sea).mean() > 0.9
    assert any(
        n.startswith("clusters 1 and 2 'Town' are ") and "% of the cells" in n for n in notes
    )
    assert "the older names are kept in names.csv.bak" in notes
    assert (home / "c" / "names.csv.bak").read_text() == old
    named = tp.ClassMap.open(home / "c" / "named.tif").legend
    assert len(set(named.colours)) == len(named)
    assert next(e.colour for e in named if e.name == "Sea") == "#56b4e9"
    assert tp.ClassMap.open(home / "c" / "clusters.tif").legend.names == tuple(
        f"Cluster {i}" for i in range(1, 9)
    )


def test_names_come_from_another_folder_when_asked(home: Path) -> None:
    name(home / "c", rename={1: "Town", 3: "Sea"})
    _again(home, "d", k=7, names_from=home / "c")
    assert (_cells_of(home / "d", "Sea") == _cells_of(home / "c", "Sea")).mean() > 0.9
    untouched = _again(home, "e", names_from=home / "c", k=3)
    assert any("'Sea'" in note for note in untouched)
    assert any("has a name, so none was taken over" in n
               for n in _again(home, "f", names_from=_unnamed(home)))  # fmt: skip


def _unnamed(home: Path) -> Path:
    _again(home, "plain")
    return home / "plain"


def test_a_name_nobody_can_take_is_told(home: Path) -> None:
    name(home / "c", rename={i: f"Kind {i}" for i in range(1, 7)})
    notes = _again(home, "d", k=3, names_from=home / "c")
    assert sum(n.startswith("no cluster took the name of cluster ") for n in notes) == 3


def test_an_applied_model_brings_its_names(home: Path) -> None:
    name(home / "c", rename={1: "Town", 3: "Sea"}, merge={2: 1})
    notes = _again(home, "d", model=home / "c")
    assert any("whose model this is" in note for note in notes)
    assert (home / "d" / "names.csv").read_bytes() == (home / "c" / "names.csv").read_bytes()
    assert "Sea" in tp.ClassMap.open(home / "d" / "named.tif").legend.names


def test_names_that_cannot_be_taken_over_are_kept(home: Path) -> None:
    """Features of another space, then a file that makes no sense."""
    name(home / "c", rename={1: "Town"})
    old = (home / "c" / "names.csv").read_text()
    tp.embed(home / "scene.tif", home / "g.zarr", size=16, backbone="imagestats")
    with pytest.raises(RecipeError, match="patch size"):
        cluster(home / "g.zarr", home / "x", k=3, names_from=home / "c")
    assert not (home / "x").exists()
    notes = cluster(home / "g.zarr", home / "c", k=3, overwrite=True).notes
    assert any("were not taken over: " in n and "patch size" in n for n in notes)
    assert (home / "c" / "names.csv.bak").read_text() == old
    assert not (home / "c" / "named.tif").exists()
    broken = _written(home / "c" / "names.csv", "1,Town,,9").read_text()
    notes = cluster(home / "g.zarr", home / "c", k=3, overwrite=True).notes
    assert any("names.csv, line 2: there is no cluster 9" in n for n in notes)
    assert (home / "c" / "names.csv.bak2").read_text() == broken


def test_k_is_chosen_and_the_choice_told(home: Path) -> None:
    result = cluster(home / "f.zarr", home / "d", "auto", polygons=False, report=False)
    choice = choose_k(tp.FeatureRaster.open(home / "f.zarr"), seed=0, scaling="standardise")
    assert result.clusters.n_clusters == choice.recommended
    assert set(choice.words()) <= set(result.notes)


def test_seeds_are_combined(home: Path) -> None:
    result = cluster(home / "f.zarr", home / "d", 6, polygons=False, report=False)
    alone = consensus(tp.FeatureRaster.open(home / "f.zarr"), 6, seed=0, scaling="standardise")
    np.testing.assert_array_equal(result.model.centres, alone.centres)


def test_one_cluster_is_looked_into(home: Path) -> None:
    whole = tp.ClusterFolder.open(home / "c").clusters_labels
    made = cluster(
        home / "f.zarr", home / "z", 2, within=home / "c", id=1, polygons=False, report=False
    )
    np.testing.assert_array_equal(made.clusters.labels > 0, whole == 1)
    assert sum(row.cells for row in made.table) == (whole == 1).sum()
    assert sum(row.share for row in made.table) == pytest.approx(1)
    with pytest.raises(ClusterError, match="there is no cluster 9"):
        cluster(home / "f.zarr", home / "y", 2, within=home / "c", id=9)
    with pytest.raises(ClusterError, match="within and id belong together"):
        cluster(home / "f.zarr", home / "y", 2, within=home / "c")


def test_what_is_said_of_one_cluster_is_of_its_cells_alone(home: Path) -> None:
    made = cluster(
        home / "f.zarr", home / "z", 2, within=home / "c", id=1, polygons=False, report=False
    )
    assert not any("knows no other cells" in note for note in made.notes)
    folder = tp.ClusterFolder.open(home / "z")
    raster = folder.features()
    inner = folder.cells(raster)
    np.testing.assert_array_equal(inner.valid() > 0, made.clusters.labels > 0)
    whole = tp.ClusterFolder.open(home / "c")
    assert whole.cells(raster) is raster
    # Stability and thresholds are measured on these cells, not on all of the scene.
    seen = look(home / "z")
    found = [detail.stability for detail in seen.table]
    alone = cluster_stability(inner, folder.model, repeats=6)
    assert found == pytest.approx(alone.jaccard.tolist())
    assert seen_by(folder)[0].cells.sum() <= (made.clusters.labels > 0).sum()
    # Names go to the cells of that cluster only.
    name(home / "z", rename={1: "In it", 2: "Also"}, polygons=False)
    again = cluster(home / "f.zarr", home / "e", 3, names_from=home / "z", report=False)
    of_names = [again.names.shown(i) for i in np.unique(again.clusters.labels[inner.kept])]
    others = set(np.unique(again.clusters.labels)) - {0} - set(again.clusters.labels[inner.kept])
    assert {"In it", "Also"} & set(of_names)
    assert all(again.names.shown(int(i)) == f"Cluster {i}" for i in others)
    # And whoever applies the model to all cells is told.
    applied = cluster(home / "f.zarr", home / "x", model=home / "z", report=False)
    assert any("knows no other cells" in note for note in applied.notes)
    with pytest.raises(OutputError, match="would be lost"):
        cluster(home / "f.zarr", home / "c", 2, within=home / "c", id=1, overwrite=True)


def test_a_model_is_applied_as_it_is(home: Path) -> None:
    for options in ({"k": "auto"}, {"within": home / "c", "id": 1}):
        with pytest.raises(ClusterError, match="a model is applied as it is"):
            _again(home, "d", model=home / "c", **options)
