"""What weights take in: each contract is applied as stated, and a wrong one is caught or tells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

import rasters
from plain_lite0 import photos, relative_error
from terrapatch.backbones import Backbone, get_backbone
from terrapatch.backbones.build import built
from terrapatch.backbones.contract import InputContract
from terrapatch.errors import BackboneError, UnitsError
from terrapatch.units import parse_units

# Classes of ImageNet that an airliner seen from above may be taken for.
PLANES = (404, 895, 908)
REAL: dict[str, tuple[str, ...]] = {
    "efficientnet_lite0": (),
    "efficientnet_lite1": (),
    "efficientnet_lite2": (),
    "mobilenet_v2:tf": ("weights", "mobilenet_v2_fp16.pth"),
    "squeezenet1_0:caffe": ("weights", "squeezenet1_0_torchvision.pth"),
}


def ready(name: str) -> Backbone:
    """Return a backbone with its real weights, or skip the test."""
    if REAL[name]:
        return get_backbone(name).ready(rasters.data_dir(*REAL[name]))
    return get_backbone(name).ready()


def by_hand(backbone: Backbone, pixels: NDArray[Any], size: int) -> torch.Tensor:
    """Bring pixels to the network as its publishers write it, with plain torch."""
    x = torch.from_numpy(pixels).float()
    how = {
        "efficientnet_lite0": lambda x: (x - 127) / 128,
        "efficientnet_lite1": lambda x: (x - 127) / 128,
        "efficientnet_lite2": lambda x: (x - 127) / 128,
        "mobilenet_v2:tf": lambda x: x / 127.5 - 1,
        "squeezenet1_0:caffe": lambda x: (
            x.flip(1) - torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
        ),
        "resnet50:random": lambda x: (
            (x / 255 - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
            / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        ),
        "vgg16:features": lambda x: (
            (x / 255 - torch.tensor([0.48235, 0.45882, 0.40784]).view(1, 3, 1, 1)) * 255
        ),
        "inception_v4:random": lambda x: x / 127.5 - 1,
        "lenet5:random": lambda x: (
            (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True) / 255
        ),
        "overfeat:random": lambda x: (x - 118.380948) / 61.896913,
    }[backbone.name]
    if backbone.name in ("inception_v4:random", "efficientnet_b0:random"):
        x = functional.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 255)
    else:
        x = functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return how(x)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, 96) for name in REAL),
        ("resnet50:random", 96),
        ("inception_v4:random", 96),
        ("lenet5:random", 32),
        ("overfeat:random", 231),
    ],
)
def test_the_input_is_what_the_publishers_write(name: str, size: int) -> None:
    backbone = ready(name) if name in REAL else get_backbone(name)
    pixels = photos(2, side=110, seed=4)
    network, _ = built(backbone)
    assert backbone.architecture is not None
    caught: list[torch.Tensor] = []
    first = backbone.layers[0]
    module = network.get_submodule(backbone.architecture.path(first))
    module.register_forward_hook(lambda _m, _g, made: caught.append(made.clone()))
    with torch.no_grad():
        network(by_hand(backbone, pixels, size))
    expected = caught[0].mean(dim=(2, 3)).numpy()
    made = backbone.load(backbone.describe(first, "mean"), size).features(pixels)
    assert relative_error(made, expected) <= 1e-5


@pytest.fixture(scope="module")
def planes() -> NDArray[np.uint8]:
    """Thirty aerial images of airliners."""
    from PIL import Image

    folder = rasters.data_dir("ucmerced", "images", "airplane")
    files = sorted(folder.glob("*.jpg"))[:30]
    images = [np.asarray(Image.open(f).convert("RGB").resize((256, 256))) for f in files]
    return np.stack(images).transpose(0, 3, 1, 2)


def seen(backbone: Backbone, contract: InputContract, images: NDArray[np.uint8]) -> float:
    """Return the share of images among whose five likeliest classes is a plane."""
    changed = replace(backbone, contract=contract)
    logits = changed.load(changed.describe("logits"), 224).features(images)
    likeliest = np.argsort(-logits, axis=1)[:, :5]
    return float(np.isin(likeliest, PLANES).any(axis=1).mean())


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in REAL if n != "squeezenet1_0:caffe"])
def test_a_wrong_scale_is_told_by_what_is_recognised(name: str, planes: NDArray[np.uint8]) -> None:
    """With its own contract a network recognises planes from above, with another it does not."""
    backbone = ready(name)
    contract = backbone.contract
    assert contract is not None
    right = seen(backbone, contract, planes)
    unit = replace(
        contract,
        mean=tuple(m / 255 for m in contract.mean),
        std=tuple(s / 255 for s in contract.std),
    )
    raw = replace(contract, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert right >= 0.6
    assert seen(backbone, unit, planes) <= right / 2
    assert seen(backbone, raw, planes) <= right / 2


@pytest.mark.data
def test_the_channels_of_caffe_stand_the_other_way() -> None:
    """SqueezeNet's own weights: another order or scale gives other features."""
    backbone = ready("squeezenet1_0:caffe")
    contract = backbone.contract
    assert contract is not None
    pixels = photos(4, seed=2)
    right = backbone.load(backbone.describe("last"), 96).features(pixels)
    for wrong in (
        replace(contract, order=None),
        replace(contract, std=(255.0,) * 3),
        get_backbone("squeezenet1_0").contract,
    ):
        changed = replace(backbone, contract=wrong)
        other = changed.load(changed.describe("last"), 96).features(pixels)
        assert relative_error(other, right) > 0.05
    # Turning the pixels' own channels about as well undoes the wrong order, means apart.
    turned = replace(backbone, contract=replace(contract, order=None))
    undone = turned.load(turned.describe("last"), 96).features(pixels[:, ::-1])
    np.testing.assert_allclose(undone, right, rtol=1e-4, atol=1e-4)


@pytest.mark.data
@pytest.mark.slow
def test_the_padding_of_tensorflow_matters(planes: NDArray[np.uint8]) -> None:
    same = ready("mobilenet_v2:tf")
    plain = get_backbone("mobilenet_v2").ready(rasters.data_dir(*REAL["mobilenet_v2:tf"]))
    assert same.contract is not None
    assert seen(same, same.contract, planes) > seen(plain, same.contract, planes)


def test_reflectance_is_asked_for_and_not_clipped_at_white() -> None:
    contract = InputContract(("red",), (0.0,), (255.0,), quantity="reflectance")
    declared = parse_units("reflectance:10000", 1, None, "s.tif")
    units = contract.units_for(declared, "s.tif")
    values = np.array([[[0.0, 3000.0, 9000.0, 10000.0]]])
    given = units.to_eight_bit(values) / 255
    np.testing.assert_allclose(given.ravel(), [0, 0.3, 0.9, 1.0], atol=1e-6)
    assert declared.to_eight_bit(values).max() == 255
    for other in ("0:3000", "uint8", "percentile:2,98"):
        sample = rasters_sample()
        with pytest.raises(UnitsError, match=r"takes reflectance but s\.tif is declared as"):
            contract.units_for(parse_units(other, 1, sample, "s.tif"), "s.tif")


def rasters_sample() -> Any:
    """Return a sample of values, for percentiles."""
    from terrapatch.units import Sample

    return Sample((np.arange(100.0),), (1.0,), (0.0,))


def test_decibels_are_taken_from_the_declared_range() -> None:
    contract = InputContract(("vv", "vh"), (-12.59, -20.26), (5.26, 5.91), quantity="decibels")
    units = contract.units_for(parse_units("-50:10", 2, None, "s.tif"), "s.tif")
    scaled = contract.with_units(units)
    decibels = np.array([[[-12.59]], [[-14.35]]])
    given = units.to_eight_bit(decibels)[:, 0, 0]
    standard = (given - np.array(scaled.mean)) / np.array(scaled.std)
    np.testing.assert_allclose(standard, [0.0, (-14.35 + 20.26) / 5.91], atol=1e-5)
    with pytest.raises(UnitsError, match="takes decibels"):
        contract.units_for(parse_units("uint8", 2, None, "s.tif"), "s.tif")
    assert replace(contract, quantity="display").with_units(units).mean == contract.mean


def test_contracts_in_words() -> None:
    words = {n: get_backbone(n).contract.words() for n in ("squeezenet1_0:caffe", "lenet5")}  # type: ignore[union-attr]
    assert words["squeezenet1_0:caffe"] == (
        "blue, green, red; 0–255, minus 104/117/123, divided by 1"
    )
    assert words["lenet5"].startswith("grey (0.299 red")
    assert json.dumps(words)


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [
        ("inception_v3", 64, "input size 64 is not between 75 and 2048"),
        ("resnet50", 31, "input size 31 is not between 32 and 2048"),
        ("overfeat", 128, "input size 128 is not between 231 and 2048"),
    ],
)
def test_sizes_that_leave_nothing(name: str, size: int, sentence: str) -> None:
    with pytest.raises(BackboneError, match=sentence):
        get_backbone(name).input_size((10, 10), size)


def test_sides_that_are_no_multiples() -> None:
    contract = InputContract(("red",), (0.0,), (1.0,), step=14, least=14)
    contract.check_size("vit", 224)
    with pytest.raises(BackboneError, match=r"multiples of 14, which 225 is not; pass .* 224"):
        contract.check_size("vit", 225)


def test_a_size_the_layers_cannot_take_is_one_sentence(tmp_path: Path) -> None:
    twin = get_backbone("inception_resnet_v2:random")
    assert twin.contract is not None
    loose = replace(twin, contract=replace(twin.contract, least=32))
    with pytest.raises(BackboneError, match="cannot take patches of 40 x 40 pixels"):
        loose.load(loose.describe("last"), 40)
