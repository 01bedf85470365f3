"""Convolutions along the spectrum of one pixel.

After Hu, Huang, Wei, Zhang and Li 2015 (Journal of Sensors, 258619): one convolution whose
kernel is a ninth of the spectrum, pooling, one hidden layer of 100. Unlike theirs there is a
second convolution, rectified units stand in place of the hyperbolic tangent, and batch norm
and dropout were added, without which few labels do not suffice.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from terrapatch.learn.pixels.nets.parts import Along, PixelNet, channels, odd_kernel

_POOLED = 8  # spectra shorter than this are not pooled
_HIDDEN = 100


class Spectral1d(PixelNet):
    """Two convolutions along the spectrum, a hidden layer, a linear one.

    Args:
        features: Numbers of a pixel.
        classes: Classes told apart.
        patch: 1.
        width: Factor of the channels.
        dropout: Share of the hidden layer left out while training.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        patch: int,  # noqa: ARG002 (of one pixel)
        width: float,
        dropout: float,
    ) -> None:
        super().__init__()
        first, second = channels(20, width), channels(40, width)
        self.first = Along(1, first, odd_kernel(max(3, features // 9), features))
        self.pools = [2 if features >= _POOLED else 1]
        depth = features // self.pools[0]
        self.second = Along(first, second, odd_kernel(max(3, depth // 9), depth))
        self.pools.append(2 if depth >= _POOLED else 1)
        depth //= self.pools[1]
        hidden = channels(_HIDDEN, width)
        self.hidden = nn.Sequential(
            nn.Conv2d(second * depth, hidden, 1), nn.ReLU(), nn.Dropout(dropout)
        )
        self.last = nn.Conv2d(hidden, classes, 1)
        self.floats = max(first * features, second * (features // self.pools[0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores, see ``PixelNet``."""
        n, features, h, w = x.shape
        spectra = x.reshape(n, 1, features, h * w)
        for layer, pool in zip((self.first, self.second), self.pools, strict=True):
            spectra = functional.max_pool2d(layer(spectra), (pool, 1))
        scores: torch.Tensor = self.last(self.hidden(spectra.reshape(n, -1, h, w)))
        return scores
