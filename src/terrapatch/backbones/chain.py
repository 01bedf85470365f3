"""Embedding patches with a network that is a chain of stages, on CPU or GPU."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from terrapatch.backbones.base import Batch, Descriptor, Groups, InputContract, Layer
from terrapatch.errors import BackboneError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pool_map(fmap: torch.Tensor, pooling: tuple[str, ...]) -> torch.Tensor:
    """Pool a map over its positions, in fp32 whatever the map's precision.

    Args:
        fmap: ``(n, channels, height, width)``.
        pooling: ``mean`` and/or ``std`` (the population's, in two passes).

    Returns:
        ``(n, channels * poolings)`` float32.
    """
    flat = fmap.permute(0, 2, 3, 1).reshape(fmap.shape[0], -1, fmap.shape[1]).float()
    mean = flat.mean(1)
    parts = {"mean": mean}
    if "std" in pooling:
        parts["std"] = (flat - mean[:, None]).square().mean(1).sqrt()
    return torch.cat([parts[p] for p in pooling], 1)


def fill_up(batch: Batch) -> Batch:
    """Fill a batch with empty patches up to a power of two.

    The kernels prepare and keep memory for every length of batch they meet; cells
    without valid pixels would make them meet all lengths.
    """
    missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
    if not missing:
        return batch
    return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])


class ChainEmbedder:
    """Patches through a chain of stages; taps pooled on the way, nothing run after the last.

    Attributes:
        groups: Name, start and stop of each layer's numbers in a descriptor.
    """

    def __init__(
        self,
        stages: OrderedDict[str, nn.Module],
        contract: InputContract,
        descriptor: Descriptor,
        input_size: int | None,
        device: str,
        precision: str,
    ) -> None:
        """Keep the stages up to the last tap, on the device and in the precision.

        Args:
            stages: Named stages, each fed with what the one before gave.
            contract: What the network takes in.
            descriptor: Which stages are tapped, and how they are pooled.
            input_size: Side that patches are resized to, or ``None`` to leave them.
            device: A torch device.
            precision: ``fp32``, ``bf16`` or ``fp16``.

        Raises:
            BackboneError: If the device cannot be used.
        """
        last = max(list(stages).index(name) for name in descriptor.layers)
        self._names = list(stages)[: last + 1]
        self._descriptor, self._size = descriptor, input_size
        self._dtype = DTYPES[precision]
        try:
            self._device = torch.device(device)
            mean = torch.tensor(contract.mean, device=self._device).view(1, -1, 1, 1)
        except (RuntimeError, AssertionError) as fault:
            raise BackboneError(
                f"device {device!r} cannot be used here "
                f"({str(fault).strip().splitlines()[0]}); run: terrapatch doctor"
            ) from fault
        self._mean = mean
        self._std = torch.tensor(contract.std, device=self._device).view(1, -1, 1, 1)
        self._stages = [
            stages[name]
            .eval()
            .requires_grad_(False)
            .to(self._device, self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for name in self._names
        ]
        probe = np.zeros((1, len(contract.channels), input_size or 64, input_size or 64), np.uint8)
        with torch.inference_mode():
            pooled = self._taps(self._input(probe))
        stops = np.cumsum([p.shape[1] for p in pooled]).tolist()
        starts = [0, *stops[:-1]]
        self.groups: Groups = tuple(zip(descriptor.layers, starts, stops, strict=True))

    def features(
        self,
        batch: Batch,
        valid: Batch | None = None,  # noqa: ARG002 (invalid pixels are filled already)
    ) -> npt.NDArray[np.float32]:
        """Describe patches ``(n, bands, h, w)`` in 0–255 by ``(n, features)`` float32.

        Raises:
            BackboneError: If the GPU's memory does not hold the batch.
        """
        try:
            with torch.inference_mode():
                pooled = self._taps(self._input(fill_up(batch)))
                if self._descriptor.l2:
                    pooled = [functional.normalize(p, dim=1) for p in pooled]
                return np.asarray(torch.cat(pooled, 1)[: len(batch)].cpu().numpy())
        except torch.OutOfMemoryError as fault:
            raise BackboneError(
                f"the GPU's memory does not hold a batch of {len(batch)} patches; "
                f"pass --batch {max(1, len(batch) // 4)}"
            ) from fault

    def _input(self, batch: Batch) -> torch.Tensor:
        """Bring patches to the network's size and scale, on the device."""
        x = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
        x = x.contiguous(memory_format=torch.channels_last).float()
        if self._size is not None and tuple(x.shape[2:]) != (self._size, self._size):
            x = functional.interpolate(
                x, size=(self._size, self._size), mode="bilinear", antialias=True
            )
        x = x.sub(self._mean).div_(self._std)  # not in place: x may still be the caller's batch
        return x.to(self._dtype).contiguous(memory_format=torch.channels_last)

    def _taps(self, x: torch.Tensor) -> list[torch.Tensor]:
        pooled = []
        for name, stage in zip(self._names, self._stages, strict=True):
            x = stage(x)
            if name in self._descriptor.layers:
                pooled.append(pool_map(x, self._descriptor.pooling))
        return pooled


def layer_table(stages: OrderedDict[str, nn.Module], channels: int, size: int) -> list[Layer]:
    """Measure the width, stride and map size of every stage at an input size."""
    x, rows = torch.zeros(1, channels, size, size), []
    with torch.inference_mode():
        for name, stage in stages.items():
            x = stage.eval()(x)
            height, width = int(x.shape[2]), int(x.shape[3])
            rows.append(Layer(name, int(x.shape[1]), -(-size // height), (height, width)))
    return rows
