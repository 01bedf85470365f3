"""Folding batch normalisation into the convolution before it.

At inference a batch norm is a scale and a shift of each channel, so it can be
worked into the convolution's own weights (in fp32, before any cast) and costs
nothing any more.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Fold every batch norm that directly follows a convolution, in place.

    Norms that carry an activation (timm's ``BatchNormAct2d``) leave it behind.

    Args:
        module: A network in fp32 whose children run in the order they are listed.

    Returns:
        The same module.
    """
    before: nn.Module | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            with torch.no_grad():
                before.weight, before.bias = fuse_conv_bn_weights(
                    before.weight,
                    before.bias,
                    child.running_mean,
                    child.running_var,
                    child.eps,
                    child.weight,
                    child.bias,
                )
            setattr(module, name, getattr(child, "act", nn.Identity()))
        else:
            fold_batch_norm(child)
        before = child
    return module
