"""A look at clusters: what is chosen and counted is right, and files are whole and repeatable."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from pyproj import Transformer
from rasterio.windows import Window
from scipy.cluster.hierarchy import linkage
from scipy.ndimage import label

import terrapatch as tp
from rasters import make_raster
from terrapatch.errors import ClusterError, OutputError, RecipeError, StoreError
from terrapatch.studies._cluster_spread import joins_of, spread_of
from terrapatch.studies.cluster_tree import grow_tree, merge_hints
from terrapatch.studies.contact_sheet import SheetRow, write_sheets
from terrapatch.studies.exemplars import farthest_first, pool
from terrapatch.studies.looking import LOOK_FILES, LookResult, look
from terrapatch.studies.naming import name
from terrapatch.studies.painted import paint
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.studies.settlements import cluster

K, PER_CLUSTER = 6, 5


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A painted scene in 12 x 16 cells, in six clusters, with the report of ``cluster``."""
    home = tmp_path_factory.mktemp("project")
    scene = paint(home / "scene.tif", seed=0, size=(384, 512)).rgb_path
    tp.embed(scene, home / "f.zarr", size=48, stride=32, backbone="imagestats")
    cluster(home / "f.zarr", home / "c", K, scene=scene, polygons=False)
    return home


@pytest.fixture(scope="module")
def looked(project: Path) -> LookResult:
    return look(project / "c", per_cluster=PER_CLUSTER, seed=3)


@pytest.fixture
def home(project: Path, looked: LookResult, tmp_path: Path) -> Path:
    """A copy of the project, in the test's own folder."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    return tmp_path


def digests(folder: Path, names: Sequence[str] = LOOK_FILES) -> dict[str, str]:
    there = [folder / name for name in names if (folder / name).exists()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in there}


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


# --- exemplars ------------------------------------------------------------------------------


def test_exemplars_lie_in_their_clusters_and_medoids_nearest(looked: LookResult) -> None:
    folder = ClusterFolder.open(looked.folder)
    labels, distance = folder.clusters_labels, folder.distance
    for id in range(1, K + 1):
        mine = [e for e in looked.exemplars if e.cluster == id]
        gaps = np.sort(distance[labels == id])
        assert len(mine) == min(PER_CLUSTER, int(np.ceil(0.9 * len(gaps))))
        assert len({(e.row, e.col) for e in mine}) == len(mine)
        assert all(labels[e.row, e.col] == id for e in mine)
        assert [e.rank for e in mine] == list(range(1, len(mine) + 1))
        assert [e.kind for e in mine] == ["medoid"] + ["exemplar"] * (len(mine) - 1)
        assert mine[0].distance == gaps[0]
        assert max(e.distance for e in mine) <= gaps[int(np.ceil(0.9 * len(gaps))) - 1]
        assert all(e.distance == distance[e.row, e.col] for e in mine)


def test_exemplars_have_their_places(looked: LookResult) -> None:
    t = ClusterFolder.open(looked.folder).class_map.geobox.affine
    degrees = Transformer.from_crs("EPSG:32643", "EPSG:4326", always_xy=True)
    for e in looked.exemplars:
        assert (e.x, e.y) == (t.c + t.a * (e.col + 0.5), t.f + t.e * (e.row + 0.5))
        assert (e.lon, e.lat) == pytest.approx(degrees.transform(e.x, e.y))
    points = gpd.read_file(looked.folder / "exemplars.gpkg", layer="exemplars")
    assert points.crs.to_epsg() == 32643
    told = lines(looked.folder / "exemplars.csv")
    for i, e in enumerate(looked.exemplars):
        assert (points.geometry[i].x, points.geometry[i].y) == (e.x, e.y)
        assert (points["cluster"][i], points["kind"][i]) == (e.cluster, e.kind)
        assert (int(told[i]["row"]), int(told[i]["col"])) == (e.row, e.col)
    styles = gpd.read_file(looked.folder / "exemplars.gpkg", layer="layer_styles")
    assert 'attr="cluster"' in styles["styleQML"][0]


def test_each_choice_is_the_farthest() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 4))
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    for typical in (1, 4):
        chosen = farthest_first(rows, 12, typical)
        assert chosen[:typical] == list(range(typical))
        for i in range(typical, 12):
            to_chosen = gaps[:, chosen[:i]].min(axis=1)
            assert to_chosen[chosen[i]] == to_chosen.max()
    assert sorted(farthest_first(np.zeros((3, 2)), 8)) == [0, 1, 2]
    assert farthest_first(np.zeros((0, 2)), 8) == []


def test_a_large_cluster_is_drawn_from() -> None:
    ranked = np.arange(100, 10_100)
    drawn = pool(ranked, 8, 500, seed=(1, 2))
    assert len(set(drawn)) == len(drawn) == 500
    assert (drawn[:8] == ranked[:8]).all()
    assert (np.diff(drawn) > 0).all()
    assert drawn.max() < 9_100
    assert (drawn == pool(ranked, 8, 500, seed=(1, 2))).all()
    assert (drawn != pool(ranked, 8, 500, seed=(1, 3))).any()


# --- the table ------------------------------------------------------------------------------


def test_counts_and_areas_add_up(looked: LookResult) -> None:
    labels = ClusterFolder.open(looked.folder).clusters_labels
    told, raw = (lines(looked.folder / f) for f in ("clusters_detail.csv", "clusters.csv"))
    assert [row["id"] for row in told] == [row["id"] for row in raw]
    for row, plain, detail in zip(told, raw, looked.table, strict=True):
        mask = labels == detail.id
        pieces, count = label(mask)
        assert int(row["cells"]) == int(plain["cells"]) == mask.sum()
        assert float(row["hectares"]) == pytest.approx(float(plain["hectares"]), abs=6e-5)
        assert (int(row["pieces"]), int(row["largest_piece"])) == (
            count,
            np.bincount(pieces.ravel())[1:].max(),
        )
        assert list(detail.distances) == sorted(detail.distances)
        assert detail.nearest is not None
        assert detail.nearest[0] != detail.id
        assert 0 < float(row["stability"]) <= 1
    assert sum(d.share for d in looked.table) == pytest.approx(1)


def test_join_counts_are_those_of_random_orders() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, (9, 11))
    inside = np.flatnonzero(labels)
    found: list[list[int]] = []
    for _ in range(4000):
        mixed = labels.copy()
        mixed.flat[inside] = rng.permutation(labels.flat[inside])
        found.append([_pairs(mixed, id) for id in (1, 2, 3)])
    drawn = np.array(found)
    for id, joins in joins_of(labels).items():
        assert joins.found == _pairs(labels, id)
        assert joins.expected == pytest.approx(drawn[:, id - 1].mean(), rel=0.02)
        assert joins.deviation == pytest.approx(drawn[:, id - 1].std(), rel=0.05)
    alone = joins_of(np.array([[1, 2, 2]]))[1]
    assert np.isnan(alone.clumping)
    assert np.isnan(alone.z)


def _pairs(labels: NDArray[Any], id: int) -> int:
    mask = labels == id
    return int((mask[1:] & mask[:-1]).sum() + (mask[:, 1:] & mask[:, :-1]).sum())


def test_gaps_are_those_between_nearest_pieces() -> None:
    labels = np.zeros((60, 70), np.uint8)
    labels[2:22, 3:23] = 1  # large pieces far apart: the near cells are all of one piece
    labels[35:58, 40:69] = 1
    labels[2, 60:62] = 1
    labels[np.random.default_rng(2).random(labels.shape) < 0.1] = 2
    size = (2.0, 3.0)
    found = spread_of(labels, [1, 2], size)
    for id in (1, 2):
        pieces, count = label(labels == id)
        places = [np.argwhere(pieces == p) * size for p in range(1, count + 1)]
        gaps = [
            min(
                np.linalg.norm(one[:, None] - other[None], axis=2).min()
                for q, other in enumerate(places)
                if q != p
            )
            for p, one in enumerate(places)
        ]
        assert found[id].gap == pytest.approx(np.mean(gaps))
    assert np.isnan(spread_of(np.array([[1, 1, 2]]), [1], size)[1].gap)


# --- the tree -------------------------------------------------------------------------------


def test_the_tree_is_average_linkage_of_all_cells() -> None:
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(9, 3))
    cells = rng.integers(1, 7, 9)
    cells[5] = 0
    tree = grow_tree(centres, cells)
    assert tree is not None
    heights = linkage(np.repeat(centres, cells, axis=0), "average")[:, 2]
    assert [m.height for m in tree.merges] == pytest.approx(heights[heights > 1e-9])
    assert sorted(tree.order) == list(tree.ids) == [1, 2, 3, 4, 5, 7, 8, 9]
    for merge in tree.merges:  # no branches cross
        group = sorted(tree.order.index(id) for id in merge.left + merge.right)
        assert group == list(range(group[0], group[-1] + 1))
    near, gap = tree.nearest(1)
    others = np.linalg.norm(centres - centres[0], axis=1)
    others[[0, 5]] = np.inf
    assert (near, gap) == (int(others.argmin()) + 1, pytest.approx(others.min()))
    assert grow_tree(centres, np.eye(1, 9, 2, dtype=int)[0]) is None


def test_hints_can_be_followed_and_undo_nothing() -> None:
    centres = np.array([[0.0], [1.0], [2.2], [10.0], [11.0], [30.0]])
    tree = grow_tree(centres, np.array([9, 8, 7, 6, 5, 4]))
    assert tree is not None
    plain = merge_hints(tree, range(7), (), 9)
    assert [(h.source, h.into) for h in plain] == [(2, 1), (5, 4), (3, 1), (4, 1), (6, 1)]
    # 5 is part of 3 already, and 1 and 2 have names of their own; a name is what stays.
    told = merge_hints(tree, [0, 1, 2, 3, 4, 3, 6], {1, 2}, 9)
    assert (2, 1) not in [(h.source, h.into) for h in told]
    assert [(h.source, h.into) for h in told] == [(3, 4)]
    assert merge_hints(tree, range(7), {5}, 1) == plain[:1]
    assert [(h.source, h.into) for h in merge_hints(tree, range(7), {5}, 2)][1] == (4, 5)


# --- files ----------------------------------------------------------------------------------


def test_cluster_makes_the_report_where_the_scene_is_known(home: Path) -> None:
    made = cluster(home / "f.zarr", home / "d", 3, polygons=False)  # the scene lies beside it
    names = {file.name for file in made.files}
    assert {"report.html", "contact_sheet.png", "histogram.png", "exemplars.gpkg"} <= names
    assert all(file.is_file() for file in made.files)
    again = cluster(home / "f.zarr", home / "d", 3, report=False, polygons=False, overwrite=True)
    assert not digests(home / "d")
    assert "report.html" not in {file.name for file in again.files}


def test_same_seed_same_bytes(home: Path) -> None:
    first = digests(home / "c")
    assert len(first) == 6
    look(home / "c", per_cluster=PER_CLUSTER, seed=3)
    assert digests(home / "c") == first


def test_the_report_asks_nothing_of_the_network(looked: LookResult) -> None:
    page = (looked.folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href|action)\s*=\s*["']?\s*(https?:)?//""", page)
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", page)
    assert "@import" not in page
    assert "default-src 'none'" in page
    for section in ("All clusters", "Histogram", "One by one", "The embedding"):
        assert f">{section}</h2>" in page
    gallery = re.findall(r'<li class="plain"><img', page)
    assert len(gallery) == len(looked.exemplars)


def test_names_and_merges_stand_in_front(home: Path) -> None:
    name(home / "c", rename={1: 'Old "town" & <sea>', 3: "Čtvrť"}, merge={2: 1}, polygons=False)
    seen = look(home / "c", per_cluster=2)
    page = (home / "c" / "report.html").read_text(encoding="utf-8")
    assert "Named so far: Old &quot;town&quot; &amp; &lt;sea&gt;, Čtvrť." in page
    assert "Čtvrť (3)" in page
    told = {row["id"]: row for row in lines(home / "c" / "clusters_detail.csv")}
    assert told["1"]["name"] == 'Old "town" & <sea>'
    assert (told["2"]["part_of"], told["1"]["part_of"]) == ("1", "")
    assert not any("--merge 2:" in hint for hint in seen.hints)
    points = gpd.read_file(home / "c" / "exemplars.gpkg", layer="exemplars")
    assert set(points[points["cluster"] == 3]["name"]) == {"Čtvrť"}


def test_the_number_of_clusters_is_measured_when_asked(home: Path) -> None:
    seen = look(home / "c", per_cluster=1, k_curve=True)
    assert seen.choice is not None
    page = (home / "c" / "report.html").read_text(encoding="utf-8")
    assert ">How many clusters</h2>" in page
    assert seen.choice.words()[0] in page


def test_without_the_scene_all_but_pictures_is_there(home: Path) -> None:
    (home / "scene.tif").unlink()
    seen = look(home / "c")
    assert len(seen.notes) == 1
    assert seen.notes[0].startswith("no patches are shown: the scene of")
    assert not (home / "c" / "contact_sheet.png").exists()  # an older one does not stay
    assert (home / "c" / "histogram.png").exists()
    assert "no patches are shown" in (home / "c" / "report.html").read_text(encoding="utf-8")


def test_two_clusters_of_few_cells_without_crs(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    values = np.full((3, 16, 24), 50.0)
    values[:, :8, :8] = 200.0  # one cell unlike all others
    values += np.arange(24) / 8
    scene = make_raster(crs=None, transform=Affine(1, 0, 0, 0, -1, 0), values=lambda *_: values,
                        height=16, width=24)  # fmt: skip
    tp.embed(scene, tmp_path / "f.zarr", size=8, backbone="imagestats")
    cluster(tmp_path / "f.zarr", tmp_path / "c", 2, report=False, polygons=False)
    seen = look(tmp_path / "c")
    alone = seen.table[1]
    assert (alone.cells, alone.spread.pieces, alone.hectares) == (1, 1, None)
    assert np.isnan(alone.spread.joins.clumping)
    (only,) = [e for e in seen.exemplars if e.cluster == 2]
    assert (only.x, only.y, only.lon, only.lat) == (4.0, -4.0, None, None)
    assert (tmp_path / "c" / "contact_sheet.png").exists()
    assert lines(tmp_path / "c" / "clusters_detail.csv")[1]["gap_cells"] == ""


def test_a_model_of_which_little_occurs(home: Path) -> None:
    hole = (slice(0, 384), slice(48, 512))
    make_raster(home / "one.tif", height=384, width=512, nodata=0, hole=hole)
    with rasterio.open(home / "one.tif", "r+") as dst:
        dst.write(np.zeros((3, 336, 48), np.uint8), window=Window(0, 48, 48, 336))
    tp.embed(home / "one.tif", home / "one.zarr", size=48, stride=48, backbone="imagestats")
    tp.embed(home / "scene.tif", home / "g.zarr", size=48, stride=48, backbone="imagestats")
    cluster(home / "g.zarr", home / "g", 3, report=False, polygons=False)
    made = cluster(home / "one.zarr", home / "one", model=home / "g", polygons=False)
    assert "report.html" in {file.name for file in made.files}
    assert any("cannot be judged from 1 non-empty cells" in note for note in made.notes)
    page = (home / "one" / "report.html").read_text(encoding="utf-8")
    assert "1 cluster of 1 cell (2 more of the model do not occur here)" in page


@pytest.mark.slow
def test_three_hundred_clusters(tmp_path: Path) -> None:
    make_raster(tmp_path / "scene.tif", height=176, width=160)
    tp.embed(tmp_path / "scene.tif", tmp_path / "f.zarr", size=8, backbone="imagestats")
    cluster(tmp_path / "f.zarr", tmp_path / "c", 300, n_init=1, report=False, polygons=False)
    seen = look(tmp_path / "c")
    pixels = [np.prod(Image.open(p).size) for p in (tmp_path / "c").glob("contact_sheet*.png")]
    assert len(pixels) == 8
    assert sum(pixels) < 45e6
    assert len(seen.table) == 300
    assert (tmp_path / "c" / "report.html").stat().st_size < 12e6


def test_sheets_hold_what_they_say() -> None:
    row = SheetRow("#ff0000", "A", (), (np.zeros((8, 8, 3), np.uint8),), ("",))
    with pytest.raises(ValueError, match="321 rows are more than 320"):
        write_sheets(Path(), [row] * 321, "x")


# --- what goes wrong ------------------------------------------------------------------------


def test_what_cannot_be_done_is_said_and_nothing_changes(home: Path) -> None:
    before = digests(home / "c")
    with pytest.raises(ClusterError, match="0 exemplars of a cluster cannot be shown; ask for 1"):
        look(home / "c", per_cluster=0)
    with pytest.raises(ClusterError, match="the seed -1 is out of range"):
        look(home / "c", seed=-1)
    with pytest.raises(OutputError, match=r"report\.html exists already; pass overwrite"):
        look(home / "c", overwrite=False)
    with pytest.raises(RecipeError, match="holds no result of terrapatch cluster"):
        look(home)
    (home / "f.zarr").rename(home / "g.zarr")
    with pytest.raises(StoreError, match="are no longer at"):
        look(home / "c")
    assert digests(home / "c") == before


def test_a_full_disk_leaves_the_older_report(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests(home / "c")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("terrapatch.studies._looking_files.write_exemplars", full)
    with pytest.raises(OutputError, match="the disk is full"):
        look(home / "c")
    assert digests(home / "c") == before
    assert not [p for p in home.rglob("*") if p.name.endswith(".part")]
