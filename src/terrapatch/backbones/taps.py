"""Catching what layers of a network give while it runs, and stopping after the last of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from terrapatch.errors import BackboneError

Take = Callable[[str, torch.Tensor], None]

# Modules whose four axes are (n, channels, height, width) whatever the network's own order.
CONVOLUTIONAL = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


class _Enough(Exception):  # noqa: N818 (it ends a run, it is no error)
    """Raised inside a network once the last layer that is wanted has run."""


@dataclass
class Taps:
    """The layers of a network that are caught.

    A module that runs several times in one pass (a shared activation) gives what it
    gives last.

    Attributes:
        network: The network.
        paths: Module path of every layer, by the name it is called.
        forward: Runs the network on a batch.
        calls: How often each module runs in a pass; known after ``count``.
    """

    network: nn.Module
    paths: dict[str, str]
    forward: Callable[[nn.Module, Any], Any] | None = None
    calls: dict[str, int] = field(default_factory=dict)

    def count(self, batch: torch.Tensor) -> None:
        """Run once to learn how often each layer runs.

        Raises:
            BackboneError: If a layer does not run at all, or gives no single tensor.
        """
        counts = dict.fromkeys(self.paths, 0)
        odd: dict[str, str] = {}

        def seen(name: str) -> Callable[..., None]:
            def hook(_module: nn.Module, _given: Any, made: Any) -> None:
                counts[name] += 1
                if not torch.is_tensor(made) or made.ndim not in (2, 3, 4):
                    odd[name] = type(made).__name__

            return hook

        handles = [self._module(n).register_forward_hook(seen(n)) for n in self.paths]
        try:
            self.whole(batch)
        finally:
            for handle in handles:
                handle.remove()
        for name, times in counts.items():
            if times == 0:
                raise BackboneError(f"the layer {name} does not run when the network embeds")
            if name in odd:
                raise BackboneError(
                    f"the layer {name} gives {odd[name]}, not one tensor of features; tap another"
                )
        self.calls = counts

    def run(self, batch: torch.Tensor, take: Take) -> None:
        """Run a batch; hand over every layer the moment it is made, and stop after the last.

        Args:
            batch: What the network takes.
            take: Called with the layer's name and what it gave; it must not keep the tensor
                without copying it, since the next layer may work in place.
        """
        left = dict(self.calls)

        def caught(name: str) -> Callable[..., None]:
            def hook(_module: nn.Module, _given: Any, made: torch.Tensor) -> None:
                left[name] -= 1
                if left[name] == 0:
                    take(name, made)
                    if not any(left.values()):
                        raise _Enough

            return hook

        handles = [self._module(n).register_forward_hook(caught(n)) for n in self.paths]
        try:
            self.whole(batch)
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()

    def layout(self, name: str, own: str) -> str:
        """Return the order of a layer's four axes: the network's own, or a convolution's."""
        return "nchw" if isinstance(self._module(name), CONVOLUTIONAL) else own

    def _module(self, name: str) -> nn.Module:
        return self.network.get_submodule(self.paths[name])

    def whole(self, batch: torch.Tensor) -> None:
        """Run the network to its end."""
        if self.forward is None:
            self.network(batch)
        else:
            self.forward(self.network, batch)
