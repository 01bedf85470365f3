"""Weights of a network for pixels as safetensors, and back, checked against what they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn.pixels.nets.kinds import find_net
from terrapatch.learn.pixels.nets.parts import PixelNet
from terrapatch.learn.pixels.nets.settings import NetSettings, make_settings
from terrapatch.learn.pixels.nets.training import Standard

FILE = "net.safetensors"
_NETWORK, _MEAN, _FACTOR = "network.", "standard.mean", "standard.factor"

Tensors = dict[str, torch.Tensor]


def net_bytes(network: PixelNet, standard: Standard) -> dict[str, bytes]:
    """Return a trained network as files: numbers alone, the same every time."""
    from safetensors.torch import save

    tensors = {
        f"{_NETWORK}{name}": tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    return {FILE: save(tensors | {_MEAN: standard.mean.cpu(), _FACTOR: standard.factor.cpu()})}


def read_net(
    settings: Mapping[str, Any], files: Mapping[str, bytes]
) -> tuple[NetSettings, NDArray[np.int32], PixelNet, Standard]:
    """Make a network again.

    Args:
        settings: What ``NetLearner.settings`` returned.
        files: What ``NetLearner.files`` returned.

    Raises:
        RecipeError: If a file is missing or damaged, or does not fit the settings.
    """
    try:
        options = dict(settings["options"])
        made = make_settings(str(options.pop("net")), options)
        classes = np.array([int(one) for one in settings["classes"]], np.int32)
        if len(classes) < 2 or (np.diff(classes) <= 0).any():
            raise ValueError("the class ids do not rise")
        features = int(settings["features"])
        if not all(isinstance(settings[name], Mapping) for name in ("chosen", "history")):
            raise TypeError("what was chosen is not told")
        if not 0 < float(settings["temperature"]) < float("inf"):
            raise ValueError("the temperature is not above 0")
        with torch.device("meta"):  # shapes without memory
            network = find_net(made.net).build(
                features, len(classes), made.patch, made.width, made.dropout
            )
    except (KeyError, TypeError, ValueError, AttributeError, SamplesError) as fault:
        raise RecipeError(
            f"the settings of the network are damaged ({fault}); train it again"
        ) from fault
    tensors = _tensors(files)
    expected = {f"{_NETWORK}{name}": tensor for name, tensor in network.state_dict().items()}
    row = torch.empty(features, device="meta")
    _check(tensors, expected | {_MEAN: row, _FACTOR: row})
    network.load_state_dict(
        {name: tensors[f"{_NETWORK}{name}"] for name in network.state_dict()}, assign=True
    )
    return made, classes, network.eval(), Standard(tensors[_MEAN], tensors[_FACTOR])


def _tensors(files: Mapping[str, bytes]) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load

    if FILE not in files:
        raise RecipeError(f"the model has no {FILE}, so it is not whole; train it again")
    try:
        return load(files[FILE])
    except (SafetensorError, KeyError, ValueError) as fault:
        raise RecipeError(f"{FILE} is damaged ({fault}); train the network again") from fault


def _check(found: Tensors, expected: Tensors) -> None:
    """Refuse tensors of other names, shapes, types, or with what is no number."""
    odd = sorted(set(found) ^ set(expected))
    if odd:
        raise RecipeError(
            f"{FILE} does not fit its settings: {odd[0]} is "
            f"{'missing' if odd[0] in expected else 'not of this network'}; train it again"
        )
    for name, tensor in expected.items():
        given = found[name]
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            raise RecipeError(
                f"{FILE} does not fit its settings: {name} is {_told(given)} where the network "
                f"has {_told(tensor)}; train it again"
            )
        if not bool(torch.isfinite(given).all()):
            raise RecipeError(f"{FILE} is damaged: {name} holds no number; train it again")


def _told(tensor: torch.Tensor) -> str:
    shape = " x ".join(map(str, tensor.shape)) or "one number"
    return f"{shape} ({str(tensor.dtype).removeprefix('torch.')})"
