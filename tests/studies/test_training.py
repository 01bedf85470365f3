"""Training on images and on the ground, and classifying with what came of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely.geometry import Point, box

import terrapatch as tp
from terrapatch.errors import OutputError, RecipeError, SamplesError
from terrapatch.studies.painted import paint

STATS = {"backbone": "imagestats"}


def write_image(path: Path, brightness: int, seed: int, side: int = 32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    pixels = np.clip(random.normal(brightness, 12, (3, side, side)), 1, 255).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="PNG", width=side, height=side, count=3, dtype="uint8"
    ) as dst:
        dst.write(pixels)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of dark, grey and bright images, one of them of another size."""
    for k, name in enumerate(("dark", "grey", "bright")):
        for i in range(12):
            write_image(
                tmp_path / "images" / name / f"{i:02d}.png", 60 + 60 * k, 100 * k + i,
                40 if i == 3 else 32,
            )  # fmt: skip
    return tmp_path / "images"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return the features of a painted scene, its truth and the scene."""
    folder = tmp_path_factory.mktemp("ground")
    made = paint(folder / "scene.tif", seed=1, size=(768, 768))
    tp.embed(made.rgb_path, folder / "f.zarr", size="12m", **STATS)
    return folder / "f.zarr", made.truth_path, made.rgb_path


def test_images_become_a_model_with_its_worth(images: Path, tmp_path: Path) -> None:
    made = tp.train(images, tmp_path / "model", embedding=STATS, folds=3)
    assert made.accuracy.overall > 0.95
    assert made.accuracy.n == 36
    assert {one.name for one in made.baselines} == {"the largest class", "rcf"}
    assert {p.name for p in made.files} == {
        "report.html", "samples.csv", "metrics.json", "model.json", "head.safetensors",
        "head.skops",
    }  # fmt: skip
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert metrics["protocol"] == "3 stratified folds"
    assert metrics["accuracy"]["overall"] == made.accuracy.overall
    with (tmp_path / "model" / "samples.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == 36
    assert {row["fold"] for row in rows} == {"1", "2", "3"}
    assert any("no place on the ground" in note for note in made.notes)
    page = (tmp_path / "model" / "report.html").read_text()
    assert "dark" in page
    assert "imagestats" in page


def test_the_same_samples_give_the_same_bytes(images: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        tp.train(images, tmp_path / name, embedding=STATS, folds=3, baselines=False)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_a_fixed_split_is_kept_to(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    lines = ["path,class,split"]
    for path in sorted(images.rglob("*.png")):
        part = "test" if int(path.stem) < 4 else "train"
        lines.append(f"{path.relative_to(tmp_path)},{path.parent.name},{part}")
    table.write_text("\n".join(lines) + "\n")
    made = tp.evaluate(table, tmp_path / "out", embedding=STATS, baselines=False)
    assert made.checked.protocol == "a fixed split: 24 to train, 12 to test"
    assert made.accuracy.n == 12
    assert made.model is None
    assert not (tmp_path / "out" / "model.json").exists()


def test_a_cache_spares_the_network(images: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO", "terrapatch")
    options = {"embedding": STATS | {"cache": tmp_path / "cache"}, "baselines": False, "folds": 3}
    one = tp.evaluate(images, tmp_path / "one", **options)
    assert "were embedded before" not in caplog.text
    two = tp.evaluate(images, tmp_path / "two", **options)
    assert "36 images were embedded before" in caplog.text
    np.testing.assert_array_equal(one.samples.values, two.samples.values)
    write_image(images / "dark" / "00.png", 61, 7)
    caplog.clear()
    tp.evaluate(images, tmp_path / "three", **options)
    assert "were embedded before" not in caplog.text


def test_unreadable_images_are_named_one_by_one(images: Path, tmp_path: Path) -> None:
    (images / "dark" / "02.png").write_bytes(b"no picture")
    (images / "grey" / "05.png").write_bytes(b"")
    with pytest.raises(SamplesError, match=r"2 of the images cannot be used: .*02\.png.*05\.png"):
        tp.train(images, tmp_path / "model", embedding=STATS)
    assert not (tmp_path / "model").exists()


def test_labels_on_the_ground_become_a_map(ground: tuple[Path, Path, Path], tmp_path: Path) -> None:
    features, truth, scene = ground
    made = tp.train(truth, tmp_path / "model", features=[features], folds=3, head="knn")
    assert "blocks of" in made.checked.protocol
    assert made.accuracy.overall > made.accuracy.majority
    assert made.accuracy.grouped
    assert any("cells labelled: " in note for note in made.notes)
    twice = tp.evaluate(
        [truth, truth], tmp_path / "twice", features=[features], folds=3, head="centroid"
    )
    assert len(twice.samples) == len(made.samples)
    assert any("had a class from an earlier source" in note for note in twice.notes)
    assert not made.model.any_size

    done = tp.classify(features, tmp_path / "model", tmp_path / "map.tif", smooth=3)
    assert "smoothing over 3 x 3 cells changed" in " ".join(done.notes)
    back = tp.ClassMap.open(tmp_path / "map.tif")
    assert set(back.legend.names) == set(made.samples.classes)
    empty = tp.FeatureRaster.open(features).valid() == 0
    np.testing.assert_array_equal(back.values == 0, empty)
    assert back.geobox == tp.FeatureRaster.open(features).geobox
    for name in ("confidence", "margin", "set_size"):
        assert (tmp_path / f"map_{name}.tif").exists()

    again = tp.classify(scene, tmp_path / "model", tmp_path / "whole.tif", polygons=False)
    plain = tp.classify(features, tmp_path / "model", tmp_path / "plain.tif", polygons=False)
    np.testing.assert_array_equal(again.class_map.values, plain.class_map.values)
    with pytest.raises(OutputError, match="holds other features already"):
        tp.classify(
            scene, tmp_path / "model", tmp_path / "x.tif", store=again.features, stride="6m"
        )

    sure = tp.classify(
        features, tmp_path / "model", tmp_path / "sure.tif", min_confidence=0.9, polygons=False
    )
    doubtful = plain.classified.confidence < 0.9
    assert (sure.class_map.values[doubtful] == 0).all()
    assert (sure.class_map.values[~doubtful] == plain.class_map.values[~doubtful]).all()


def test_polygons_and_points_in_another_crs(
    ground: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    features, truth, _ = ground
    with rasterio.open(truth) as src:
        ids, bounds, crs = src.read(1), src.bounds, src.crs
    kinds = {1: "built", 2: "built", 3: "built", 4: "green", 5: "green", 6: "green"}
    places, names = [], []
    for row in range(12, ids.shape[0], 48):
        for col in range(12, ids.shape[1], 48):
            if ids[row, col]:
                places.append(Point(bounds.left + col / 2, bounds.top - row / 2))
                names.append(kinds[int(ids[row, col])])
    points = gpd.GeoDataFrame({"kind": names}, geometry=places, crs=crs).to_crs(4326)
    points.to_file(tmp_path / "points.geojson")
    boxes = points.to_crs(crs)
    boxes["geometry"] = boxes.buffer(9, cap_style="square")
    boxes.to_file(tmp_path / "boxes.gpkg")
    one = tp.train(
        tmp_path / "points.geojson", tmp_path / "a", features=[features], column="kind", folds=3
    )
    assert one.samples.classes == ("built", "green")
    assert len(one.samples) <= len(points)
    other = tp.train(
        tmp_path / "boxes.gpkg", tmp_path / "b", features=[features], column="kind", folds=3
    )
    assert other.samples.classes == ("built", "green")

    away = gpd.GeoDataFrame({"kind": ["built"]}, geometry=[box(0, 0, 1, 1)], crs=4326)
    away.to_file(tmp_path / "away.gpkg")
    with pytest.raises(SamplesError, match=r"outside"):
        tp.train(tmp_path / "away.gpkg", tmp_path / "c", features=[features], column="kind")


def test_a_model_of_images_asks_how_large_a_patch_is(
    images: Path, ground: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    tp.train(images, tmp_path / "model", embedding=STATS, folds=3, baselines=False)
    _, _, scene = ground
    with pytest.raises(RecipeError, match="say how large a patch is with --size"):
        tp.classify(scene, tmp_path / "model", tmp_path / "map.tif")
    made = tp.classify(scene, tmp_path / "model", tmp_path / "map.tif", size="16m")
    assert any("trained on images of 32 px" in note for note in made.notes)


def test_bad_requests_are_refused(
    images: Path, ground: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    features, truth, _ = ground
    with pytest.raises(SamplesError, match="pass --features STORE"):
        tp.train(truth, tmp_path / "m")
    with pytest.raises(SamplesError, match="cannot be mixed with other sources"):
        tp.train([truth, images], tmp_path / "m", features=[features])
    with pytest.raises(SamplesError, match="there is no head 'tree'"):
        tp.train(images, tmp_path / "m", head="tree")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already and is not empty"):
        tp.train(images, tmp_path / "full", embedding=STATS)
    tp.train(images, tmp_path / "full", embedding=STATS, folds=3, baselines=False, overwrite=True)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    with pytest.raises(OutputError, match=r"must end in \.tif"):
        tp.classify(features, tmp_path / "full", tmp_path / "map.png")


def test_averaging_over_turns_does_not_see_a_turn(images: Path) -> None:
    from terrapatch.features.images import embed_images

    paths = sorted(images.rglob("*.png"))[:4]
    turned = []
    for path in paths:
        with rasterio.open(path) as src:
            pixels = np.rot90(src.read(), axes=(1, 2))
        other = path.with_name(f"turned_{path.name}")
        with rasterio.open(
            other, "w", driver="PNG", width=pixels.shape[2], height=pixels.shape[1], count=3,
            dtype="uint8",
        ) as dst:  # fmt: skip
            dst.write(pixels)
        turned.append(other)
    options = {"backbone": "lenet5:random", "precision": "fp32", "device": "cpu"}
    plain = [embed_images(p, **options).values for p in (paths, turned)]
    mean = [embed_images(p, average="d4", **options) for p in (paths, turned)]
    assert np.abs(plain[0] - plain[1]).max() > 1e-3
    np.testing.assert_allclose(mean[0].values, mean[1].values, atol=1e-5)
    assert mean[0].recipe.space["average"] == "d4"


def test_two_dates_of_one_place_do_not_stand_on_both_sides(
    ground: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    features, truth, scene = ground
    tp.embed(scene, tmp_path / "later.zarr", size="12m", **STATS)
    stores = [features, tmp_path / "later.zarr"]
    made = tp.evaluate(truth, tmp_path / "out", features=stores, folds=2, head="centroid")
    assert "folds of blocks of" in made.checked.protocol
    assert any("2 scenes lie on 1 separate pieces of ground" in note for note in made.notes)
    places = made.samples.positions[made.checked.places]
    sides = {}
    for (x, y), fold in zip(places, made.checked.fold, strict=True):
        sides.setdefault((x, y), set()).add(fold)
    assert len(sides) == len(places) / 2
    assert all(len(folds) == 1 for folds in sides.values())


def test_a_split_with_one_class_to_train_on_is_refused(images: Path, tmp_path: Path) -> None:
    lines = [
        f"{path},{path.parent.name},{'train' if path.parent.name == 'grey' else 'test'}"
        for path in sorted(images.rglob("*.png"))
    ]
    (tmp_path / "split.csv").write_text("\n".join(["path,class,split", *lines]) + "\n")
    with pytest.raises(
        SamplesError, match="outside the part test there are samples of 'grey' only"
    ):
        tp.train(tmp_path / "split.csv", tmp_path / "model", embedding=STATS)
    assert not (tmp_path / "model").exists()
