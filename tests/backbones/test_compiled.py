"""A compiled network gives what it gives uncompiled, for full batches and for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import terrapatch
from plain_lite0 import photos
from terrapatch.backbones import get_backbone
from terrapatch.backbones.compiled import CompiledEmbedder, pays, try_compiled
from terrapatch.backbones.network import NetworkEmbedder, filled
from terrapatch.errors import BackboneError, RecipeError
from terrapatch.features import plan as plans


@pytest.fixture(scope="module")
def network() -> NetworkEmbedder:
    """A small network with two taps."""
    backbone = get_backbone("lenet5:random")
    return backbone.load(backbone.describe("conv1,conv3"), 32, "cpu", "fp32")


def test_the_numbers_are_the_same(network: NetworkEmbedder) -> None:
    patches = photos(12, 40, "uint8")
    plain = network.features(patches)
    fast = CompiledEmbedder(network, 8)
    np.testing.assert_allclose(fast.features(patches[:8]), plain[:8], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(fast.features(patches[8:]), plain[8:])
    np.testing.assert_array_equal(network.features(patches), plain)
    assert fast.groups == network.groups


def test_what_cannot_be_compiled_says_so(
    network: NetworkEmbedder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no C++ compiler\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    patches = photos(8, 32, "uint8")
    with pytest.raises(BackboneError, match=r"cannot be compiled here \(no C\+\+ compiler\)"):
        try_compiled(network, patches, 8, 100.0, "on")
    caplog.set_level("INFO", logger="terrapatch")
    assert try_compiled(network, patches, 8, 100.0, "auto") is None
    assert "not compiled: no C++ compiler" in caplog.text


def test_it_is_dropped_where_it_gains_nothing_or_disagrees(
    network: NetworkEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = photos(8, 32, "uint8")
    monkeypatch.setattr(torch, "compile", lambda whole, **_: whole)
    assert try_compiled(network, patches, 8, 1e12, "auto") is None
    assert try_compiled(network, patches, 8, 1e-9, "auto") is not None
    assert try_compiled(network, patches, 8, 1e12, "on") is not None
    monkeypatch.setattr(torch, "compile", lambda whole, **_: lambda x: whole(x).flip(1))
    assert try_compiled(network, patches, 8, 1e-9, "on") is None


def test_long_runs_pay() -> None:
    assert not pays(30)
    assert pays(1000)


def test_embed_compiles_when_asked_and_goes_on_as_begun(
    make_raster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_raster(height=96, width=96)
    how: dict[str, Any] = {"size": 32, "stride": 16, "backbone": "lenet5:random", "batch": 8}
    how |= {"precision": "fp32"}
    monkeypatch.setattr(torch, "compile", lambda whole, **_: whole)
    plain = terrapatch.embed(scene, tmp_path / "plain.zarr", **how)
    fast = terrapatch.embed(scene, tmp_path / "fast.zarr", compile="on", **how)
    assert "compiled" not in plain.recipe.execution
    assert fast.recipe.execution["compiled"] is True
    assert fast.recipe.space == plain.recipe.space
    a, b = (f.read(slice(None), slice(None)) for f in (plain, fast))
    np.testing.assert_allclose(a, b, rtol=1e-2)
    monkeypatch.setattr(plans, "unfinished_recipe", lambda _: fast.recipe)
    again = terrapatch.features.prepare(scene, tmp_path / "fast.zarr", **how)
    assert again.recipe.fingerprint == fast.recipe.fingerprint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compile": "maybe"}, "compile 'maybe' is not known; choose auto, on, off"),
        ({"compile": "on", "backbone": "imagestats"}, "imagestats is not compiled"),
        ({"compile": "on", "mode": "dense", "layers": "conv1"}, "the dense mode is not compiled"),
    ],
)
def test_options_that_cannot_be(
    make_raster: Any, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    how = {"size": 32, "backbone": "lenet5:random"} | options
    with pytest.raises(RecipeError, match=said):
        terrapatch.embed(make_raster(), tmp_path / "f.zarr", **how)


def test_batches_are_filled_to_few_lengths() -> None:
    lengths = [filled(n) for n in range(1, 257)]
    assert all(n <= made for n, made in enumerate(lengths, 1))
    assert all(made <= max(n * 1.25, n + 3) for n, made in enumerate(lengths, 1))
    assert len(set(lengths)) <= 26
