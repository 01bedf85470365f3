"""The network gives what plain timm gives; taps, table, sizes and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from plain_lite0 import TAPS, describe, maps, photos, plain_network, relative_error
from terrapatch.backbones import DEFAULT, Backbone, backbone_names, get_backbone
from terrapatch.errors import BackboneError

LITE0 = get_backbone("efficientnet_lite0")


@pytest.fixture(scope="module")
def everything() -> Any:
    """The network with all taps, at 64 px."""
    return LITE0.load(LITE0.describe("all"), 64)


def groups_of(features: NDArray[Any], groups: Any) -> dict[tuple[str, str], NDArray[Any]]:
    """Take a descriptor apart into mean and deviation of every layer."""
    out = {}
    for name, start, stop in groups:
        half = (start + stop) // 2
        out[name, "mean"], out[name, "std"] = features[:, start:half], features[:, half:stop]
    return out


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_tap_equals_plain_timm(everything: Any, dtype: str) -> None:
    patches = photos(dtype=dtype)
    ours = groups_of(everything.features(patches), everything.groups)
    theirs = describe(patches, TAPS)
    assert list(ours) == list(theirs)
    errors = {key: relative_error(ours[key], theirs[key]) for key in ours}
    assert max(errors.values()) <= 1e-5, errors


def test_resizing_is_bilinear_with_antialias() -> None:
    patches = photos(2, side=90)
    embedder = LITE0.load(LITE0.describe("stem,stage3"), 64)
    ours = groups_of(embedder.features(patches), embedder.groups)
    theirs = describe(patches, ("stem", "stage3"), size=64)
    assert max(relative_error(ours[key], theirs[key]) for key in theirs) <= 1e-5


def test_the_batch_given_is_left_alone(everything: Any) -> None:
    for dtype in ("uint8", "float32"):
        patches = photos(dtype=dtype)
        before = patches.copy()
        everything.features(patches)
        np.testing.assert_array_equal(patches, before)


def test_a_patch_does_not_depend_on_its_batch(everything: Any) -> None:
    patches = photos(5)
    together = everything.features(patches)
    alone = np.concatenate([everything.features(p[None]) for p in patches])
    assert relative_error(alone, together) <= 1e-5


def test_l2_brings_every_layer_to_unit_length(everything: Any) -> None:
    patches = photos()
    embedder = LITE0.load(LITE0.describe("all", l2=True), 64)
    scaled, plain = embedder.features(patches), everything.features(patches)
    for _, start, stop in embedder.groups:
        norm = np.linalg.norm(plain[:, start:stop], axis=1, keepdims=True)
        np.testing.assert_allclose(scaled[:, start:stop], plain[:, start:stop] / norm, atol=2e-6)


@pytest.mark.parametrize("pooling", ["mean", "std"])
def test_one_pooling_is_a_part_of_both(everything: Any, pooling: str) -> None:
    patches = photos(2)
    embedder = LITE0.load(LITE0.describe("stage2,head", pooling), 64)
    whole = groups_of(everything.features(patches), everything.groups)
    expected = np.concatenate([whole["stage2", pooling], whole["head", pooling]], axis=1)
    assert relative_error(embedder.features(patches), expected) <= 1e-6


def test_nothing_runs_after_the_last_tap(everything: Any) -> None:
    embedder = LITE0.load(LITE0.describe("stem,stage2"), 64)
    assert [n for n, _, _ in embedder.groups] == ["stem", "stage2"]
    ran: list[int] = []
    network = embedder._taps.network  # type: ignore[attr-defined]
    network.blocks[1].register_forward_hook(lambda *_: ran.append(1))
    network.blocks[2].register_forward_hook(lambda *_: ran.append(2))
    patches = photos(2)
    whole = groups_of(everything.features(patches), everything.groups)
    part = groups_of(embedder.features(patches), embedder.groups)
    assert ran == [1]
    assert max(relative_error(part[key], whole[key]) for key in part) <= 1e-6


def test_groups_cover_the_descriptor(everything: Any) -> None:
    stops = [stop for _, _, stop in everything.groups]
    assert [start for _, start, _ in everything.groups] == [0, *stops[:-1]]
    assert everything.features(photos(1)).shape == (1, stops[-1])
    assert everything.features(photos(1)).dtype == np.float32


def test_the_default_taps_all_stages_but_the_stem() -> None:
    assert DEFAULT == "efficientnet_lite0" == backbone_names()[0]
    assert LITE0.default.layers == TAPS[1:]
    assert LITE0.default.pooling == ("mean", "std")
    assert not LITE0.default.l2


def test_the_layer_table_is_what_the_network_gives() -> None:
    caught = maps(torch.zeros(1, 3, 96, 96))
    facts = LITE0.examine(96)
    named = [layer for layer in facts.layers if layer.name != "logits"]
    assert [layer.name for layer in named] == list(TAPS) == list(LITE0.layers[:-1])
    for layer in named:
        assert (layer.width, layer.map_size) == (
            caught[layer.name].shape[1],
            tuple(caught[layer.name].shape[2:]),
        )
        assert layer.stride == 96 // layer.map_size[0]
    assert facts.parameters == sum(p.numel() for p in plain_network().parameters())


def test_baseline_has_no_network_and_takes_any_bands() -> None:
    stats = get_backbone("imagestats")
    assert (stats.architecture, stats.channels, stats.weights) == (None, None, None)
    with pytest.raises(BackboneError, match="imagestats is no network"):
        stats.examine()
    assert LITE0.channels == 3


@pytest.mark.parametrize(
    ("patch", "side"),
    [((1, 1), 128), ((100, 128), 128), ((129, 40), 160), ((224, 224), 224), ((900, 10), 256)],
)
def test_input_size_is_the_patch_in_steps_of_32(patch: tuple[int, int], side: int) -> None:
    assert LITE0.input_size(patch) == side


def test_input_size_asked_for_is_taken_within_bounds() -> None:
    assert LITE0.input_size((10, 10), 96) == 96
    for side in (31, 0, -5, 2049):
        with pytest.raises(BackboneError, match="is not between 32 and 2048"):
            LITE0.input_size((10, 10), side)
    assert get_backbone("imagestats").input_size((7, 9)) is None


def test_descriptors_are_read_in_the_networks_order() -> None:
    assert LITE0.describe(" head, stage1,head ").layers == ("stage1", "head")
    assert LITE0.describe(["stage2"]).layers == ("stage2",)
    assert LITE0.describe("all").layers == TAPS
    assert LITE0.describe("last", "std,mean").pooling == ("mean", "std")
    assert LITE0.describe("last").layers == ("head",)
    assert LITE0.describe() == LITE0.default
    assert LITE0.describe(l2=True).l2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "stage9"}, "has no layer 'stage9'; choose from stem, stage1"),
        ({"pooling": "median"}, "has no pooling 'median'; choose from mean, std"),
        ({"layers": ""}, "name at least one layer and one pooling"),
        ({"layers": " , "}, "name at least one layer and one pooling"),
        ({"pooling": ""}, "name at least one layer and one pooling"),
    ],
)
def test_descriptors_that_do_not_exist(options: dict[str, str], message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        LITE0.describe(**options)  # type: ignore[arg-type]


def test_unknown_backbones_and_precisions() -> None:
    with pytest.raises(BackboneError, match="no backbone 'resnet'; did you mean resnet50"):
        get_backbone("resnet")
    with pytest.raises(BackboneError, match="'fp8' is not known; choose fp32, bf16, fp16"):
        LITE0.load(precision="fp8")


@pytest.mark.parametrize("device", ["banana", "cuda:99"])
def test_devices_that_are_not_there(device: str) -> None:
    with pytest.raises(BackboneError, match=f"device '{device}' cannot be used here .*doctor"):
        LITE0.load(LITE0.describe("stem"), 32, device)


def test_descriptions_are_frozen() -> None:
    assert isinstance(LITE0, Backbone)
    with pytest.raises(AttributeError):
        LITE0.name = "other"  # type: ignore[misc]
