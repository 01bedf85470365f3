"""Similarity from a scene to files: what is found, where it lies, what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer
from shapely.geometry import Point, box

import terrapatch as tp
from terrapatch.errors import (
    ClusterError,
    GridError,
    OutputError,
    OutsideError,
    RecipeError,
    SamplesError,
    SceneError,
)
from terrapatch.features.raster import FeatureRaster
from terrapatch.learn import truth_on_cells
from terrapatch.studies.explain import explain
from terrapatch.studies.painted import PaintedScene, paint
from terrapatch.studies.similar import similar

INFORMAL, SIDE = 2, 64
Cell = tuple[int, int]


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> PaintedScene:
    return paint(tmp_path_factory.mktemp("painted") / "city.tif", seed=1, size=(512, 640))


@pytest.fixture(scope="module")
def city(painted: PaintedScene) -> FeatureRaster:
    """The painted scene in 8 x 10 cells."""
    store = painted.rgb_path.with_name("city.zarr")
    options: dict[str, Any] = {"layers": "stage3,stage4,stage5", "precision": "fp32"}
    return tp.embed(painted.rgb_path, store, size=SIDE, stride=SIDE, **options)


@pytest.fixture(scope="module")
def share(painted: PaintedScene, city: FeatureRaster) -> np.ndarray:
    """Share of informal settlement in each cell."""
    with rasterio.open(painted.truth_path) as src:
        counts = truth_on_cells(src.read(1), (SIDE, SIDE), city.shape, 6)
    return counts[..., INFORMAL - 1] / np.maximum(1, counts.sum(axis=-1))


@pytest.fixture
def plain(make_raster: Callable[..., Path], tmp_path: Path) -> FeatureRaster:
    """Band statistics of a small scene with a hole: 12 x 16 cells, patches twice as large."""
    scene = make_raster(height=96, width=128, nodata=0, hole=(slice(0, 16), slice(0, 32)))
    return tp.embed(scene, tmp_path / "f.zarr", size=16, stride=8, backbone="imagestats")


def place(raster: FeatureRaster, cell: Cell) -> tuple[float, float]:
    x, y = raster.geobox.affine * (cell[1] + 0.5, cell[0] + 0.5)
    return float(x), float(y)


def wholly(share: np.ndarray) -> list[Cell]:
    return [(int(r), int(c)) for r, c in np.argwhere(share == 1)]


def average_precision(scores: np.ndarray, right: np.ndarray, left_out: list[Cell]) -> float:
    keep = ~np.isnan(scores)
    for cell in left_out:
        keep[cell] = False
    ranked = right[keep][np.argsort(-scores[keep], kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].mean())


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in sorted(folder.iterdir()) if p.is_file()]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("method", ["ridge", "cosine"])
def test_informal_cells_come_first(
    method: Any, city: FeatureRaster, share: np.ndarray, tmp_path: Path
) -> None:
    cells = wholly(share)[::7][:2]
    made = similar(city, tmp_path / "s.tif", at=[place(city, c) for c in cells], method=method)
    scores = made.value_map.values
    assert average_precision(scores, share > 0.5, cells) > 0.9
    assert np.array_equal(np.isnan(scores), city.valid() == 0)
    assert [(e.row, e.col) for e in made.examples] == cells
    assert not {(h.row, h.col) for h in made.hits} & set(cells)
    assert [h.rank for h in made.hits] == list(range(1, 51))
    assert all(abs(h.score - scores[h.row, h.col]) < 1e-6 for h in made.hits)


def test_the_query_has_the_highest_score(
    city: FeatureRaster, share: np.ndarray, tmp_path: Path
) -> None:
    for i, cell in enumerate(wholly(share)[:4]):
        made = similar(city, tmp_path / f"{i}.tif", at=[place(city, cell)], n=3)
        scores = np.nan_to_num(made.value_map.values, nan=-9)
        assert np.unravel_index(scores.argmax(), scores.shape) == cell
        assert (scores == scores.max()).sum() == 1
        assert made.examples[0].score == 1


def test_counterexamples_push_down(city: FeatureRaster, share: np.ndarray, tmp_path: Path) -> None:
    cell = wholly(share)[0]
    first = similar(city, tmp_path / "a.tif", at=[place(city, cell)], n=0)
    scores = first.value_map.values
    others = np.where((share == 0) & ~np.isnan(scores), scores, -9)
    order = np.argsort(-others, axis=None)[:3]
    wrong = [(int(r), int(c)) for r, c in zip(*np.unravel_index(order, share.shape), strict=True)]
    told = similar(
        city,
        tmp_path / "b.tif",
        at=[place(city, cell)],
        unlike=[place(city, c) for c in wrong],
        n=0,
    )
    after = told.value_map.values
    assert all(after[c] < scores[c] - 0.05 for c in wrong)
    assert [e.like for e in told.examples] == [True, False, False, False]
    given = [(e.row, e.col) for e in told.examples]
    right = share > 0.5
    before = average_precision(scores, right, given)
    assert average_precision(after, right, given) > before - 0.005


def test_another_crs_finds_the_same(plain: FeatureRaster, tmp_path: Path) -> None:
    native = place(plain, (7, 9))
    turn = Transformer.from_crs("EPSG:32643", "EPSG:4326", always_xy=True)
    degrees = turn.transform(*native)
    one = similar(plain, tmp_path / "one.tif", at=[native])
    two = similar(plain, tmp_path / "two.tif", at=[degrees], crs="EPSG:4326")
    points = gpd.GeoDataFrame(geometry=[Point(degrees)], crs="EPSG:4326")
    points.to_file(tmp_path / "points.gpkg")
    three = similar(plain, tmp_path / "three.tif", points=tmp_path / "points.gpkg")
    for other in (two, three):
        assert np.array_equal(one.value_map.values, other.value_map.values, equal_nan=True)
        assert one.hits == other.hits


def test_the_size_of_blocks_changes_nothing(
    make_raster: Callable[..., Path],
    plain: FeatureRaster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("terrapatch.features.plan.block_side", lambda *_: 4)
    small = tp.embed(
        tmp_path / "scene.tif", tmp_path / "small.zarr", size=16, stride=8, backbone="imagestats"
    )
    assert (small.side, plain.side) == (4, 16)
    at = [place(plain, (7, 9))]
    one, two = (similar(f, tmp_path / f"{f.side}.tif", at=at) for f in (plain, small))
    assert np.nanmax(np.abs(one.value_map.values - two.value_map.values)) <= 2e-6
    assert [(h.row, h.col) for h in one.hits] == [(h.row, h.col) for h in two.hits]


@pytest.mark.parametrize(
    ("apart", "cells"),
    [(None, 2), ("3 cells", 3), (32, 4), ("16m", 4), ("1 cell", 1)],
)
def test_places_keep_apart(apart: Any, cells: int, plain: FeatureRaster, tmp_path: Path) -> None:
    made = similar(plain, tmp_path / "s.tif", at=[place(plain, (7, 9))], apart=apart, n=500)
    places = [(h.row, h.col) for h in made.hits] + [(7, 9)]
    gaps = [
        max(abs(a[0] - b[0]), abs(a[1] - b[1])) for i, a in enumerate(places) for b in places[:i]
    ]
    assert min(gaps) == cells
    assert any("places are listed" in note for note in made.notes)


def test_files_are_whole_and_the_same_again(plain: FeatureRaster, tmp_path: Path) -> None:
    options: dict[str, Any] = {"at": [place(plain, (7, 9))], "unlike": [place(plain, (3, 2))]}
    made = similar(plain, tmp_path / "a" / "s.tif", **options)
    similar(plain, tmp_path / "b" / "s.tif", **options)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    names = ["s.tif", "s.qml", "s.json", "s_hits.gpkg", "s_sheet.png"]
    assert sorted(p.name for p in made.files) == sorted(names)
    assert made.files[0].name == "s.tif"
    assert not list((tmp_path / "a").glob(".*"))
    with rasterio.open(tmp_path / "a" / "s.tif") as src:
        assert src.crs.to_epsg() == 32643
        assert np.array_equal(src.read(1), made.value_map.values, equal_nan=True)
    told = dict(explain(tmp_path / "a" / "s.tif").rows)
    x, y = place(plain, (7, 9))
    assert told["looked for"] == f'["{x:.10g},{y:.10g}"]'
    assert '"method": "ridge"' in told["similarity"]


def test_hits_are_a_query_for_the_next_search(plain: FeatureRaster, tmp_path: Path) -> None:
    first = similar(plain, tmp_path / "s.tif", at=[place(plain, (7, 9))], n=6)
    hits = tmp_path / "s_hits.gpkg"
    table = gpd.read_file(hits, layer="hits")
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6, 0]
    assert table["kind"].tolist() == ["hit"] * 6 + ["example"]
    assert np.allclose(table.geometry.x, table["x"])
    assert [round(s, 6) for s in table["score"][:6]] == [round(h.score, 6) for h in first.hits]
    liked = [True, None, False, None, None, None, True]
    table["like"] = pd.array(liked, dtype="boolean")
    table.to_file(hits, layer="hits")
    second = similar(plain, tmp_path / "s.tif", points=hits, n=6, overwrite=True)
    given = {(e.row, e.col): e.like for e in second.examples}
    best, third = first.hits[0], first.hits[2]
    expected = {(7, 9): True, (best.row, best.col): True, (third.row, third.col): False}
    assert given == expected
    assert any("4 points of s_hits.gpkg" in note for note in second.notes)


def test_the_sheet_shows_the_patches(
    city: FeatureRaster, painted: PaintedScene, share: np.ndarray, tmp_path: Path
) -> None:
    cell = wholly(share)[0]
    made = similar(city, tmp_path / "s.tif", at=[place(city, cell)], n=8)
    assert tmp_path / "s_sheet.png" in made.files
    sheet = np.asarray(Image.open(tmp_path / "s_sheet.png"), float)
    with rasterio.open(painted.rgb_path) as src:
        patch = src.read()[:, cell[0] * SIDE :, cell[1] * SIDE :][:, :SIDE, :SIDE]
    shown = sheet[30 : 30 + 160, 12 : 12 + 160]
    patch = np.moveaxis(patch, 0, -1)
    expected = np.asarray(Image.fromarray(patch).resize((160, 160), Image.Resampling.LANCZOS))
    assert np.array_equal(shown, expected)
    assert (sheet[27, 12:170] == (0, 0x9E, 0x73)).all()  # its frame says that it is an example


def test_an_image_is_described_as_a_cell_is(
    city: FeatureRaster, painted: PaintedScene, share: np.ndarray, tmp_path: Path
) -> None:
    row, col = cell = wholly(share)[0]
    with rasterio.open(painted.rgb_path) as src:
        patch = src.read()[:, row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE]
    Image.fromarray(np.moveaxis(patch, 0, -1)).save(tmp_path / "patch.png")
    made = similar(city, tmp_path / "s.tif", images=[tmp_path / "patch.png"], n=3)
    assert (made.hits[0].row, made.hits[0].col) == cell
    assert made.hits[0].score > 0.99  # the store keeps half precision
    assert made.examples == ()
    assert made.notes[0].startswith("no date is known")
    with pytest.raises(RecipeError, match=r"cannot be described as the cells of .* \(layers: "):
        similar(
            city,
            tmp_path / "t.tif",
            images=[tmp_path / "patch.png"],
            embedding={"layers": "stage5"},
        )
    Image.fromarray(np.moveaxis(patch, 0, -1)[:48, :40]).save(tmp_path / "small.png")
    small = similar(city, tmp_path / "t.tif", images=[tmp_path / "small.png"], n=3)
    assert "small.png is 40 px wide, a patch here 64 px" in small.notes[0]


def test_a_scene_without_georeference_takes_pixels(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    from affine import Affine

    scene = make_raster("bare.tif", height=96, width=128, crs=None, transform=Affine.identity())
    raster = tp.embed(scene, tmp_path / "b.zarr", size=8, backbone="imagestats")
    made = similar(raster, tmp_path / "s.tif", at=[(100, 20)], n=2)
    assert [(e.row, e.col) for e in made.examples] == [(2, 12)]
    assert any("has no CRS: coordinates are taken as its own" in note for note in made.notes)
    with pytest.raises(SamplesError, match="the scene has no CRS, so coordinates in EPSG:4326"):
        similar(raster, tmp_path / "t.tif", at=[(100, 20)], crs="EPSG:4326")
    with pytest.raises(OutsideError, match="give column and row of a pixel inside it"):
        similar(raster, tmp_path / "t.tif", at=[(20, 100)])


def test_the_scaling_of_a_cluster_model(plain: FeatureRaster, tmp_path: Path) -> None:
    tp.cluster(plain, tmp_path / "c", k=3)
    made = similar(plain, tmp_path / "s.tif", at=[place(plain, (7, 9))], model=tmp_path / "c")
    model = tp.ClusterModel.load(tmp_path / "c" / "model")
    assert np.array_equal(made.query.scaling.mean_, model.scaling.mean_)
    other = tp.embed(tmp_path / "scene.tif", tmp_path / "o.zarr", size=32, backbone="imagestats")
    with pytest.raises(RecipeError, match="another recipe"):
        similar(other, tmp_path / "t.tif", at=[place(other, (1, 1))], model=tmp_path / "c")


def test_without_the_scene_there_is_no_sheet(plain: FeatureRaster, tmp_path: Path) -> None:
    (tmp_path / "scene.tif").rename(tmp_path / "elsewhere.tif")
    at = [place(plain, (7, 9))]
    made = similar(plain, tmp_path / "s.tif", at=at)
    assert "s_sheet.png" not in {p.name for p in made.files}
    assert any("no contact sheet: it is not known where scene.tif lies" in n for n in made.notes)
    named = similar(plain, tmp_path / "t.tif", at=at, scene=tmp_path / "elsewhere.tif")
    assert "t_sheet.png" in {p.name for p in named.files}


def test_refusals_say_what_and_leave_nothing(
    plain: FeatureRaster, make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    good = place(plain, (7, 9))
    polygons, none, odd = (tmp_path / f"{n}.gpkg" for n in ("polygons", "none", "odd"))
    crs = "EPSG:32643"
    gpd.GeoDataFrame(geometry=[box(good[0], good[1], good[0] + 9, good[1] + 9)], crs=crs).to_file(
        polygons
    )
    gpd.GeoDataFrame({"a": []}, geometry=[], crs=crs).to_file(none)
    gpd.GeoDataFrame({"like": ["perhaps"]}, geometry=[Point(good)], crs=crs).to_file(odd)
    other = make_raster("other.tif", height=96, width=128)
    image = tmp_path / "grey.png"
    Image.fromarray(np.full((16, 16), 90, np.uint8)).save(image)
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({}, SamplesError, "no example of what to look for; give a place with --at"),
        ({"unlike": [good]}, SamplesError, "no example of what to look for"),
        ({"at": [(0, 0)]}, OutsideError, "0,0 lies outside the scene"),
        ({"at": [(73.1, 19.0)]}, OutsideError, "say so with --crs EPSG:4326"),
        ({"at": [(19.0, 73.1)], "crs": "EPSG:4326"}, OutsideError, "longitude comes first"),
        ({"at": [good], "crs": "EPSG:0"}, SamplesError, "is no CRS that is known"),
        ({"at": [place(plain, (0, 1))]}, SamplesError, "on an empty cell .row 0, column 1."),
        ({"at": [good], "unlike": [good]}, SamplesError, "row 7, column 9 is given as an example"),
        ({"at": [good], "scaling": "best"}, ClusterError, "there is no scaling 'best'"),
        ({"at": [good], "n": -1}, SamplesError, "-1 places cannot be listed"),
        ({"at": [good], "apart": "far"}, GridError, "apart 'far' is not understood"),
        ({"at": [good], "scene": other}, SceneError, "other.tif is not the scene"),
        ({"points": polygons}, SamplesError, "holds polygons, but examples are points"),
        ({"points": none}, SamplesError, "none.gpkg holds no features"),
        ({"points": odd}, SamplesError, "point 1: the column 'like' holds 'perhaps'"),
        ({"points": tmp_path / "gone.gpkg"}, SamplesError, "there is no file"),
        ({"images": [tmp_path / "gone.png"]}, SamplesError, "there is no image"),
        ({"images": [image]}, SamplesError, "grey.png has no band 2"),
    ]
    for options, kind, words in cases:
        with pytest.raises(kind, match=words):
            similar(plain, tmp_path / "s.tif", **options)
    with pytest.raises(OutputError, match=r"must end in \.tif"):
        similar(plain, tmp_path / "s.png", at=[good])
    (tmp_path / "s_hits.gpkg").write_text("mine")
    with pytest.raises(OutputError, match=r"s_hits\.gpkg exists already; pass --overwrite"):
        similar(plain, tmp_path / "s.tif", at=[good])
    assert [p.name for p in tmp_path.glob("*s.tif*")] == []
    assert (tmp_path / "s_hits.gpkg").read_text() == "mine"
