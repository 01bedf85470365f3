"""LeNet-5, as lectures teach it: average pooling, tanh, every map seen by every filter.

Source: LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document
recognition, Proceedings of the IEEE 86(11).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def build() -> nn.Module:
    """Build LeNet-5 for one channel of 32 x 32 pixels and ten classes, with random weights."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),
            conv2=nn.Sequential(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
            conv3=nn.Sequential(nn.Conv2d(16, 120, 5), nn.Tanh()),
            flatten=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            fc4=nn.Sequential(nn.Linear(120, 84), nn.Tanh()),
            logits=nn.Linear(84, 10),
        )
    )
