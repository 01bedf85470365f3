"""From features to a folder of clusters: whole, repeatable, careful with what is there."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

import terrapatch as tp
from terrapatch.errors import OutputError, RecipeError, StoreError
from terrapatch.ground import pixel_hectares
from terrapatch.scene import Scene
from terrapatch.studies.settlements import FILES, cluster, default_scaling, thumbnail


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture
def store(make_raster: Callable[..., Path], tmp_path: Path) -> Path:
    scene = make_raster(height=96, width=128, nodata=0, hole=(slice(0, 16), slice(0, 32)))
    tp.embed(scene, tmp_path / "f.zarr", size=8, backbone="imagestats")
    return tmp_path / "f.zarr"


def test_folder_holds_map_table_model_and_picture(store: Path, tmp_path: Path) -> None:
    result = cluster(store, tmp_path / "c", k=5, seed=3)
    assert all(f.is_file() for f in result.files)
    assert {f.name for f in result.files} >= {
        "clusters.tif",
        "clusters.tif.aux.xml",
        "clusters.qml",
        "clusters_polygons.gpkg",
        "clusters.json",
        "distance.tif",
        "clusters.csv",
        "preview.png",
        "model.json",
        "head.safetensors",
    }
    with rasterio.open(tmp_path / "c" / "clusters.tif") as src:
        ids = src.read(1)
        assert src.nodata == 0
    assert (ids == 0).sum() == 2 * 4
    rows = list(csv.DictReader((tmp_path / "c" / "clusters.csv").open()))
    assert [int(r["cells"]) for r in rows] == sorted((int(r["cells"]) for r in rows), reverse=True)
    assert [int(r["cells"]) for r in rows] == [int((ids == i).sum()) for i in range(1, 6)]
    valid_hectares = (96 * 128 - 16 * 32) * 0.25 / 1e4
    assert sum(float(r["hectares"]) for r in rows) == pytest.approx(valid_hectares, rel=2e-3)


def test_same_seed_same_bytes(store: Path, tmp_path: Path) -> None:
    cluster(store, tmp_path / "a", k=4, seed=0)
    cluster(store, tmp_path / "b", k=4, seed=0)
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")


def test_model_gives_the_same_ids_and_refuses_other_features(
    store: Path, tmp_path: Path, make_raster: Callable[..., Path]
) -> None:
    first = cluster(store, tmp_path / "a", k=4, seed=0)
    again = cluster(store, tmp_path / "b", model=tmp_path / "a")
    assert np.array_equal(first.clusters.labels, again.clusters.labels)
    other = tp.embed(make_raster("other.tif"), tmp_path / "o.zarr", size=16, backbone="imagestats")
    with pytest.raises(RecipeError, match="patch size: the features have 16px"):
        cluster(other, tmp_path / "c", model=tmp_path / "a")
    assert not (tmp_path / "c").exists()


def test_an_older_folder_is_kept_or_replaced_whole(store: Path, tmp_path: Path) -> None:
    cluster(store, tmp_path / "c", k=3)
    before = _digests(tmp_path / "c")
    with pytest.raises(OutputError, match="--overwrite"):
        cluster(store, tmp_path / "c", k=4)
    assert _digests(tmp_path / "c") == before
    theirs = ("project.qgz", "clusters.qgz", "model/notes.txt", "distance.png")
    for name in theirs:
        (tmp_path / "c" / name).write_text("mine")
    cluster(store, tmp_path / "c", k=4, polygons=False, overwrite=True)
    assert all((tmp_path / "c" / name).read_text() == "mine" for name in theirs)
    assert len(tp.ClassMap.open(tmp_path / "c" / "clusters.tif").legend) == 4
    assert not (tmp_path / "c" / "clusters_polygons.gpkg").exists()
    assert not [p for p in tmp_path.rglob("*") if p.name.endswith(".part")]


def test_a_failing_move_loses_no_file_of_theirs(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(store, tmp_path / "c", k=3)
    (tmp_path / "c" / "clusters.qgz").write_text("mine")
    moves = iter(range(4))

    def fail_late(source: Path, target: Path) -> None:
        if next(moves) == 3:
            raise OSError(28, "No space left on device")
        Path(source).rename(target)

    monkeypatch.setattr("terrapatch.studies.settlements.os.replace", fail_late)
    monkeypatch.setattr("terrapatch.studies.settlements._write_all", _plain_files)
    with pytest.raises(OutputError, match="the disk is full"):
        cluster(store, tmp_path / "c", k=4, overwrite=True)
    assert (tmp_path / "c" / "clusters.qgz").read_text() == "mine"
    assert not (tmp_path / "c" / "clusters.tif").exists()


def _plain_files(result: object, stage: Path, *_: object) -> tuple[list[Path], tuple[str, ...]]:
    (stage / "model").mkdir()
    files = [stage / name for name in FILES]
    for file in files:
        file.write_text("new")
    return files, ()


@pytest.mark.parametrize("existing", [True, False])
def test_the_working_folder_will_do(
    existing: bool, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if existing:
        (home / "mine.txt").write_text("mine")
    monkeypatch.chdir(home)
    cluster(store, ".", k=3, overwrite=existing)
    assert (home / "clusters.tif").exists()
    assert (home / "mine.txt").exists() == existing


def test_a_failing_step_leaves_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("terrapatch.studies.settlements.preview", full)
    with pytest.raises(OutputError, match="the disk is full"):
        cluster(store, tmp_path / "c", k=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.zarr", "scene.tif"]


def test_the_picture_shows_the_bands_that_were_embedded(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    scene = make_raster(bands=5, dtype="uint16")
    options = {"bands": "4,2,1", "units": "0:9000", "backbone": "imagestats"}
    features = tp.embed(scene, tmp_path / "f.zarr", size=8, **options)
    result = cluster(features, tmp_path / "c", k=3, scene=scene)
    assert result.files[0].exists()


def test_missing_store_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no feature store"):
        cluster(tmp_path / "none.zarr", tmp_path / "c")


def test_default_scaling_depends_on_the_number_of_features(store: Path) -> None:
    assert default_scaling(tp.FeatureRaster.open(store)) == "standardise"


def test_thumbnail_is_white_where_invalid(make_raster: Callable[..., Path]) -> None:
    scene = Scene.open(make_raster(nodata="mask"))
    picture = thumbnail(scene, 32)
    assert picture.shape == (32, 32, 3)
    assert (picture[:16, :16] == 255).all()


@pytest.mark.parametrize(
    ("crs", "step", "hectares"),
    [("EPSG:32643", 0.5, 0.25e-4), ("EPSG:4326", 1e-5, 1.2364e-4), (None, 1.0, None)],
)
def test_pixel_hectares(
    make_raster: Callable[..., Path], crs: str | None, step: float, hectares: float | None
) -> None:
    from affine import Affine

    origin = (500_000.0, 10.0) if crs == "EPSG:32643" else (75.0, 0.0003)
    path = make_raster(crs=crs, transform=Affine(step, 0, origin[0], 0, -step, origin[1]))
    areas = pixel_hectares(Scene.open(path).geobox)
    if hectares is None:
        assert areas is None
    else:
        assert areas is not None
        assert areas.shape == (64,)
        assert areas == pytest.approx(hectares, rel=5e-3)
