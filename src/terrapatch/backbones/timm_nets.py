"""Networks that timm builds and torchvision does not. Importing this module imports no torch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from terrapatch.backbones.architecture import Architecture, Stages

if TYPE_CHECKING:
    from torch import nn

PACKAGES = ("torch", "timm")


def _build(name: str) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(name, pretrained=False)
    return network


def _efficient(last: int) -> Stages:
    """Name the parts of timm's EfficientNet family."""
    stages = tuple((f"stage{i + 1}", f"blocks.{i}") for i in range(last))
    return (("stem", "bn1"), *stages, ("head", "bn2"), ("logits", "classifier"))


def _net(
    name: str, model: str, summary: str, citation: str, stages: Stages, classifier: str
) -> Architecture:
    return Architecture(
        name=name,
        summary=summary,
        citation=citation,
        build=partial(_build, model),
        stages=stages,
        classifier=classifier,
        packages=PACKAGES,
        in_order=name.startswith("efficientnet_lite"),
    )


EFFICIENT = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling for CNNs, ICML"
INCEPTION4 = "Szegedy et al. 2017, Inception-v4, Inception-ResNet, AAAI, arXiv:1602.07261"
XCEPTION = "Chollet 2017, Xception: Deep learning with depthwise separable convolutions, CVPR"
MOBILE1 = "Howard et al. 2017, MobileNets, arXiv:1704.04861"
NASNET = "Zoph et al. 2018, Learning transferable architectures, CVPR, arXiv:1707.07012"

# timm's name of each network, by ours.
MODELS = {
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "efficientnet_lite1": "tf_efficientnet_lite1",
    "efficientnet_lite2": "tf_efficientnet_lite2",
    "inception_v4": "inception_v4",
    "inception_resnet_v2": "inception_resnet_v2",
    "xception": "legacy_xception",
    "mobilenet_v1": "mobilenetv1_100",
    "nasnet_large": "nasnetalarge",
}

LITE: tuple[Architecture, ...] = tuple(
    _net(
        f"efficientnet_lite{i}",
        f"tf_efficientnet_lite{i}",
        f"EfficientNet-Lite{i}: no squeeze-and-excitation, made for small devices",
        EFFICIENT,
        _efficient(7),
        "classifier",
    )
    for i in range(3)
)

ARCHITECTURES: tuple[Architecture, ...] = (
    _net(
        "inception_v4",
        MODELS["inception_v4"],
        "Inception v4",
        INCEPTION4,
        (
            ("stem", "features.5"),
            ("stage1", "features.9"),
            ("stage2", "features.17"),
            ("stage3", "features.21"),
            ("logits", "last_linear"),
        ),
        "last_linear",
    ),
    _net(
        "inception_resnet_v2",
        MODELS["inception_resnet_v2"],
        "Inception-ResNet v2",
        INCEPTION4,
        (
            ("stem", "maxpool_5a"),
            ("stage1", "repeat"),
            ("stage2", "repeat_1"),
            ("stage3", "block8"),
            ("head", "conv2d_7b"),
            ("logits", "classif"),
        ),
        "classif",
    ),
    _net(
        "xception",
        MODELS["xception"],
        "Xception",
        XCEPTION,
        (
            ("stem", "act2"),
            ("stage1", "block1"),
            ("stage2", "block2"),
            ("stage3", "block11"),
            ("stage4", "block12"),
            ("head", "act4"),
            ("logits", "fc"),
        ),
        "fc",
    ),
    _net(
        "mobilenet_v1",
        MODELS["mobilenet_v1"],
        "MobileNet (v1), full width",
        MOBILE1,
        (
            ("stem", "bn1"),
            *((f"stage{i + 1}", f"blocks.{i}") for i in range(5)),
            ("logits", "classifier"),
        ),
        "classifier",
    ),
    _net(
        "nasnet_large",
        MODELS["nasnet_large"],
        "NASNet-A large",
        NASNET,
        (
            ("stem", "conv0"),
            ("stage1", "cell_stem_1"),
            ("stage2", "cell_5"),
            ("stage3", "cell_11"),
            ("stage4", "act"),
            ("logits", "last_linear"),
        ),
        "last_linear",
    ),
)
