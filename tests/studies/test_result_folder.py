"""A folder of clusters opened again: its parts, its patches, and every way it can be broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import terrapatch as tp
from rasters import make_raster
from terrapatch.errors import RecipeError, SceneError, SceneNotFoundError, StoreError
from terrapatch.grid import PatchGrid
from terrapatch.scene import Scene
from terrapatch.stream import read_blocks
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.studies.settlements import ClusterResult, cluster

HOLE = (slice(0, 20), slice(0, 37))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClusterResult]:
    """Clusters of a scene of 60 x 70 pixels with a hole, in ``c``; the store is ``f.zarr``."""
    home = tmp_path_factory.mktemp("project")
    make_raster(home / "scene.tif", height=60, width=70, nodata=0, hole=HOLE)
    tp.embed(home / "scene.tif", home / "f.zarr", size=12, stride=8, backbone="imagestats")
    return home, cluster(home / "f.zarr", home / "c", k=4, polygons=False)


@pytest.fixture
def made(project: tuple[Path, ClusterResult], tmp_path: Path) -> ClusterResult:
    """A copy of the project, in the test's own folder."""
    shutil.copytree(project[0], tmp_path, dirs_exist_ok=True)
    return project[1]


def test_parts_are_those_that_were_made(made: ClusterResult, tmp_path: Path) -> None:
    folder = ClusterFolder.open(tmp_path / "c")
    np.testing.assert_array_equal(folder.clusters_labels, made.clusters.labels)
    np.testing.assert_array_equal(folder.distance, made.clusters.distance)
    assert folder.class_map.legend == made.class_map.legend
    np.testing.assert_array_equal(folder.model.centres, made.model.centres)
    assert folder.features().recipe == tp.FeatureRaster.open(tmp_path / "f.zarr").recipe
    assert not folder.names.touched
    assert len(folder.names) == 4


def test_paths_are_relative_so_a_project_can_be_moved(made: ClusterResult, tmp_path: Path) -> None:
    told = json.loads((tmp_path / "c" / "source.json").read_text())
    assert (told["features"], told["scene"]) == ("../f.zarr", "../scene.tif")
    home = tmp_path / "elsewhere"
    home.mkdir()
    for name in ("c", "f.zarr", "scene.tif"):
        shutil.move(tmp_path / name, home / name)
    folder = ClusterFolder.open(home / "c")
    assert folder.features().shape == made.clusters.labels.shape
    scene = folder.scene()
    assert scene is not None
    assert scene.shape == (60, 70)


def test_scene_named_by_hand_is_noted(made: ClusterResult, tmp_path: Path) -> None:
    away = tmp_path / "far"
    away.mkdir()
    shutil.move(tmp_path / "scene.tif", away / "image.tif")
    cluster(
        tmp_path / "f.zarr",
        tmp_path / "d",
        k=4,
        scene=away / "image.tif",
        polygons=False,
        report=False,
    )
    assert json.loads((tmp_path / "d" / "source.json").read_text())["scene"] == "../far/image.tif"
    assert ClusterFolder.open(tmp_path / "d").patch(3, 3).shape == (160, 160, 3)
    cluster(tmp_path / "f.zarr", tmp_path / "d", k=3, polygons=False, overwrite=True)
    assert ClusterFolder.open(tmp_path / "d").scene_path == str(away / "image.tif")


def test_another_picture_is_shown_but_not_taken_for_the_scene(
    made: ClusterResult, tmp_path: Path
) -> None:
    other = make_raster(tmp_path / "other.tif", height=60, width=70, seed=5)
    result = cluster(
        tmp_path / "f.zarr", tmp_path / "d", k=4, scene=other, polygons=False, report=False
    )
    assert any("other.tif is not the scene" in note for note in result.notes)
    assert ClusterFolder.open(tmp_path / "d").scene() is None


def test_no_such_folder_and_no_result(made: ClusterResult, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="none is not there; name a folder that"):
        ClusterFolder.open(tmp_path / "none")
    with pytest.raises(RecipeError, match=r"scene\.tif is a file"):
        ClusterFolder.open(tmp_path / "scene.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=r"holds no result .*\(clusters\.tif is missing\)"):
        ClusterFolder.open(tmp_path / "empty")
    (tmp_path / "c" / "clusters.csv").unlink()
    with pytest.raises(RecipeError, match=r"clusters\.csv is missing"):
        ClusterFolder.open(tmp_path / "c")


def test_a_store_that_is_gone_or_changed(made: ClusterResult, tmp_path: Path) -> None:
    folder = ClusterFolder.open(tmp_path / "c")
    shutil.move(tmp_path / "f.zarr", tmp_path / "g.zarr")
    with pytest.raises(StoreError, match=r"are no longer at .*f\.zarr; put the store back"):
        folder.features()
    tp.embed(tmp_path / "scene.tif", tmp_path / "f.zarr", size=10, backbone="imagestats")
    with pytest.raises(RecipeError, match=r"have changed since .*grid size: 12px, now 10px"):
        folder.features()


def test_a_folder_without_source_says_so(made: ClusterResult, tmp_path: Path) -> None:
    (tmp_path / "c" / "source.json").unlink()
    folder = ClusterFolder.open(tmp_path / "c")
    assert folder.scene() is None
    with pytest.raises(StoreError, match="does not say which features"):
        folder.features()
    with pytest.raises(SceneError, match="does not say where its scene lies"):
        folder.patch(3, 3)


@pytest.mark.parametrize("text", ["{", "[1]", '{"features": 3}'])
def test_a_damaged_source(made: ClusterResult, tmp_path: Path, text: str) -> None:
    (tmp_path / "c" / "source.json").write_text(text)
    with pytest.raises(RecipeError, match=r"source\.json is damaged"):
        ClusterFolder.open(tmp_path / "c")


def test_a_scene_that_is_gone_or_another(made: ClusterResult, tmp_path: Path) -> None:
    (tmp_path / "scene.tif").unlink()
    with pytest.raises(SceneNotFoundError, match=r"no longer at .*scene\.tif"):
        ClusterFolder.open(tmp_path / "c").scene()
    make_raster(tmp_path / "scene.tif", height=60, width=70, seed=9)
    with pytest.raises(SceneError, match="is not the scene that the features"):
        ClusterFolder.open(tmp_path / "c").patch(3, 3)


def test_a_model_of_another_run(made: ClusterResult, tmp_path: Path) -> None:
    cluster(tmp_path / "f.zarr", tmp_path / "d", k=3, polygons=False)
    for name in ("model.json", "head.safetensors"):
        shutil.copy(tmp_path / "d" / "model" / name, tmp_path / "c" / "model" / name)
    with pytest.raises(RecipeError, match="is not the one its map was made with"):
        ClusterFolder.open(tmp_path / "c")


OPTIONS: list[dict[str, Any]] = [
    {"raster": {}, "embed": {"size": 12, "stride": 8}},
    {"raster": {}, "embed": {"size": 13, "stride": 8, "edge": "nodata"}},
    {"raster": {"bands": 5, "dtype": "uint16"}, "embed": {"size": 12, "bands": "4,2,1",
                                                          "units": "0:9000"}},
    {"raster": {"bands": 1}, "embed": {"size": (6, 12)}},
]  # fmt: skip


@pytest.mark.parametrize("given", OPTIONS)
def test_patches_are_those_the_network_saw(given: dict[str, Any], tmp_path: Path) -> None:
    """Against the stream that feeds the backbone, at the corners and in the middle."""
    path = tmp_path / "scene.tif"
    make_raster(path, height=60, width=70, nodata=0, hole=HOLE, **given["raster"])
    options = given["embed"]
    tp.embed(path, tmp_path / "f.zarr", backbone="imagestats", **options)
    cluster(tmp_path / "f.zarr", tmp_path / "c", k=3, polygons=False)
    folder = ClusterFolder.open(tmp_path / "c")
    scene = Scene.open(path, bands=options.get("bands"), units=options.get("units"))
    grid = PatchGrid.over(
        scene.geobox, options["size"], options.get("stride"), options.get("edge", "reflect")
    )
    (block,) = read_blocks(scene, grid, 64)
    rows, cols = grid.shape
    cells = [(0, cols - 1), (rows - 1, 0), (rows - 1, cols - 1), (2, 4), (rows // 2, cols // 2)]
    expected, valid = block.patches(cells)
    tall, wide = grid.size
    side = max(tall, wide)
    top, left = (side - tall) // 2, (side - wide) // 2
    for i, found in enumerate(folder.patches(cells, side)):
        assert found.shape == (side, side, 3)
        inner = found[top : top + tall, left : left + wide]
        good = np.ones((tall, wide), bool) if valid is None else valid[i]
        want = np.repeat(expected[i], 3 // len(expected[i]), axis=0).astype(np.uint8)
        np.testing.assert_array_equal(inner[good], np.moveaxis(want, 0, -1)[good])
        assert (inner[~good] == 255).all()
        outside = found.copy()
        outside[top : top + tall, left : left + wide] = 255
        assert (outside == 255).all()


def test_bands_that_are_no_picture_are_shown_by_their_names(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "scene.tif", bands=4, height=60, width=70)
    tp.embed(path, tmp_path / "f.zarr", size=10, bands="4,3,2,1", backbone="imagestats")
    cluster(tmp_path / "f.zarr", tmp_path / "c", k=3, scene=path, polygons=False, report=False)
    patch = ClusterFolder.open(tmp_path / "c").patch(2, 3, side=10)
    with rasterio.open(path) as src:
        pixels = src.read([1, 2, 3])[:, 20:30, 30:40]
    np.testing.assert_array_equal(patch, np.moveaxis(pixels, 0, -1))


def test_a_cell_that_is_not_there(made: ClusterResult, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no cell in row 99, column 0; there are 8 rows"):
        ClusterFolder.open(tmp_path / "c").patch(99, 0)
