"""When to fine-tune: the tables of two lectures as one rule.

Both lectures ask how much labelled data there is, and how similar the imagery is to what
the network was trained on:

=================  ================================  ====================================
case               deck 001                          deck 002
=================  ================================  ====================================
little, similar    classifier on a higher layer      linear SVM on bottleneck features
little, different  classifier on a lower layer       classifier on deep features
much, similar      fine-tune the top, or all         fine-tune several layers, or all
much, different    fine-tune the top, or all         fine-tune all, from these weights
=================  ================================  ====================================

They differ for different imagery: with little data in the layer to take, with much data in
whether the top alone may do. There the advice names both, to be settled by
cross-validation inside the training part.

Neither deck says what is little. Deck 000 calls 100 images a class "very small-scale",
and deck 002 counts 1,000 a class as little data, though there tuning the last block (94 %)
already beats a classifier on the bottleneck (90 to 91 %). So up to 100 labels a class are
little here, more than 1,000 are much, and between them both columns are to be tried.
Imagery is similar when at least half of it is (see ``imagery_similarity``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import ArrayLike

from terrapatch.errors import SamplesError
from terrapatch.learn.applicability import DissimilarityIndex

LITTLE, MUCH, SIMILAR = 100, 1000, 0.5
TRIALS = ("last-layer", "lower-layers", "all-layers", "tune-top", "tune-all")
"""Ways to learn: a classifier on features of some layers, or a tuned network."""

_FEWEST = 5
_SAID = {
    ("little", "similar"): (
        "take features of a higher layer and give them to a separate classifier",
        "train a linear SVM on the bottleneck features",
    ),
    ("little", "different"): (
        "take features of a lower layer and give them to a separate classifier",
        "train a classifier on deep features of the network",
    ),
    ("much", "similar"): ("fine-tune the top or all layers", "fine-tune several or all layers"),
    ("much", "different"): (
        "fine-tune the top or all layers",
        "fine-tune all layers, with the pre-trained weights as the start",
    ),
}
# All stages together stand beside the last one: they were the better features on UC Merced.
_TRY = {
    ("little", "similar"): ("last-layer", "all-layers"),
    ("little", "different"): ("lower-layers", "last-layer", "all-layers"),
    ("between", "similar"): ("last-layer", "all-layers", "tune-top"),
    ("between", "different"): ("lower-layers", "last-layer", "all-layers", "tune-top", "tune-all"),
    ("much", "similar"): ("tune-top", "tune-all"),
    ("much", "different"): ("tune-all", "tune-top"),
}


@dataclass(frozen=True)
class Advice:
    """What the lectures advise, and what to try.

    Attributes:
        labels: Labels a class: the median over the classes.
        similarity: Similarity of the imagery, 0 to 1, or ``None`` if it is not known.
        amount: ``little``, ``between`` or ``much``.
        imagery: ``similar``, ``different`` or ``unknown``.
        deck_001: What deck 001 says, a line for each of its cases that applies.
        deck_002: What deck 002 says, in the same order.
        agree: Whether both say the same for every case that applies.
        trials: What to compare by cross-validation, of ``TRIALS``, the likeliest first.
        reason: A sentence that says which case this is, and why.
        cautions: Sentences about what the tables do not cover.
    """

    labels: float
    similarity: float | None
    amount: str
    imagery: str
    deck_001: tuple[str, ...]
    deck_002: tuple[str, ...]
    agree: bool
    trials: tuple[str, ...]
    reason: str
    cautions: tuple[str, ...] = ()


def advise(
    n_labels_per_class: int | Sequence[int] | Mapping[str, int], similarity: float | None
) -> Advice:
    """Say how to learn from so many labels on imagery like this.

    Args:
        n_labels_per_class: Training labels of each class, or one number for all classes.
        similarity: How similar the imagery is to that of the network, 0 to 1; ``None`` if
            it is not known, which is treated as different: more is tried then.

    Raises:
        SamplesError: If a class has no label, or the similarity is not between 0 and 1.
    """
    counts = _checked_counts(n_labels_per_class)
    if similarity is not None and not 0 <= similarity <= 1:
        raise SamplesError(f"the similarity is {similarity}; give a share from 0 to 1, or None")
    labels = float(median(counts.values()))
    amount = "little" if labels <= LITTLE else "much" if labels > MUCH else "between"
    near = "similar" if similarity is not None and similarity >= SIMILAR else "different"
    columns = ("little", "much") if amount == "between" else (amount,)
    first, second = zip(*(_SAID[column, near] for column in columns), strict=True)
    return Advice(
        labels=labels,
        similarity=similarity,
        amount=amount,
        imagery=near if similarity is not None else "unknown",
        deck_001=first,
        deck_002=second,
        agree=near == "similar",
        trials=_TRY[amount, near],
        reason=_reason(labels, amount, similarity),
        cautions=_cautions(counts, labels, similarity),
    )


def imagery_similarity(features: ArrayLike, reference: DissimilarityIndex) -> float:
    """Return which share of some imagery lies in the area of applicability of other imagery.

    Where a network or a head is to be used on new imagery, the reference are features, of
    the same recipe, of imagery it is known to do well on. The share is only as telling as
    the reference's threshold: fit it with groups, and on few, informative features (see
    ``terrapatch.learn.applicability``).

    Args:
        features: Features ``(n, F)`` of the imagery in question; rows that are not finite
            (empty cells) do not count.
        reference: The index fitted on the reference.

    Returns:
        0 to 1.

    Raises:
        SamplesError: If there is no finite row, or the features do not fit the reference.
    """
    index = reference.transform(features)
    known = index[~np.isnan(index)]
    if not len(known):
        raise SamplesError("no row of the features is finite; give cells that hold imagery")
    return float((known <= reference.threshold).mean())


def _checked_counts(labels: int | Sequence[int] | Mapping[str, int]) -> dict[str, int]:
    if isinstance(labels, Mapping):
        counts = {str(name): int(n) for name, n in labels.items()}
    elif isinstance(labels, int | np.integer):
        counts = {"each class": int(labels)}
    else:
        counts = {f"class {i}": int(n) for i, n in enumerate(labels, 1)}
    empty = [name for name, n in counts.items() if n < 1]
    if empty or not counts:
        raise SamplesError(
            f"{', '.join(empty) or 'the list of classes'} has no labels; label each class, or "
            "leave the class out"
        )
    return counts


def _reason(labels: float, amount: str, similarity: float | None) -> str:
    size = {
        "little": f"at most {LITTLE:,}, which is little",
        "between": f"above {LITTLE:,} and up to {MUCH:,}, so either column may be right",
        "much": f"more than {MUCH:,}, which is much",
    }[amount]
    shown = f"{labels:,.0f}" if labels.is_integer() else f"{labels:,.1f}"
    text = f"there are {shown} labels a class ({size})"
    if similarity is None:
        return f"{text}; how similar the imagery is is not known, so it is treated as different"
    side = "at least" if similarity >= SIMILAR else "below"
    verdict = "similar" if similarity >= SIMILAR else "different"
    return (
        f"{text}; {100 * similarity:.0f} % of the imagery is like the reference ({side} "
        f"{100 * SIMILAR:.0f} %, so it is {verdict})"
    )


def _cautions(
    counts: Mapping[str, int], labels: float, similarity: float | None
) -> tuple[str, ...]:
    out = []
    rare = [f"{name} ({n})" for name, n in counts.items() if n < _FEWEST]
    if rare:
        out.append(
            f"Fewer than {_FEWEST} labels: {', '.join(rare)}; label more of these first, no "
            "choice of method makes up for it."
        )
    if max(counts.values()) > 10 * min(counts.values()):
        out.append(
            "The largest class has more than ten times the labels of the smallest; look at the "
            "recall of each class, not at the overall accuracy alone."
        )
    if similarity is None or similarity < SIMILAR:
        out.append(
            "The decks differ for different imagery; let cross-validation inside the training "
            "part decide, on spatially blocked folds where samples have positions."
        )
    if labels <= MUCH:
        out.append(
            "When tuning, train the new head first and use a very small learning rate after it."
        )
    return tuple(out)
