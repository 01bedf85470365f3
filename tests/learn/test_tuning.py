"""Fine-tuning on a tiny network: what is trained, what is kept, and what a resumed run gives."""

from __future__ import annotations

import csv
import json
import pickle
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

from terrapatch.backbones import get_backbone
from terrapatch.backbones.architecture import Architecture
from terrapatch.backbones.contract import RGB, InputContract
from terrapatch.backbones.registry import network
from terrapatch.errors import BackboneError, OutputError, RecipeError, SamplesError
from terrapatch.learn.tuning import Augment, History, Plan, Tuned, tune
from terrapatch.learn.tuning.feeding import MAPS
from terrapatch.learn.tuning.inputs import Scaler
from terrapatch.learn.tuning.network import TunedNetwork
from terrapatch.learn.tuning.prefix import Prefix

SIDE = 32
CLASSES = ("field", "forest", "water")
STAGES = ("stem", "stage1", "stage2", "head")


def _stage(given, made, stride):
    conv = nn.Conv2d(given, made, 3, stride, 1, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(made), nn.ReLU())


def _chain():
    """A chain of stages, with dropout in the last."""
    head = nn.Sequential(_stage(12, 16, 1), nn.Dropout(0.1))
    parts = OrderedDict(
        stem=_stage(3, 6, 2), stage1=_stage(6, 8, 2), stage2=_stage(8, 12, 2), head=head
    )
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(OrderedDict(**parts, pool=pool, classifier=nn.Linear(16, 10)))


class _Skipping(nn.Module):
    """The same stages, but the first is looked at again by the last: no chain."""

    def __init__(self):
        super().__init__()
        self.chain = _chain()

    def forward(self, x):
        low = self.chain.stem(x)
        high = self.chain.stage2(self.chain.stage1(low))
        made = self.chain.head(high + low.mean() * 0.1)
        return self.chain.classifier(self.chain.pool(made))


def _backbone(build=_chain, prefix="", **contract):
    stages = tuple((name, prefix + name) for name in STAGES)
    architecture = Architecture(
        name="tiny",
        summary="a tiny network",
        citation="none",
        build=build,
        stages=(*stages, ("logits", f"{prefix}classifier")),
        classifier=f"{prefix}classifier",
        packages=("torch",),
    )
    takes = InputContract(RGB, (120.0, 110.0, 100.0), (60.0, 50.0, 55.0), **contract)
    return replace(network("tiny:random", architecture, takes, None), seed=4)


TINY = _backbone()


def _images(count, seed=0):
    """Stripes of three directions in three colours, with noise."""
    rng = np.random.default_rng(seed)
    ids = np.arange(count) % 3 + 1
    wave = np.sin(np.arange(SIDE) / 2)
    shapes = [np.tile(wave, (SIDE, 1)), np.tile(wave[:, None], (1, SIDE)), np.zeros((SIDE, SIDE))]
    images = [110 + 20 * np.stack([shapes[i - 1]] * 3) for i in ids]
    for image, i in zip(images, ids, strict=True):
        image[i - 1] += 25
    made = np.stack(images) + rng.normal(0, 12, (count, 3, SIDE, SIDE))
    return np.clip(made, 0, 255).astype(np.uint8), ids


TRAIN, TRAIN_IDS = _images(30)
VAL, VAL_IDS = _images(12, seed=1)
QUICK = {
    "strategy": "part",
    "freeze": 2,
    "epochs": 4,
    "head_epochs": 1,
    "batch": 8,
    "lr": 3e-3,
    "input_size": SIDE,
    "device": "cpu",
}


def _tune(out, backbone=TINY, **options):
    return tune(TRAIN, TRAIN_IDS, VAL, VAL_IDS, CLASSES, backbone, out=out, **(QUICK | options))


def _same(one, other):
    pairs = zip(one.items(), other.items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def _everything(tuned):
    return tuned.network.tensors(0)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """On tensors this small, threads wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """One run that was not interrupted, with maps kept."""
    folder = tmp_path_factory.mktemp("plain")
    return folder, _tune(folder, strategy="gradual")


def test_it_learns_and_writes_its_curves(plain):
    folder, tuned = plain
    assert tuned.history.val_accuracy[tuned.history.best] > 0.9
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == tuned.history.val_loss
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert set(tuned.history.as_dict()) >= {
        "train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr"
    }  # fmt: skip
    assert not list((folder / MAPS).iterdir())


def test_the_weights_of_the_best_epoch_are_kept(plain):
    _, tuned = plain
    scores = tuned.logits(VAL)
    loss = nn.functional.cross_entropy(torch.from_numpy(scores), torch.from_numpy(VAL_IDS - 1))
    assert float(loss) == pytest.approx(min(tuned.history.val_loss), abs=2e-3)
    assert (tuned.classify(VAL) == VAL_IDS).mean() == max(
        a
        for a, b in zip(tuned.history.val_accuracy, tuned.history.val_loss, strict=True)
        if b == min(tuned.history.val_loss)
    )


@pytest.mark.parametrize("name", ["efficientnet_lite0", "tiny"])
def test_untrained_it_gives_what_the_frozen_path_gives(name):
    backbone = TINY if name == "tiny" else get_backbone(name).ready(offline=True)
    side = 64
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 50, 50), np.uint8)
    tuned = TunedNetwork(backbone, side, 2)
    x = Scaler(backbone, side, torch.device("cpu"))(images)
    with torch.no_grad():
        found = tuned.features(x).numpy()
    expected = backbone.load(backbone.describe("last", "mean"), side).features(images)
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize(
    "contract",
    [{"order": (2, 1, 0)}, {"interpolation": "bicubic"}, {"interpolation": "bilinear"}],
)
def test_input_is_scaled_as_the_frozen_path_scales_it(contract):
    backbone = _backbone(**contract)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 45, 45), np.uint8)
    embedder = backbone.load(backbone.describe("last", "mean"), 40)
    found = Scaler(backbone, 40, torch.device("cpu"))(images)
    assert torch.equal(found, embedder.scaled(images))


def test_grey_input_is_scaled_as_the_frozen_path_scales_it():
    backbone = get_backbone("lenet5:random")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8)
    embedder = backbone.load(backbone.describe("last", "mean"), 32)
    found = Scaler(backbone, 32, torch.device("cpu"))(images)
    assert found.shape == (2, 1, 32, 32)
    assert torch.equal(found, embedder.scaled(images))


@pytest.mark.parametrize("batch_norm", ["running", "batch"])
def test_frozen_stages_and_their_statistics_are_untouched(tmp_path, batch_norm):
    before = TunedNetwork(TINY, SIDE, 3).tensors(0)
    tuned = _tune(tmp_path, batch_norm=batch_norm, augment="light", smoothing=0.0)
    after = _everything(tuned)
    for name, tensor in after.items():
        if name.startswith(("trunk.stem", "trunk.stage1")):
            assert torch.equal(tensor, before[name]), name
    learned = not torch.equal(
        after["trunk.stage2.1.running_mean"], before["trunk.stage2.1.running_mean"]
    )
    assert learned == (batch_norm == "batch")
    assert not torch.equal(after["trunk.stage2.0.weight"], before["trunk.stage2.0.weight"])


def test_lower_stages_learn_more_slowly(tmp_path):
    before = TunedNetwork(TINY, SIDE, 3).tensors(0)
    options = {"epochs": 1, "head_epochs": 0, "decay": 0.0, "lr": 1e-3, "discriminative": 50.0}
    after = _everything(_tune(tmp_path, **options))
    names = ("trunk.stage2.0.weight", "trunk.head.0.0.weight")
    low, high = (float((after[name] - before[name]).abs().mean()) for name in names)
    assert high / low == pytest.approx(50, rel=0.5)


def test_the_recipe_of_the_lectures(tmp_path):
    """Flattened maps, a layer of its own, half of it dropped out."""
    options = {"strategy": "extractor", "freeze": None, "lr": 1e-3}
    tuned = _tune(tmp_path, pooling="flatten", hidden=24, dropout=0.5, **options)
    assert tuned.network.head[0].in_features == 16 * 4 * 4
    assert tuned.network.head[2].p == 0.5
    again = Tuned.load(tuned.save(tmp_path / "model"), backbone=TINY)
    assert np.array_equal(again.predict(VAL), tuned.predict(VAL))


def test_modes_follow_the_stages():
    tuned = TunedNetwork(TINY, SIDE, 3, batch_norm="batch")
    tuned.open_from(2)
    tuned.train()
    norms = [m.training for m in tuned.trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms == [False, False, True, True]
    assert tuned.head[0].training
    opened = {n for n, p in tuned.trunk.named_parameters() if p.requires_grad}
    assert {n.split(".")[0] for n in opened} == {"stage2", "head"}
    tuned.eval()
    assert not any(m.training for m in tuned.modules())


def test_an_extractor_trains_the_head_alone(tmp_path):
    before = TunedNetwork(TINY, SIDE, 3, seed=0).tensors(0)
    after = _everything(_tune(tmp_path, strategy="extractor", freeze=None))
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"head.1.weight", "head.1.bias"}


@pytest.mark.parametrize(
    ("stop", "options"),
    [
        (1, {"strategy": "gradual", "augment": "d4"}),
        (3, {"strategy": "all", "freeze": None, "augment": "light", "batch_norm": "batch"}),
        (2, {"strategy": "extractor", "freeze": None, "augment": "none"}),
    ],
)
def test_a_resumed_run_equals_one_that_was_not_interrupted(tmp_path, stop, options):
    whole = _tune(tmp_path / "whole", **options)

    def interrupt(stage, done, _total):
        if stage == "tune" and done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _tune(tmp_path / "parts", progress=interrupt, **options)
    torch.manual_seed(99)  # whatever the caller's chance is
    seen = []
    resumed = _tune(
        tmp_path / "parts",
        progress=lambda s, d, _: seen.append(d) if s == "tune" else None,
        **options,
    )
    assert seen == list(range(stop + 1, 5))
    assert resumed.history == whole.history
    assert _same(_everything(resumed), _everything(whole))
    csvs = [(tmp_path / f / "history.csv").read_bytes() for f in ("whole", "parts")]
    assert csvs[0] == csvs[1]


def test_a_finished_run_is_not_done_again(plain):
    folder, tuned = plain
    seen = []
    again = _tune(folder, strategy="gradual", progress=lambda *told: seen.append(told))
    assert seen == []
    assert again.history == tuned.history
    assert _same(_everything(again), _everything(tuned))


def test_a_run_may_go_on_without_kept_maps(tmp_path, plain):
    def interrupt(stage, done, _total):
        if stage == "tune" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _tune(tmp_path, strategy="gradual", progress=interrupt)
    resumed = _tune(tmp_path, strategy="gradual", cache_bytes=0)
    assert resumed.history.val_loss[:2] == plain[1].history.val_loss[:2]
    assert resumed.history.val_loss == pytest.approx(plain[1].history.val_loss, rel=0.02)


def test_killed_while_maps_are_made(tmp_path, plain):
    def interrupt(stage, _done, _total):
        if stage == "maps":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _tune(tmp_path, strategy="gradual", progress=interrupt)
    assert list((tmp_path / MAPS).iterdir())
    assert _same(_everything(_tune(tmp_path, strategy="gradual")), _everything(plain[1]))


def test_kept_maps_change_nothing_but_rounding(tmp_path, plain):
    computed = _tune(tmp_path, strategy="gradual", cache_bytes=0)
    assert not (tmp_path / MAPS).exists()
    assert computed.history.val_loss == pytest.approx(plain[1].history.val_loss, rel=0.02)
    assert computed.history.train_loss == pytest.approx(plain[1].history.train_loss, rel=0.02)


@pytest.mark.parametrize("frozen", [1, 2, 3])
def test_the_cut_network_continues_from_the_maps(frozen):
    tuned = TunedNetwork(TINY, SIDE, 3)
    scaler = Scaler(TINY, SIDE, torch.device("cpu"))
    x = scaler(TRAIN[:4])
    with torch.no_grad():
        expected = tuned(x)
        names = list(tuned.state_dict())
        prefix = Prefix(tuned, TINY.architecture, frozen, scaler, 3, torch.device("cpu"))
        cut = prefix.cut()
        maps = prefix([*TRAIN[:4]])
        found = tuned(maps)
        assert torch.allclose(found, expected, atol=1e-4)
        assert len(tuned.trunk.state_dict()) < len(names) - 5 * frozen
        cut.put_back()
        assert torch.equal(tuned(x), expected)
        assert list(tuned.state_dict()) == names


def test_a_network_that_is_no_chain_is_not_cut(tmp_path):
    backbone = _backbone(_Skipping, "chain.")
    tuned = TunedNetwork(backbone, SIDE, 3)
    scaler = Scaler(backbone, SIDE, torch.device("cpu"))
    assert Prefix(tuned, backbone.architecture, 2, scaler, 3, torch.device("cpu")).cut() is None
    assert torch.isfinite(tuned(scaler(TRAIN[:2]))).all()
    run = _tune(tmp_path, backbone, epochs=1)
    assert not (tmp_path / MAPS).exists()
    assert len(run.history) == 1


def test_early_stopping(tmp_path):
    tuned = _tune(tmp_path, strategy="extractor", freeze=None, epochs=60, lr=0.09, patience=2)
    history = tuned.history
    assert len(history) < 60
    assert len(history) - 1 - history.best == 2


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_paths_and_arrays_give_the_same(tmp_path, plain):
    paths = {}
    for name, images in (("train", TRAIN), ("val", VAL)):
        paths[name] = [tmp_path / f"{name}{i:02}.png" for i in range(len(images))]
        for path, image in zip(paths[name], images, strict=True):
            with rasterio.open(
                path, "w", driver="PNG", width=SIDE, height=SIDE, count=3, dtype="uint8"
            ) as out:
                out.write(image)
    options = QUICK | {"strategy": "gradual"}
    tuned = tune(
        paths["train"], TRAIN_IDS, paths["val"], VAL_IDS, CLASSES, TINY,
        out=tmp_path / "out", **options,
    )  # fmt: skip
    assert _same(_everything(tuned), _everything(plain[1]))
    odd = tmp_path / "odd.png"
    with rasterio.open(
        odd, "w", driver="PNG", width=SIDE + 9, height=50, count=3, dtype="uint8"
    ) as f:
        f.write(np.full((3, 50, SIDE + 9), 90, np.uint8))
    assert tuned.predict([odd, *paths["val"][:2]]).sum(1) == pytest.approx(1.0, abs=1e-5)


def test_saved_and_loaded(tmp_path, plain):
    _, tuned = plain
    folder = tuned.save(tmp_path / "model")
    again = Tuned.load(folder, backbone=TINY)
    assert np.array_equal(again.predict(VAL), tuned.predict(VAL))
    assert again.classes == CLASSES
    assert again.history == tuned.history
    assert again.description == tuned.description
    first = [(folder / name).read_bytes() for name in ("model.json", "head.safetensors")]
    again.save(folder, overwrite=True)
    assert first == [(folder / n).read_bytes() for n in ("model.json", "head.safetensors")]
    with pytest.raises(OutputError, match="already"):
        tuned.save(folder)


def test_a_wholly_trained_network_needs_no_weights_file(tmp_path):
    tuned = _tune(tmp_path, strategy="all", freeze=None, epochs=1)
    folder = tuned.save(tmp_path / "model")
    other = replace(TINY, seed=5)
    assert np.array_equal(Tuned.load(folder, backbone=other).predict(VAL), tuned.predict(VAL))


def test_damaged_and_foreign_models_are_refused(tmp_path, plain):
    folder = plain[1].save(tmp_path / "model")
    with pytest.raises(RecipeError, match="with the weights"):
        Tuned.load(folder, backbone=replace(TINY, seed=5))
    with pytest.raises(RecipeError, match="no whole model"):
        Tuned.load(tmp_path)
    head = folder / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RecipeError, match="damaged"):
        Tuned.load(folder, backbone=TINY)
    told = json.loads((folder / "model.json").read_text())
    told["model"]["classes"] = ["a", "b", "c"]
    (folder / "model.json").write_text(json.dumps(told))
    with pytest.raises(RecipeError, match="changed"):
        Tuned.load(folder, backbone=TINY)


class _Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemError('ran')",))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_with_code_or_of_another_run_is_refused(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps({"key": _Harmful()}))
    with pytest.raises(RecipeError, match="could run code"):
        _tune(tmp_path)
    (tmp_path / "checkpoint.pt").unlink()
    _tune(tmp_path, epochs=1)
    with pytest.raises(RecipeError, match="other images, settings"):
        _tune(tmp_path, epochs=1, lr=1e-3)
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(RecipeError, match=r"checkpoint\.pt"):
        _tune(tmp_path, epochs=1)


def test_mixed_precision_stays_close(tmp_path, plain):
    tuned = _tune(tmp_path, strategy="gradual", precision="bf16")
    assert all(t.dtype in (torch.float32, torch.int64) for t in _everything(tuned).values())
    assert tuned.history.val_accuracy[-1] > 0.9
    assert tuned.history.val_loss != plain[1].history.val_loss


def test_averaging_over_turns_forgets_the_turn(plain):
    _, tuned = plain
    turned = np.ascontiguousarray(np.rot90(VAL, 1, axes=(2, 3)))
    one, other = (tuned.predict(images, average="d4") for images in (VAL, turned))
    assert np.abs(one - other).max() < 1e-5
    assert np.abs(tuned.predict(VAL) - tuned.predict(turned)).max() > 1e-4


def test_the_plan_by_hand():
    plan = Plan.of("gradual", 4, 1, epochs=10, head_epochs=2, lr=0.01, discriminative=2.0)
    assert [plan.lowest(e) for e in range(10)] == [4, 4, 3, 3, 2, 1, 1, 1, 1, 1]
    assert plan.fully_open == 5
    assert [plan.rate(1.5, s) for s in (3, 4)] == [0.0, pytest.approx(0.1)]
    assert [plan.rate(2.0, s) for s in (4, 3, 2, 1)] == pytest.approx([0.01, 0.01, 0.005, 0.0025])
    assert plan.rate(6.0, 3) == pytest.approx(0.005)
    assert plan.rate(10.0, 3) == pytest.approx(0.0)
    part = Plan.of("part", 4, 3, epochs=3, head_epochs=1, lr=0.01, discriminative=1.0)
    assert [part.lowest(e) for e in range(3)] == [4, 3, 3]
    assert [Plan.of("all", 4, None, 3, 0, 0.01, 1).lowest(e) for e in range(3)] == [0, 0, 0]
    assert Plan.of("extractor", 4, None, 3, 0, 0.01, 1).lowest(2) == 4


def test_history_reads_back():
    history = History()
    for loss in (3.0, 1.0, 1.0):
        history.add(train_loss=1, val_loss=loss, train_accuracy=0, val_accuracy=0, lr=1, lowest=2)
    assert history.best == 1
    assert History.from_dict(history.as_dict()) == history
    with pytest.raises(ValueError, match="incomplete"):
        History.from_dict({"lr": [1.0]})


@pytest.mark.parametrize(
    ("options", "fault", "told"),
    [
        ({"strategy": "some"}, SamplesError, "no strategy 'some'"),
        ({"strategy": "all", "freeze": 2}, SamplesError, "contradicts"),
        ({"freeze": 9}, SamplesError, "choose 0 to 4"),
        ({"lr": 3.0}, SamplesError, "learning rate"),
        ({"epochs": 0}, SamplesError, "epochs is at least 1"),
        ({"discriminative": 0.5}, SamplesError, "discriminative"),
        ({"precision": "fp16"}, SamplesError, "fp32, bf16"),
        ({"dropout": 1.0}, SamplesError, "dropout=1.0 is not"),
        ({"augment": "swirl"}, SamplesError, "swirl"),
        ({"rate": 0.1}, SamplesError, "no setting 'rate'"),
        ({"backbone": get_backbone("imagestats")}, BackboneError, "no network"),
        ({"input_size": 3}, BackboneError, "input size"),
    ],
)
def test_bad_settings_are_refused(tmp_path, options, fault, told):
    with pytest.raises(fault, match=told):
        _tune(tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train_ids": np.ones(30, int)}, "at least two classes"),
        ({"train_ids": np.arange(30) % 2 + 1}, "no training image is of the class 'water'"),
        ({"train_ids": TRAIN_IDS - 1}, "class id 0"),
        ({"val_ids": VAL_IDS[:3]}, "12 validation images need as many"),
        ({"val_images": VAL.astype(float)}, "float64"),
        ({"val_images": VAL[:0], "val_ids": VAL_IDS[:0]}, "no validation image"),
        ({"train_images": TRAIN[:, :2]}, "3 bands and these have 2"),
        ({"val_images": ["nowhere.png"] * 12}, "nowhere.png"),
    ],
)
def test_bad_samples_are_refused(tmp_path, change, told):
    given = {
        "train_images": TRAIN, "train_ids": TRAIN_IDS, "val_images": VAL, "val_ids": VAL_IDS
    }  # fmt: skip
    with pytest.raises(SamplesError, match=told):
        tune(**(given | change), classes=CLASSES, backbone=TINY, out=tmp_path, **QUICK)


def test_a_rate_that_is_too_high_is_said(tmp_path):
    huge = TRAIN.copy()
    with pytest.raises(SamplesError, match="no longer a number"):
        tune(
            huge, TRAIN_IDS, VAL, VAL_IDS, CLASSES,
            _backbone(lambda: _scaled_up()), out=tmp_path, **QUICK,
        )  # fmt: skip


def _scaled_up():
    """A network whose features overflow."""
    made = _chain()
    nn.init.constant_(made.head[0][1].weight, 1e38)
    nn.init.constant_(made.head[0][1].bias, 1e38)
    return made


def test_what_happens_to_an_image_depends_on_its_number_alone():
    from terrapatch.learn.tuning.feeds import ImageFeed, shuffled
    from terrapatch.learn.tuning.images import Images

    feed = ImageFeed(
        Images(TRAIN), Scaler(TINY, SIDE, torch.device("cpu")), Augment.parse("full"), 3
    )
    by_number = {}
    for batch in (4, 7):
        for places, x in feed.batches(shuffled(30, batch, 0, 5), 5):
            for i, image in zip(places, x, strict=True):
                assert torch.equal(by_number.setdefault(int(i), image), image)
    assert sorted(by_number) == list(range(30))
    other = next(iter(feed.batches([np.arange(2)], 6)))[1]
    assert not torch.equal(other[0], by_number[0])
    sizes = [len(part) for part in shuffled(33, 8, 0, 0)]
    assert sizes == [8, 8, 8, 9]


def test_importing_the_package_is_light():
    code = (
        "import sys, terrapatch.learn.tuning as tuning; dir(tuning); tuning.Augment.parse('full'); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'lightning', 'scipy', 'sklearn')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_images_that_break_off_are_named(tmp_path):
    path = tmp_path / "short.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    with rasterio.open(
        path, "w", driver="JPEG", width=64, height=64, count=3, dtype="uint8"
    ) as out:
        out.write(noise)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(SamplesError, match=r"training image .*short\.jpg"):
        tune([path] * 30, TRAIN_IDS, VAL, VAL_IDS, CLASSES, TINY, out=tmp_path / "out", **QUICK)
