"""Bringing images to what a network was trained on, as ``NetworkEmbedder`` does.

The same steps in the same order, from a backbone's contract alone: no second network is
built for them, and gradients may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terrapatch.backbones.base import Backbone
from terrapatch.backbones.contract import LUMA
from terrapatch.errors import BackboneError


class Scaler:
    """Images in 0–255 to a network's size, channels and scale.

    Attributes:
        side: Height and width that images are brought to, in pixels.
    """

    def __init__(self, backbone: Backbone, side: int, device: torch.device) -> None:
        """Take the contract of a backbone.

        Raises:
            BackboneError: If it is no network.
        """
        if backbone.contract is None or backbone.architecture is None:
            raise BackboneError(f"{backbone.name} is no network, so it cannot be tuned")
        self.side, self._device, self._contract = side, device, backbone.contract
        self._mean, self._std, self._luma = (
            torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)
            for values in (backbone.contract.mean, backbone.contract.std, LUMA)
        )
        self._mix = None if backbone.mixing is None else backbone.mixing.on(device)

    def __call__(self, images: NDArray[Any] | Sequence[NDArray[Any]]) -> torch.Tensor:
        """Scale images, of one size or of several.

        Args:
            images: ``(n, bands, h, w)``, or ``n`` of ``(bands, h, w)``, in 0–255.

        Returns:
            ``(n, channels, side, side)`` float32 on the device.
        """
        if isinstance(images, np.ndarray) or len({one.shape for one in images}) == 1:
            return self._scaled(np.asarray(images))
        parts = [self._scaled(one[None]) for one in images]
        return torch.cat(parts).contiguous(memory_format=torch.channels_last)

    def _scaled(self, batch: NDArray[Any]) -> torch.Tensor:
        contract, size = self._contract, (self.side, self.side)
        x = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device).float()
        if self._mix is not None:
            x = self._mix(x)
        if tuple(x.shape[2:]) != size:
            x = functional.interpolate(x, size=size, mode=contract.interpolation, antialias=True)
            if contract.interpolation == "bicubic":
                x = x.clamp(0.0, 255.0)
        if contract.grey:
            x = (x * self._luma).sum(1, keepdim=True)
        elif contract.order is not None:
            x = x[:, list(contract.order)]
        return ((x - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
