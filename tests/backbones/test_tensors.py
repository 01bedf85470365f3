"""Files of tensors: the right one loads, every other one is refused in one sentence, and nothing
in a file ever runs.
"""

from __future__ import annotations

import os
import pickle
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from plain_lite0 import photos, relative_error
from terrapatch.backbones import get_backbone, overfeat
from terrapatch.backbones.build import random as random_network
from terrapatch.backbones.tensors import put, read_tensors
from terrapatch.errors import WeightsError

LITE0 = get_backbone("efficientnet_lite0")
SQUEEZE = get_backbone("squeezenet1_1")


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """The tensors of a small network as torchvision publishes them."""
    assert SQUEEZE.architecture is not None
    return dict(random_network(SQUEEZE.architecture, 5).state_dict())


def refusal(path: Path, backbone: Any = SQUEEZE) -> str:
    """Return the one sentence that refuses a file of weights."""
    with pytest.raises(WeightsError) as caught:
        backbone.ready(path).load(backbone.describe("last"), 64)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_the_packaged_file_is_the_one_described() -> None:
    ready = LITE0.ready()
    assert ready.found is not None
    assert LITE0.weights is not None
    assert ready.found.sha256 == LITE0.weights.sha256
    assert ready.found.path.name == LITE0.weights.name
    assert len(read_tensors(ready.found.path)) == 296


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "wrapped", "prefixed", "half"])
def test_every_published_format_gives_the_same_features(
    kind: str, published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path, tensors = tmp_path / "w.pth", published
    if kind == "half":
        tensors = {name: t.half() for name, t in tensors.items()}
    if kind == "safetensors":
        save_file(tensors, path)
    elif kind == "wrapped":
        torch.save({"epoch": 3, "state_dict": {f"module.{n}": t for n, t in tensors.items()}}, path)
    elif kind == "prefixed":
        torch.save({f"backbone.{n}": t for n, t in tensors.items()}, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind != "legacy")
    layers = SQUEEZE.describe("stage1,last,logits")
    made = SQUEEZE.ready(path).load(layers, 64).features(photos())
    expected = get_backbone("squeezenet1_1:random5").load(layers, 64).features(photos())
    assert relative_error(made, expected) <= (1e-2 if kind == "half" else 1e-6)


def test_another_classifier_is_left_out_and_its_logits_refused(
    published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    own = published | {
        "classifier.1.weight": torch.zeros(21, 512, 1, 1),
        "classifier.1.bias": torch.zeros(21),
    }
    bare = {n: t for n, t in published.items() if not n.startswith("classifier.")}
    for tensors in (own, bare):
        torch.save(tensors, tmp_path / "w.pth")
        ready = SQUEEZE.ready(tmp_path / "w.pth")
        assert ready.load(SQUEEZE.describe("last"), 64).features(photos(1)).any()
        with pytest.raises(WeightsError, match="holds no classifier of squeezenet1_1"):
            ready.load(SQUEEZE.describe("logits"), 64)


def test_names_of_2017_are_brought_up_to_date(tmp_path: Path) -> None:
    dense = get_backbone("densenet121")
    assert dense.architecture is not None
    new = random_network(dense.architecture, 2).state_dict()
    old = {}
    for name, tensor in new.items():
        for word in ("norm", "relu", "conv"):
            for digit in "12":
                name = name.replace(f".{word}{digit}.", f".{word}.{digit}.")
        if not name.endswith("num_batches_tracked"):  # unknown in 2017
            old[name] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "w.pth")
    made = dense.ready(tmp_path / "w.pth").load(dense.describe("last"), 64).features(photos(1))
    twin = get_backbone("densenet121:random2").load(dense.describe("last"), 64)
    assert relative_error(made, twin.features(photos(1))) <= 1e-6


@pytest.mark.parametrize(("name", "extra"), [("googlenet", "aux1"), ("inception_v3", "AuxLogits")])
def test_auxiliary_classifiers_are_left_out(name: str, extra: str, tmp_path: Path) -> None:
    from torchvision.models import get_model

    whole = get_model(name, weights=None, aux_logits=True, init_weights=False).state_dict()
    assert any(n.startswith(extra) for n in whole)
    torch.save(whole, tmp_path / "w.pth")
    backbone = get_backbone(name)
    embedder = backbone.ready(tmp_path / "w.pth").load(backbone.describe("last"), 96)
    assert np.isfinite(embedder.features(photos(1, side=96))).all()


def test_the_networks_of_google_are_given_what_torchvision_makes_of_its_own_input() -> None:
    """torchvision rescales the input inside these two networks once they have weights."""
    from torchvision.models import get_model

    for name in ("googlenet", "inception_v3"):
        backbone = get_backbone(f"{name}:random")
        assert backbone.architecture is not None
        assert backbone.contract is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            theirs = get_model(name, weights=None, aux_logits=False, init_weights=False)
        theirs.load_state_dict(random_network(backbone.architecture, 0).state_dict())
        theirs.transform_input = True
        patches = photos(2, side=96)
        usual = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
        given = (torch.from_numpy(patches).float() / 255 - usual[0]) / usual[1]
        with torch.no_grad():
            expected = theirs.eval()(given).numpy()
        made = backbone.load(backbone.describe("logits"), 96).features(patches)
        assert relative_error(made, expected) <= 1e-4


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "features.0.bias"}, "is missing"),
        (lambda t: t | {"features.99.weight": torch.ones(1)}, "is not one of its tensors"),
        (lambda t: t | {"features.0.weight": torch.ones(64, 4, 3, 3)}, r"not \(64, 3, 3, 3\)"),
        (lambda t: {"weight": torch.ones(2)}, "and 50 more differences"),
        (lambda t: {}, "is missing"),
    ],
)
def test_another_networks_weights(
    change: Any, detail: str, published: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(change(published), tmp_path / "w.pth")
    message = refusal(tmp_path / "w.pth")
    assert "holds the weights of another network than squeezenet1_1" in message
    assert re.search(detail, message), message


def test_weights_in_order_have_to_fit(tmp_path: Path) -> None:
    for tensors in ({"a.weight": torch.ones(2, 3)}, {"a.weight": torch.ones(32, 3, 3, 3)}):
        torch.save(tensors, tmp_path / "w.pth")
        assert "another network (1 tensors, 296 are needed" in refusal(tmp_path / "w.pth", LITE0)


@pytest.mark.parametrize("thing", [[torch.ones(1)], {"a": 1}, torch.ones(3), "text"])
def test_a_file_of_something_else(tmp_path: Path, thing: Any) -> None:
    torch.save(thing, tmp_path / "w.pth")
    assert "is not a table of tensors" in refusal(tmp_path / "w.pth")


def test_damaged_files(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(published, tmp_path / "whole.pth")
    save_file(published, tmp_path / "whole.safetensors")
    for whole in (tmp_path / "whole.pth", tmp_path / "whole.safetensors"):
        data = whole.read_bytes()
        for cut in (len(data) // 2, len(data) - 1, 20, 5, 0):
            path = tmp_path / f"cut{whole.suffix}"
            path.write_bytes(data[:cut])
            message = refusal(path)
            assert "cannot be read as weights" in message or "is not a table" in message
    noise = np.random.default_rng(0).bytes(4096)
    (tmp_path / "noise.pth").write_bytes(noise)
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html>Not found</html>")
    for name in ("noise.pth", "page.pth"):
        assert "cannot be read as weights" in refusal(tmp_path / name)


class Trap:
    """An object whose loading would run code."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trapped"),))


class Shell:
    """An object whose loading would run a program."""

    def __reduce__(self) -> Any:
        return (os.system, ("touch trapped",))


@pytest.mark.parametrize("trap", [Trap(), Shell()])
def test_loading_never_runs_code(
    trap: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": trap}, "zip.pth")
    torch.save({"weight": trap}, "old.pth", _use_new_zipfile_serialization=False)
    Path("plain.pth").write_bytes(pickle.dumps({"weight": trap}, protocol=2))
    Path("newer.pth").write_bytes(pickle.dumps({"weight": trap}, protocol=5))
    with tarfile.open("tar.pth", "w") as archive:
        archive.add("plain.pth", "storages")
        archive.add("plain.pth", "tensors")
        archive.add("plain.pth", "pickle")
    for name in ("zip.pth", "old.pth", "plain.pth", "newer.pth", "tar.pth"):
        assert "cannot be read as weights" in refusal(tmp_path / name)
    assert not Path("trapped").exists()
    # The trap is real: whoever loads it in the old way runs it.
    with Path("plain.pth").open("rb") as stream:
        pickle.load(stream)
    assert Path("trapped").exists()


def test_the_authors_overfeat_file(tmp_path: Path) -> None:
    """Bare numbers: filters, then biases, layer by layer."""
    shapes = [tuple(t.shape) for t in overfeat.build_meta().values()]
    assert shapes[:2] == [(96, 3, 11, 11), (96,)]
    total = sum(int(np.prod(s)) for s in shapes)
    assert total == 145_920_872
    path = tmp_path / "net_weight_0"
    numbers = np.memmap(path, "<f4", "w+", shape=(total,))
    numbers[:] = 0
    numbers[: 96 * 363] = np.linspace(-1, 1, 96 * 363)
    numbers[34848:34944] = np.arange(96)
    numbers[34944] = 5.0  # the first filter of the second layer
    numbers[-1] = 7.0  # the last bias of the last
    numbers.flush()
    read = overfeat.read_original(path)
    assert read["conv1.0.weight"].flatten()[0] == -1
    assert read["conv1.0.bias"].tolist() == list(range(96))
    assert read["conv2.0.weight"].flatten()[0] == 5
    assert read["logits.0.bias"][-1] == 7
    backbone = get_backbone("overfeat")
    made = backbone.ready(path).load(backbone.describe("conv1"), 231).features(photos(1, side=231))
    assert made.shape == (1, 192)
    with path.open("r+b") as stream:
        stream.truncate(4 * total - 4)
    assert "is 583,683,484 bytes long but the authors' net_weight_0" in refusal(path, backbone)


def test_put_says_whether_there_was_a_classifier(published: dict[str, torch.Tensor]) -> None:
    assert SQUEEZE.architecture is not None
    network = random_network(SQUEEZE.architecture, 0)
    assert put(network, SQUEEZE.architecture, dict(published), Path("w"))
    rest = {n: t for n, t in published.items() if "classifier" not in n}
    assert not put(network, SQUEEZE.architecture, rest, Path("w"))
