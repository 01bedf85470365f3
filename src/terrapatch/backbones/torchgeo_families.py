"""How torchgeo's networks are built for their weights, and where their layers are.

Part of the adapter ``torchgeo_nets``. Importing this imports neither torch nor torchgeo.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from terrapatch.backbones.architecture import Architecture, Stages

if TYPE_CHECKING:
    import torch
    from torch import nn

# Wavelengths, in micrometres, of the red, green and blue that DOFA's authors embed photographs
# with (README of github.com/zhu-xlab/DOFA).
DOFA_WAVELENGTHS = (0.665, 0.56, 0.49)

UNKNOWN = "is built in a way terrapatch does not know; use torchgeo itself"
# Why networks cannot embed, by the beginning of their names.
REFUSALS = {
    "aurora": "forecasts the weather and takes no images; use torchgeo itself",
    "copernicusfm": "needs the place, date and wavelengths of every patch beside its pixels, which "
    "embed cannot give; use torchgeo itself",
    "croma": "needs Sentinel-1 and Sentinel-2 together, which embed cannot give; use torchgeo "
    "itself",
    "deo": "takes pictures and reflectance in one image, whose scales embed cannot mix; use "
    "torchgeo itself",
    "olmoearth": "needs dates and several sensors, which embed cannot give; use torchgeo itself",
    "panopticon": "needs the identity of every channel beside its pixels, which embed cannot "
    "give; use torchgeo itself",
    "presto": "takes months of single pixels, which embed cannot give; use torchgeo itself",
    "satclip": "takes places and no images; use torchgeo itself",
    "tessera": "takes a year of single pixels, which embed cannot give; use torchgeo itself",
    "unet": "draws maps and describes no patches; use torchgeo itself",
}


@dataclass(frozen=True)
class Sides:
    """Sides of patches, in pixels: the default's range, the smallest, and the step."""

    sizes: tuple[int, int]
    least: int = 32
    step: int = 1


@dataclass(frozen=True)
class Family:
    """Networks that are built alike.

    Attributes:
        build: Builds one by torchgeo's name, channels and the weights' own facts.
        stages: Finds the layers of a built one.
        sides: Finds the sides of patches that a built one takes; the second value is the
            side its weights ask for.
        package: The package whose code torchgeo builds on.
        layout: Order of the axes of the layers' maps.
        prefix: Tokens that stand for no place.
        norm: The last norm, which files may lack.
        head: Module path of the classifier, which files may have.
        ignore: Beginnings of names of tensors that embedding does not need.
        takes: Called with the network and a batch; the network itself if ``None``.
    """

    build: Callable[[str, int, Mapping[str, Any]], nn.Module]
    stages: Callable[[Any], Stages]
    sides: Callable[[Any, int | None], Sides]
    package: str = "timm"
    layout: Literal["nchw", "nhwc", "tokens"] = "nchw"
    prefix: Callable[[Any], int] = lambda _network: 0
    norm: str = ""
    head: str = "head"
    ignore: tuple[str, ...] = ()
    takes: Callable[[nn.Module, Any], Any] | None = None


def refusal(model: str) -> str:
    """Say why a network of torchgeo cannot embed, or return nothing."""
    for beginning, reason in REFUSALS.items():
        if model.startswith(beginning):
            return reason
    return "" if _family(model) is not None else UNKNOWN


def architecture(
    model: str, channels: int, meta: Mapping[str, Any], side: int | None, summary: str
) -> tuple[Architecture, Sides, int]:
    """Describe a network of torchgeo; it is built once, without memory.

    Args:
        model: torchgeo's name of it.
        channels: Channels it takes.
        meta: What torchgeo says about the weights.
        side: Side of the patches that the weights ask for, if they do.
        summary: One line about it.

    Returns:
        The architecture, the sides it takes and the number of its parameters.
    """
    import torch

    family = _family(model)
    if family is None:
        raise ValueError(f"{model} {UNKNOWN}")
    build = partial(family.build, model, channels, meta)
    with torch.device("meta"):
        network = build()
    found = Architecture(
        name=model,
        summary=summary,
        citation=str(meta.get("publication", "")),
        build=build,
        stages=family.stages(network),
        classifier=family.head,
        packages=("torch", family.package, "torchgeo"),
        layout=family.layout,
        prefix=family.prefix(network),
        rename=_rename(network, family.norm),
        ignore=family.ignore,
        takes=family.takes,
    )
    return found, family.sides(network, side), sum(p.numel() for p in network.parameters())


def _family(model: str) -> Family | None:
    return next((f for pattern, f in FAMILIES.items() if re.fullmatch(pattern, model)), None)


def _torchgeo(model: str, **options: Any) -> Any:
    from torchgeo.models import get_model

    return get_model(model, **options)


def _build_timm(model: str, channels: int, meta: Mapping[str, Any]) -> nn.Module:
    size = {"img_size": meta["img_size"]} if "img_size" in meta else {}
    network: nn.Module = _torchgeo(model, in_chans=channels, num_classes=0, **size)
    return network


def _build_swin(model: str, channels: int, meta: Mapping[str, Any]) -> nn.Module:
    from torch import nn
    from torchvision.models.swin_transformer import ShiftedWindowAttention

    network = _torchgeo(model)
    network.head = nn.Identity()
    first = network.features[0][0]
    if channels != first.in_channels:
        network.features[0][0] = nn.Conv2d(
            channels, first.out_channels, first.kernel_size, first.stride
        )
    window = meta.get("window_size")
    for module in network.modules():
        if window and isinstance(module, ShiftedWindowAttention):
            module.shift_size = [window // 2 if old else 0 for old in module.shift_size]
            module.window_size = [window, window]
            module.define_relative_position_bias_table()
            module.define_relative_position_index()
    made: nn.Module = network
    return made


def _build_dofa(model: str, _channels: int, _meta: Mapping[str, Any]) -> nn.Module:
    """Build DOFA, its patch embedding in fp32 whatever the precision.

    It makes its filters out of sines of the wavelengths in nanometres, which half
    precision rounds to another wavelength.
    """
    network = _torchgeo(model, num_classes=0)

    def enter(module: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        module.float()
        image = given[0].float()
        return image, image.new_tensor(DOFA_WAVELENGTHS)

    def leave(
        _module: nn.Module, _given: object, made: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return made[0].to(network.cls_token.dtype), made[1]

    network.patch_embed.register_forward_pre_hook(enter)
    network.patch_embed.register_forward_hook(leave)
    made: nn.Module = network
    return made


def _build_earthloc(model: str, channels: int, meta: Mapping[str, Any]) -> nn.Module:
    network: nn.Module = _torchgeo(
        model,
        in_channels=channels,
        image_size=meta["image_size"],
        desc_dim=meta["desc_dim"],
        backbone=meta["encoder"],
        pretrained=False,  # older ones download ImageNet weights otherwise
    )
    return network


def _build_tilenet(model: str, channels: int, _meta: Mapping[str, Any]) -> nn.Module:
    network: nn.Module = _torchgeo(model, in_channels=channels)
    return network


def _rename(network: Any, norm: str) -> Callable[[Mapping[str, Any]], dict[str, Any]] | None:
    """Return what adds the last norm where a file lacks it, for networks that have one."""
    if not norm:
        return None
    return partial(_with_norm, norm, int(network.get_submodule(norm).normalized_shape[0]))


def _with_norm(path: str, width: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Add the last norm where a file lacks it; torchgeo leaves it as it was made, too."""
    import torch

    return {f"{path}.weight": torch.ones(width), f"{path}.bias": torch.zeros(width), **given}


def _quarters(network: Any) -> Stages:
    """Name four of a transformer's blocks, one after each quarter."""
    depth = len(network.blocks)
    return tuple((f"stage{i}", f"blocks.{depth * i // 4 - 1}") for i in range(1, 5))


def _only(side: int) -> Sides:
    return Sides((side, side), side, side)


def _swin_sides(network: Any, side: int | None) -> Sides:
    """A side at which windows fill every map, unless the weights ask for one."""
    usual = side or 32 * int(network.features[1][0].attn.window_size[0])
    return Sides((usual, usual), step=32)


_LAYERS: Stages = tuple((f"stage{i}", f"layer{i}") for i in range(1, 6))
_SWIN: Stages = (
    *((f"stage{i}", f"features.{2 * i - 1}") for i in range(1, 5)),
    ("norm", "norm"),
)
_EARTHLOC: Stages = (
    ("stem", "backbone.maxpool"),
    *((f"stage{i}", f"backbone.layer{i}") for i in range(1, 4)),
    ("head", "fc"),
)
_TOKENS = Family(
    build=_build_timm,
    stages=lambda network: (*_quarters(network), ("norm", "norm")),
    sides=lambda network, _side: _only(int(network.patch_embed.img_size[0])),
    layout="tokens",
    prefix=lambda network: int(network.num_prefix_tokens),
    norm="norm",
    # What masked autoencoders and segmentation need beside the encoder.
    ignore=("mask_token", "decoder", "fpn", "fcn", "upsample"),
)
FAMILIES = {
    r"resnet\d+": Family(
        build=_build_timm,
        stages=lambda _network: (("stem", "maxpool"), *_LAYERS[:4]),
        sides=lambda _network, _side: Sides((128, 256)),
        head="fc",
    ),
    r"vit_.+|scalemae_.+": _TOKENS,
    r"swin_.+": Family(
        build=_build_swin,
        stages=lambda _network: _SWIN,
        sides=_swin_sides,
        package="torchvision",
        layout="nhwc",
        norm="norm",
    ),
    r"dofa_.+": Family(
        build=_build_dofa,
        stages=_quarters,
        sides=lambda network, _side: _only(int(network.img_size)),
        layout="tokens",
        prefix=lambda _network: 1,
        norm="fc_norm",
        ignore=("mask_token", "norm.", "projector."),
        takes=lambda network, batch: network(batch, list(DOFA_WAVELENGTHS)),
    ),
    r"earthloc": Family(
        build=_build_earthloc,
        stages=lambda _network: _EARTHLOC,
        sides=lambda network, _side: _only(int(network.image_size)),
    ),
    r"tilenet": Family(
        build=_build_tilenet,
        stages=lambda _network: (("stem", "bn1"), *_LAYERS),
        sides=lambda _network, _side: Sides((64, 256), least=49),
    ),
}
