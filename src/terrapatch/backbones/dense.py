"""A network over a whole tile at once: overlapping windows share their convolutions.

The sliding window of OverFeat (Sermanet et al. 2013, arXiv:1312.6229, section 3.3): a
convolutional network is run once over a large image, and what a window holds of
each layer's map describes that window. Neighbouring windows share all they have in
common, where cut-out patches compute it again for each.

A window's map is not quite the map of the cut-out patch: around the patch the
convolutions see zeros, around the window they see the scene. So dense features are a
feature space of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from terrapatch.backbones.analysis import Layer
from terrapatch.backbones.base import Backbone, Batch, Descriptor
from terrapatch.backbones.network import NetworkEmbedder
from terrapatch.backbones.windows import Window, WindowPool
from terrapatch.errors import BackboneError

POOLINGS = ("mean", "std", "max", "gem")
# Weight of positions without a valid pixel: a window that holds nothing else takes these.
TRACE = 1e-6


@dataclass(frozen=True)
class Tap:
    """One layer as the dense mode needs to know it.

    Attributes:
        layer: Its name.
        stride: Input pixels between neighbouring positions.
        reach: First and last input pixel that its first position depends on.
        size: Rows and columns of the map of a cut-out patch.
    """

    layer: str
    stride: int
    reach: tuple[int, int]
    size: tuple[int, int]

    def halo(self, side: int) -> tuple[int, int]:
        """Return how far a window of ``side`` input pixels is looked beyond, before and after."""
        low, high = self.reach
        return max(0, -low), max(0, (max(self.size) - 1) * self.stride + high - side + 1)


def taps_of(backbone: Backbone, descriptor: Descriptor, side: int) -> tuple[Tap, ...]:
    """Find stride and receptive field of every layer that is tapped.

    Args:
        backbone: The network.
        descriptor: Its layers and poolings.
        side: Side that a patch is brought to.

    Raises:
        BackboneError: If the backbone, a layer or a pooling has no dense form.
    """
    if backbone.architecture is None or backbone.contract is None:
        raise BackboneError(
            f"{backbone.name} is no convolutional network, so it has no dense mode; "
            "use --mode exact"
        )
    for word in descriptor.pooling:
        if word not in POOLINGS:
            raise BackboneError(
                f"pooling {word!r} needs the map of a cut-out patch, which the dense mode does "
                f"not have; choose from {', '.join(POOLINGS)}, or use --mode exact"
            )
    architecture = replace(
        backbone.architecture,
        stages=tuple((name, backbone.architecture.path(name)) for name in descriptor.layers),
    )
    facts = replace(backbone, architecture=architecture).examine(side)
    return tuple(_tap(backbone, facts.layer(name)) for name in descriptor.layers)


def _tap(backbone: Backbone, layer: Layer) -> Tap:
    if not math.isfinite(layer.field) or layer.stride != int(layer.stride):
        raise BackboneError(
            f"layer {layer.name} of {backbone.name} sees the whole patch at once (attention, a "
            "squeeze-and-excitation gate or a fully connected layer), so overlapping patches have "
            "nothing to share; choose other --layers or another --backbone, or use --mode exact"
        )
    low, high = layer.reach
    return Tap(layer.name, int(layer.stride), (math.floor(low), math.ceil(high)), layer.map_size)


class DenseEmbedder:
    """Describes every window of a tile by one pass of a network.

    Attributes:
        groups: Name, start and stop of each layer's numbers in a descriptor.
        taps: The layers with their strides and fields.
    """

    def __init__(
        self, network: NetworkEmbedder, taps: tuple[Tap, ...], descriptor: Descriptor
    ) -> None:
        """Take a network that is ready to embed patches, with the taps of ``taps_of``."""
        self.groups, self.taps = network.groups, taps
        self._network, self._descriptor = network, descriptor

    def describe(
        self,
        pixels: Batch,
        valid: npt.NDArray[np.bool_] | None,
        size: tuple[int, int],
        windows: dict[str, tuple[Window, Window]],
    ) -> npt.NDArray[np.float32]:
        """Describe the windows of one tile.

        Args:
            pixels: ``(bands, height, width)`` in 0–255; invalid pixels filled.
            valid: ``(height, width)``, or ``None`` where every pixel is valid. Positions
                weigh as much as they are valid.
            size: Height and width in pixels that the tile is brought to.
            windows: For every layer the windows of its rows and columns, in positions.

        Returns:
            ``(rows, columns, features)`` float32.

        Raises:
            BackboneError: If the memory does not hold the tile.
        """
        pooled: dict[str, torch.Tensor] = {}
        single = {tap.layer for tap in self.taps if tap.size == (1, 1)}
        mask = None if valid is None else torch.from_numpy(valid).to(self._network.device)
        strides = {tap.layer: tap.stride for tap in self.taps}

        def take(name: str, made: torch.Tensor) -> None:
            fmap = self._network.as_image(name, made)
            words = ("mean",) if name in single else self._descriptor.pooling
            weight = None if mask is None else _weights(mask, size, strides[name], fmap)
            pooled[name] = WindowPool(*windows[name]).pool(fmap, words, weight)

        self._network.run(pixels[None], take, size)
        layers = [pooled.pop(name) for name in self._descriptor.layers]
        if self._descriptor.l2:
            layers = [torch.nn.functional.normalize(p, dim=2) for p in layers]
        return np.asarray(torch.cat(layers, 2).cpu().numpy())


def _weights(
    valid: torch.Tensor, size: tuple[int, int], stride: int, fmap: torch.Tensor
) -> torch.Tensor:
    """Return the share of valid pixels under every position, and a trace where there is none.

    A map without padding is smaller than the tile; it lies in the tile's middle.
    """
    cells = [max(n // stride, have) for n, have in zip(size, fmap.shape[:2], strict=True)]
    share = torch.nn.functional.interpolate(valid[None, None].float(), size=cells, mode="area")
    top, left = ((n - have) // 2 for n, have in zip(cells, fmap.shape[:2], strict=True))
    return share[0, 0, top:, left:][: fmap.shape[0], : fmap.shape[1]].clamp(min=TRACE)
