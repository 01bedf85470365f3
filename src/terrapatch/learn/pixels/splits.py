"""Splits of labelled pixels into a training and a tested part, and what each can tell.

Neighbouring pixels are alike, and windows around them share pixels. A random split of
pixels therefore tests what was trained on, and is called leaky; whole blocks, fields or
regions with a buffer are not. Every split says in a sentence what it did, which classes it
cannot test and which it tests without a training pixel.

A buffer of ``b`` pixels leaves a strip ``b`` pixels wide out of the training part, around
all that is tested: training and tested pixels then lie more than ``b`` apart (Chebyshev),
and no tested pixel is inside a window of side ``2 b + 1`` around a training pixel.

Sources: Roberts et al., Ecography 40 (2017); Nalepa, Myller and Kawulok, IEEE GRSL 16 (2019).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._pixel_split import PixelSplit, check_shape, finished
from terrapatch.learn.pixels._spatial_splits import (
    block_folds,
    block_split,
    field_folds,
    field_split,
    fields_of,
    region_splits,
)
from terrapatch.learn.pixels._split_parts import drawn, quotas
from terrapatch.learn.pixels.labels import PixelLabels

__all__ = [
    "PixelSplit",
    "block_folds",
    "block_split",
    "field_folds",
    "field_split",
    "fields_of",
    "fixed_split",
    "random_split",
    "region_splits",
]

Mask = NDArray[np.bool_]


def random_split(
    labels: PixelLabels,
    share: float | None = None,
    *,
    per_class: int | None = None,
    seed: int = 0,
    least: int = 1,
) -> PixelSplit:
    """Draw training pixels at random within each class; all others are tested. It is leaky.

    Args:
        labels: The labels.
        share: Share of the pixels that trains, in proportion within classes; 0.1 is 10 %.
        per_class: Training pixels of each class, in place of a share; a class with fewer keeps
            half of them for testing.
        seed: Seed of the drawing.
        least: Training pixels a class has at least under a share, if it has more than those.

    Raises:
        SamplesError: If neither or both of ``share`` and ``per_class`` are given, or make no
            sense.
    """
    counts = labels.counted()
    if (share is None) == (per_class is None):
        raise SamplesError("give either the share of pixels that trains or the pixels per class")
    # One pixel of a class stays for the test, if it has two.
    spare = [n - 1 if n > 1 else n for n in counts]
    if share is not None:
        if not 0 < share < 1:
            raise SamplesError(f"the share {share:g} of training pixels must lie between 0 and 1")
        wanted = quotas(counts, round(share * sum(counts)), max(1, least))
        told = f"{100 * share:g} % of the pixels of each class, drawn at random, train"
    else:
        if per_class is None or per_class < 1:
            raise SamplesError(f"{per_class} training pixels per class; give 1 or more")
        wanted = [per_class if n > per_class else -(-n // 2) for n in counts]
        told = f"{per_class:,} pixels of each class, drawn at random, train"
    wanted = [min(n, most) for n, most in zip(wanted, spare, strict=True)]
    train = drawn(labels.ids, labels.labelled, wanted, seed)
    told += f" (seed {seed}); all other labelled pixels are tested."
    made = finished(labels, "random", train, labels.labelled & ~train, told, seed, leaky=True)
    return replace(made, kind="random")


def fixed_split(
    labels: PixelLabels,
    train: PixelLabels | ArrayLike,
    test: PixelLabels | ArrayLike | None = None,
    *,
    name: str = "fixed",
) -> PixelSplit:
    """Take training and tested pixels as somebody published them.

    Whether it is leaky is looked at: it is, if the labelled neighbours of training pixels are
    mostly tested ones, as with pixels drawn at random.

    Args:
        labels: The labels; the classes are theirs.
        train: Training pixels ``(rows, cols)``: a mask, an array that is above 0 there, or
            labels of their own, whose classes have to agree (pixels where they do not are left
            out and counted).
        test: Tested pixels likewise; all other labelled pixels if left out.
        name: What to call it in tables.

    Raises:
        SamplesError: If a mask has another size, the two share pixels, or one has no label.
    """
    notes: list[str] = []
    training = _given(labels, train, "training", notes)
    if test is None:
        started = (train.ids if isinstance(train, PixelLabels) else np.asarray(train)) > 0
        tested = labels.labelled & ~started
        told = "The given training pixels train; all other labelled pixels are tested."
    else:
        tested = _given(labels, test, "tested", notes)
        told = "The given pixels train and are tested."
    both = int((training & tested).sum())
    if both:
        raise SamplesError(
            f"{both:,} pixels are given for training and for testing; give each to one of the two"
        )
    told = " ".join([told, *notes])
    leaky = _strewn(training, tested)
    return finished(labels, name, training, tested, told, None, leaky=leaky)


def _given(
    labels: PixelLabels, part: PixelLabels | ArrayLike, words: str, notes: list[str]
) -> Mask:
    """Return the labelled pixels of a given part; say which of it are not usable."""
    ids = part.ids if isinstance(part, PixelLabels) else np.asarray(part)
    check_shape(labels, ids, f"{words} pixels")
    inside = ids > 0
    usable = inside & labels.labelled
    strange = int((inside & ~labels.labelled).sum())
    if strange:
        notes.append(f"{strange:,} of the {words} pixels have no label here and are left out.")
    if isinstance(part, PixelLabels):
        number = {name: i for i, name in enumerate(labels.classes, start=1)}
        table = np.array([0, *(number.get(name, -1) for name in part.classes)])
        other = usable & (table[part.ids] != labels.ids)
        if other.any() and (other == usable).all():
            raise SamplesError(
                f"none of the {words} pixels has the class ({', '.join(part.classes[:5])}) that it "
                f"has in the labels ({', '.join(labels.classes[:5])}); give both the same names"
            )
        if other.any():
            notes.append(
                f"{int(other.sum()):,} of the {words} pixels have another class here and are "
                "left out."
            )
        usable &= ~other
    return np.asarray(usable)


def _strewn(train: Mask, test: Mask) -> bool:
    """Whether the neighbours of training pixels are mostly tested ones."""
    from scipy import ndimage

    around = np.ones((3, 3), np.int32)
    around[1, 1] = 0
    counts = [
        ndimage.convolve(part.astype(np.int32), around, mode="constant")[train].sum()
        for part in (train, test)
    ]
    return bool(counts[1] > counts[0])
