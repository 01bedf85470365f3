"""The CNN on feature maps: it sees where things lie and is kept without code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import terrapatch as tp
from cells import FakeRecipe
from samples_made import blobs
from terrapatch.errors import SamplesError
from terrapatch.features.images import embed_images
from terrapatch.learn._head_file import dumped, restored
from terrapatch.learn.cnn_head import CnnHead
from terrapatch.learn.feature_maps import map_layers, map_shapes
from terrapatch.learn.fitting import cross_validate, default_scaling, train_scene_model
from terrapatch.learn.heads import make_head, scores
from terrapatch.learn.samples import Samples

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

LITE = "efficientnet_lite0"
SHAPES = ((2, 6, 6), (1, 12, 12))


def pairs(n: int = 160, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return flattened maps with two things side by side (1) or apart (2), and the classes.

    The first layer holds one thing in each channel, the second layer noise at another side.
    Every channel has the same numbers in both classes, only at other places.
    """
    random = np.random.default_rng(seed)
    ids = np.tile([1, 2], n // 2)
    rows = []
    for id in ids:
        first = np.zeros((2, 6, 6))
        r, c = random.integers(1, 5), random.integers(0, 2)
        first[0, r, c] = first[1, r, c + (1 if id == 1 else 4)] = 1.0
        first = np.rot90(first, random.integers(4), (1, 2))
        rows.append(np.concatenate([first.ravel(), random.normal(0, 0.1, 144)]))
    return np.stack(rows).astype(np.float32), ids


@pytest.fixture(scope="module")
def fitted() -> CnnHead:
    return CnnHead(SHAPES, filters=16, batch=16, least_steps=400).fit(*pairs())


def test_it_learns_from_where_things_lie(fitted: CnnHead) -> None:
    from sklearn.linear_model import LogisticRegression

    rows, ids = pairs(seed=1)
    assert (fitted.predict(rows) == ids).mean() > 0.95
    pooled = [
        np.concatenate([m.mean((2, 3)), m.std((2, 3)), m.max((2, 3))], 1)
        for m in (given[:, :72].reshape(-1, 2, 6, 6) for given in (pairs()[0], rows))
    ]
    without = LogisticRegression().fit(pooled[0], pairs()[1])
    assert (without.predict(pooled[1]) == ids).mean() < 0.65
    given = fitted.predict_proba(rows)
    assert given.shape == (160, 2)
    np.testing.assert_allclose(given.sum(axis=1), 1.0)


def test_the_network_does_what_is_documented(fitted: CnnHead) -> None:
    """The same numbers from plain numpy: pooled to one side, two convolutions, a mean, a sum."""
    rows, _ = pairs(4)
    w = {name: array.astype(np.float64) for name, array in fitted.weights_.items()}
    small = rows[:, 72:].reshape(4, 1, 6, 2, 6, 2).mean((3, 5))
    maps = np.concatenate([rows[:, :72].reshape(4, 2, 6, 6), small], 1)
    mixed = np.einsum("nchw,fc->nfhw", maps, w["mix"][:, :, 0, 0])
    mixed = np.maximum(mixed + w["mix_bias"][:, None, None], 0)
    wide = np.pad(mixed, ((0, 0), (0, 0), (1, 1), (1, 1)))
    seen = sum(
        np.einsum("nchw,fc->nfhw", wide[:, :, i : i + 6, j : j + 6], w["look"][:, :, i, j])
        for i in range(3)
        for j in range(3)
    )
    seen = np.maximum(seen + w["look_bias"][:, None, None], 0).mean((2, 3))
    told = np.exp(seen @ w["tell"].T + w["tell_bias"])
    expected = told / told.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(rows), expected, atol=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_comes_back_from_them(fitted: CnnHead) -> None:
    import torch

    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    rows, ids = pairs()
    again = CnnHead(SHAPES, filters=16, batch=16, least_steps=400).fit(rows, ids)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    data = dumped(fitted)
    assert dumped(again) == data
    other = CnnHead(SHAPES, filters=16, least_steps=1, epochs=1, random_state=1).fit(rows, ids)
    same = CnnHead(SHAPES, filters=16, least_steps=1, epochs=1, random_state=2).fit(rows, ids)
    assert not np.array_equal(other.weights_["mix"], same.weights_["mix"])
    back = restored(data, "head.skops")
    np.testing.assert_array_equal(back.predict_proba(rows), fitted.predict_proba(rows))
    np.testing.assert_array_equal(scores(back, rows).argmax(1) + 1, fitted.predict(rows))


def test_a_channel_that_hardly_varied_is_not_blown_up() -> None:
    """It was 0 but for rounding in training; where it is not, the others still decide."""
    rows, ids = pairs()
    dead = np.random.default_rng(0).normal(0, 1e-6, (160, 36)).astype(np.float32)
    head = CnnHead(((3, 6, 6), (1, 12, 12)), filters=16, batch=16, least_steps=400)
    head.fit(np.hstack([dead, rows]), ids)
    there, truth = pairs(seed=1)
    awake = np.full((160, 36), 0.005, np.float32)
    assert (head.predict(np.hstack([awake, there])) == truth).mean() > 0.9


def test_few_samples_are_passed_over_more_often() -> None:
    rows, ids = pairs(8)
    assert (
        len(CnnHead(SHAPES, filters=4, epochs=3, least_steps=7, batch=4).fit(rows, ids).losses_)
        == 4
    )
    assert (
        len(CnnHead(SHAPES, filters=4, epochs=5, least_steps=7, batch=4).fit(rows, ids).losses_)
        == 5
    )


def test_turning_is_a_choice_and_keeps_every_number() -> None:
    import torch

    maps = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    head = CnnHead(((3, 4, 4),))
    torch.manual_seed(0)
    seen = {tuple(head._turned(maps)[0, 0].ravel().tolist()) for _ in range(100)}
    assert len(seen) == 8
    assert all(sorted(one) == list(range(16)) for one in seen)
    oblong = {tuple(head._turned(maps[:, :, :2])[0, 0].ravel().tolist()) for _ in range(50)}
    assert len(oblong) == 4
    assert CnnHead(((3, 4, 4),), turns=False)._turned(maps) is maps


def test_constant_channels_and_labels_that_are_words() -> None:
    rows, ids = pairs(40)
    rows[:, 36:72] = 7.0
    head = CnnHead(SHAPES, filters=4, epochs=2, least_steps=1).fit(
        rows, np.array(["", "near", "far"])[ids]
    )
    assert list(head.classes_) == ["far", "near"]
    assert np.isfinite(head.predict_proba(rows)).all()
    assert set(head.predict(rows)) <= {"far", "near"}


def test_what_is_no_map_is_refused_in_a_sentence() -> None:
    rows, ids = pairs(8)
    with pytest.raises(SamplesError, match="not told the maps"):
        CnnHead().fit(rows, ids)
    with pytest.raises(SamplesError, match="maps of 2 x 6 x 6, 72 numbers, but samples have 216"):
        CnnHead(((2, 6, 6),)).fit(rows, ids)
    with pytest.raises(ValueError, match="two classes"):
        CnnHead(SHAPES).fit(rows, np.ones(8, int))
    with pytest.raises(SamplesError, match=r"a number in epoch \d; choose a lower rate"):
        CnnHead(SHAPES, filters=4, rate=1e30).fit(np.tile(rows, (4, 1)), np.tile(ids, 4))


def space(**more: Any) -> dict[str, Any]:
    return {"backbone": LITE, "layers": ["stage7"], "pooling": ["flatten"], "input_size": 64} | more


@pytest.mark.parametrize(
    ("wrong", "layer", "numbers", "message"),
    [
        ({"pooling": ["mean", "std"]}, "stage7", 640, "pooled over the positions"),
        ({"pooling": ["mean", "flatten"]}, "stage7", 1600, "pass --pooling flatten and one to"),
        ({"average": "d4"}, "stage7", 1280, "embed with --average none"),
        ({"backbone": "rcf"}, "filters", 64, "rcf is no network"),
        ({}, "logits", 1000, "the layer logits of efficientnet_lite0 has no positions"),
        ({}, "stage7", 1281, "a map of 320 x 2 x 2 and its features have 1,281 numbers"),
    ],
)
def test_features_that_are_no_maps(
    wrong: dict[str, Any], layer: str, numbers: int, message: str
) -> None:
    with pytest.raises(SamplesError, match=message):
        map_shapes(space(**wrong), ((layer, 0, numbers),))


def test_shapes_are_those_of_the_real_maps(tmp_path: Path) -> None:
    """Of stages and of the path of a module; channel by channel, as the network gives them."""
    from terrapatch.backbones import get_backbone

    path = pictures(tmp_path, 1)[0]
    found = embed_images([path], layers="stage5,blocks.2,stage7", pooling="flatten", input_size=64,
                         precision="fp32")  # fmt: skip
    shapes = map_shapes(found.recipe.space, found.groups)
    network = get_backbone(LITE).ready()
    embedder = network.load(network.describe("stage5,blocks.2,stage7", "flatten"), 64)
    with rasterio.open(path) as image:
        maps = embedder.maps(image.read()[None])
    assert shapes == tuple(maps[name].shape[1:] for name, _, _ in found.groups)
    for (name, start, stop), shape in zip(found.groups, shapes, strict=True):
        given = found.values[0, start:stop].reshape(shape)
        np.testing.assert_allclose(given, maps[name][0], rtol=1e-4, atol=1e-4)


def test_layers_are_chosen_by_the_size_of_their_maps() -> None:
    assert map_layers(LITE) == ("stage5", "stage7")
    assert map_layers(LITE, 64) == ("stage5", "head")
    assert map_layers("resnet50") == ("stage4",)
    with pytest.raises(SamplesError, match="imagestats is no network"):
        map_layers("imagestats")


def test_the_head_is_told_the_maps_of_its_samples() -> None:
    rows, ids = pairs(24)
    recipe = FakeRecipe(space(layers=["stage7"]))
    values = np.random.default_rng(0).normal(size=(24, 1280)).astype(np.float32)
    some = Samples(values, ids.astype(np.int32), ("a", "b"), tuple(map(str, range(24))),
                   (("stage7", 0, 1280),), recipe)  # fmt: skip
    assert default_scaling(some, "cnn") == "none"
    assert default_scaling(some) == "standardise-layer-l2"
    own = CnnHead(epochs=1, filters=4, least_steps=1)
    model = train_scene_model(some, own)
    assert model.pipeline[-1].maps == ((320, 2, 2),)
    assert model.description["scaling"] == "none"
    assert make_head("cnn", "none", some.groups, 3, ((320, 2, 2),))[-1].random_state == 3
    with pytest.raises(SamplesError, match="needs feature maps"):
        cross_validate(blobs(), "cnn")
    with pytest.raises(SamplesError, match="not told the maps"):
        make_head("cnn", "none", some.groups).fit(rows, ids)


def pictures(folder: Path, n: int) -> list[Path]:
    """Write images of stripes and of checks, ``n`` of each."""
    random = np.random.default_rng(0)
    r, c = np.mgrid[:64, :64] // 8 % 2
    paths = []
    for kind, pattern in (("stripes", r), ("checks", r ^ c)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = 60 + 120 * pattern + random.integers(0, 40, (3, 64, 64))
            paths.append(folder / kind / f"{i}.tif")
            with rasterio.open(paths[-1], "w", driver="GTiff", width=64, height=64, count=3,
                               dtype="uint8", photometric="RGB") as out:  # fmt: skip
                out.write(pixels.astype(np.uint8))
    return paths


def test_trained_on_images_saved_and_laid_over_a_scene(tmp_path: Path, make_raster: Any) -> None:
    """Without a word about layers."""
    pictures(tmp_path / "photos", 6)
    made = tp.train(
        tmp_path / "photos",
        tmp_path / "model",
        head="cnn",
        folds=2,
        baselines=False,
        embedding={"input_size": 64, "precision": "fp32"},
    )
    assert made.samples.recipe.space["pooling"] == ["flatten"]
    assert made.accuracy.overall > 0.9
    loaded = tp.SceneModel.load(tmp_path / "model")
    assert loaded.description["head"] == "cnn"
    rows = made.samples.values
    given = loaded.probabilities(rows)
    np.testing.assert_array_equal(given, made.model.probabilities(rows))
    assert (given.argmax(1) + 1 == made.samples.ids).all()

    r, c = np.mgrid[:128, :128] // 8 % 2
    pattern = np.where(np.arange(128) < 64, r, r ^ c)
    pixels = 60 + 120 * pattern + np.random.default_rng(1).integers(0, 40, (3, 128, 128))
    scene = make_raster(height=128, width=128)
    with rasterio.open(scene, "r+") as out:
        out.write(pixels.astype(np.uint8))
    found = tp.classify(scene, loaded, tmp_path / "map.tif", size=64,
                        embedding={"precision": "fp32"})  # fmt: skip
    names = np.array(["", *loaded.classes])[found.class_map.values]
    assert names.tolist() == [["stripes", "checks"]] * 2


def test_what_is_simpler_stands_beside_it(tmp_path: Path) -> None:
    """The untrained network is given maps of the same layers; the others have none."""
    pictures(tmp_path / "photos", 6)
    made = tp.evaluate(
        tmp_path / "photos",
        tmp_path / "made",
        head=CnnHead(filters=8, epochs=1, least_steps=20),
        folds=2,
        embedding={"input_size": 64, "precision": "fp32", "layers": "stage3", "pooling": "flatten"},
    )
    assert made.samples.recipe.space["layers"] == ["stage3"]
    assert [one.name for one in made.baselines][1:] == ["imagestats", "rcf", f"{LITE}:random"]
