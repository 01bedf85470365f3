"""OverFeat, the fast network (Sermanet et al. 2013, arXiv:1312.6229, table 1).

Its three fully connected layers are written as convolutions, so the network slides over
larger images by itself: the i-th window begins at pixel 32 i. Stages 3 to 5 pad their
maps with zeros, which a window in the middle of an image does not have around it; so
the plain sliding form is close to, but not the same as, the cut-out window. ``sliding``
shares what can be shared exactly and pads every window for itself.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from terrapatch.errors import BackboneError, WeightsError

SIDE, STEP = 231, 32
# Cells of the map of stage 2: a window has 12 of them, and they are 16 pixels apart.
CELLS, CELL_STEP = 12, 2
SHARED = ("conv1", "conv2")

# Filters, side, stride and padding of each convolution, and the side of the pooling after it.
TABLE = (
    ("conv1", 96, 11, 4, 0, 2),
    ("conv2", 256, 5, 1, 0, 2),
    ("conv3", 512, 3, 1, 1, 0),
    ("conv4", 1024, 3, 1, 1, 0),
    ("conv5", 1024, 3, 1, 1, 2),
    ("fc6", 3072, 6, 1, 0, 0),
    ("fc7", 4096, 1, 1, 0, 0),
    ("logits", 1000, 1, 1, 0, 0),
)


def build() -> nn.Sequential:
    """Build the fast network with random weights."""
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    width = 3
    for name, filters, side, stride, padding, pooling in TABLE:
        layers: list[nn.Module] = [nn.Conv2d(width, filters, side, stride, padding)]
        layers += [nn.ReLU()] if name != "logits" else []
        layers += [nn.MaxPool2d(pooling)] if pooling else []
        stages[name] = nn.Sequential(*layers)
        width = filters
    return nn.Sequential(stages)


def read_original(path: Path) -> dict[str, torch.Tensor]:
    """Read the authors' own weight file, ``net_weight_0``.

    It is bare float32 (little-endian): for each layer the filters ``(out, in, rows,
    columns)``, then the biases, with nothing around or between them. The authors' code
    correlates, as torch does, so nothing is turned over.

    Raises:
        WeightsError: If the file is not as long as that.
    """
    shapes = {name: tensor.shape for name, tensor in build_meta().items()}
    numbers = sum(shape.numel() for shape in shapes.values())
    n_bytes = path.stat().st_size
    if n_bytes != 4 * numbers:
        raise WeightsError(
            f"{path} is {n_bytes:,} bytes long but the authors' net_weight_0 (the fast network) "
            f"has {4 * numbers:,}; give that file, from overfeat-weights.tgz of the authors"
        )
    flat = torch.from_numpy(np.fromfile(path, "<f4").astype(np.float32, copy=False))
    tensors, start = {}, 0
    for name, shape in shapes.items():
        tensors[name] = flat[start : start + shape.numel()].reshape(shape)
        start += shape.numel()
    return tensors


def build_meta() -> dict[str, torch.Tensor]:
    """Return the network's tensors by name, without memory behind them."""
    with torch.device("meta"):
        return dict(build().state_dict())


def sliding(network: nn.Sequential, image: torch.Tensor, layer: str = "fc7") -> torch.Tensor:
    """Describe every window of 231 x 231 pixels, 32 pixels apart, as if it were cut out.

    The two stages without padding are computed once for the whole image; from there
    on each window is padded for itself, as a cut-out patch is, so the numbers are the
    patch's (see ``build`` for the form that shares everything and is only close).

    Args:
        network: The network as ``build`` makes it.
        image: ``(n, 3, height, width)``, scaled as the network takes it, at least 231
            pixels on each side.
        layer: A stage from ``conv3`` on.

    Returns:
        ``(n, channels, rows, columns, ...)``: for ``fc6``, ``fc7`` and ``logits`` one
        number a window and channel; for the stages before, their map in two more axes.

    Raises:
        BackboneError: If the image is too small or there is no such stage.
    """
    names = [name for name, *_ in TABLE]
    if layer not in names[len(SHARED) :]:
        raise BackboneError(
            f"the sliding form has no stage {layer!r}; choose from {', '.join(names[2:])}"
        )
    height, width = image.shape[2:]
    if min(height, width) < SIDE:
        raise BackboneError(
            f"an image of {height} x {width} pixels holds no window of {SIDE} x {SIDE}"
        )
    shared: Any = network[:2](image)
    windows = shared.unfold(2, CELLS, CELL_STEP).unfold(3, CELLS, CELL_STEP)
    n, channels, rows, cols = windows.shape[:4]
    stack = windows.permute(0, 2, 3, 1, 4, 5).reshape(n * rows * cols, channels, CELLS, CELLS)
    last = names.index(layer)
    made = torch.cat([network[2 : last + 1](part) for part in stack.split(64)])
    made = made.reshape(n, rows, cols, *made.shape[1:]).permute(0, 3, 1, 2, 4, 5)
    return made[..., 0, 0] if made.shape[-1] == 1 else made


def windows_of(image: torch.Tensor) -> torch.Tensor:
    """Cut the windows that ``sliding`` describes: ``(n, rows, columns, 3, 231, 231)``."""
    cut = image.unfold(2, SIDE, STEP).unfold(3, SIDE, STEP)
    return cut.permute(0, 2, 3, 1, 4, 5)


def as_linear(network: nn.Sequential, fmap: torch.Tensor) -> torch.Tensor:
    """Run stage 6 as the fully connected layer of the paper on maps of 6 x 6 cells."""
    conv: Any = network.get_submodule("fc6.0")
    flat = fmap.flatten(1)
    return functional.relu(functional.linear(flat, conv.weight.flatten(1), conv.bias))
