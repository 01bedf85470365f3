"""Folding batch normalisation into the convolution before it.

At inference a batch norm is a scale and a shift of each channel, so it can be
worked into the convolution's own weights (in fp32, before any cast) and costs
nothing any more.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from terrapatch.errors import BackboneError


def fold_batch_norm(
    module: nn.Module, keep: frozenset[str] = frozenset(), path: str = ""
) -> nn.Module:
    """Fold every batch norm that directly follows a convolution, in place.

    Norms that carry an activation (timm's ``BatchNormAct2d``) leave it behind.

    Args:
        module: A network in fp32 whose children run in the order they are listed.
        keep: Paths of modules that must give what they gave before.
        path: Path of ``module`` in the network.

    Returns:
        The same module.
    """
    before: nn.Module | None = None
    before_path = ""
    for name, child in list(module.named_children()):
        own = f"{path}.{name}".lstrip(".")
        if (
            isinstance(child, nn.BatchNorm2d)
            and isinstance(before, nn.Conv2d)
            and before_path not in keep
        ):
            _fold(before, child)
            setattr(module, name, getattr(child, "act", nn.Identity()))
        else:
            fold_batch_norm(child, keep, own)
        before, before_path = child, own
    return module


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, var = norm.running_mean, norm.running_var
    if mean is None or var is None:
        raise BackboneError("a batch norm that keeps no statistics cannot be folded")
    with torch.no_grad():
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, mean, var, norm.eps, norm.weight, norm.bias
        )
