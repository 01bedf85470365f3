"""A network compiled for one length of batch (``torch.compile``), taps and pooling included.

Compiling takes some seconds and fuses what happens between convolutions; what no tap
needs is left out. Batches of another length, as blocks have at their end, run the same
network uncompiled; the numbers agree to rounding.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from terrapatch.backbones.base import Batch
from terrapatch.backbones.flight import Flight
from terrapatch.backbones.network import NetworkEmbedder
from terrapatch.backbones.precision import AGREEMENT, least_cosine, timed
from terrapatch.errors import BackboneError

log = logging.getLogger("terrapatch")

# What compiling takes at most times, and what a network gains by it: measured on CPUs.
COST_SECONDS, GAIN = 20.0, 1.15
# A compiled network that gains less than this is not used.
WORTHWHILE = 1.03


def pays(seconds: float) -> bool:
    """Whether compiling pays for a run that takes so many seconds without it."""
    return seconds * (1 - 1 / GAIN) > COST_SECONDS


class CompiledEmbedder:
    """Embeds patches as its network does, compiled for full batches.

    Attributes:
        groups: Name, start and stop of each layer's numbers in a descriptor.
    """

    def __init__(self, network: NetworkEmbedder, batch: int) -> None:
        """Prepare to compile; the first full batch does it."""
        self.groups, self._network, self._batch = network.groups, network, batch
        self._whole = _Tapped(network)
        torch._dynamo.reset()
        self._fast: Callable[[torch.Tensor], torch.Tensor] = torch.compile(
            self._whole, dynamic=False, options={"freezing": True}
        )

    def features(
        self,
        batch: Batch,
        valid: Batch | None = None,  # noqa: ARG002 (invalid pixels are filled already)
    ) -> npt.NDArray[np.float32]:
        """Describe patches; see ``NetworkEmbedder.features``."""
        return self.begin(batch).result()

    def begin(self, batch: Batch) -> Flight:
        """Start describing patches; see ``NetworkEmbedder.begin``."""
        if len(batch) != self._batch:
            return self._network.begin(batch)
        with torch.no_grad():
            return Flight(self._fast(self._network.scaled(batch)), len(batch))


class _Tapped(nn.Module):
    """A network that gives the pooled numbers of its taps, joined."""

    def __init__(self, network: NetworkEmbedder) -> None:
        super().__init__()
        self.network = network.network
        self._caught: dict[str, torch.Tensor] = {}
        self._names = [name for name, _, _ in network.groups]
        self._join = network.joined
        self._forward = network.forward
        self._catching = False
        for name in self._names:
            module = self.network.get_submodule(network.path(name))
            module.register_forward_hook(self._catch(name, network))

    def _catch(self, name: str, network: NetworkEmbedder) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: Any, made: torch.Tensor) -> None:
            if self._catching:
                self._caught[name] = network.pooled_layer(name, made)

        return hook

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the network and return descriptors ``(n, features)``."""
        self._catching = True
        self._forward(x)
        self._catching = False
        return self._join([self._caught[name] for name in self._names])


def try_compiled(
    network: NetworkEmbedder, patches: Batch, batch: int, rate: float, asked: str
) -> tuple[CompiledEmbedder, float] | None:
    """Compile a network and keep it if it is faster and agrees.

    Args:
        network: The network, ready to embed.
        patches: Some patches of the scene.
        batch: Patches that go through the network at once.
        rate: Patches a second as it is.
        asked: ``auto``, or ``on`` to use it whatever it gains.

    Returns:
        The compiled form and its rate; ``None`` if it is not used.

    Raises:
        BackboneError: If it is asked for and cannot be had.
    """
    whole = np.resize(patches, (batch, *patches.shape[1:]))
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # says there is no GPU
    start = time.perf_counter()
    try:
        fast = CompiledEmbedder(network, batch)
        made = fast.features(whole)
    except Exception as fault:  # torch.compile raises whatever its many parts raise
        why = str(fault).strip().splitlines()[0][:160] if str(fault).strip() else repr(fault)
        if asked == "on":
            raise BackboneError(
                f"the network cannot be compiled here ({why}); install a C++ compiler, or pass "
                "--compile off"
            ) from fault
        log.info("not compiled: %s", why)
        return None
    took = time.perf_counter() - start
    _, quick = timed(fast, whole, batch)
    agreement = least_cosine(network.features(whole), made, network.groups)
    said = f"{took:.0f} s; {rate:.0f} to {quick:.0f} patches a second, cosine {agreement:.5f}"
    if agreement < AGREEMENT or (asked == "auto" and quick < WORTHWHILE * rate):
        log.info("compiled but not used (%s)", said)
        return None
    log.info("compiled (%s)", said)
    return fast, quick
