"""What a split of labelled pixels is: two parts, and the words for what they can tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.labels import PixelLabels

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PixelSplit:
    """A training and a tested part of labelled pixels.

    Attributes:
        name: What it is called in tables: ``random``, ``fixed``, ``blocks``, ``fields`` or
            the region that is tested.
        train: Pixels to learn from ``(rows, cols)``.
        test: Pixels to be judged by ``(rows, cols)``.
        dropped: Labelled pixels that are neither ``(rows, cols)``.
        untestable: Classes that have labels but no tested pixel.
        leaky: Whether training pixels are strewn among tested ones, so that its figures flatter.
        told: What was done, in a sentence or two.
        buffer: Width in pixels of the strip around tested ones that trains nothing.
        seed: Seed of what was random; ``None`` where nothing was.
        untrained: Classes that are tested without a training pixel: all of theirs are wrong.
        train_counts: Training pixels of each class, by name.
        test_counts: Tested pixels of each class, by name.
        units: Block, field or region of each labelled pixel ``(rows, cols)`` int32 from 1:
            what is drawn as one in the bootstrap.
        kind: How it was made: ``random``, ``fixed``, ``blocks``, ``fields`` or ``regions``.
    """

    name: str
    train: Mask = field(repr=False)
    test: Mask = field(repr=False)
    dropped: Mask = field(repr=False)
    untestable: tuple[str, ...]
    leaky: bool
    told: str
    buffer: int = 0
    seed: int | None = None
    untrained: tuple[str, ...] = ()
    train_counts: dict[str, int] = field(default_factory=dict)
    test_counts: dict[str, int] = field(default_factory=dict)
    units: Ids | None = field(default=None, repr=False)
    kind: str = "fixed"

    def __str__(self) -> str:
        """Return what was done, and what it cannot test, in sentences."""
        parts = [
            self.told,
            f"{sum(self.train_counts.values()):,} pixels train, "
            f"{sum(self.test_counts.values()):,} are tested, "
            f"{int(self.dropped.sum()):,} are left out.",
        ]
        if self.leaky:
            parts.append("Training pixels lie among tested ones: its figures flatter (leaky).")
        if self.untestable:
            parts.append(f"It cannot test {', '.join(self.untestable)}.")
        if self.untrained:
            parts.append(f"It tests {', '.join(self.untrained)} without a training pixel.")
        return " ".join(parts)


def finished(
    labels: PixelLabels,
    name: str,
    train: Mask,
    test: Mask,
    told: str,
    seed: int | None,
    *,
    leaky: bool,
) -> PixelSplit:
    """Count the classes of both parts, and name those that a part lacks."""
    for part, words in ((train, "trains"), (test, "is tested")):
        if not part.any():
            raise SamplesError(f"{name}: no labelled pixel {words}; split the labels another way")
    trained, tested, all_of = (labels.counted(m) for m in (train, test, labels.labelled))
    rows = list(zip(labels.classes, trained, tested, all_of, strict=True))
    return PixelSplit(
        name=name,
        train=train,
        test=test,
        dropped=labels.labelled & ~train & ~test,
        untestable=tuple(c for c, _, tests, n in rows if n and not tests),
        leaky=leaky,
        told=told,
        seed=seed,
        untrained=tuple(c for c, trains, tests, _ in rows if tests and not trains),
        train_counts={c: n for c, n, _, _ in rows},
        test_counts={c: n for c, _, n, _ in rows},
    )


def refuse_one_class(split: PixelSplit) -> None:
    """Refuse a split whose training part nothing can be learned from.

    Raises:
        SamplesError: If pixels of only one class train.
    """
    trained = [name for name, n in split.train_counts.items() if n]
    tested = [name for name, n in split.test_counts.items() if n]
    if trained == tested and len(trained) < 2:
        raise SamplesError(
            f"a learner needs training pixels of two classes, and only {''.join(trained)} has any; "
            "label more"
        )
    if len(trained) < 2:
        of_seed = "" if split.seed is None else f" (seed {split.seed})"
        raise SamplesError(
            f"{split.name}{of_seed}: only {''.join(trained)} trains, and a learner needs two "
            "classes; split the labels another way (smaller blocks, a smaller buffer, folds, "
            "other seeds)"
        )


def check_shape(labels: PixelLabels, array: NDArray[Any], words: str) -> None:
    if array.shape != labels.shape:
        raise SamplesError(
            f"the {words} have the shape {array.shape} and the labels {labels.shape}; give one "
            "value a pixel"
        )
