"""Networks that neither torchvision nor timm builds, and weights that neither lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.backbones import torchvision_nets
from terrapatch.backbones.architecture import Architecture
from terrapatch.backbones.contract import RGB, InputContract
from terrapatch.backbones.weights import Weights

if TYPE_CHECKING:
    from torch import nn

SERMANET = "Sermanet et al. 2013, OverFeat, arXiv:1312.6229"
LECUN = "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning, Proc. IEEE 86(11)"


def _overfeat() -> nn.Module:
    from terrapatch.backbones import overfeat

    return overfeat.build()


def _read_overfeat(path: Path) -> dict[str, Any] | None:
    """Read the authors' own file; files of torch and safetensors are read as any other."""
    from terrapatch.backbones import overfeat, tensors

    return None if tensors.is_known_format(path) else overfeat.read_original(path)


def _lenet() -> nn.Module:
    from terrapatch.backbones import lenet

    return lenet.build()


OVERFEAT = Architecture(
    name="overfeat",
    summary="OverFeat, the fast network; its fully connected layers are convolutions",
    citation=SERMANET,
    build=_overfeat,
    stages=tuple(
        (n, n) for n in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "logits")
    ),
    classifier="logits",
    packages=("torch",),
    read=_read_overfeat,
)
LENET = Architecture(
    name="lenet5",
    summary="LeNet-5 for 32 x 32 grey pixels, average pooling, ten classes",
    citation=LECUN,
    build=_lenet,
    stages=tuple((n, n) for n in ("conv1", "conv2", "conv3", "fc4", "logits")),
    classifier="logits",
    packages=("torch",),
)

OVERFEAT_WEIGHTS = Weights(
    name="net_weight_0",
    source="the authors of OverFeat, overfeat-weights.tgz",
    size=4 * 145_920_872,
    licence="New York University, internal research and evaluation only, no redistribution",
    citation=SERMANET,
    how="take net_weight_0 out of the authors' overfeat-weights.tgz (github.com/sermanet/OverFeat)",
)
LENET_WEIGHTS = Weights(
    name="lenet5.safetensors",
    source="your own training, since nobody published any",
    size=4 * 61_706,
    exact="about",
    licence="yours",
    citation=LECUN,
    how="train it (or use lenet5:random)",
)
CAFFE_SQUEEZENET = Weights(
    name="squeezenet1_0_torchvision.pth",
    source="the authors of SqueezeNet, their Caffe model under torchvision's names",
    size=5_014_235,
    licence="BSD-2-Clause",
    citation=torchvision_nets.SQUEEZE,
    sha256="db413c38ddead91e7ccf7982de5ce29f690fec5e8f6bb6b3a4b3327c6ca9b2db",
    how="convert the authors' SqueezeNet v1.0 Caffe model to torchvision's names",
)
TF_MOBILENET = Weights(
    name="mobilenet_v2_fp16.pth",
    source="TensorFlow's MobileNetV2 (int8) under torchvision's names, in half precision",
    size=7_175_307,
    licence="Apache-2.0",
    citation=torchvision_nets.MOBILE2,
    sha256="6f37fa2984a47450e90cd6f9d1c7bab089ee58ea5d083ad613bba67422b22167",
    how="convert TensorFlow's MobileNetV2 1.0 224 to torchvision's names",
)

_SQUEEZENET = next(a for a in torchvision_nets.ARCHITECTURES if a.name == "squeezenet1_0")


def networks() -> list[tuple[str, Architecture, InputContract, Weights, str]]:
    """Return name, network, contract, weights and obstacle of each."""
    overfeat = InputContract(
        RGB, (118.380948,) * 3, (61.896913,) * 3, sizes=(231, 231), native=231, least=231
    )
    lenet = InputContract(RGB, (0.0,), (255.0,), sizes=(32, 32), native=32, grey=True)
    caffe = InputContract(RGB, (104.0, 117.0, 123.0), (1.0,) * 3, order=(2, 1, 0))
    tensorflow = InputContract(RGB, (127.5,) * 3, (127.5,) * 3)
    return [
        ("overfeat", OVERFEAT, overfeat, OVERFEAT_WEIGHTS, ""),
        ("lenet5", LENET, lenet, LENET_WEIGHTS, ""),
        ("squeezenet1_0:caffe", _SQUEEZENET, caffe, CAFFE_SQUEEZENET, ""),
        (
            "mobilenet_v2:tf",
            torchvision_nets.MOBILENET_V2_SAME,
            tensorflow,
            TF_MOBILENET,
            "",
        ),
    ]
