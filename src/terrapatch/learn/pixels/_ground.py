"""Units of ground, some of which are tested, and the buffer around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._pixel_split import PixelSplit, finished
from terrapatch.learn.pixels._split_parts import FEW, distance_to, drawn, quotas, square_blocks
from terrapatch.learn.pixels.labels import PixelLabels

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ground:
    """Units of ground, of which some are tested and the others train.

    Attributes:
        labels: The labels.
        kind: What the units are.
        units: Unit of each labelled pixel ``(rows, cols)``, 0 for none.
        buffer: Pixels of the strip around tested units that trains nothing.
        seed: Seed of the choice.
        side: Side of the units where they are blocks, whose ground is tested as a whole.
    """

    labels: PixelLabels
    kind: str
    units: Ids
    buffer: int
    seed: int | None = None
    side: int | None = None

    def split(
        self, tested: NDArray[Any], told: str, name: str = "", n_train: int | None = None
    ) -> PixelSplit:
        """Test some units, learn from the others outside the buffer; draw if asked to.

        Args:
            tested: Numbers of the tested units.
            told: What was done, without a full stop.
            name: Name of the split; the kind if left out.
            n_train: Training pixels to draw in proportion; all if ``None``.

        Raises:
            SamplesError: If the buffer is negative, or too few training pixels are left.
        """
        name, labels = name or self.kind, self.labels
        if self.buffer < 0:
            raise SamplesError(f"a buffer of {self.buffer} pixels was asked; give 0 or more")
        test = ground = np.isin(self.units, tested)
        if self.side is not None:
            ground = np.isin(square_blocks(labels.shape, self.side), tested)
        train = labels.labelled & (self.units > 0) & ~test & (distance_to(ground) > self.buffer)
        if self.buffer:
            told += f"; training pixels within {self.buffer} pixels of tested ground are left out"
        if not train.any():
            raise SamplesError(
                f"{name}: a buffer of {self.buffer} pixels leaves no training pixel; take a "
                "smaller buffer or larger blocks, fields or regions"
            )
        if n_train is not None:
            train = _drawn_down(labels, train, n_train, self.seed or 0, name)
            told += f"; {n_train:,} training pixels are drawn in proportion"
        units = np.where(labels.labelled, self.units, 0).astype(np.int32)
        made = finished(labels, name, train, test, told + ".", self.seed, leaky=False)
        return replace(made, buffer=self.buffer, units=units, kind=self.kind)


def _drawn_down(labels: PixelLabels, train: Mask, n: int, seed: int, name: str) -> Mask:
    counts = labels.counted(train)
    if sum(counts) < n:
        raise SamplesError(
            f"{name}: {sum(counts):,} training pixels are left, fewer than the {n:,} asked for; "
            "ask for fewer, or take a smaller buffer"
        )
    return drawn(labels.ids, train, quotas(counts, n, FEW), seed)
