"""Every registered network: builds, taps, widths, counts, fields, determinism, a real patch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from torch import nn

from plain_lite0 import photos, relative_error
from terrapatch.backbones import Backbone, backbone_names, get_backbone
from terrapatch.backbones.architecture import LOGITS
from terrapatch.backbones.build import random as random_network
from terrapatch.backbones.fold import fold_batch_norm

# Parameters in millions, from the papers' or the libraries' own tables (not computed here), and
# the last layer's width. Where lectures give another number, docs/backbones.md says so.
LITERATURE = {
    "lenet5": (0.0617, 84),
    "alexnet": (61.1, 4096),
    "overfeat": (145.9, 4096),
    "vgg16": (138.4, 4096),
    "vgg19": (143.7, 4096),
    "googlenet": (6.6, 1024),
    "inception_v3": (23.8, 2048),
    "inception_v4": (42.7, 1536),
    "inception_resnet_v2": (55.8, 1536),
    "xception": (22.9, 2048),
    "resnet18": (11.7, 512),
    "resnet34": (21.8, 512),
    "resnet50": (25.6, 2048),
    "resnet101": (44.5, 2048),
    "resnet152": (60.2, 2048),
    "densenet121": (8.0, 1024),
    "densenet161": (28.7, 2208),
    "densenet169": (14.1, 1664),
    "densenet201": (20.0, 1920),
    "squeezenet1_0": (1.25, 512),
    "squeezenet1_1": (1.24, 512),
    "mobilenet_v1": (4.2, 1024),
    "mobilenet_v2": (3.5, 1280),
    "mobilenet_v3_small": (2.5, 576),
    "mobilenet_v3_large": (5.5, 960),
    "nasnet_large": (88.9, 4032),
    "efficientnet_b0": (5.3, 1280),
    "efficientnet_b1": (7.8, 1280),
    "efficientnet_b2": (9.1, 1408),
    "efficientnet_b3": (12.2, 1536),
    "efficientnet_b4": (19.3, 1792),
    "efficientnet_b5": (30.4, 2048),
    "efficientnet_b6": (43.0, 2304),
    "efficientnet_b7": (66.3, 2560),
    "efficientnet_lite0": (4.65, 1280),
    "efficientnet_lite1": (5.42, 1280),
    "efficientnet_lite2": (6.09, 1280),
    "convnext_tiny": (28.6, 768),
    "convnext_small": (50.2, 768),
    "convnext_base": (88.6, 1024),
    "convnext_large": (197.8, 1536),
}
NETWORKS = [
    name
    for name in backbone_names()
    if ":" not in name and get_backbone(name).architecture is not None
]
# Smallest side that is quick and that every layer leaves something of.
SIDES = {"lenet5": 32, "alexnet": 224, "overfeat": 231, "vgg16": 224, "vgg19": 224}
POSITIONS = {"vgg16": ("stage5", 512, 7), "alexnet": ("conv5", 256, 6)}


def side_of(name: str) -> int:
    return SIDES.get(name, 96)


@pytest.fixture(scope="module")
def patches() -> NDArray[np.uint8]:
    """Two patches of a real image where it is here, else painted ones."""
    import rasters

    folder = rasters.find_data("mumbai/mumbai_g4_1_rgb.tif")
    if folder is None:
        return photos(2, side=120)
    with rasterio.open(folder) as src:
        whole = src.read()
    return np.stack([whole[:, 200:320, 300:420], whole[:, 240:360, 900:1020]])


def test_the_literature_covers_every_network() -> None:
    assert set(NETWORKS) == set(LITERATURE)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_embeds_at_every_layer(name: str, patches: NDArray[np.uint8]) -> None:
    """Widths, counts and maps are those of the network as it runs; the same twice over."""
    twin, side = get_backbone(f"{name}:random"), side_of(name)
    facts = twin.examine(side)
    assert [layer.name for layer in facts.layers] == list(twin.layers)
    millions, last = LITERATURE[name]
    rounding = 0.05 if millions > 1 else 0.0001
    assert facts.parameters / 1e6 == pytest.approx(millions, rel=0.005, abs=rounding)
    assert facts.layer(twin.layers[-2]).width == last
    layers = twin.describe(",".join(twin.layers), "mean,max")
    embedder = twin.load(layers, side)
    made = embedder.features(patches)
    assert np.isfinite(made).all()
    for (group, start, stop), layer in zip(embedder.groups, facts.layers, strict=True):
        positions = math.prod(layer.map_size)
        assert (group, stop - start) == (layer.name, layer.width * (2 if positions > 1 else 1))
        half = made[:, start : start + layer.width]
        assert half.any(axis=1).all(), f"{layer.name} is all zeros"
        if positions > 1:
            assert (made[:, start + layer.width : stop] >= half - 1e-4 * np.abs(half)).all()
    maps = embedder.maps(patches)  # type: ignore[attr-defined]
    for layer in facts.layers:
        if layer.map_size != (1, 1):
            assert maps[layer.name].shape == (2, layer.width, *layer.map_size)
    again = twin.load(layers, side).features(patches)
    np.testing.assert_array_equal(again, made)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_folding_batch_norms_changes_nothing(name: str) -> None:
    """Only norms that run right behind a convolution are folded, whatever the network."""
    backbone, side = get_backbone(name), side_of(name)
    assert backbone.architecture is not None
    network = random_network(backbone.architecture, 3)
    if not any(isinstance(m, nn.BatchNorm2d) for m in network.modules()):
        return
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.8, 1.25, generator=generator)
            nn.init.uniform_(module.weight, 0.8, 1.2, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    image = torch.randn(1, 3, side, side, generator=generator)
    with torch.no_grad():
        before = network(image)
        folded = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        after = fold_batch_norm(network)(image)
        folded -= sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert folded > 0
    assert relative_error(after.numpy(), before.numpy()) <= 1e-3


@pytest.mark.parametrize("name", [n for n in backbone_names() if get_backbone(n).weights])
def test_every_weight_says_what_a_careful_person_asks(name: str) -> None:
    backbone = get_backbone(name)
    weights, contract = backbone.weights, backbone.contract
    assert weights is not None
    assert contract is not None
    assert all((weights.name, weights.source, weights.licence, weights.citation))
    assert weights.size > 1e5
    assert weights.url or weights.package or weights.how
    assert weights.url is None or weights.url.startswith("https://")
    assert len(contract.mean) == len(contract.std) == (1 if contract.grey else 3)
    assert all(s > 0 for s in contract.std)
    low, high = contract.sizes
    assert contract.least <= low <= high
    assert backbone.default.layers
    assert LOGITS not in backbone.default.layers


def test_the_list_of_weights_is_what_the_libraries_say() -> None:
    import runpy

    script = Path(__file__).parents[2] / "data_catalog" / "make_weights_list.py"
    from terrapatch.backbones.catalogue import published

    assert published() == runpy.run_path(str(script))["listing"]()


@pytest.mark.parametrize(
    ("layer", "options", "shape"),
    [
        ("fc6", {}, (2, 4096)),
        ("fc7", {}, (2, 4096)),
        ("stage5", {"pooling": "flatten"}, (2, 512 * 7 * 7)),
        ("last", {}, (2, 4096)),
    ],
)
def test_the_descriptors_of_the_classics(layer: str, options: Any, shape: tuple[int, int]) -> None:
    vgg = get_backbone("vgg16:random")
    size = vgg.input_size((100, 100))
    assert size == 224
    embedder = vgg.load(vgg.describe(layer, **options), size)
    made = embedder.features(photos(2))
    assert made.shape == shape
    if layer == "stage5":
        maps = embedder.maps(photos(2))["stage5"]  # type: ignore[attr-defined]
        assert maps.shape == (2, 512, 7, 7)
        np.testing.assert_array_equal(maps.reshape(2, -1), made)


def test_any_module_can_be_tapped_by_its_path() -> None:
    """Even convolutions, whose batch norm is then not folded into them."""
    twin = get_backbone("resnet18:random")
    assert twin.architecture is not None
    paths = ("layer1.0.conv1", "layer3.0.downsample", "layer2.1", "avgpool", "stage2")
    embedder = twin.load(twin.describe(",".join(paths), "mean"), 64)
    assert [name for name, _, _ in embedder.groups] == ["stage2", *paths[:-1]]
    network = random_network(twin.architecture, 0)
    caught: dict[str, Any] = {}
    for path in paths[:-1]:
        network.get_submodule(path).register_forward_hook(
            lambda _m, _g, made, path=path: caught.__setitem__(path, made.clone())
        )
    pixels = photos(2)
    contract = twin.contract
    assert contract is not None
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (contract.mean, contract.std))
    with torch.no_grad():
        network((torch.from_numpy(pixels).float() - mean) / std)
    made = embedder.features(pixels)
    for name, start, stop in embedder.groups[1:]:
        expected = caught[name].mean(dim=(2, 3)).numpy()
        assert relative_error(made[:, start:stop], expected) <= 1e-5, name
    start, stop = embedder.groups[0][1:]
    assert relative_error(made[:, start:stop], caught["layer2.1"].mean((2, 3)).numpy()) <= 1e-5


def test_poolings_are_what_they_say() -> None:
    twin = get_backbone("resnet18:random")
    embedder = twin.load(twin.describe("stage2", "mean,std,max,gem,flatten"), 64)
    pixels = photos(3)
    made = embedder.features(pixels)
    fmap = embedder.maps(pixels)["stage2"].astype(np.float64)  # type: ignore[attr-defined]
    flat = fmap.reshape(3, 128, -1)
    gem = np.power(np.power(np.maximum(flat, 1e-6), 3).mean(2), 1 / 3)
    expected = [flat.mean(2), flat.std(2), flat.max(2), gem, flat.reshape(3, -1)]
    assert relative_error(made, np.concatenate(expected, 1)) <= 1e-5


def test_random_twins_are_seeded_and_told_apart() -> None:
    one, same, other = (get_backbone(f"squeezenet1_1:random{s}") for s in ("", "0", "7"))
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    made = [b.load(b.describe("last"), 64).features(photos(1)) for b in (one, same, other)]
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.allclose(made[0], made[2])
    assert one.identity() == same.identity() != other.identity()
    assert one.weights is None


def test_names_are_found_in_any_case_and_with_their_default_variant() -> None:
    assert get_backbone(" ResNet50 ").name == "resnet50"
    assert get_backbone("resnet50:v1") is get_backbone("resnet50")
    assert get_backbone("resnet50:v2").weights != get_backbone("resnet50").weights
    for name in ("resnet50:v9", "imagestats:random", "no:random", "resnet50:random-1"):
        with pytest.raises(ValueError, match=r"backbone|no network"):
            get_backbone(name)


@pytest.mark.parametrize("name", ["densenet121", "resnet50", "efficientnet_lite0", "vgg16"])
def test_the_last_layer_is_what_the_classifier_is_given(name: str) -> None:
    """Mean-pooled, it is the vector that the network's own classifier sees."""
    twin = get_backbone(f"{name}:random")
    assert twin.architecture is not None
    size = side_of(name)
    embedder = twin.load(twin.describe("last,logits", "mean"), size)
    made = embedder.features(photos(2, side=size))
    (_, start, stop), (_, first, end) = embedder.groups
    network = random_network(twin.architecture, 0)
    classifier = network.get_submodule(twin.architecture.path(LOGITS))
    with torch.no_grad():
        logits = classifier(torch.from_numpy(made[:, start:stop])).numpy()
    assert relative_error(made[:, first:end], logits) <= 1e-4


def receptive_field(network: nn.Module, layer: str, size: int) -> int:
    """Measure how many input rows one middle position depends on, by its gradient."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    # Small enough that no activation saturates.
    image = torch.full((1, 3, size, size), 1e-9, dtype=torch.float64, requires_grad=True)
    caught: list[torch.Tensor] = []
    network.get_submodule(layer).register_forward_hook(lambda _m, _g, made: caught.append(made))
    network.double()(image)
    middle = caught[0].shape[2] // 2
    caught[0][0, :, middle, middle].sum().backward()
    assert image.grad is not None
    rows = torch.nonzero(image.grad[0].abs().sum((0, 2)))
    return int(rows[-1] - rows[0]) + 1


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("resnet18", "stage2", 256),
        ("mobilenet_v2", "stage4", 320),
        ("efficientnet_lite0", "stage4", 320),
        ("squeezenet1_1", "stage2", 256),
    ],
)
def test_receptive_fields_are_those_that_gradients_measure(
    name: str, layer: str, size: int
) -> None:
    backbone: Backbone = get_backbone(name)
    assert backbone.architecture is not None
    network = random_network(backbone.architecture, 0)
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.MaxPool2d):  # the greatest alone would be seen
            parent, _, last = path.rpartition(".")
            average = nn.AvgPool2d(module.kernel_size, module.stride, module.padding)
            setattr(network.get_submodule(parent), last, average)
    measured = receptive_field(network, backbone.architecture.path(layer), size)
    assert backbone.examine(size).layer(layer).field == measured


def test_facts_of_the_lectures() -> None:
    """13 convolutions see 212 pixels; an Inception step costs 112.9 M or 5.3 M multiplications."""
    assert get_backbone("vgg16").examine().layer("stage5").field == 212
    assert get_backbone("resnet50").examine().layer("stage4").stride == 32
    assert math.isinf(get_backbone("efficientnet_b0").examine().layer("stage3").field)
    from terrapatch.backbones.reach import Reach

    def cost(network: nn.Module) -> int:
        image = torch.zeros(1, 480, 14, 14, device="meta")
        reach = Reach(image)
        with torch.no_grad(), reach:
            network(image)
        return reach.flops // 2

    with torch.device("meta"):
        direct = nn.Conv2d(480, 48, 5, padding=2)
        first = nn.Conv2d(480, 16, 1)
        both = nn.Sequential(first, nn.Conv2d(16, 48, 5, padding=2))
    assert cost(direct) == 14 * 14 * 48 * 5 * 5 * 480 == 112_896_000
    assert cost(first) == 1_505_280
    assert cost(both) - cost(first) == 3_763_200


def test_gap_has_no_parameters_and_sees_everything() -> None:
    facts = get_backbone("resnet18").examine(224)
    last, logits = facts.layers[-2:]
    assert logits.parameters - last.parameters == 512 * 1000 + 1000
    assert math.isinf(logits.field)


def test_loading_draws_no_random_numbers_and_reads_every_one(tmp_path: Path) -> None:
    """Weights from a file are the file's, whatever state the random generator is in."""
    twin = get_backbone("convnext_tiny:random4")
    net = get_backbone("convnext_tiny")
    assert twin.architecture is not None
    torch.save(random_network(twin.architecture, 4).state_dict(), tmp_path / "w.pth")
    before = torch.random.get_rng_state()
    made = net.ready(tmp_path / "w.pth").load(net.describe("all,logits"), 64).features(photos(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    expected = twin.load(twin.describe("all,logits"), 64).features(photos(1))
    np.testing.assert_array_equal(made, expected)
