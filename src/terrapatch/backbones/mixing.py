"""More bands than a network has channels: three ways to mix them, all of them linear.

Adapting a network's first convolution to more bands comes to the same as mixing the
bands in front of it: copying its red, green and blue filters over the bands, each
divided by the number of its copies, filters the mean of the bands that share a filter;
giving every band the mean filter filters the mean of all bands. So the network is left
as it is, and a mixing of ``bands`` to three channels stands before it.

Such adaptations lost to a plain triplet in 16 of 17 cases of torchgeo-bench (see
``docs/backbones.md`` for what we measured), so they are only done when asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.errors import BackboneError

if TYPE_CHECKING:
    import torch

KINDS = ("repeat", "mean", "pca")
CHANNELS = 3
# Where the middle of the data of each principal component goes to, on 0–255.
LOW_SHARE, HIGH_SHARE = 2.0, 98.0
WARNING = (
    "more than three bands are mixed into the three channels of a network that was trained on "
    "photographs (--adapt %s); in published comparisons this mostly does worse than a triplet "
    "of bands, so compare it with --bands rgb on your own labels"
)


@dataclass(frozen=True)
class Mixing:
    """A linear mixing of bands into channels, on 0–255.

    Attributes:
        kind: ``repeat``, ``mean`` or ``pca``.
        matrix: ``channels`` rows of one weight a band.
        offset: Added to each channel.
    """

    kind: str
    matrix: tuple[tuple[float, ...], ...]
    offset: tuple[float, ...]

    @property
    def bands(self) -> int:
        """Number of bands it takes."""
        return len(self.matrix[0])

    def as_dict(self) -> dict[str, Any]:
        """Return the mixing for a recipe."""
        return {
            "kind": self.kind,
            "matrix": [list(row) for row in self.matrix],
            "offset": list(self.offset),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Mixing:
        """Build a mixing from what a recipe holds."""
        rows = tuple(tuple(float(v) for v in row) for row in data["matrix"])
        return cls(data["kind"], rows, tuple(float(v) for v in data["offset"]))

    def apply(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Mix ``(..., bands, height, width)`` in 0–255 into channels, in numpy."""
        mixed = np.einsum("cb,...bhw->...chw", np.asarray(self.matrix), pixels.astype(np.float64))
        mixed += np.asarray(self.offset)[:, None, None]
        shown: npt.NDArray[np.float32] = np.clip(mixed, 0.0, 255.0).astype(np.float32)
        return shown

    def on(self, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what mixes batches ``(n, bands, height, width)`` on a device."""
        import torch

        matrix = torch.tensor(self.matrix, dtype=torch.float32, device=device)
        offset = torch.tensor(self.offset, dtype=torch.float32, device=device)
        kernel = matrix[:, :, None, None]

        def mix(batch: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.conv2d(batch, kernel, offset).clamp_(0.0, 255.0)

        return mix


def repeat(bands: int) -> Mixing:
    """Return the mixing that equals copying the filters over the bands, in turns.

    Channel c takes the mean of bands c, c + 3, c + 6 …, so one and two bands repeat
    themselves and every filter keeps the weight it was trained with.
    """
    matrix = np.zeros((CHANNELS, bands))
    for channel in range(CHANNELS):
        members = [b for b in range(bands) if b % CHANNELS == channel] or [channel % bands]
        matrix[channel, members] = 1 / len(members)
    return _mixing("repeat", matrix, np.zeros(CHANNELS))


def mean(bands: int) -> Mixing:
    """Return the mixing that equals giving every band the mean filter: the mean of all bands."""
    return _mixing("mean", np.full((CHANNELS, bands), 1 / bands), np.zeros(CHANNELS))


def principal(sample: npt.NDArray[Any], where: str) -> Mixing:
    """Learn the mixing that shows the first three principal components.

    Each component is stretched so that its 2nd and 98th percentiles become 0 and 255,
    and turned so that its weights sum to no less than zero.

    Args:
        sample: ``(bands, n)`` values of valid pixels in 0–255.
        where: The scene's name, for messages.

    Raises:
        BackboneError: If there are fewer than three bands, or three components do not vary.
    """
    if sample.shape[0] < CHANNELS or sample.shape[1] <= CHANNELS:
        raise BackboneError(
            f"three principal components need three bands and some valid pixels, but "
            f"{sample.shape[0]} bands and {sample.shape[1]} pixels of {where} are there; "
            "use --adapt repeat, or choose more --bands"
        )
    data = sample.astype(np.float64)
    centre = data.mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(np.cov(data))
    axes = vectors[:, ::-1][:, :CHANNELS].T
    signs = np.where(axes.sum(axis=1) < 0, -1.0, 1.0)
    axes = axes * signs[:, None]
    scores = axes @ (data - centre)
    low, high = np.percentile(scores, [LOW_SHARE, HIGH_SHARE], axis=1)
    if not (high - low > 1e-6).all():
        raise BackboneError(
            f"the bands chosen from {where} do not vary in three directions, so they have no "
            "three principal components; use --adapt mean, or choose other --bands"
        )
    gain = 255.0 / (high - low)
    matrix = axes * gain[:, None]
    offset = -(matrix @ centre)[:, 0] - low * gain
    return _mixing("pca", matrix, offset)


def _mixing(kind: str, matrix: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]) -> Mixing:
    rows = tuple(tuple(float(f"{v:.9g}") for v in row) for row in matrix)
    return Mixing(kind, rows, tuple(float(f"{v:.9g}") for v in offset))
