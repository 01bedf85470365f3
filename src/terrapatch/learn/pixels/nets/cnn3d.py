"""Convolutions over bands and square at once.

After Ben Hamida, Benoit, Lambert and Ben Amar 2018 (IEEE TGRS 56(8)): 3 x 3 x 3 convolutions
take turns with convolutions along the spectrum alone that shorten it by two, in place of
pooling. Unlike theirs batch norm follows every layer, many bands are thinned by the first
layer's stride, and the spectrum is shortened until a few positions are left.
"""

from __future__ import annotations

import torch
from torch import nn

from terrapatch.learn.pixels.nets.parts import (
    Last,
    PixelNet,
    Voxels,
    channels,
    check_features,
    odd_kernel,
    sides,
    thinned,
    thinning,
)

_SPATIAL = 3  # layers that look over the square, where the patch allows
_SHORT = 4


class Cnn3d(PixelNet):
    """Pairs of a 3-D convolution and one that shortens the spectrum.

    Args:
        features: Numbers of a pixel, 3 or more.
        classes: Classes told apart.
        patch: Side of the square.
        width: Factor of the channels.
        dropout: Share of the last layer's inputs left out while training.
    """

    def __init__(
        self, features: int, classes: int, patch: int, width: float, dropout: float
    ) -> None:
        super().__init__()
        check_features(features, 3, "cnn3d")
        kernels, left = sides(patch, _SPATIAL)
        made = [channels(n, width) for n in (16, 32, 32)]
        stride = thinning(features)
        depth, given, layers = thinned(features, 3, stride), 1, []
        self.floats = made[0] * depth
        for i, side in enumerate(kernels):
            layers.append(Voxels(given, made[i], 3, side, stride if i == 0 else 1))
            given = made[i]
            if depth > _SHORT:
                kernel = odd_kernel(3, depth)
                layers.append(Voxels(given, given, kernel, 1, 2))
                depth = thinned(depth, kernel, 2)
                self.floats = max(self.floats, given * depth)
        self.layers = nn.Sequential(*layers)
        self.last = Last(given * depth, classes, left, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores, see ``PixelNet``."""
        scores: torch.Tensor = self.last(self.layers(x.unsqueeze(1)).flatten(1, 2))
        return scores
