"""Networks that torchvision builds. Importing this module imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from terrapatch.backbones.architecture import Architecture, Stages

if TYPE_CHECKING:
    from torch import nn

PACKAGES = ("torch", "torchvision")


def _build(name: str, **options: Any) -> nn.Module:
    from torchvision.models import get_model

    network: nn.Module = get_model(name, weights=None, **options)
    return network


def _build_densenet(name: str) -> nn.Module:
    """Build a DenseNet whose last norm is a module with its activation.

    torchvision rectifies the last map in ``forward``; here the layer gives what the
    classifier sees.
    """
    from torch import nn

    network = _build(name)
    features: Any = network.features
    features.add_module("relu5", nn.ReLU())
    return network


def _build_same(name: str) -> nn.Module:
    """Build a network whose convolutions of stride 2 pad as TensorFlow does (``SAME``).

    There, the odd zero goes below and to the right, so that filters trained that way
    lie half a pixel off under torch's symmetric padding.
    """
    from timm.layers.conv2d_same import Conv2dSame
    from torch import nn

    network = _build(name)
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            parent, _, last = path.rpartition(".")
            same = Conv2dSame(
                module.in_channels,
                module.out_channels,
                module.kernel_size[0],
                stride=module.stride[0],
                groups=module.groups,
                bias=module.bias is not None,
            )
            same.load_state_dict(module.state_dict())
            setattr(network.get_submodule(parent), last, same)
    return network


_OLD_DENSE = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


def _rename_densenet(given: Mapping[str, Any]) -> dict[str, Any]:
    """Bring ``norm.1.weight`` of files from 2017 to ``norm1.weight``."""
    return {_OLD_DENSE.sub(r"\1\2", name): tensor for name, tensor in given.items()}


def _numbered(prefix: str, module: str, last: tuple[int, ...]) -> Stages:
    """Name modules of a sequence by a prefix and a number."""
    return tuple((f"{prefix}{i}", f"{module}.{n}") for i, n in enumerate(last, 1))


def _staged(stem: str, paths: tuple[str, ...], logits: str, head: str = "") -> Stages:
    """Name a stem, stages, a head where there is one, and the logits."""
    stages = tuple((f"stage{i}", path) for i, path in enumerate(paths, 1))
    tail = (("head", head),) if head else ()
    return (("stem", stem), *stages, *tail, ("logits", logits))


def _features(stem: int, last: tuple[int, ...], logits: str, head: int | None = None) -> Stages:
    """Name the same in networks whose modules stand in a row called ``features``."""
    paths = tuple(f"features.{n}" for n in last)
    return _staged(f"features.{stem}", paths, logits, f"features.{head}" if head else "")


_RESNET = _staged("maxpool", ("layer1", "layer2", "layer3", "layer4"), "fc")
_DENSENET = _staged(
    "features.pool0",
    ("features.denseblock1", "features.denseblock2", "features.denseblock3", "features.relu5"),
    "classifier",
)
_EFFICIENTNET = _features(0, (1, 2, 3, 4, 5, 6, 7), "classifier.1", 8)
_CONVNEXT = _features(0, (1, 3, 5, 7), "classifier.2")
_FC = (("fc6", "classifier.1"), ("fc7", "classifier.4"), ("logits", "classifier.6"))

ALEX = "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep CNNs, NeurIPS"
VGG = "Simonyan and Zisserman 2015, Very deep convolutional networks, ICLR, arXiv:1409.1556"
GOOGLE = "Szegedy et al. 2015, Going deeper with convolutions, CVPR, arXiv:1409.4842"
INCEPTION3 = "Szegedy et al. 2016, Rethinking the Inception architecture, CVPR, arXiv:1512.00567"
RES = "He et al. 2016, Deep residual learning, CVPR, arXiv:1512.03385"
DENSE = "Huang et al. 2017, Densely connected convolutional networks, CVPR, arXiv:1608.06993"
SQUEEZE = "Iandola et al. 2016, SqueezeNet, arXiv:1602.07360"
MOBILE2 = "Sandler et al. 2018, MobileNetV2, CVPR, arXiv:1801.04381"
MOBILE3 = "Howard et al. 2019, Searching for MobileNetV3, ICCV, arXiv:1905.02244"
EFFICIENT = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling for CNNs, ICML"
CONVNEXT = "Liu et al. 2022, A ConvNet for the 2020s, CVPR, arXiv:2201.03545"


def _net(
    name: str, summary: str, citation: str, stages: Stages, classifier: str, **more: Any
) -> Architecture:
    build = more.pop("build", partial(_build, name, **more.pop("options", {})))
    return Architecture(
        name=name,
        summary=summary,
        citation=citation,
        build=build,
        stages=stages,
        classifier=classifier,
        packages=more.pop("packages", PACKAGES),
        **more,
    )


def _vgg(depth: int, last: tuple[int, ...]) -> Architecture:
    stages = (*_numbered("stage", "features", last), *_FC)
    return _net(f"vgg{depth}", f"VGG-{depth}: 3 x 3 filters only", VGG, stages, "classifier.6")


def _mobile3(size: str, last: tuple[int, ...], head: int) -> Architecture:
    stages = _features(0, last, "classifier.3", head)
    name = f"mobilenet_v3_{size}"
    return _net(name, f"MobileNetV3 {size}", MOBILE3, stages, "classifier.3")


_MOBILE2 = _features(0, (1, 3, 6, 10, 13, 16, 17), "classifier.1", 18)

ARCHITECTURES: tuple[Architecture, ...] = (
    _net(
        "alexnet",
        "AlexNet, one tower, as of 2014 (no local response normalisation)",
        ALEX,
        (*_numbered("conv", "features", (2, 5, 7, 9, 12)),
         ("fc6", "classifier.2"), ("fc7", "classifier.5"), ("logits", "classifier.6")),
        "classifier.6",
    ),
    _vgg(16, (4, 9, 16, 23, 30)),
    _vgg(19, (4, 9, 18, 27, 36)),
    _net(
        "googlenet",
        "GoogLeNet (Inception v1), its auxiliary classifiers left out",
        GOOGLE,
        _staged("maxpool2", ("inception3b", "inception4e", "inception5b"), "fc"),
        "fc",
        options={"aux_logits": False, "init_weights": False},
        ignore=("aux1.", "aux2."),
    ),
    _net(
        "inception_v3",
        "Inception v3, its auxiliary classifier left out",
        INCEPTION3,
        _staged("maxpool2", ("Mixed_5d", "Mixed_6e", "Mixed_7c"), "fc"),
        "fc",
        options={"aux_logits": False, "init_weights": False},
        ignore=("AuxLogits.",),
    ),
    *(
        _net(f"resnet{depth}", f"ResNet-{depth}", RES, _RESNET, "fc")
        for depth in (18, 34, 50, 101, 152)
    ),
    *(
        _net(
            f"densenet{depth}",
            f"DenseNet-{depth}",
            DENSE,
            _DENSENET,
            "classifier",
            build=partial(_build_densenet, f"densenet{depth}"),
            rename=_rename_densenet,
        )
        for depth in (121, 161, 169, 201)
    ),
    _net(
        "squeezenet1_0",
        "SqueezeNet 1.0",
        SQUEEZE,
        _features(2, (5, 10, 12), "classifier.3"),
        "classifier",
    ),
    _net(
        "squeezenet1_1",
        "SqueezeNet 1.1",
        SQUEEZE,
        _features(2, (4, 7, 12), "classifier.3"),
        "classifier",
    ),
    _net("mobilenet_v2", "MobileNetV2", MOBILE2, _MOBILE2, "classifier.1"),
    _mobile3("small", (1, 3, 6, 8, 11), 12),
    _mobile3("large", (1, 3, 6, 10, 12, 15), 16),
    *(
        _net(f"efficientnet_b{i}", f"EfficientNet-B{i}", EFFICIENT, _EFFICIENTNET, "classifier.1")
        for i in range(8)
    ),
    *(
        _net(f"convnext_{size}", f"ConvNeXt {size}", CONVNEXT, _CONVNEXT, "classifier.2")
        for size in ("tiny", "small", "base", "large")
    ),
)  # fmt: skip

# Weights that want the network built another way.
MOBILENET_V2_SAME = _net(
    "mobilenet_v2",
    "MobileNetV2 with TensorFlow's padding",
    MOBILE2,
    _MOBILE2,
    "classifier.1",
    build=partial(_build_same, "mobilenet_v2"),
    packages=(*PACKAGES, "timm"),
)
VGG16_FEATURES = _net(
    "vgg16",
    "VGG-16 without its fully connected layers",
    VGG,
    _numbered("stage", "features", (4, 9, 16, 23, 30)),
    "classifier",
)
