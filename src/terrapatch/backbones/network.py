"""Embedding patches with any network, on CPU or GPU: scale, run, catch, pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from terrapatch.backbones.architecture import LOGITS
from terrapatch.backbones.base import Backbone, Batch, Descriptor, Groups
from terrapatch.backbones.build import built
from terrapatch.backbones.contract import LUMA
from terrapatch.backbones.flight import Flight, plain_fp32, sent
from terrapatch.backbones.fold import fold_batch_norm
from terrapatch.backbones.pooling import Layout, as_map, pool
from terrapatch.backbones.taps import Take, Taps
from terrapatch.errors import BackboneError, WeightsError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def filled(n: int) -> int:
    """Return how many patches a batch of ``n`` is filled up to: an eighth more at most, or four.

    The kernels prepare and keep memory for every length of batch they meet; cells
    without valid pixels would make them meet all lengths.
    """
    power = 1 << (n - 1).bit_length()
    step = max(min(power, 4), power // 8)
    return -(-n // step) * step


def fill_up(batch: Batch) -> Batch:
    """Fill a batch with empty patches up to one of few lengths."""
    missing = filled(len(batch)) - len(batch)
    if not missing:
        return batch
    return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])


class NetworkEmbedder:
    """Patches through a network; layers pooled on the way, nothing run after the last.

    Attributes:
        groups: Name, start and stop of each layer's numbers in a descriptor.
    """

    def __init__(
        self,
        backbone: Backbone,
        descriptor: Descriptor,
        input_size: int | None,
        device: str,
        precision: str,
    ) -> None:
        """Build the network on the device and in the precision, and try it once.

        Args:
            backbone: The backbone, its weights found.
            descriptor: Which layers are tapped, and how they are pooled.
            input_size: Side that patches are resized to, or ``None`` to leave them.
            device: A torch device.
            precision: ``fp32``, ``bf16`` or ``fp16``.

        Raises:
            BackboneError: If the device cannot be used, or the input is too small.
            WeightsError: If the weights do not fit, or lack a classifier that is tapped.
        """
        if backbone.contract is None or backbone.architecture is None:
            raise BackboneError(f"{backbone.name} is no network")
        self._name, self._size, self._precision = backbone.name, input_size, precision
        self._contract, self._architecture = backbone.contract, backbone.architecture
        self._descriptor, self._dtype = descriptor, DTYPES[precision]
        self._device = usable_device(device)
        network, classifies = built(backbone)
        if LOGITS in descriptor.layers and not classifies and backbone.found is not None:
            raise WeightsError(
                f"{backbone.found.path} holds no classifier of {backbone.name}, so there are no "
                "logits to tap; choose other --layers"
            )
        paths = {name: self._architecture.path(name) for name in descriptor.layers}
        fold_batch_norm(network.eval(), keep=frozenset(paths.values()))
        network.requires_grad_(False)
        network = network.to(self._device, self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._taps = Taps(network, paths, self._architecture.takes)
        self._constants(backbone)
        self.groups = self._try_out(len(backbone.contract.channels), backbone)

    def _constants(self, backbone: Backbone) -> None:
        """Put what the input is scaled with on the device."""
        contract = self._contract

        def column(values: Any) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=self._device).view(1, -1, 1, 1)

        self._mean, self._std, self._luma = (
            column(contract.mean),
            column(contract.std),
            column(LUMA),
        )
        mixing = backbone.mixing
        self._mix = None if mixing is None else mixing.on(self._device)

    def _try_out(self, channels: int, backbone: Backbone) -> Groups:
        if backbone.mixing is not None:
            channels = backbone.mixing.bands
        side = self._size or self._contract.sizes[0]
        probe = np.zeros((1, channels, side, side), np.uint8)
        with torch.inference_mode():
            try:
                self._taps.count(self._input(probe))
                pooled = self._pooled(self._input(probe))
            except (RuntimeError, AssertionError) as fault:
                raise BackboneError(
                    f"{self._name} cannot take patches of {side} x {side} pixels on "
                    f"{self._device} in {self._precision} "
                    f"({str(fault).strip().splitlines()[0][:120]}); pass another --input-size"
                ) from fault
        stops = np.cumsum([p.shape[1] for p in pooled]).tolist()
        starts = [0, *stops[:-1]]
        return tuple(zip(self._descriptor.layers, starts, stops, strict=True))

    def features(
        self,
        batch: Batch,
        valid: Batch | None = None,  # noqa: ARG002 (invalid pixels are filled already)
    ) -> npt.NDArray[np.float32]:
        """Describe patches ``(n, bands, h, w)`` in 0–255 by ``(n, features)`` float32.

        Raises:
            BackboneError: If the GPU's memory does not hold the batch.
        """
        return self.begin(batch).result()

    def begin(self, batch: Batch) -> Flight:
        """Start describing patches; a GPU works on while the caller cuts the next ones.

        Args:
            batch: ``(n, bands, h, w)`` in 0–255.

        Returns:
            What gives the features ``(n, features)`` when it is asked for them.

        Raises:
            BackboneError: If the GPU's memory does not hold the batch.
        """
        if len(batch) == 0:
            return Flight(torch.empty((0, self.groups[-1][2])), 0)
        with torch.inference_mode(), _memory(len(batch)), plain_fp32(self._device, self._dtype):
            return Flight(self._described(self._input(fill_up(batch))), len(batch))

    def _described(self, x: torch.Tensor) -> torch.Tensor:
        """Describe a batch that is scaled and on the device."""
        return self.joined(self._pooled(x))

    def joined(self, pooled: Sequence[torch.Tensor]) -> torch.Tensor:
        """Join what was pooled of every layer to descriptors."""
        if self._descriptor.l2:
            pooled = [functional.normalize(p, dim=1) for p in pooled]
        return torch.cat(list(pooled), 1)

    def maps(self, batch: Batch) -> dict[str, npt.NDArray[np.float32]]:
        """Return what every tapped layer gives, before pooling.

        Args:
            batch: ``(n, bands, h, w)`` in 0–255.

        Returns:
            By layer: ``(n, channels, rows, columns)`` float32 for maps, ``(n, channels)``
            for fully connected layers, ``(n, channels, tokens)`` for tokens.
        """
        caught: dict[str, npt.NDArray[np.float32]] = {}

        def take(name: str, made: torch.Tensor) -> None:
            flat = self._as_map(name, made).float().cpu().numpy()
            shape = made.shape if made.ndim == 4 else ()
            if made.ndim == 2:
                caught[name] = flat[:, :, 0]
            elif shape:
                nhwc = self._taps.layout(name, self._architecture.layout) == "nhwc"
                rows, cols = shape[1:3] if nhwc else shape[2:]
                caught[name] = flat.reshape(*flat.shape[:2], rows, cols)
            else:
                caught[name] = flat

        with torch.inference_mode(), _memory(len(batch)):
            self._taps.run(self._input(batch), take)
        return {name: caught[name] for name in self._descriptor.layers}

    @property
    def network(self) -> torch.nn.Module:
        """The network itself."""
        return self._taps.network

    def path(self, layer: str) -> str:
        """Return the module path of a layer that is tapped."""
        return self._taps.paths[layer]

    def forward(self, x: torch.Tensor) -> None:
        """Run the whole network on a batch that is scaled and on the device."""
        self._taps.whole(x)

    def scaled(self, batch: Batch) -> torch.Tensor:
        """Bring patches to the network's size, channels and scale, on the device."""
        return self._input(batch)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._device

    def run(self, batch: Batch, take: Take, size: tuple[int, int]) -> None:
        """Run images of any size; hand over every layer the moment it is made.

        Args:
            batch: ``(n, bands, h, w)`` in 0–255.
            take: See ``Taps.run``.
            size: Height and width that they are resized to.

        Raises:
            BackboneError: If the GPU's memory does not hold them.
        """
        with torch.inference_mode(), _memory(len(batch)), plain_fp32(self._device, self._dtype):
            self._taps.run(self._input(batch, size), take)

    def as_image(self, name: str, made: torch.Tensor) -> torch.Tensor:
        """Return the map a layer gives of one image as ``(height, width, channels)``."""
        nhwc = self._taps.layout(name, self._architecture.layout) == "nhwc"
        return made[0] if nhwc else made[0].permute(1, 2, 0)

    def _input(self, batch: Batch, size: tuple[int, int] | None = None) -> torch.Tensor:
        """Bring patches to the network's size, channels and scale, on the device."""
        given = sent(torch.from_numpy(np.ascontiguousarray(batch)), self._device)
        x = given.float()  # channel by channel up to the end, which is what scaling is fast in
        if self._mix is not None:
            x = self._mix(x)
        if size is None and self._size is not None:
            size = (self._size, self._size)
        if size is not None and tuple(x.shape[2:]) != size:
            x = functional.interpolate(
                x, size=size, mode=self._contract.interpolation, antialias=True
            )
            if self._contract.interpolation == "bicubic":
                x = x.clamp(0.0, 255.0)  # cubic weights overshoot at edges, pictures do not
        if self._contract.grey:
            x = (x * self._luma).sum(1, keepdim=True)
        elif self._contract.order is not None:
            x = x[:, list(self._contract.order)]
        # In place unless x may still be the caller's own batch.
        x = x.sub(self._mean) if x.data_ptr() == given.data_ptr() else x.sub_(self._mean)
        x = x.div_(self._std)
        return x.to(self._dtype).contiguous(memory_format=torch.channels_last)

    def pooled_layer(self, name: str, made: torch.Tensor) -> torch.Tensor:
        """Pool what a layer gives over its positions ``(n, numbers)``."""
        return pool(self._as_map(name, made), self._descriptor.pooling)

    def _as_map(self, name: str, made: torch.Tensor) -> torch.Tensor:
        layout = cast(Layout, self._taps.layout(name, self._architecture.layout))
        return as_map(made, layout, self._architecture.prefix)

    def _pooled(self, x: torch.Tensor) -> list[torch.Tensor]:
        caught: dict[str, torch.Tensor] = {}

        def take(name: str, made: torch.Tensor) -> None:
            caught[name] = self.pooled_layer(name, made)

        self._taps.run(x, take)
        return [caught[name] for name in self._descriptor.layers]


def usable_device(device: str) -> torch.device:
    """Return a torch device that a tensor can be put on.

    Raises:
        BackboneError: If there is none of that name here.
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError) as fault:
        raise BackboneError(
            f"device {device!r} cannot be used here "
            f"({str(fault).strip().splitlines()[0]}); run: terrapatch doctor"
        ) from fault
    return found


class _memory:  # noqa: N801 (reads as a word after ``with``)
    """Turn running out of the GPU's memory into one sentence."""

    def __init__(self, patches: int) -> None:
        self._patches = patches

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, torch.OutOfMemoryError):
            raise BackboneError(
                f"the GPU's memory does not hold a batch of {self._patches} patches; "
                f"pass --batch {max(1, self._patches // 4)}"
            ) from fault
