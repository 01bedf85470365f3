"""Convolutions over a square of features, best of few components.

After the 2-D network of Chen, Jiang, Li, Jia and Ghamisi 2016 (IEEE TGRS 54(10)), which looks
at one principal component in squares of 27 pixels. Unlike theirs all features are mixed
first by a 1 x 1 convolution, the squares are small, nothing is pooled on the way, and what is
left of the square is averaged before the last layer.
"""

from __future__ import annotations

import torch

from terrapatch.learn.pixels.nets.parts import Last, Over, PixelNet, channels, sides

_LAYERS = 4


class Cnn2d(PixelNet):
    """A mixing layer and up to four 3 x 3 convolutions.

    Args:
        features: Numbers of a pixel.
        classes: Classes told apart.
        patch: Side of the square.
        width: Factor of the channels.
        dropout: Share of the last channels left out while training.
    """

    def __init__(
        self, features: int, classes: int, patch: int, width: float, dropout: float
    ) -> None:
        super().__init__()
        each = channels(64, width)
        kernels, left = sides(patch, _LAYERS)
        self.mix = Over(features, each, 1)
        self.layers = torch.nn.Sequential(*(Over(each, each, side) for side in kernels))
        self.last = Last(each, classes, left, dropout)
        self.floats = max(features, each)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores, see ``PixelNet``."""
        scores: torch.Tensor = self.last(self.layers(self.mix(x)))
        return scores
