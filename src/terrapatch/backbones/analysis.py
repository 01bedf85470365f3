"""What a network is, computed from the network itself: parameters, cost, every layer's facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from terrapatch.backbones.architecture import Architecture
from terrapatch.backbones.build import bare
from terrapatch.backbones.pooling import as_map
from terrapatch.backbones.reach import Field, Operation, Reach
from terrapatch.backbones.taps import CONVOLUTIONAL
from terrapatch.errors import BackboneError

# Two images, so that flattening one image and listing all positions look different.
IMAGES = 2


@dataclass(frozen=True)
class Layer:
    """One layer of a built network at an input size.

    Attributes:
        name: Its name.
        path: Its module path.
        width: Channels, or numbers where it is fully connected.
        map_size: Rows and columns of its map; ``(1, 1)`` where it has no positions.
        stride: Input pixels between neighbouring positions.
        field: Side of its receptive field in input pixels; infinite where it sees all.
        reach: First and last input pixel that its first position depends on.
        parameters: Parameters of the network up to and with this layer.
        flops: Floating-point operations up to and with this layer, two a multiply-add.
        operations: What runs between the layer before and the end of this one.
    """

    name: str
    path: str
    width: int
    map_size: tuple[int, int]
    stride: float
    field: float
    reach: tuple[float, float]
    parameters: int
    flops: int
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class NetworkFacts:
    """A network at an input size.

    Attributes:
        size: Side of a patch in pixels.
        parameters: All parameters, the classifier's too.
        flops: Floating-point operations of one patch, two a multiply-add.
        layers: Every named layer, in the order they run.
    """

    size: int
    parameters: int
    flops: int
    layers: tuple[Layer, ...]

    def layer(self, name: str) -> Layer:
        """Return one layer by name."""
        return next(one for one in self.layers if one.name == name)


def count_parameters(architecture: Architecture) -> int:
    """Count the parameters of a network, those of the classifier included."""
    return sum(p.numel() for p in bare(architecture).parameters())


def examine(architecture: Architecture, channels: int, size: int) -> NetworkFacts:
    """Run a network without memory and note what every layer gives.

    Args:
        architecture: The network.
        channels: Channels it takes.
        size: Side of a patch in pixels.

    Raises:
        BackboneError: If the network cannot take that size.
    """
    network = bare(architecture)
    image = torch.zeros(IMAGES, channels, size, size, device="meta")
    reach = Reach(image)
    watch = _Watch(network, architecture, reach)
    try:
        with torch.no_grad(), reach:
            if architecture.takes is None:
                network(image)
            else:
                architecture.takes(network, image)
    except (RuntimeError, AssertionError) as fault:
        raise BackboneError(
            f"{architecture.name} cannot take patches of {size} x {size} pixels "
            f"({str(fault).strip().splitlines()[0][:120]}); choose another --input-size"
        ) from fault
    finally:
        watch.close()
    parameters = sum(p.numel() for p in network.parameters())
    return NetworkFacts(size, parameters, reach.flops // IMAGES, tuple(watch.layers))


class _Watch:
    """Hooks that note the facts of the named layers while a network runs."""

    def __init__(self, network: nn.Module, architecture: Architecture, reach: Reach) -> None:
        self.layers: list[Layer] = []
        self._reach, self._architecture = reach, architecture
        self._ran: set[int] = set()
        self._parameters, self._operations = 0, 0
        self._handles = [m.register_forward_pre_hook(self._enter) for m in network.modules()]
        for name, path in architecture.stages:
            module = network.get_submodule(path)
            self._handles.append(module.register_forward_hook(self._leave(name, path)))

    def close(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()

    def _enter(self, module: nn.Module, _given: Any) -> None:
        self._count(module.parameters(recurse=False))

    def _count(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add the parameters that were not seen before."""
        for parameter in parameters:
            if id(parameter) not in self._ran:
                self._ran.add(id(parameter))
                self._parameters += parameter.numel()

    def _leave(self, name: str, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, _given: Any, made: torch.Tensor) -> None:
            field = self._reach.field(made)
            if field is None:
                raise BackboneError(f"the layer {name} does not depend on the image")
            self._count(module.parameters())
            done = tuple(self._reach.operations[self._operations :])
            self._operations = len(self._reach.operations)
            self.layers = [one for one in self.layers if one.name != name]
            flops = self._reach.flops // IMAGES
            self.layers.append(self._facts(name, path, module, made, field, flops, done))

        return hook

    def _facts(
        self,
        name: str,
        path: str,
        module: nn.Module,
        made: torch.Tensor,
        field: Field,
        flops: int,
        done: tuple[Operation, ...],
    ) -> Layer:
        layout = "nchw" if isinstance(module, CONVOLUTIONAL) else self._architecture.layout
        flat = as_map(made, layout, self._architecture.prefix)
        rows, cols = map_size(made, layout, int(flat.shape[2]))
        far = max(field.rows.length, field.cols.length)
        step = max(field.rows.step, field.cols.step)
        spans = (field.rows, field.cols)
        return Layer(
            name=name,
            path=path,
            width=int(flat.shape[1]),
            map_size=(rows, cols),
            stride=step,
            field=far,
            reach=(min(s.low for s in spans), max(s.high for s in spans)),
            parameters=self._parameters,
            flops=flops,
            operations=done,
        )


def map_size(made: torch.Tensor, layout: str, positions: int) -> tuple[int, int]:
    """Return rows and columns of a layer's map; tokens are taken to be a square of patches."""
    if made.ndim == 4:
        rows, cols = made.shape[1:3] if layout == "nhwc" else made.shape[2:]
        return (int(rows), int(cols))
    side = math.isqrt(positions)
    return (side, side) if side * side == positions else (1, positions)
