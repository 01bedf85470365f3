"""Averaging what a network says over the eight turns and flips of a patch.

Imagery from above has no up, so a patch and its quarter turns and mirror images show the
same thing (the dihedral group D4). The mean of their eight descriptors is closer to what
is on the ground than any one of them, for eight times the work.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from terrapatch.backbones.base import Batch, Embedder, Groups
from terrapatch.errors import BackboneError

AVERAGES = ("none", "d4")
TURNS = 8


def check_average(name: str) -> None:
    """Refuse an unknown way of averaging.

    Raises:
        BackboneError: If there is no such way.
    """
    if name not in AVERAGES:
        raise BackboneError(f"average {name!r} is not known; choose {' or '.join(AVERAGES)}")


def turns(batch: Batch) -> Iterator[Batch]:
    """Turn square patches ``(…, side, side)`` by quarters, as they are and mirrored."""
    for flipped in (batch, batch[..., ::-1]):
        for quarter in range(4):
            yield np.ascontiguousarray(np.rot90(flipped, quarter, axes=(-2, -1)))


class TurnedEmbedder:
    """Describes patches by the mean over their eight turns and flips.

    Attributes:
        groups: Those of the embedder within.
    """

    def __init__(self, embedder: Embedder) -> None:
        """Take what describes one turn."""
        self._embedder = embedder
        self.groups: Groups = embedder.groups

    def features(self, batch: Batch, valid: Batch | None = None) -> npt.NDArray[np.float32]:
        """Describe patches; see ``Embedder.features``. Patches that are not square are turned too.

        Raises:
            BackboneError: If the GPU's memory does not hold the batch.
        """
        masks: Iterator[Batch | None]
        masks = iter([None] * TURNS) if valid is None else turns(valid)
        total = np.zeros((len(batch), self.groups[-1][2]), np.float64)
        for turned, mask in zip(turns(batch), masks, strict=True):
            total += self._embedder.features(turned, mask)
        return (total / TURNS).astype(np.float32)
