"""Attention over groups of neighbouring bands.

In the spirit of Hong, Han, Yao, Gao, Zhang, Plaza and Chanussot 2022 (IEEE TGRS 60): a token is
made of a band and its neighbours (groupwise spectral embedding) rather than of one band, in
a pixel or in the square around it; encoder layers take in the one before the last as well
(cross-layer adaptive fusion); a class token is read out. Unlike theirs many bands are thinned
to at most 48 tokens, layers normalise before attention, not after it, the fusion has a weight
a channel and begins with the last layer alone, and the network is smaller.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from terrapatch.learn.pixels.nets.parts import PixelNet, channels, odd_kernel, thinned, thinning

_GROUP = 7
_LAYERS = 4
_HEADS = 4
_HIDDEN = 2  # times the width of a token
_ROWS = 4096  # pixels that go through attention at once


class _Layer(nn.Module):
    """Attention and a hidden layer, each beside a shortcut."""

    def __init__(self, each: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(each), nn.LayerNorm(each)
        self.parts, self.joined = nn.Linear(each, 3 * each), nn.Linear(each, each)
        self.hidden = nn.Sequential(
            nn.Linear(each, _HIDDEN * each), nn.GELU(), nn.Linear(_HIDDEN * each, each)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return tokens ``(n, tokens, width)``, as many as given."""
        n, tokens, each = x.shape
        parts = self.parts(self.first(x)).reshape(n, tokens, 3, _HEADS, each // _HEADS)
        asks, keys, values = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(asks, keys, values)
        x = x + self.drop(self.joined(seen.transpose(1, 2).reshape(n, tokens, each)))
        added: torch.Tensor = self.drop(self.hidden(self.second(x)))
        return x + added


class SpectralFormer(PixelNet):
    """Tokens of neighbouring bands, four encoder layers, a class token.

    Args:
        features: Numbers of a pixel.
        classes: Classes told apart.
        patch: Side of the square; 1 for the pixel alone.
        width: Factor of the tokens' width.
        dropout: Share left out before the last layer; a quarter of it inside the encoder.
    """

    def __init__(
        self, features: int, classes: int, patch: int, width: float, dropout: float
    ) -> None:
        super().__init__()
        each = channels(32, width)
        group, stride = odd_kernel(_GROUP, features), thinning(features)
        tokens = thinned(features, group, stride)
        self.embed = nn.Conv3d(1, each, (group, patch, patch), (stride, 1, 1), (group // 2, 0, 0))
        self.cls = nn.Parameter(torch.randn(1, 1, each) * 0.02)
        self.place = nn.Parameter(torch.randn(1, tokens + 1, each) * 0.02)
        self.layers = nn.ModuleList(_Layer(each, dropout / 4) for _ in range(_LAYERS))
        self.fuse = nn.Parameter(torch.zeros(_LAYERS - 2, each))
        self.last = nn.Sequential(nn.LayerNorm(each), nn.Dropout(dropout), nn.Linear(each, classes))
        self.floats = 4 * each * (tokens + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores, see ``PixelNet``."""
        tokens = self.embed(x.unsqueeze(1))
        n, each, count, h, w = tokens.shape
        rows = tokens.permute(0, 3, 4, 2, 1).reshape(n * h * w, count, each)
        scores = torch.cat([self._told(part) for part in rows.split(_ROWS)])
        return scores.reshape(n, h, w, -1).permute(0, 3, 1, 2)

    def _told(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return scores ``(n, classes)`` of tokens ``(n, tokens, width)``."""
        x = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], 1) + self.place
        made: list[torch.Tensor] = []
        for i, layer in enumerate(self.layers):
            if i >= 2:
                x = x + self.fuse[i - 2] * made[i - 2]
            x = layer(x)
            made.append(x)
        scores: torch.Tensor = self.last(x[:, 0])
        return scores
