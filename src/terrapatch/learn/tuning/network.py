"""A backbone's network without its classifier, pooled, under a new head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from terrapatch.backbones.base import Backbone
from terrapatch.backbones.build import built
from terrapatch.backbones.pooling import Layout, as_map, pool
from terrapatch.errors import BackboneError
from terrapatch.learn.tuning.inputs import Scaler
from terrapatch.learn.tuning.stages import module_stages, stage_names, taps_of

NORMS = nn.modules.batchnorm._BatchNorm


class TunedNetwork(nn.Module):
    """The network, its stages that are open or closed, and a head.

    Attributes:
        trunk: The backbone's network; nothing after its last stage is run.
        head: Dropout and one linear layer, or two with rectified units between.
        stages: Names of the stages, from the input on.
        own: The stage of every module of the trunk, by its path (see ``module_stages``).
    """

    def __init__(
        self,
        backbone: Backbone,
        side: int,
        classes: int,
        *,
        pooling: str = "mean",
        hidden: int = 0,
        dropout: float = 0.2,
        batch_norm: str = "running",
        seed: int = 0,
        network: nn.Module | None = None,
    ) -> None:
        """Build it, and try it once.

        Args:
            backbone: The backbone, its weights found.
            side: Side of its input in pixels.
            classes: Classes of the head.
            pooling: How the last stage is pooled over its positions.
            hidden: Units between the features and the classes; none if 0.
            dropout: Share of features left out while training.
            batch_norm: ``running`` to keep the statistics of batch norms everywhere,
                ``batch`` to learn them where a stage is open.
            seed: Seed of the head's weights.
            network: The network, where it is built already.

        Raises:
            WeightsError: If the weights are missing or of another network.
            BackboneError: If it is no network, or does not take images of that side.
        """
        super().__init__()
        if backbone.architecture is None or backbone.contract is None:
            raise BackboneError(f"{backbone.name} is no network, so it cannot be tuned")
        self._architecture, self._pooling = backbone.architecture, (pooling,)
        self._norm_learns, self._lowest = batch_norm == "batch", 0
        self.trunk = built(backbone)[0] if network is None else network
        self.trunk = self.trunk.to(memory_format=torch.channels_last)
        self.stages = stage_names(self._architecture)
        self._taps = taps_of(self.trunk, self._architecture, self.stages[-1])
        bands = (
            len(backbone.contract.channels) if backbone.mixing is None else backbone.mixing.bands
        )
        scaler = Scaler(backbone, side, torch.device("cpu"))
        probe = scaler(torch.zeros(1, bands, side, side, dtype=torch.uint8).numpy())
        width = self._try_out(backbone.name, probe)
        self.head = _head(width, hidden, classes, dropout, seed)
        self.eval()

    def _try_out(self, name: str, probe: torch.Tensor) -> int:
        """Run the network once; learn its stages and how many features it gives."""
        self.trunk.eval()
        side = probe.shape[-1]
        try:
            self.own = module_stages(self.trunk, self._architecture, probe)
            with torch.no_grad():
                self._taps.count(probe)
                return self.features(probe).shape[1]
        except (RuntimeError, AssertionError) as fault:
            raise BackboneError(
                f"{name} cannot take images of {side} x {side} pixels "
                f"({str(fault).strip().splitlines()[0][:120]}); choose another size"
            ) from fault

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last stage, pooled: ``(n, features)`` in fp32."""
        caught: list[torch.Tensor] = []
        name = self.stages[-1]

        def take(_name: str, made: torch.Tensor) -> None:
            layout = cast(Layout, self._taps.layout(name, self._architecture.layout))
            flat = as_map(made, layout, self._architecture.prefix)
            caught.append(pool(flat, self._pooling))

        self._taps.run(x, take)
        return caught[0]

    def forward(self, x: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """Return the classes' scores ``(n, classes)``, before the softmax.

        Args:
            x: A batch that is scaled; maps at the cut of a network that was cut (see
                ``Cut``); or features.
            pooled: Whether ``x`` holds features ``(n, features)`` already.
        """
        scores: torch.Tensor = self.head(x if pooled else self.features(x))
        return scores

    def open_from(self, lowest: int) -> None:
        """Let the stages from ``lowest`` on, and the head, be trained; close all others."""
        self._lowest = lowest
        for path, module in self.trunk.named_modules():
            for weight in module.parameters(recurse=False):
                weight.requires_grad_(self.own.get(path, -1) >= lowest)
        self.train(self.training)

    def train(self, mode: bool = True) -> TunedNetwork:
        """Go into training, or out of it; closed stages and their statistics stay out."""
        super().train(mode)
        for path, module in self.trunk.named_modules():
            learns = mode and self.own.get(path, -1) >= self._lowest
            module.training = learns and (self._norm_learns or not isinstance(module, NORMS))
        return self

    def groups(self, lowest: int, decay: float) -> list[dict[str, Any]]:
        """Return the parameters from a stage on, for an optimiser, open or not.

        Args:
            lowest: The lowest stage that will ever be open.
            decay: Weight decay; biases and the scales of norms have none.

        Returns:
            Groups with ``stage``, the number of the stage, that of the head being one
            more than the last.
        """
        parts: dict[tuple[int, bool], list[nn.Parameter]] = {}
        for path, module in self.trunk.named_modules():
            if self.own.get(path, -1) >= lowest:
                for weight in module.parameters(recurse=False):
                    parts.setdefault((self.own[path], weight.ndim > 1), []).append(weight)
        for weight in self.head.parameters():
            parts.setdefault((len(self.stages), weight.ndim > 1), []).append(weight)
        return [
            {"params": weights, "stage": stage, "weight_decay": decay if several else 0.0}
            for (stage, several), weights in sorted(parts.items(), key=lambda item: item[0])
        ]

    def tensors(self, lowest: int) -> dict[str, torch.Tensor]:
        """Return weights and statistics of the stages from ``lowest`` on, and of the head."""
        kept = {
            f"trunk.{name}": tensor
            for name, tensor in self.trunk.state_dict().items()
            if self.own.get(name.rpartition(".")[0], -1) >= lowest
        }
        return kept | {f"head.{name}": tensor for name, tensor in self.head.state_dict().items()}

    def put(self, tensors: dict[str, torch.Tensor], lowest: int) -> None:
        """Take over what ``tensors`` returned.

        Raises:
            ValueError: If a tensor is missing, or one too many.
        """
        wanted = self.tensors(lowest)
        if set(wanted) != set(tensors):
            odd = sorted(set(wanted) ^ set(tensors))
            raise ValueError(f"{odd[0]} and {len(odd) - 1} more tensors are missing or too many")
        with torch.no_grad():
            for name, tensor in tensors.items():
                if wanted[name].shape != tensor.shape:
                    raise ValueError(f"{name} has the shape {tuple(tensor.shape)}")
                wanted[name].copy_(tensor)


def _head(width: int, hidden: int, classes: int, dropout: float, seed: int) -> nn.Sequential:
    """Build a head whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: Sequence[nn.Module] = [nn.Dropout(dropout), nn.Linear(width, classes)]
        if hidden:
            layers = [
                nn.Linear(width, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, classes),
            ]
        return nn.Sequential(*layers)
