"""3-D convolutions that see how bands change, then a 2-D one that sees the square.

After Roy, Krishna, Dubey and Chaudhuri 2020 (IEEE GRSL 17(2)): 8, 16 and 32 kernels of
7 x 3 x 3, 5 x 3 x 3 and 3 x 3 x 3, bands laid out as channels, 64 kernels of 3 x 3, hidden
layers of 256 and 128. Theirs takes 30 components in squares of 25 pixels. This one takes
small squares: as many layers see 3 x 3 as the patch allows, the later ones 1 x 1. Unlike
theirs there is batch norm, kernels along the spectrum shrink where there are few components,
many bands are thinned, and what is left of a large square is averaged, not laid out.
"""

from __future__ import annotations

import torch
from torch import nn

from terrapatch.learn.pixels.nets.parts import (
    Last,
    Over,
    PixelNet,
    Voxels,
    channels,
    check_features,
    odd_kernel,
    sides,
    thinned,
    thinning,
)

_DEPTH = 30


class HybridSn(PixelNet):
    """Three 3-D convolutions, one 2-D, two hidden layers.

    Args:
        features: Numbers of a pixel, 3 or more.
        classes: Classes told apart.
        patch: Side of the square.
        width: Factor of the channels.
        dropout: Share of the hidden layers left out while training.
    """

    def __init__(
        self, features: int, classes: int, patch: int, width: float, dropout: float
    ) -> None:
        super().__init__()
        check_features(features, 3, "hybridsn")
        kernels, left = sides(patch, 4)
        made = [channels(n, width) for n in (8, 16, 32)]
        stride, depth, given, layers = thinning(features, _DEPTH), features, 1, []
        for out, length, side in zip(made, (7, 5, 3), kernels, strict=False):
            kernel = odd_kernel(length, depth)
            layers.append(Voxels(given, out, kernel, side, stride, padded=False))
            given, depth, stride = out, thinned(depth, kernel, stride, padded=False), 1
        self.voxels = nn.Sequential(*layers)
        flat, hidden, last = channels(64, width), channels(256, width), channels(128, width)
        self.square = Over(made[-1] * depth, flat, kernels[3])
        self.hidden = nn.Sequential(
            nn.AvgPool2d(left, 1) if left > 1 else nn.Identity(),
            nn.Conv2d(flat, hidden, 1),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(hidden, last, 1),
            nn.ReLU(),
        )
        self.last = Last(last, classes, 1, dropout)
        self.floats = max(made[-1] * depth, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores, see ``PixelNet``."""
        bands = self.voxels(x.unsqueeze(1)).flatten(1, 2)
        scores: torch.Tensor = self.last(self.hidden(self.square(bands)))
        return scores
