"""Networks for pixels: what they see, what they learn, and that the same seed gives the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from safetensors.torch import load, save

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import RecipeError, SamplesError
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.raster import FeatureBlock
from terrapatch.features.recipe import Recipe
from terrapatch.learn.pixels._tiles import read_around
from terrapatch.learn.pixels.base import LabelledPixels
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.learn.pixels.learners import parse_learner, restore_learner
from terrapatch.learn.pixels.nets import KINDS, NetLearner, make_net, net_names, parse_net
from terrapatch.learn.pixels.nets.holding import TINY, held_pixels
from terrapatch.learn.pixels.nets.patches import cut_patches
from terrapatch.learn.pixels.nets.training import Standard, steady, turned, turned_back
from terrapatch.learn.pixels.posteriors import posterior_blocks

Floats = NDArray[np.float32]
BANDS = 24
PATCHES = {"spectral1d": (1,), "spectralformer": (1, 3), "ssrn": (3, 7, 13)}


@dataclasses.dataclass
class Values:
    """An array as pixel values; counts what is read."""

    array: Floats
    reads: int = 0

    @property
    def recipe(self) -> Recipe:
        return Recipe({}, {}, {}, {}, {}, {})

    @property
    def geobox(self) -> GeoBox:
        return GeoBox.from_bbox((0, 0, 1, 1), shape=self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        return self.array.shape[0], self.array.shape[1]

    @property
    def n_features(self) -> int:
        return self.array.shape[2]

    @property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        return (("spectra", 0, self.n_features),)

    def read(self, rows: slice, cols: slice) -> Floats:
        self.reads += 1
        return self.array[rows, cols]

    def blocks(self) -> Iterator[FeatureBlock]:
        rows, cols = (slice(0, n) for n in self.shape)
        values = self.read(rows, cols)
        yield FeatureBlock(rows, cols, values, np.ones(self.shape, np.float32))


@pytest.fixture(scope="module")
def scene() -> tuple[Floats, NDArray[np.int32]]:
    values, ids, _ = painted_cube(40, 36, BANDS, 3, field=8, noise=0.1)
    return values, ids


def labelled(ids: NDArray[np.int32], step: int = 4, start: int = 0) -> LabelledPixels:
    rows, cols = (a.ravel() for a in np.mgrid[start : ids.shape[0] : step, 0 : ids.shape[1] : step])
    return LabelledPixels(rows, cols, ids[rows, cols], ("a", "b", "c"))


def built(kind: str, patch: int, features: int = BANDS, classes: int = 3) -> torch.nn.Module:
    with steady(1, 3):
        network = KINDS[kind].build(features, classes, patch, 0.5, 0.4)
        for name, buffer in network.named_buffers():  # as training leaves batch norms
            if name.endswith("running_mean"):
                buffer.copy_(0.2 * torch.randn(buffer.shape))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape))
    return network.eval()


@pytest.mark.parametrize("name", net_names())
@pytest.mark.parametrize("features", [BANDS, 200])
def test_a_block_in_one_go_is_as_square_by_square(name: str, features: int) -> None:
    for patch in PATCHES.get(name, (3, 5, 11)):
        network = built(name, patch, features)
        block = torch.randn(1, features, patch + 2, patch + 1)
        with torch.no_grad():
            whole = network(block)[0]
            squares = [block[..., i : i + patch, j : j + patch] for i in range(3) for j in range(2)]
            single = network(torch.cat(squares)).reshape(3, 2, 3).permute(2, 0, 1)
        assert whole.shape == (3, 3, 2)
        assert float((whole - single).abs().max()) <= 1e-4
        assert float(whole.std()) > 1e-3


@pytest.mark.parametrize("name", net_names())
def test_a_network_sees_all_of_its_patch_and_nothing_else(name: str) -> None:
    patch = KINDS[name].defaults.get("patch", 9)
    network = built(name, patch)
    block = torch.randn(1, BANDS, patch + 2, patch + 2, requires_grad=True)
    network(block)[0, :, 1, 1].sum().backward()
    assert block.grad is not None
    seen = (block.grad[0].abs().sum(0) > 0).numpy()
    expected = np.zeros_like(seen)
    expected[1:-1, 1:-1] = True
    assert not seen[~expected].any()
    assert seen[expected].mean() > 0.9  # a rectified unit may happen to be shut


@pytest.mark.parametrize("name", ["spectral1d", "cnn2d", "spectralformer"])
def test_few_features_suffice(name: str) -> None:
    patch = KINDS[name].least
    for features in (1, 2, 6):
        assert built(name, patch, features)(torch.randn(2, features, patch, patch)).shape[1] == 3


@pytest.mark.parametrize("name", ["cnn3d", "hybridsn", "ssrn"])
def test_networks_along_the_spectrum_want_three_features(name: str) -> None:
    assert built(name, 5, 3)(torch.randn(2, 3, 5, 5)).shape == (2, 3, 1, 1)
    with pytest.raises(SamplesError, match="needs 3 features or more, and these pixels have 2"):
        KINDS[name].build(2, 3, 5, 1.0, 0.1)


@pytest.mark.parametrize("name", net_names())
def test_every_network_learns(name: str, scene: tuple[Floats, NDArray[np.int32]]) -> None:
    values, ids = scene
    patch = min(KINDS[name].most, 5)
    text = f"net:{name},patch={patch},epochs=12,width=0.5,held=0,lr=4e-3,batch=16"
    learner = make_net(text, seed=1).fit(Values(values), labelled(ids, 5))
    assert learner.history["train_loss"][-1] < 0.6 * learner.history["train_loss"][0]
    tested = labelled(ids, 5, 2)
    scores = learner.scores(
        read_around(Values(values), slice(0, 40), slice(0, 36), learner.window // 2)
    )
    found = learner.classes_[scores[tested.rows, tested.cols].argmax(1)]
    assert (found == tested.ids).mean() > 0.8
    assert scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(scores).sum(-1), 1, atol=1e-4)


def quick(**options: Any) -> NetLearner:
    told = ",".join(
        f"{k}={v}"
        for k, v in {"patch": 5, "epochs": 2, "width": 0.25, "held": 0.2, **options}.items()
    )
    return make_net(f"net:cnn2d,{told}", seed=4)


def test_same_seed_same_bytes_whatever_the_threads(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    values, ids = scene
    before, chance = torch.get_num_threads(), torch.random.get_rng_state()
    made = []
    for threads, seed in ((1, 4), (2, 4), (1, 5)):
        torch.set_num_threads(threads)
        learner = make_net("net:hybridsn,patch=5,epochs=2,width=0.25", seed)
        made.append(learner.fit(Values(values), labelled(ids)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert made[0].files() == made[1].files()
    assert made[0].settings() == made[1].settings()
    assert made[0].files() != made[2].files()
    assert torch.equal(chance, torch.random.get_rng_state())


@pytest.mark.parametrize("name", net_names())
def test_restored_as_saved(name: str, scene: tuple[Floats, NDArray[np.int32]]) -> None:
    values, ids = scene
    learner = make_net(f"{name},epochs=1,width=0.25", 2).fit(Values(values), labelled(ids, 6))
    again = NetLearner.restore(learner.settings(), learner.files())
    assert again.files() == learner.files()
    assert again.settings() == learner.settings()
    assert again.window == learner.window
    block = values[:20, :20]
    np.testing.assert_array_equal(again.scores(block), learner.scores(block))


def test_what_does_not_fit_is_not_restored(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    learner = quick().fit(Values(scene[0]), labelled(scene[1], 6))
    settings, (name, data) = learner.settings(), next(iter(learner.files().items()))
    tensors = load(data)
    some = next(key for key, tensor in tensors.items() if tensor.ndim == 4)

    def refused(match: str, settings: dict[str, Any] = settings, **files: bytes) -> None:
        with pytest.raises(RecipeError, match=match):
            NetLearner.restore(settings, files)

    refused("is not whole")
    refused("damaged", **{name: data[:-40]})
    refused(
        "does not fit.*missing", **{name: save({k: t for k, t in tensors.items() if k != some})}
    )
    refused("not of this network", **{name: save(tensors | {"network.more": torch.ones(1)})})
    refused("x.*where the network has", **{name: save(tensors | {some: tensors[some][:1].clone()})})
    refused("float16", **{name: save(tensors | {some: tensors[some].half()})})
    refused("holds no number", **{name: save(tensors | {some: tensors[some] * torch.nan})})
    refused("where the network has", settings | {"classes": [1, 2, 3, 4]}, **{name: data})
    refused(
        "settings of the network are damaged", settings | {"options": {"net": "x"}}, **{name: data}
    )
    refused("settings of the network are damaged", settings | {"options": [1]}, **{name: data})
    for wrong in ({"classes": [2, 1]}, {"temperature": 0}, {"chosen": 3}, {"features": "x"}):
        refused("settings of the network are damaged", settings | wrong, **{name: data})
    refused("where the network has", settings | {"features": 10**9}, **{name: data})


def test_patches_are_cut_from_the_mirrored_scene(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    values = Values(scene[0])
    rows, cols = np.array([0, 39, 17]), np.array([0, 35, 2])
    pixels = LabelledPixels(rows, cols, np.array([1, 2, 1], np.int32), ("a", "b"))
    patches = cut_patches(values, pixels, 7)
    assert len(patches.store) < 3 * 49
    for i, (row, col) in enumerate(zip(rows, cols, strict=True)):
        around = read_around(values, slice(row, row + 1), slice(col, col + 1), 3)
        np.testing.assert_array_equal(
            patches.take(np.array([i]))[0].numpy(), around.transpose(2, 0, 1)
        )
    np.testing.assert_array_equal(patches.centres(), scene[0][rows, cols])


def test_only_tiles_with_labels_are_read() -> None:
    values = Values(np.ones((300, 300, 2), np.float32))
    pixels = LabelledPixels(
        np.array([5, 9]), np.array([5, 9]), np.array([1, 2], np.int32), ("a", "b")
    )
    cut_patches(values, pixels, 3)
    assert values.reads == 1


def test_gaps_count_as_the_mean_and_reach_no_further(
    scene: tuple[Floats, NDArray[np.int32]],
) -> None:
    values, ids = scene[0].copy(), scene[1]
    values[1, 1] = np.nan  # beside the labelled pixel 0, 0 and inside its square
    learner = quick().fit(Values(values), labelled(ids))
    mean = values[labelled(ids).rows, labelled(ids).cols].mean(axis=0)
    filled = np.where(np.isnan(values), mean, values)
    np.testing.assert_allclose(learner.scores(values), learner.scores(filled), atol=1e-4)
    assert np.isfinite(learner.scores(values)).all()
    values[4, 4] = np.nan
    with pytest.raises(SamplesError, match="1 of 90 labelled pixels have no features"):
        quick().fit(Values(values), labelled(ids))


def test_scores_depend_on_no_cut(
    scene: tuple[Floats, NDArray[np.int32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = quick(patch=7).fit(Values(scene[0]), labelled(scene[1]))
    whole = learner.scores(scene[0])
    part = learner.scores(scene[0][5:25, 3:20])
    np.testing.assert_allclose(whole[5:19, 3:14], part, atol=1e-5)
    one = make_net("spectral1d,epochs=1,width=0.25").fit(Values(scene[0]), labelled(scene[1]))
    rows = scene[0].reshape(-1, 1, BANDS)
    np.testing.assert_allclose(
        one.scores(rows)[:, 0], one.scores(scene[0]).reshape(-1, 3), atol=1e-5
    )
    strips = one.scores(scene[0])
    monkeypatch.setattr("terrapatch.learn.pixels.nets.learner.FLOATS", 1)  # the smallest parts
    np.testing.assert_allclose(learner.scores(scene[0]), whole, atol=1e-5)
    np.testing.assert_allclose(one.scores(scene[0]), strips, atol=1e-5)
    with pytest.raises(SamplesError, match="trained on 24 features and the pixels have 3"):
        learner.scores(scene[0][..., :3])


def test_averaging_makes_turns_alike(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    learner = quick(average="d4").fit(Values(scene[0]), labelled(scene[1]))
    block = scene[0][:15, :15]
    told = learner.scores(block)
    np.testing.assert_allclose(np.exp(told).sum(-1), 1, atol=1e-4)
    mirrored = learner.scores(np.ascontiguousarray(block[:, ::-1]))
    np.testing.assert_allclose(np.exp(mirrored[:, ::-1]), np.exp(told), atol=1e-5)
    plain = NetLearner(dataclasses.replace(learner.options, average="none"))
    plain = plain.fit(Values(scene[0]), labelled(scene[1]))
    assert np.abs(plain.scores(block) - told).max() > 1e-3


def test_all_eight_ways_are_turned_back() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert (
        len({turned(x, way).numpy().tobytes() + bytes(turned(x, way).shape) for way in range(8)})
        == 8
    )
    assert all(torch.equal(turned_back(turned(x, way), way), x) for way in range(8))


def test_standardising_leaves_out_what_does_not_vary() -> None:
    rows = np.random.default_rng(0).normal(5, 2, (500, 3)).astype(np.float32)
    rows[:, 1] = 0.1
    standard = Standard.of(rows)
    made = standard(torch.from_numpy(rows.T[None, :, :, None].copy()))
    np.testing.assert_allclose(made.mean((2, 3))[0], 0, atol=1e-5)
    np.testing.assert_allclose(made.std((2, 3), correction=0)[0], [1, 0, 1], atol=1e-5)
    far = standard(torch.full((1, 3, 1, 1), 1000.0))
    assert float(far[0, 1]) == 0


def test_held_pixels_are_whole_blocks_or_fields(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    pixels = labelled(np.tile(scene[1], (3, 3)), 2)
    held, told = held_pixels(pixels, 0.2, 0)
    assert "blocks" in told
    assert 0.1 < held.mean() < 0.35
    fields = (pixels.rows // 8 * 20 + pixels.cols // 8 + 1).astype(np.int32)
    held, told = held_pixels(dataclasses.replace(pixels, fields=fields), 0.25, 0)
    assert "fields" in told
    assert not set(fields[held]) & set(fields[~held])
    assert 0.1 < held.mean() < 0.4
    again, _ = held_pixels(dataclasses.replace(pixels, fields=fields), 0.25, 0)
    np.testing.assert_array_equal(held, again)
    assert held_pixels(pixels, 0.0, 0)[1] == "none"


def test_tiny_classes_stay_in_training(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    pixels = labelled(np.tile(scene[1], (3, 3)), 2)
    ids = pixels.ids.copy()
    ids[ids == 3] = 1
    ids[np.random.default_rng(0).choice(len(ids), TINY - 1, replace=False)] = 3
    for seed in range(5):
        held, _ = held_pixels(dataclasses.replace(pixels, ids=ids), 0.3, seed)
        assert held.any()
        assert not (ids[held] == 3).any()


def test_training_stops_when_held_pixels_no_longer_gain(
    scene: tuple[Floats, NDArray[np.int32]],
) -> None:
    values = (
        np.random.default_rng(0).normal(size=scene[0].shape).astype(np.float32)
    )  # no truth in it
    told: list[tuple[str, int, int]] = []
    learner = quick(epochs=60, patience=2, lr=0.01, held=0.3, refit="yes").fit(
        Values(values), labelled(scene[1], 2), progress=lambda *now: told.append(now)
    )
    losses = learner.history["val_loss"]
    assert len(losses) < 60
    assert learner.chosen["epoch"] == int(np.argmin(losses)) + 1 == len(losses) - 2
    assert learner.temperature != 1
    assert learner.chosen["train"] == 360 > learner.chosen["held"] > 0
    assert [now[0] for now in told].count("training again") == learner.chosen["epoch"]


@pytest.mark.parametrize("balance", ["root", "weights", "sampling"])
def test_a_rare_class_is_found_more_often(balance: str) -> None:
    rng = np.random.default_rng(3)
    ids = (rng.random((40, 40)) < 0.06).astype(np.int32) + 1
    values = (ids[..., None] * 0.8 + rng.normal(size=(40, 40, 6))).astype(np.float32)
    pixels = labelled(ids, 2)
    found = []
    for how in ("none", balance):
        learner = make_net(f"spectral1d,epochs=8,held=0,width=0.25,balance={how}")
        learner.fit(Values(values), pixels)
        found.append(int((learner.scores(values).argmax(-1) == 1).sum()))
    assert found[1] > found[0]


def test_one_class_and_wrong_places_are_refused(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    values, ids = scene
    with pytest.raises(SamplesError, match="two classes or more, and there are 1"):
        quick().fit(Values(values), labelled(np.ones_like(ids)))
    with pytest.raises(SamplesError, match="outside the scene"):
        quick().fit(Values(values[:20]), labelled(ids))
    with pytest.raises(SamplesError, match="not trained; call fit"):
        quick().scores(values)
    with pytest.raises(SamplesError, match=r"no longer a number in epoch \d+; choose a lower"):
        quick(lr=10, decay=10, epochs=30, held=0).fit(Values(values), labelled(ids))


def test_from_a_cube_to_posteriors(scene: tuple[Floats, NDArray[np.int32]]) -> None:
    values = scene[0].copy()
    values[10:13, 10:13] = np.nan
    labels = PixelLabels(
        np.where(np.isnan(values[..., 0]), 0, scene[1]).astype(np.int32), ("a", "b", "c")
    )
    cube = Cube.of_array(values)
    stack = FeatureStack.fit(["pca:components=6"], cube)
    learner = parse_learner("net:cnn2d,patch=5,epochs=6,width=0.5,lr=4e-3,batch=16", 1)
    with stack.over(cube) as live:
        learner.fit(live, labels.pixels(np.indices(labels.shape).sum(0) % 9 == 0))
        again = restore_learner(learner.kind, learner.settings(), learner.files())
        found = np.zeros(labels.shape, np.int32)
        for block in posterior_blocks(live, again):
            told = again.classes_[block.probabilities.argmax(-1)]
            found[block.rows, block.cols] = np.where(block.valid, told, 0)
    assert (found[10:13, 10:13] == 0).all()
    assert (found == labels.ids)[labels.labelled].mean() > 0.8


def test_texts_are_read_and_written() -> None:
    settings = parse_net("net:hybridsn,patch=7,epochs=5,held=0.1,refit=yes,balance=root", seed=9)
    assert (settings.patch, settings.epochs, settings.refit, settings.seed) == (7, 5, True, 9)
    assert parse_net(settings.text) == settings
    assert parse_net("ssrn").patch == KINDS["ssrn"].defaults["patch"]
    assert parse_net("ssrn,seed=3", seed=9).seed == 3
    assert make_net("net:cnn2d,patch=11").window == 11


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("net:vgg", "no network 'vgg'; choose one of spectral1d"),
        ("cnn2d,depth=3", "no option 'depth'"),
        ("cnn2d,net=ssrn", "no option 'net'"),
        ("cnn2d,9", "'9' in 'cnn2d,9' is no option"),
        ("cnn2d,patch=big", "give a whole number"),
        ("cnn2d,lr=fast", "give a number"),
        ("cnn2d,refit=1", "give yes or no"),
        ("cnn2d,refit=yes", "refit needs pixels that decide the epoch; give held"),
        ("cnn2d,patch=8", "does not take patch=8; choose an odd number from 3 to 65"),
        ("spectral1d,patch=3", "does not take patch=3; choose 1"),
        ("cnn2d,lr=nan", "lr=nan is not from"),
        ("cnn2d,held=0.9", "held=0.9 is not from 0 to 0.5"),
        ("cnn2d,balance=best", "balance 'best' is not known; choose one of none, root"),
    ],
)
def test_what_is_not_understood_is_said(text: str, sentence: str) -> None:
    with pytest.raises(SamplesError, match=sentence):
        parse_net(text)
