"""Residual blocks along the spectrum, then over the square.

After Zhong, Li, Luo and Chapman 2018 (IEEE TGRS 56(2)): a convolution along the spectrum, two
residual blocks of such, one convolution over all that is left of the spectrum, then the same
over the square, averaged, and one linear layer. Theirs takes 200 bands in squares of 7 with 24
channels and pads within the square. Here nothing is padded over the square: a residual
block's shortcut is cropped, and there are as many blocks as the patch has room for. There
are fewer channels, and many bands are thinned more strongly, for the sake of a processor.
"""

from __future__ import annotations

import torch
from torch import nn

from terrapatch.learn.pixels.nets.parts import (
    Along,
    Last,
    Over,
    PixelNet,
    channels,
    check_features,
    cropped,
    odd_kernel,
    thinned,
    thinning,
)

_DEPTH = 32
_SHORT = 8  # pixels with no more features are not thinned
_BLOCKS = 2


class _AlongBlock(nn.Module):
    """Two convolutions along the spectrum beside a shortcut."""

    def __init__(self, each: int, kernel: int) -> None:
        super().__init__()
        self.two = nn.Sequential(Along(each, each, kernel), *list(Along(each, each, kernel))[:2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(n, channels, depth, positions)``, as large as given."""
        return torch.relu(x + self.two(x))


class _OverBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, cropped by what they use up."""

    def __init__(self, each: int) -> None:
        super().__init__()
        self.two = nn.Sequential(Over(each, each, 3), *list(Over(each, each, 3))[:2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(n, channels, h - 4, w - 4)``."""
        return torch.relu(cropped(x, 2) + self.two(x))


class Ssrn(PixelNet):
    """Spectral residual blocks, then spatial ones.

    Args:
        features: Numbers of a pixel, 3 or more.
        classes: Classes told apart.
        patch: Side of the square.
        width: Factor of the channels.
        dropout: Share of the last channels left out while training.
    """

    def __init__(
        self, features: int, classes: int, patch: int, width: float, dropout: float
    ) -> None:
        super().__init__()
        check_features(features, 3, "ssrn")
        each, joined = channels(16, width), channels(64, width)
        kernel = odd_kernel(7, features)
        stride = max(2, thinning(features, _DEPTH)) if features > _SHORT else 1
        depth = thinned(features, kernel, stride)
        inner = odd_kernel(7, depth)
        self.along = nn.Sequential(
            Along(1, each, kernel, stride), *(_AlongBlock(each, inner) for _ in range(_BLOCKS))
        )
        self.join = Over(each * depth, joined, 1)
        self.over = Over(joined, each * 2, 3)
        blocks = min(_BLOCKS, (patch - 3) // 4)
        self.blocks = nn.Sequential(*(_OverBlock(each * 2) for _ in range(blocks)))
        self.last = Last(each * 2, classes, patch - 2 - 4 * blocks, dropout)
        self.floats = 2 * each * depth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores, see ``PixelNet``."""
        n, features, h, w = x.shape
        spectra = self.along(x.reshape(n, 1, features, h * w))
        maps = self.join(spectra.reshape(n, -1, h, w))
        scores: torch.Tensor = self.last(self.blocks(self.over(maps)))
        return scores
