"""What a model is worth on samples of another place, and what labels there would be worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.accuracy import Accuracy, assess
from terrapatch.learn.contrast import Contrast, contrast
from terrapatch.learn.fitting import cross_validate
from terrapatch.learn.heads import HEADS
from terrapatch.learn.samples import Samples
from terrapatch.learn.scene_model import SceneModel
from terrapatch.studies._class_pairs import ClassPairs

Progress = Callable[[str, int, int], None]
Floats = NDArray[np.float64]
Ids = NDArray[np.int32]

# What a class of the model without a counterpart is called where it was predicted.
ELSEWHERE = "(a class of the model without counterpart)"
QUARTERS = 4
# Nearest neighbours are chosen from up to 9, in two thirds of the training part.
_KNN_NEEDS = 15


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of samples of another place; ids are places among the paired classes.

    Attributes:
        ids: Truth ``(n,)``.
        open: Class when all the model's classes compete; one above the last where that
            class has no counterpart.
        closed: Class when only those with a counterpart compete.
        confidence: Share of the closed probability that class has.
        margin: Its distance to the second.
        dissimilarity: Distance to the model's training samples; ``None`` where it knows none.
    """

    ids: Ids
    open: Ids
    closed: Ids
    confidence: Floats
    margin: Floats
    dissimilarity: Floats | None


@dataclass(frozen=True, eq=False)
class Ordered:
    """Accuracy in four equal parts of the samples, along an order that should foretell it.

    Attributes:
        edges: Least and greatest value of each part.
        parts: How good each is; the first should be the best.
        spread: The first part less the last.
    """

    edges: tuple[tuple[float, float], ...]
    parts: tuple[Accuracy, ...]
    spread: Contrast

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "spread": self.spread.as_dict(),
            "quarters": [
                {
                    "from": low,
                    "to": high,
                    "n": part.n,
                    "overall": part.overall,
                    "interval": part.as_dict()["intervals"]["overall"],
                }
                for (low, high), part in zip(self.edges, self.parts, strict=True)
            ],
        }


@dataclass(frozen=True)
class FewLabels:
    """A head trained on some labels a class of the place itself, tested on the rest.

    Attributes:
        k: Labels a class.
        accuracies: Overall accuracy of each draw.
        tested: Samples tested in each draw.
    """

    k: int
    accuracies: tuple[float, ...]
    tested: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean over the draws."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float:
        """Standard deviation over the draws; NaN of a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else np.nan


def paired_samples(samples: Samples, pairs: ClassPairs) -> Samples:
    """Return the samples of the paired classes, numbered as these."""
    new = [pairs.classes.index(c) + 1 if c in pairs.classes else 0 for c in samples.classes]
    ids = np.array([0, *new], np.int32)[samples.ids]
    kept = samples.take(ids > 0)
    return replace(kept, ids=ids[ids > 0], classes=pairs.classes)


def answers(model: SceneModel, samples: Samples, pairs: ClassPairs) -> Answers:
    """Let a model answer for samples of paired classes."""
    given, counterpart = model.probabilities(samples.values), pairs.counterpart
    n = len(pairs.classes)
    called = counterpart[given.argmax(axis=1)]
    together = np.stack([given[:, counterpart == id].sum(axis=1) for id in range(1, n + 1)], axis=1)
    whole = together.sum(axis=1, keepdims=True)
    # Where all that is possible here has no probability left, nothing is known.
    closed = np.divide(together, whole, out=np.full_like(together, 1 / n), where=whole > 0)
    order = np.sort(closed, axis=1)
    return Answers(
        ids=samples.ids,
        open=np.where(called > 0, called, n + 1).astype(np.int32),
        closed=(closed.argmax(axis=1) + 1).astype(np.int32),
        confidence=order[:, -1],
        margin=order[:, -1] - order[:, -2],
        dissimilarity=None if model.index is None else model.dissimilarity(samples.values),
    )


def ordered(
    found: Answers,
    values: Floats,
    classes: Sequence[str],
    *,
    rising: bool,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> Ordered:
    """Measure the closed accuracy in quarters along an order.

    Args:
        found: What the model says.
        values: What the samples are ordered by ``(n,)``.
        classes: Names of the classes.
        rising: Whether the least value should be the best.
        seed: Seed of the bootstrap.
        groups: Neighbours that are drawn together ``(n,)``.
    """
    order = np.argsort(values if rising else -values, kind="stable")
    quarters = np.array_split(order, QUARTERS)
    right = (found.closed == found.ids).astype(np.int64)
    sides = []
    for places in (quarters[0], quarters[-1]):
        side = np.full(len(order), -1)
        side[places] = right[places]
        sides.append(side)
    parts = tuple(
        assess(
            found.ids[q], found.closed[q], classes, seed=seed,
            groups=None if groups is None else groups[q],
        )
        for q in quarters
    )  # fmt: skip
    edges = tuple((float(values[q].min()), float(values[q].max())) for q in quarters)
    return Ordered(edges, parts, contrast(*sides, seed=seed, groups=groups))


def head_of(model: SceneModel) -> Any:
    """Return the name of a model's head, or its classifier where that was someone's own."""
    name = model.description["head"]
    return name if name in HEADS else model.pipeline[-1]


def few_labels(
    samples: Samples,
    model: SceneModel,
    few: Sequence[int],
    seeds: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[tuple[FewLabels, ...], list[str]]:
    """Train the model's head on few labels of the place alone, and test on the rest.

    Of one draw the fewer labels are among the more. Where samples lie somewhere, those whose
    patch overlaps one that was trained on are not tested.

    Args:
        samples: Samples of the paired classes.
        model: The model, whose head and scaling are used.
        few: Numbers of labels a class, rising.
        seeds: Draws of each number.
        seed: Seed of the draws.
        progress: Called as ``progress("few labels", trained, in all)``.

    Returns:
        What each number reaches, and which numbers could not be tried and why.
    """
    head, scaling = head_of(model), model.description["scaling"]
    notes, found, least = [], [], int(samples.counts[samples.counts > 0].min())
    possible = [k for k in few if k < least and _fits(samples, head, k)]
    if left := [str(k) for k in few if k >= least]:
        notes.append(
            f"{', '.join(left)} local labels a class could not be tried: the smallest class here "
            f"has {least} samples, of which some must be left to test"
        )
    if left := [str(k) for k in few if k < least and k not in possible]:
        notes.append(
            f"{', '.join(left)} local labels a class could not be tried: the model's head "
            f"{head} needs {_KNN_NEEDS} labels in all"
        )
    for done, k in enumerate(possible):
        accuracies, tested = [], []
        for draw in range(seeds):
            train = drawn_labels(samples.ids, k, [seed, draw])
            test = _rest(samples, train)
            if len(test):
                one = cross_validate(samples, head, scaling, folds=[(train, test)], seed=draw)
                accuracies.append(float((one.predicted == one.ids).mean()))
                tested.append(len(test))
            if progress is not None:
                progress("few labels", done * seeds + draw + 1, len(possible) * seeds)
        if accuracies:
            found.append(FewLabels(k, tuple(accuracies), tuple(tested)))
        else:
            notes.append(f"with {k} labels a class no sample apart from them was left to test")
    return tuple(found), notes


def _fits(samples: Samples, head: Any, k: int) -> bool:
    """Whether the head can be fitted to k labels a class."""
    return bool(head != "knn" or k * np.count_nonzero(samples.counts) >= _KNN_NEEDS)


def drawn_labels(ids: Ids, k: int, seed: Sequence[int]) -> NDArray[np.intp]:
    """Draw k samples of each class ``(k * classes,)``; fewer are a part of more."""
    order = np.random.default_rng(seed).permutation(len(ids))
    picked = [order[ids[order] == id][:k] for id in np.unique(ids)]
    return np.asarray(np.sort(np.concatenate(picked)), np.intp)


def _rest(samples: Samples, train: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the samples that are not trained on and share no pixel with one that is."""
    rest = np.setdiff1d(np.arange(len(samples)), train)
    spread = samples.spread()
    if spread is None or samples.reach <= 0:
        return rest
    from scipy.spatial import cKDTree

    near, _ = cKDTree(spread[train]).query(
        spread[rest], p=np.inf, distance_upper_bound=samples.reach
    )
    return np.asarray(rest[near >= samples.reach], np.intp)


def smallest_reaching(found: Sequence[FewLabels], aim: float) -> int | None:
    """Return the smallest number of labels a class whose mean reaches an accuracy."""
    return next((one.k for one in found if one.mean >= aim), None)


def checked_few(few: Sequence[int], seeds: int) -> tuple[int, ...]:
    """Return numbers of labels in rising order.

    Raises:
        SamplesError: If one is not at least 1, or there is no draw.
    """
    if seeds < 1:
        raise SamplesError(f"{seeds} draws of local labels cannot be made; ask for 1 or more")
    wrong = [k for k in few if k < 1]
    if wrong:
        raise SamplesError(f"{wrong[0]} labels a class cannot be trained on; give 1 or more")
    return tuple(sorted({int(k) for k in few}))
