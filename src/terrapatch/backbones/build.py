"""Building networks: with nothing behind their tensors, with seeded random weights, from a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from terrapatch.backbones import tensors
from terrapatch.errors import BackboneError

if TYPE_CHECKING:
    from torch import nn

    from terrapatch.backbones.architecture import Architecture
    from terrapatch.backbones.base import Backbone

aten = torch.ops.aten


class _NoDrawing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fills tensors with the middle of a distribution where a library would draw from it.

    Weights that a file is about to replace need no drawing; for large networks it takes
    longer than all the rest of loading. (The middle passes every test of a truncated
    distribution, which draws again what lies outside.)
    """

    MIDDLES: ClassVar[dict[Any, Callable[..., float]]] = {
        aten.normal_: lambda mean=0.0, _std=1.0: mean,
        aten.uniform_: lambda low=0.0, high=1.0: (low + high) / 2,
    }

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, or fill where it would draw."""
        middle = self.MIDDLES.get(func._overloadpacket)
        if middle is not None:
            return args[0].fill_(middle(*args[1:]))
        return func(*args, **(kwargs or {}))


def bare(architecture: Architecture) -> nn.Module:
    """Build a network on torch's ``meta`` device: shapes without memory, in a moment."""
    with torch.device("meta"):
        return architecture.build().eval()


@cache
def module_paths(architecture: Architecture) -> tuple[str, ...]:
    """Return the paths of all modules of a network, as they are listed in it."""
    return tuple(name for name, _ in bare(architecture).named_modules() if name)


def random(architecture: Architecture, seed: int) -> nn.Module:
    """Build a network with its library's own initialisation, seeded; other seeds are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.build().eval()


@cache
def random_fingerprint(architecture: Architecture, seed: int) -> str:
    """Return a hash of a network's random weights, which another torch may draw otherwise."""
    return tensors.fingerprint(random(architecture, seed).state_dict())


def built(backbone: Backbone) -> tuple[nn.Module, bool]:
    """Build a backbone's network with the weights it is to have.

    Returns:
        The network, in fp32 on the CPU, and whether its classifier has weights.

    Raises:
        WeightsError: If the weights are of another network, or cannot be read.
        BackboneError: If it is no network.
    """
    architecture = backbone.architecture
    if architecture is None:
        raise BackboneError(f"{backbone.name} is no network, so it cannot be built")
    if backbone.found is None:
        return random(architecture, backbone.seed or 0), True
    with _NoDrawing():  # type: ignore[no-untyped-call]
        network = architecture.build().eval()
    path = backbone.found.path
    if architecture.read is not None and (own := architecture.read(path)) is not None:
        return network, tensors.put(network, architecture, own, path)
    given = tensors.read_tensors(path)
    if architecture.in_order and not set(given) & set(network.state_dict()):
        tensors.put_in_order(network, given, path)
        return network, True
    return network, tensors.put(network, architecture, given, path)
