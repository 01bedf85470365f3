"""torchgeo's weights: which there are, what they take in, and features equal to torchgeo's own."""

from __future__ import annotations

import math
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torchgeo.models import get_model, get_model_weights, list_models
from torchvision.models._api import WeightsEnum
from torchvision.transforms import v2

from terrapatch.backbones import Backbone, get_backbone, torchgeo_families, torchgeo_nets
from terrapatch.backbones import torchgeo_inputs as inputs
from terrapatch.backbones.build import module_paths
from terrapatch.backbones.contract import RGB
from terrapatch.errors import BackboneError, WeightsError
from terrapatch.units import parse_units

NAMES = torchgeo_nets.names()
ROUNDING = 1e-4  # the largest relative error that rounding explains
S2_ALL = [
    "b01",
    "blue",
    "green",
    "red",
    "b05",
    "b06",
    "b07",
    "nir",
    "b8a",
    "b09",
    "b10",
    "b11",
    "b12",
]
REFUSED = {
    "aurora_swin_unet": "weather",
    "copernicusfm_base": "place, date and wavelengths",
    "croma_base": "Sentinel-1 and Sentinel-2 together",
    "croma_large": "Sentinel-1 and Sentinel-2 together",
    "deo_base": "pictures and reflectance",
    "olmoearth_v1": "dates and several sensors",
    "panopticon_vitb14": "identity of every channel",
    "presto": "months of single pixels",
    "satclip": "places and no images",
    "tessera": "year of single pixels",
    "unet": "draws maps",
}
# One of every network that embeds; none of the weights whose scale nobody states comes first.
KINDS = [*{n.partition(":")[0]: n for n in NAMES[::-1] if n.split(":")[0] not in REFUSED}.values()]


def unstated(name: str) -> bool:
    """Whether nobody says on which scale the pixels of these weights are."""
    return "sentinel1" in name and name.endswith("closp")


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be downloaded; torchgeo's EarthLoc would."""

    def refuse(*_given: object) -> None:
        raise AssertionError("a socket is opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def entry_of(name: str) -> Any:
    """Return torchgeo's own entry of weights."""
    model, _, variant = name.partition(":")
    return next(one for one in get_model_weights(model) if one.name.lower() == variant)


def found(name: str) -> Backbone:
    """Return a backbone, or skip where the installed torchgeo has no such weights."""
    backbone = torchgeo_nets.get(name)
    if backbone is None:
        pytest.skip(f"this torchgeo has no {name}")
    return backbone


def test_every_weight_of_the_installed_torchgeo_is_listed() -> None:
    assert len(NAMES) > 110
    assert len(set(NAMES)) == len(NAMES)
    assert all(name == name.lower() and name.count(":") == 1 for name in NAMES)
    for wanted in (
        "resnet50:sentinel2_all_moco",
        "resnet50:sentinel2_rgb_seco",
        "resnet50:fmow_rgb_gassl",
        "swin_v2_b:naip_rgb_mi_satlas",
        "dofa_base_patch16_224:dofa_mae",
        "vit_small_patch16_224:landsat_tm_toa_moco",
    ):
        assert wanted in NAMES
    for model in list_models():
        try:
            own = [f"{model}:{one.name.lower()}" for one in get_model_weights(model)]
        except KeyError:
            own = []
        assert [name for name in NAMES if name.partition(":")[0] == model] == own


@pytest.mark.slow
def test_every_name_gives_a_backbone() -> None:
    embedding = 0
    for name in NAMES:
        backbone, entry = torchgeo_nets.get(name), entry_of(name)
        assert backbone is not None
        assert backbone.name == name
        refused = name.partition(":")[0] in REFUSED or unstated(name)
        assert bool(backbone.refusal) == refused
        if refused:
            continue
        embedding += 1
        contract, architecture = backbone.contract, backbone.architecture
        assert contract is not None
        assert architecture is not None
        channels = entry.meta.get("in_chans", 3)
        assert len(contract.channels) == len(contract.mean) == len(contract.std) == channels
        assert len(set(contract.channels)) == channels
        assert set(dict(architecture.stages).values()) <= set(module_paths(architecture))
        assert "logits" not in backbone.layers
        contract.check_size(name, contract.native)
        for patch in (1, 100, 3000):
            contract.check_size(name, contract.input_size((patch, patch)))
        weights = backbone.weights
        assert weights is not None
        assert weights.url == entry.url
        assert weights.source == f"torchgeo, {entry}"
        assert weights.licence
        assert "arxiv" in weights.citation
        assert weights.size > 1e6
    assert embedding > 90


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_network_is_examined(name: str) -> None:
    backbone = found(name)
    assert backbone.contract is not None
    assert backbone.weights is not None
    facts = backbone.examine()
    assert tuple(layer.name for layer in facts.layers) == backbone.layers
    assert facts.size == backbone.contract.native
    assert backbone.weights.size == 4 * facts.parameters
    assert all(layer.width > 0 and layer.map_size[0] > 0 for layer in facts.layers)
    widths = [layer.width for layer in facts.layers]
    assert widths == sorted(widths)
    transformer = name.startswith(("vit", "swin", "dofa", "scalemae"))
    assert math.isinf(facts.layers[-1].field) == transformer


@pytest.mark.parametrize("name", [n for n in NAMES if n.split(":")[0] in REFUSED or unstated(n)])
def test_refusals_are_one_sentence_and_build_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchgeo.models.get_model", None)
    backbone = found(name)
    reason = REFUSED.get(name.partition(":")[0], "scale of its pixels")
    with pytest.raises(BackboneError, match=reason) as told:
        backbone.ready()
    text = str(told.value)
    assert text.startswith(f"{name} ")
    assert text.endswith("use torchgeo itself")
    assert "\n" not in text
    assert ". " not in text
    backbone.describe("all")  # asking for layers says nothing else before
    with pytest.raises(BackboneError):
        backbone.load()


def test_only_the_expected_ones_are_refused() -> None:
    assert {name.partition(":")[0] for name in NAMES} & set(REFUSED)
    for model in list_models():
        reason = torchgeo_families.refusal(model)
        assert (reason != "") == (model in REFUSED), model
    assert torchgeo_families.refusal("network_of_tomorrow") == torchgeo_families.UNKNOWN


def test_names_that_cannot_be_torchgeos_are_answered_without_it() -> None:
    script = (
        "import sys; from terrapatch.backbones import torchgeo_nets as t\n"
        "assert all(t.get(n) is None for n in ('resnet50', '', ':', 'resnet50:', ':moco'))\n"
        "assert not {'torch', 'torchgeo', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ["resnet18:nothing", "nothing:sentinel2_all_moco", "rcf:odd"])
def test_unknown_names_are_none(name: str) -> None:
    assert torchgeo_nets.get(name) is None
    with pytest.raises(BackboneError, match="there is no backbone"):
        get_backbone(name)


def test_the_registry_finds_them_in_any_case() -> None:
    backbone = get_backbone("ResNet18:SENTINEL2_ALL_MOCO")
    assert backbone is torchgeo_nets.get("resnet18:sentinel2_all_moco")
    assert backbone.channels == 13
    assert backbone.layers == ("stem", "stage1", "stage2", "stage3", "stage4")
    assert backbone.default.layers == ("stage1", "stage2", "stage3", "stage4")
    assert "torchgeo" in backbone.packages


def test_what_is_known_of_a_file() -> None:
    weights = found("resnet18:sentinel2_all_moco").weights
    assert weights is not None
    assert weights.name == "resnet18_sentinel2_all_moco-59bfdff9.pth"
    assert weights.sha256 == "59bfdff9"
    assert weights.exact == "about"
    assert weights.citation == "https://arxiv.org/abs/2211.07044 (SSL4EO-S12, moco)"
    assert "github.com/zhu-xlab/SSL4EO-S12" in weights.licence
    unnamed = found("vit_small_patch16_224:sentinel2_all_mae").weights
    assert unnamed is not None
    assert unnamed.sha256 == ""


@pytest.mark.parametrize(
    "name",
    [
        "earthloc:sentinel2_resnet50",
        "resnet50:sentinel2_all_seco_eco",
        "scalemae_large_patch16:fmow_rgb",
    ],
)
def test_digits_that_are_no_hash_are_not_taken_for_one(name: str) -> None:
    weights = found(name).weights
    assert weights is not None
    wrong = ("earthloc-8b632e30.pth", "90ec322f.pth", "98ed9821.pth")
    assert (weights.sha256 == "") == weights.name.endswith(wrong)


@pytest.mark.parametrize(
    ("name", "channels", "quantity"),
    [
        ("resnet18:sentinel2_all_moco", S2_ALL, "reflectance"),
        ("resnet18:sentinel2_rgb_moco", RGB, "reflectance"),
        ("resnet18:sentinel2_rgb_seco", RGB, "reflectance"),
        (
            "resnet50:sentinel2_all_ndvi_seco_eco",
            ["blue", "green", "red", "b05", "b06", "b07", "nir", "b8a", "ndvi"],
            "reflectance",
        ),
        ("resnet50:fmow_rgb_gassl", RGB, "display"),
        ("resnet50:sentinel1_all_moco", ("vv", "vh"), "decibels"),
        ("swin_v2_b:sentinel1_si_satlas", ("vh", "vv"), "display"),
        ("swin_v2_b:naip_rgb_si_satlas", RGB, "display"),
        (
            "swin_v2_t:sentinel2_si_ms_satlas",
            ["red", "green", "blue", "b05", "b06", "b07", "nir", "b11", "b12"],
            "display",
        ),
        (
            "swin_v2_b:landsat_si_satlas",
            ["b01", "blue", "green", "red", "nir", "b06", "b07", "b08", "b09", "b10", "b11"],
            "display",
        ),
        (
            "resnet18:landsat_tm_toa_moco",
            ["blue", "green", "red", "nir", "b5", "b6", "b7"],
            "display",
        ),
        (
            "resnet18:landsat_etm_toa_moco",
            ["blue", "green", "red", "nir", "b5", "b6_vcid_1", "b6_vcid_2", "b7", "b8"],
            "display",
        ),
        (
            "resnet18:landsat_oli_sr_moco",
            ["sr_b1", "blue", "green", "red", "nir", "sr_b6", "sr_b7"],
            "display",
        ),
        ("tilenet:naip_all_tile2vec", (*RGB, "nir"), "display"),
        ("dofa_base_patch16_224:dofa_mae", RGB, "display"),
    ],
)
def test_bands_and_what_they_count(name: str, channels: Any, quantity: str) -> None:
    contract = found(name).contract
    assert contract is not None
    assert contract.channels == tuple(channels)
    assert contract.quantity == quantity
    assert contract.order is None


def test_what_has_to_be_declared_is_said() -> None:
    for name, words in {
        "swin_v2_b:landsat_si_satlas": "declare --units 4000:20320",
        "swin_v2_b:sentinel1_si_satlas": "no decibels; declare --units 0:255",
        "swin_v2_t:sentinel2_si_ms_satlas": "0:255 for red green blue, 0:8160 for b05 b06 b07 nir",
        "resnet18:landsat_tm_toa_moco": "0:0.4 for blue green red nir b5, 248.15:318.15 for b6,",
        "resnet18:landsat_oli_tirs_toa_moco": "b9, 248.15:318.15 for b10 b11",
        "resnet18:landsat_oli_sr_moco": "declare --units reflectance",
        "dofa_base_patch16_224:dofa_mae": "red, green and blue as photographs",
        "scalemae_large_patch16:fmow_rgb": "positions as at 1 m a pixel",
        "resnet50:sentinel2_all_ndvi_seco_eco": "NDVI from 0 to 1",
    }.items():
        assert words in found(name).summary
    assert "declare" not in found("swin_v2_b:naip_rgb_si_satlas").summary


def test_blue_first_becomes_an_order_of_red_green_and_blue() -> None:
    done = inputs.Steps((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 224, "bicubic")
    scale = inputs.Scale("display", done.mean, done.std)
    sides = torchgeo_families.Sides((128, 256))
    contract = inputs.contract(("blue", "green", "red"), scale, done, sides)
    assert (contract.channels, contract.order) == (RGB, (2, 1, 0))
    assert contract.mean == (1.0, 2.0, 3.0)  # in the network's own order
    assert contract.interpolation == "bicubic"


def test_transforms_are_read_as_one_scale() -> None:
    both = nn.Sequential(
        v2.Resize((240, 240), interpolation=v2.InterpolationMode.BICUBIC),
        v2.CenterCrop(224),
        nn.Sequential(v2.Normalize([10.0], [20.0]), v2.Normalize([0.5, 0.25], [2.0, 4.0])),
    )
    done = inputs.steps(both, 2)
    assert done == inputs.Steps((20.0, 15.0), (40.0, 80.0), 224, "bicubic")
    pixels = torch.rand(2, 224, 224) * 100
    by_hand = (pixels - torch.tensor(done.mean)[:, None, None]) / torch.tensor(done.std)[
        :, None, None
    ]
    torch.testing.assert_close(both[2](pixels), by_hand)
    assert inputs.steps(nn.Identity(), 3) == inputs.Steps((), (), None, "bilinear")
    assert inputs.steps(nn.Sequential(nn.ReLU()), 3) is None


def test_scales_nobody_states_are_not_guessed() -> None:
    mixed = inputs.Steps((0.4, 1263.0), (0.3, 949.0), 224, "bilinear")
    assert inputs.scale("SENTINEL2_NEW", {}, ("red", "b05"), mixed) is None
    counts = inputs.Steps((0.0,), (3000.0,), 224, "bilinear")
    assert inputs.scale("PLANET_NEW", {}, ("red",), counts) is None
    assert inputs.scale("NAIP_NEW", {}, RGB, inputs.Steps((), (), 224, "bilinear")) is None


def test_seco_is_scaled_as_its_authors_do() -> None:
    contract = found("resnet18:sentinel2_rgb_seco").contract
    assert contract is not None
    # datasets/seco_dataset.py: quantiles of B4, B3 and B2 to 0–1, then ImageNet.
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 50))
    low, high = np.array([[0.0], [2.0], [3.0]]), np.array([[129.0], [103.0], [88.0]])
    mean, std = np.array([[0.485], [0.456], [0.406]]), np.array([[0.229], [0.224], [0.225]])
    expected = ((pixels - low) / (high - low) - mean) / std
    made = (pixels - np.array(contract.mean)[:, None]) / np.array(contract.std)[:, None]
    np.testing.assert_allclose(made, expected)
    # torchgeo's own has them 255 times as large; once it does not, the exception can go.
    theirs = inputs.steps(entry_of("resnet18:sentinel2_rgb_seco").transforms, 3)
    assert theirs is not None
    assert max(theirs.std) < 0.2


# --- Features against torchgeo's own -------------------------------------------------------

Fill = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
RAW = {
    "reflectance:10000": (0, 9000),
    "0:255": (0, 255),
    "4000:20320": (4000, 20320),
    "-50:10": (-35, 5),
}
MULTI = ",".join(["0:255"] * 3 + ["0:8160"] * 6)
TOA_TM = ",".join(["0:0.4"] * 5 + ["248.15:318.15", "0:0.4"])


def published(backbone: Backbone, without: str = "", head: int = 0) -> dict[str, torch.Tensor]:
    """Make tensors such as a file holds: lively random numbers under torchgeo's names."""
    assert backbone.architecture is not None
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name, tensor in backbone.architecture.build().state_dict().items():
        if without and name.startswith(without):
            continue
        if tensor.is_floating_point() and "relative_coords" not in name:
            noise = torch.randn(tensor.shape, generator=generator)
            tensor = (tensor + 0.02 * noise).abs() if "var" in name else tensor + 0.02 * noise
        tensors[name] = tensor
    if head:
        width = tensors["norm.weight"].shape[0]
        tensors["head.weight"] = torch.randn(head, width, generator=generator)
        tensors["head.bias"] = torch.zeros(head)
    return tensors


def raw_pixels(units: str, channels: int, side: int) -> NDArray[np.float32]:
    """Make pixels in the units that a scene declares, smooth with some noise."""
    ranges = [RAW.get(part) or tuple(map(float, part.split(":"))) for part in units.split(",")]
    ranges *= channels // len(ranges)
    rng = np.random.default_rng(channels)
    y, x = np.mgrid[:side, :side] / side
    shapes = np.stack([0.5 + 0.3 * np.sin(6 * x + i) * np.cos(5 * y - i) for i in range(channels)])
    share = np.clip(
        np.stack([shapes, shapes[:, ::-1]]) + rng.normal(0, 0.05, (2, *shapes.shape)), 0, 1
    )
    low, high = (np.array(ends, np.float64)[:, None, None] for ends in zip(*ranges, strict=True))
    return (low + share * (high - low)).astype(np.float32)


def of_torchgeo(
    name: str,
    tensors: dict[str, torch.Tensor],
    backbone: Backbone,
    scaled: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> list[NDArray[np.float32]]:
    """Load the tensors with torchgeo's own loader and return the mean of every layer."""
    wrapped = "cityscapes" in name
    monkeypatch.setattr(
        WeightsEnum,
        "get_state_dict",
        lambda *_a, **_k: {"state_dict": tensors} if wrapped else tensors,
    )
    network = get_model(name.partition(":")[0], weights=entry_of(name)).eval()
    architecture = backbone.architecture
    assert architecture is not None
    caught: list[torch.Tensor] = []
    for _, path in architecture.stages:
        network.get_submodule(path).register_forward_hook(
            lambda module, _given, made: caught.append(
                spread(made, architecture.layout, architecture.prefix, module)
            )
        )
    with torch.inference_mode():
        network(scaled, [0.665, 0.56, 0.49]) if "dofa" in name else network(scaled)
    return [one.numpy() for one in caught]


def spread(made: torch.Tensor, layout: str, prefix: int, module: nn.Module) -> torch.Tensor:
    """Average a layer over its positions, written out for each kind of network."""
    if made.ndim == 2:
        return made.clone()
    if layout == "tokens":
        return made[:, prefix:].mean(1)
    return made.mean((1, 2)) if layout == "nhwc" else made.mean((2, 3))


def scaled_by_torchgeo(name: str, raw: NDArray[np.float32], units: str) -> torch.Tensor:
    """Bring raw pixels through the weights' own transform (DOFA's and SeCo's: the authors')."""
    pixels = torch.from_numpy(raw.copy())
    if units == TOA_TM:  # torchgeo takes SSL4EO-L as its 8-bit files hold it
        ends = [tuple(map(float, part.split(":"))) for part in units.split(",")]
        low, high = (torch.tensor(e)[:, None, None] for e in zip(*ends, strict=True))
        pixels = (pixels - low) / (high - low) * 255
    if "cityscapes" in name:  # pictures from 0 to 1
        pixels = pixels / 255
    made: torch.Tensor = entry_of(name).transforms(pixels)
    if "dofa" in name:
        made = v2.Normalize([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])(made)
    return made


def ours(
    backbone: Backbone, path: Path, raw: NDArray[np.float32], units: str, side: int
) -> list[NDArray[np.float32]]:
    """Read raw pixels as a scene would, and embed the middle of them."""
    contract = backbone.contract
    assert contract is not None
    declared = contract.units_for(parse_units(units, raw.shape[1], None, "test"), "test")
    batch = np.stack([declared.to_eight_bit(one) for one in raw])
    edge = (batch.shape[2] - side) // 2
    batch = batch[:, :, edge : edge + side, edge : edge + side]
    told = replace(backbone.ready(path), contract=contract.with_units(declared))
    embedder = told.load(told.describe("all", "mean"), side)
    features = embedder.features(batch)
    return [features[:, start:stop] for _, start, stop in embedder.groups]


def worst(made: list[NDArray[np.float32]], expected: list[NDArray[np.float32]]) -> float:
    """Return the largest relative error of a layer."""
    return max(
        float(np.linalg.norm(a - b) / np.linalg.norm(b))
        for a, b in zip(made, expected, strict=True)
    )


CASES = [
    # name, units of the scene, side of its pixels, tensors the file lacks, classes it has
    ("resnet18:sentinel2_all_moco", "reflectance:10000", 256, "", 0),
    ("resnet18:sentinel2_rgb_moco", "reflectance:10000", 256, "", 0),
    ("resnet18:landsat_oli_sr_moco", "0:255", 256, "", 0),
    ("resnet18:landsat_tm_toa_moco", TOA_TM, 256, "", 0),
    ("resnet50:fmow_rgb_gassl", "0:255", 224, "", 0),
    pytest.param("resnet50:sentinel1_all_moco", "-50:10", 256, "", 0, marks=pytest.mark.slow),
    pytest.param(
        "resnet50:sentinel2_all_softcon", "reflectance:10000", 256, "", 0, marks=pytest.mark.slow
    ),
    pytest.param("resnet50:sentinel2_si_rgb_satlas", "0:255", 300, "", 0, marks=pytest.mark.slow),
    ("swin_v2_t:sentinel2_si_ms_satlas", MULTI, 256, "", 1000),
    pytest.param("swin_t:cityscapes_semseg", "0:255", 224, "norm", 0, marks=pytest.mark.slow),
    ("vit_small_patch16_224:sentinel2_all_moco", "reflectance:10000", 256, "norm.", 0),
    pytest.param(
        "vit_small_patch16_224:sentinel1_grd_mae", "-50:10", 256, "", 0, marks=pytest.mark.slow
    ),
    pytest.param(
        "vit_small_patch14_dinov2:sentinel2_all_softcon",
        "reflectance:10000",
        256,
        "",
        0,
        marks=pytest.mark.slow,
    ),
    ("dofa_base_patch16_224:dofa_mae", "0:255", 224, "fc_norm", 0),
    pytest.param("earthloc:sentinel2_resnet50", "0:255", 320, "", 0, marks=pytest.mark.slow),
    ("tilenet:naip_all_tile2vec", "0:255", 80, "", 0),
    pytest.param(
        "swin_v2_b:landsat_si_satlas", "4000:20320", 256, "", 1000, marks=pytest.mark.slow
    ),
    pytest.param("swin_b:cityscapes_semseg", "0:255", 384, "norm", 0, marks=pytest.mark.slow),
    pytest.param("resnet152:sentinel2_mi_ms_satlas", MULTI, 256, "", 0, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "units", "side", "without", "head"), CASES)
def test_features_are_torchgeos_own(
    name: str,
    units: str,
    side: int,
    without: str,
    head: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = found(name)
    assert backbone.contract is not None
    tensors = published(backbone, without, head)
    torch.save(tensors, tmp_path / "weights.pth")
    raw = raw_pixels(units, len(backbone.contract.channels), side)
    scaled = scaled_by_torchgeo(name, raw, units)
    expected = of_torchgeo(name, tensors, backbone, scaled, monkeypatch)

    path = tmp_path / "weights.pth"
    made = ours(backbone, path, raw, units, scaled.shape[-1])
    assert len(made) == len(backbone.layers)
    assert worst(made, expected) < ROUNDING

    # A scale off by a tenth shows.
    wrong = replace(backbone.contract, std=tuple(1.1 * s for s in backbone.contract.std))
    off = ours(replace(backbone, contract=wrong), path, raw, units, scaled.shape[-1])
    assert worst(off, expected) > 30 * ROUNDING


def test_bands_in_another_order_change_the_features(tmp_path: Path) -> None:
    backbone = found("resnet18:sentinel2_rgb_moco")
    path = tmp_path / "weights.pth"
    torch.save(published(backbone), path)
    raw = raw_pixels("reflectance:10000", 3, 96)
    right = ours(backbone, path, raw, "reflectance:10000", 96)
    turned = ours(backbone, path, raw[:, ::-1].copy(), "reflectance:10000", 96)
    assert worst(turned, right) > 30 * ROUNDING


@pytest.fixture(scope="module")
def dofa_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file for DOFA with all that its authors' own file holds beside the encoder."""
    backbone = found("dofa_base_patch16_224:dofa_mae")
    tensors = published(backbone, "fc_norm")
    extra = ("mask_token", "norm.weight", "norm.bias", "projector.weight", "projector.bias")
    tensors.update({name: torch.zeros(3) for name in extra})
    path = tmp_path_factory.mktemp("dofa") / "DOFA_ViT_base_e100.pth"
    torch.save({"model": tensors}, path)
    yield path
    path.unlink()


@pytest.mark.slow
def test_dofa_keeps_its_wavelengths_in_half_precision(dofa_file: Path) -> None:
    backbone = found("dofa_base_patch16_224:dofa_mae").ready(dofa_file)
    batch = raw_pixels("0:255", 3, 224)
    chosen = backbone.describe("all", "mean")
    whole = backbone.load(chosen, 224).features(batch)
    half = backbone.load(chosen, 224, precision="bf16").features(batch)
    assert worst([half], [whole]) < 0.03


@pytest.mark.parametrize("side", [64, 160])
@pytest.mark.parametrize("name", ["swin_t:cityscapes_semseg", "resnet18:sentinel2_rgb_moco"])
def test_networks_without_fixed_sides_take_others(name: str, side: int) -> None:
    facts = found(name).examine(side)
    assert facts.layers[-1].map_size == (side // 32, side // 32)


def test_fixed_sides_are_said(tmp_path: Path) -> None:
    backbone = found("vit_small_patch16_224:sentinel2_all_moco")
    assert backbone.input_size((60, 60)) == backbone.input_size((900, 900)) == 224
    for side in (200, 256, 128):
        with pytest.raises(BackboneError, match="224"):
            backbone.input_size((60, 60), side)
    swin = found("swin_v2_b:naip_rgb_mi_satlas")
    assert swin.input_size((100, 100)) == 256
    with pytest.raises(BackboneError, match="multiples of 32"):
        swin.input_size((100, 100), 250)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(published(found("resnet18:sentinel2_rgb_moco")), path)
    for other in ("resnet18:sentinel2_all_moco", "vit_small_patch16_224:sentinel2_all_moco"):
        with pytest.raises(WeightsError, match="another network"):
            found(other).ready(path).load()


def test_missing_weights_are_said_with_their_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRAPATCH_WEIGHTS", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    with pytest.raises(WeightsError, match=r"59bfdff9.*huggingface|59bfdff9.*hf\.co"):
        found("resnet18:sentinel2_all_moco").ready(offline=True)


def test_torchgeo_is_imported_in_its_adapter_alone() -> None:
    """Its public names move from version to version; only one place has to follow."""
    import terrapatch

    root = Path(terrapatch.__file__).parent
    importing = re.compile(r"^\s*(?:from|import) torchgeo\b", re.MULTILINE)
    found = {p.name for p in root.rglob("*.py") if importing.search(p.read_text(encoding="utf-8"))}
    assert found
    assert all(name.startswith("torchgeo_") for name in found)
