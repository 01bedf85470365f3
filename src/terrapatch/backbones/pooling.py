"""From what a layer gives to numbers: pooling over positions, in fp32 whatever the precision."""

from __future__ import annotations

from typing import Literal

import torch

Layout = Literal["nchw", "nhwc", "tokens"]

# Exponent of generalised-mean pooling (Radenović, Tolias and Chum 2018), before any training.
GEM_POWER = 3.0
GEM_FLOOR = 1e-6


def as_map(given: torch.Tensor, layout: Layout, prefix: int = 0) -> torch.Tensor:
    """Bring what a layer gives to ``(n, channels, positions)``.

    Args:
        given: ``(n, c)``, ``(n, tokens, c)``, or four axes as ``layout`` says.
        layout: Order of four axes.
        prefix: Tokens before those that stand for places (class and register tokens),
            which are left out.
    """
    if given.ndim == 2:
        return given[:, :, None]
    if given.ndim == 3:
        return given[:, prefix:].transpose(1, 2)
    channels_last = layout == "nhwc"
    moved = given.permute(0, 3, 1, 2) if channels_last else given
    return moved.flatten(2)


def pool(given: torch.Tensor, pooling: tuple[str, ...]) -> torch.Tensor:
    """Pool a layer over its positions.

    A layer of one position (a fully connected one) is taken as it is, once: its mean
    is itself and it has no spread.

    Args:
        given: ``(n, channels, positions)``.
        pooling: ``mean``, ``std`` (the population's, in two passes), ``max``, ``gem``
            (generalised mean of what is positive) or ``flatten`` (every position,
            channel by channel, as ``torch.flatten`` would give a map).

    Returns:
        ``(n, features)`` float32.
    """
    if given.shape[2] == 1:
        return given[:, :, 0].float()
    flat = given.transpose(1, 2).float()
    mean = flat.mean(1)
    return torch.cat([_one(flat, mean, word) for word in pooling], 1)


def _one(flat: torch.Tensor, mean: torch.Tensor, word: str) -> torch.Tensor:
    """Pool ``(n, positions, channels)`` in one way."""
    if word == "mean":
        return mean
    if word == "std":
        return (flat - mean[:, None]).square().mean(1).sqrt()
    if word == "max":
        return flat.amax(1)
    if word == "gem":
        return flat.clamp(min=GEM_FLOOR).pow(GEM_POWER).mean(1).pow(1 / GEM_POWER)
    return flat.transpose(1, 2).flatten(1)
