"""What the networks have in common: all of them are maps of a block in one go.

A network takes ``(n, features, rows, columns)`` and gives ``(n, classes, rows - patch + 1,
columns - patch + 1)``. No layer pads over the square, so the scores of a pixel depend on its
own square alone and are the same, whether the square or a whole block goes through. A square
of the training part gives one position.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from terrapatch.errors import SamplesError

# The depth, along the spectrum, to which a first layer's stride brings many bands.
DEPTH = 48


class PixelNet(nn.Module):
    """A network for pixels.

    Attributes:
        floats: Numbers that its widest layer holds for one pixel, for blocks that fit memory.
    """

    floats: int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores ``(n, classes, h - patch + 1, w - patch + 1)``.

        Args:
            x: ``(n, features, h, w)`` float32, standardised.
        """
        raise NotImplementedError


def channels(usual: int, width: float) -> int:
    """Return a layer's channels: a multiple of 4, at least 4."""
    return max(4, round(usual * width / 4) * 4)


def odd_kernel(wanted: int, length: int) -> int:
    """Return the largest odd kernel, at most as wanted, that fits a length."""
    most = min(wanted, length)
    return max(1, most if most % 2 else most - 1)


def thinning(features: int, depth: int = DEPTH) -> int:
    """Return the stride along the spectrum that leaves at most ``depth`` positions."""
    return -(-features // depth)


def thinned(length: int, kernel: int, stride: int = 1, *, padded: bool = True) -> int:
    """Return the positions along the spectrum that a convolution leaves."""
    return (length + 2 * (kernel // 2) * padded - kernel) // stride + 1


def sides(patch: int, wanted: int) -> tuple[list[int], int]:
    """Share a patch among convolutions that do not pad.

    Args:
        patch: Side of the patch, odd.
        wanted: How many convolutions there are.

    Returns:
        Side of each one's kernel, 3 for the first ones and 1 where the patch is used up,
        and the side that is left.
    """
    threes = min(wanted, (patch - 1) // 2)
    return [3] * threes + [1] * (wanted - threes), patch - 2 * threes


class Along(nn.Sequential):
    """A convolution along the spectrum, batch norm and rectified units.

    Works on ``(n, channels, depth, positions)``, padded by half the kernel.
    """

    def __init__(self, given: int, made: int, kernel: int, stride: int = 1) -> None:
        """Build it.

        Args:
            given: Channels of the input.
            made: Channels of the output.
            kernel: Odd length of the kernel.
            stride: Step along the spectrum.
        """
        super().__init__(
            nn.Conv2d(given, made, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False),
            nn.BatchNorm2d(made),
            nn.ReLU(),
        )


class Over(nn.Sequential):
    """A convolution over the square that does not pad, batch norm and rectified units."""

    def __init__(self, given: int, made: int, side: int) -> None:
        """Build it.

        Args:
            given: Channels of the input.
            made: Channels of the output.
            side: Side of the kernel.
        """
        super().__init__(nn.Conv2d(given, made, side, bias=False), nn.BatchNorm2d(made), nn.ReLU())


class Voxels(nn.Sequential):
    """A 3-D convolution, batch norm and rectified units; over the square it does not pad.

    Works on ``(n, channels, depth, h, w)``.
    """

    def __init__(
        self,
        given: int,
        made: int,
        kernel: int,
        side: int,
        stride: int = 1,
        *,
        padded: bool = True,
    ) -> None:
        """Build it.

        Args:
            given: Channels of the input.
            made: Channels of the output.
            kernel: Odd length along the spectrum.
            side: Side over the square.
            stride: Step along the spectrum.
            padded: Whether the spectrum is padded by half the kernel.
        """
        super().__init__(
            nn.Conv3d(
                given,
                made,
                (kernel, side, side),
                (stride, 1, 1),
                (kernel // 2 if padded else 0, 0, 0),
                bias=False,
            ),
            nn.BatchNorm3d(made),
            nn.ReLU(),
        )


class Last(nn.Sequential):
    """The mean over what is left of the square, dropout and one linear layer."""

    def __init__(self, given: int, classes: int, side: int, dropout: float) -> None:
        """Build it.

        Args:
            given: Channels of the input.
            classes: Classes told apart.
            side: Side that is left of the patch.
            dropout: Share of channels left out while training.
        """
        super().__init__(
            nn.AvgPool2d(side, 1) if side > 1 else nn.Identity(),
            nn.Dropout(dropout),
            nn.Conv2d(given, classes, 1),
        )


def cropped(x: torch.Tensor, by: int) -> torch.Tensor:
    """Return maps without ``by`` positions along each edge."""
    return functional.pad(x, (-by, -by, -by, -by)) if by else x


def check_features(features: int, least: int, net: str) -> None:
    """Refuse pixels with too few numbers.

    Raises:
        SamplesError: If there are fewer than ``least``.
    """
    if features < least:
        raise SamplesError(
            f"{net} learns along the spectrum and needs {least} features or more, and these "
            f"pixels have {features}; add features, or choose the network cnn2d"
        )
