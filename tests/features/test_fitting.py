"""Scenes and backbones fitted to each other: mixings, drawn filters, weights of one's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

import terrapatch as tp
from plain_lite0 import describe, relative_error
from storefiles import Make
from terrapatch.backbones import get_backbone, registry
from terrapatch.backbones.build import random as random_network
from terrapatch.backbones.mixing import Mixing
from terrapatch.errors import (
    BackboneError,
    OutputError,
    RecipeError,
    SceneError,
    UnitsError,
    WeightsError,
)

FAST: dict[str, Any] = {
    "size": 32,
    "layers": "stem",
    "precision": "fp32",
    "device": "cpu",
    "input_size": 64,
    "dtype": "float32",
}


@pytest.fixture
def six(make_raster: Make) -> Path:
    """A scene of six bands, with a hole."""
    return make_raster(
        "six.tif",
        bands=6,
        height=96,
        width=128,
        nodata=0,
        values=lambda b, h, w: (
            60
            + 20 * np.arange(b)[:, None, None]
            + np.random.default_rng(0).integers(-40, 41, (b, h, w))
        ).clip(1, 255),
    )


@pytest.mark.parametrize("kind", ["repeat", "mean", "pca"])
def test_mixed_bands_are_embedded_as_if_mixed_by_hand(
    six: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", "terrapatch"):
        made = tp.embed(six, tmp_path / "f.zarr", adapt=kind, **FAST)
    assert "mostly does worse than a triplet" in caplog.text
    told = made.recipe.backbone["adapt"]
    assert told["kind"] == kind
    assert made.recipe.backbone["bands"] == [f"band {i}" for i in range(1, 7)]
    mixing = Mixing.from_dict(told)
    with rasterio.open(six) as src:
        patch = mixing.apply(src.read()[:, 64:96, 96:128])  # no hole there
    expected = describe(patch[None], ("stem",), size=64)
    ours = made.data.values[2, 3]
    both = np.concatenate([expected["stem", "mean"], expected["stem", "std"]], axis=1)
    # Mixed in 0–255 on the device, in fp32, then stored as it is.
    assert relative_error(ours[None], both) <= 1e-4


def test_a_mixing_is_learnt_alike_twice_and_used_again_elsewhere(
    six: Path, make_raster: Make, tmp_path: Path
) -> None:
    one = tp.embed(six, tmp_path / "one.zarr", adapt="pca", **FAST)
    two = tp.embed(six, tmp_path / "two.zarr", adapt="pca", **FAST)
    assert one.recipe.fingerprint == two.recipe.fingerprint
    elsewhere = make_raster("other.tif", bands=6, height=64, width=64, seed=9)
    own = tp.embed(elsewhere, tmp_path / "own.zarr", adapt="pca", **FAST)
    again = tp.embed(elsewhere, tmp_path / "again.zarr", adapt=tmp_path / "one.zarr", **FAST)
    assert own.recipe.backbone["adapt"] != one.recipe.backbone["adapt"]
    assert again.recipe.backbone["adapt"] == one.recipe.backbone["adapt"]
    assert again.recipe.space_fingerprint == one.recipe.space_fingerprint
    model = tp.fit_clusters(one, 2, seed=0)
    assert model.predict(again).labels.max() <= 2
    with pytest.raises(RecipeError, match="mixing of bands: the features have pca"):
        model.predict(own)


def test_features_made_before_there_were_mixings_stay_usable(
    make_raster: Make, tmp_path: Path
) -> None:
    plain = tp.embed(make_raster(height=64, width=64), tmp_path / "f.zarr", **FAST)
    assert "adapt" not in plain.recipe.backbone
    assert "adapt" not in plain.recipe.space


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"adapt": "other"}, "--adapt other is neither repeat, mean, pca nor a feature store"),
        ({"adapt": "pca", "backbone": "imagestats"}, "imagestats takes any number of bands"),
        ({"adapt": "pca", "bands": "1,2"}, "need three bands"),
    ],
)
def test_mixings_that_cannot_be(
    six: Path, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    given = FAST | ({"layers": None, "input_size": None} if "backbone" in options else {})
    with pytest.raises(BackboneError, match=sentence):
        tp.embed(six, tmp_path / "f.zarr", **(given | options))
    assert not list(tmp_path.glob("f.zarr*"))


def test_a_store_with_another_number_of_bands(six: Path, tmp_path: Path) -> None:
    tp.embed(six, tmp_path / "one.zarr", adapt="mean", **FAST)
    with pytest.raises(BackboneError, match=r"takes 6 bands but 4 are chosen from six\.tif"):
        tp.embed(six, tmp_path / "f.zarr", adapt=tmp_path / "one.zarr", bands="1-4", **FAST)


def test_random_filters_of_a_scene(six: Path, tmp_path: Path) -> None:
    options = {"size": 16, "dtype": "float32", "backbone": "rcf:empirical"}
    one = tp.embed(six, tmp_path / "one.zarr", **options)
    two = tp.embed(six, tmp_path / "two.zarr", **options)
    seven = tp.embed(six, tmp_path / "seven.zarr", **(options | {"backbone": "rcf:empirical7"}))
    normal = tp.embed(six, tmp_path / "normal.zarr", **(options | {"backbone": "rcf"}))
    np.testing.assert_array_equal(one.data.values, two.data.values)
    assert one.recipe.fingerprint == two.recipe.fingerprint
    assert one.recipe.backbone["weights"] != seven.recipe.backbone["weights"]
    assert not np.allclose(one.data.values, normal.data.values, equal_nan=True)
    assert one.n_features == 512
    assert np.isnan(one.data.values[0, 0]).all(), "the hole stays empty"
    assert "fp32" in one.recipe.execution["precision"]


def test_filters_of_one_scene_describe_another(
    six: Path, make_raster: Make, tmp_path: Path
) -> None:
    from terrapatch.features.filters import draw

    file = draw(six, tmp_path / "filters.safetensors", seed=0)
    again = draw(six, tmp_path / "again.safetensors", seed=0)
    assert file.read_bytes() == again.read_bytes()
    with pytest.raises(OutputError, match="exists already; pass --overwrite"):
        draw(six, file)
    options = {"size": 16, "dtype": "float32", "backbone": "rcf:empirical"}
    own = tp.embed(six, tmp_path / "own.zarr", **options)
    kept = tp.embed(six, tmp_path / "kept.zarr", weights=file, **options)
    assert own.recipe.fingerprint == kept.recipe.fingerprint
    elsewhere = make_raster("other.tif", bands=6, height=64, width=64, seed=9)
    other = tp.embed(elsewhere, tmp_path / "other.zarr", weights=file, **options)
    assert other.recipe.space_fingerprint == own.recipe.space_fingerprint
    with pytest.raises(BackboneError, match="cut out of 6 bands but the scene gives 3"):
        tp.embed(six, tmp_path / "f.zarr", weights=file, bands="1-3", **options)
    (tmp_path / "noise").write_bytes(b"no filters")
    for wrong in (tmp_path / "noise", tmp_path / "none", six):
        with pytest.raises(WeightsError, match="cannot be read as the filters of rcf:empirical"):
            tp.embed(six, tmp_path / "f.zarr", weights=wrong, **options)


def test_a_scene_without_room_for_filters(make_raster: Make, tmp_path: Path) -> None:
    holed = make_raster(
        "holed.tif", nodata=0, height=64, width=64, hole=(slice(0, 64), slice(0, 61))
    )
    with pytest.raises(SceneError, match="too few places of 32 x 32 valid pixels"):
        tp.embed(holed, tmp_path / "f.zarr", size=8, backbone="rcf:empirical")


def test_weights_of_ones_own_are_recorded_by_their_hash(
    make_raster: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = get_backbone("squeezenet1_1")
    assert net.architecture is not None
    torch.save(random_network(net.architecture, 1).state_dict(), tmp_path / "mine.pth")
    given = FAST | {"backbone": "squeezenet1_1", "weights": tmp_path / "mine.pth"}
    with caplog.at_level("INFO", "terrapatch"):
        made = tp.embed(make_raster(height=64, width=64), tmp_path / "f.zarr", **given)
    import hashlib

    digest = hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    assert made.recipe.backbone["weights"] == digest
    assert "mine.pth is not the published squeezenet1_1-b8a52dc0.pth" in caplog.text
    twin = tp.embed(
        make_raster(height=64, width=64),
        tmp_path / "t.zarr",
        **(FAST | {"backbone": "squeezenet1_1:random1"}),
    )
    np.testing.assert_array_equal(made.data.values, twin.data.values)
    assert made.recipe.space != twin.recipe.space


@pytest.mark.parametrize("backbone", ["imagestats", "rcf", "resnet18:random"])
def test_backbones_without_a_file_take_none(
    make_raster: Make, tmp_path: Path, backbone: str
) -> None:
    with pytest.raises(BackboneError, match="takes no file of weights"):
        tp.embed(
            make_raster(), tmp_path / "f.zarr", size=8, backbone=backbone, weights=tmp_path / "w"
        )


def test_missing_weights_are_said_before_anything_is_made(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAPATCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match=r"resnet50-0676ba61.pth \(about 103 MB, from torchvis"):
        tp.embed(make_raster(), tmp_path / "f.zarr", size=8, backbone="resnet50", offline=True)
    assert not list(tmp_path.glob("f.zarr*"))


def test_a_network_of_reflectance_takes_no_picture(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its contract decides how the scene is read: 1.0 as 255, and bright roofs unclipped."""
    plain = get_backbone("resnet18:random")
    assert plain.contract is not None
    contract = replace(
        plain.contract, mean=(0.0,) * 3, std=(255.0,) * 3, quantity="reflectance", native=64
    )
    known = dict(registry._all()) | {"s2": replace(plain, name="s2", contract=contract)}
    monkeypatch.setattr(registry, "_all", lambda: known)
    scene = make_raster(
        "s2.tif", dtype="uint16", height=64, width=64, values=lambda b, h, w: np.full(1, 8000)
    )
    given = FAST | {"backbone": "s2", "bands": "1,2,3"}
    with pytest.raises(UnitsError, match=r"takes reflectance but s2\.tif is declared as 0:3000"):
        tp.embed(scene, tmp_path / "f.zarr", units="0:3000", **given)
    made = tp.embed(scene, tmp_path / "f.zarr", units="reflectance:10000", **given)
    embedder = replace(plain, contract=replace(contract, quantity="display")).load(
        plain.describe("stem"), 64
    )
    expected = embedder.features(np.full((1, 3, 32, 32), 0.8 * 255, np.float32))
    assert relative_error(made.data.values[1, 1][None], expected) <= 1e-5
    told = json.loads(json.dumps(made.recipe.scene["units"]))
    assert told["text"] == "reflectance:10000"
    assert told["high"] == pytest.approx([10000] * 3)
