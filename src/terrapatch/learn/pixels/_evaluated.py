"""A learner judged on splits of labelled pixels: fitted on one part, compared on the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.accuracy import Accuracy, assess
from terrapatch.learn.pixels._pixel_split import refuse_one_class
from terrapatch.learn.pixels._split_parts import distance_to
from terrapatch.learn.pixels.base import PixelLearner, PixelValues, Progress
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.learn.pixels.leakage import Leak, combined_window, guard
from terrapatch.learn.pixels.posteriors import likeliest_at, posterior_blocks
from terrapatch.learn.pixels.smoothers import Smoother, parse_smoothing
from terrapatch.learn.pixels.splits import PixelSplit, fields_of

Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]
MakeLearner = Callable[[int], PixelLearner]
SplitsBySeed = Mapping[int, PixelSplit | Sequence[PixelSplit]]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What a learner reached on the split of one seed, or on the folds of one seed together.

    Attributes:
        seed: Seed of the split and of the learner.
        splits: The split, or the folds whose tested pixels are judged as one.
        accuracy: Overall and average accuracy, kappa and the measures of each class, over all
            tested pixels; its intervals draw whole fields, blocks or regions.
        trained_overall: Share of the tested pixels of trained classes that is right.
        untrained_pixels: Tested pixels of classes without a training pixel: all are wrong.
        leaks: How far each split leaks through the window of features and learner.
        window: That window; ``None`` for the whole scene.
        predicted: Class of each tested pixel ``(rows, cols)``, 0 elsewhere.
        fit_seconds: Time of fitting, choosing hyper-parameters included.
        predict_seconds: Time of predicting.
        learners: Settings of each fitted learner, as JSON values.
        smoothing: Text of the smoothing of posteriors; empty for none.
        mixed: Share of the tested pixels whose smoothing mixes in the posterior of a training
            pixel, which has seen its label; 0 without smoothing.
    """

    seed: int
    splits: tuple[PixelSplit, ...]
    accuracy: Accuracy
    trained_overall: float
    untrained_pixels: int
    leaks: tuple[Leak, ...]
    window: int | None
    predicted: Ids = field(repr=False)
    fit_seconds: float
    predict_seconds: float
    learners: tuple[dict[str, Any], ...] = field(repr=False, default=())
    smoothing: str = ""
    mixed: float = 0.0

    @property
    def untestable(self) -> tuple[str, ...]:
        """Classes that none of the splits tests."""
        return _in_all(s.untestable for s in self.splits)

    @property
    def untrained(self) -> tuple[str, ...]:
        """Classes that a split tests without a training pixel."""
        return tuple(dict.fromkeys(name for s in self.splits for name in s.untrained))

    @property
    def leaky(self) -> bool:
        """Whether a split strews training pixels among tested ones."""
        return any(s.leaky for s in self.splits)

    def told(self) -> str:
        """Say what untrained classes and smoothing over training pixels do to the accuracy."""
        acc = self.accuracy
        text = f"{100 * acc.overall:.1f} % of {acc.n:,} tested pixels are right"
        if self.untrained_pixels:
            text += (
                f"; {self.untrained_pixels:,} of them belong to classes without a training pixel "
                f"({', '.join(self.untrained)}) and count as wrong, without them it would be "
                f"{100 * self.trained_overall:.1f} %"
            )
        if self.mixed:
            text += (
                f"; for {100 * self.mixed:.1f} % of them the smoothing ({self.smoothing}) mixes in "
                "posteriors of training pixels, which were told by their own labels"
            )
        return f"{text}."


def evaluate_splits(
    values: PixelValues,
    labels: PixelLabels,
    splits_by_seed: SplitsBySeed,
    make_learner: MakeLearner,
    *,
    window: int | None,
    mode: str = "refuse",
    smooth: Smoother | str | None = None,
    bootstrap: int = 1000,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> list[Evaluated]:
    """Fit a learner on the training part of each split and judge it on the tested part.

    Args:
        values: Features of the scene.
        labels: The labels that were split.
        splits_by_seed: A split of each seed, or the folds of each seed: folds are fitted one by
            one and their tested pixels judged together.
        make_learner: Makes an unfitted learner of a seed.
        window: Side of the square that decides the features of a pixel; ``None`` for the whole
            scene. The learner's own window is added to it.
        mode: What to do with a split by ground whose tested pixels lie inside training windows:
            ``refuse`` or ``flag``; see ``guard``.
        smooth: What smooths the posteriors, or its text such as ``gaussian:sigma=2``; then the
            whole scene is predicted, else only the tested pixels.
        bootstrap: Rounds of the intervals within a seed; 0 for none.
        scratch: Folder for what memory should not hold.
        progress: Called as ``progress("evaluating", splits done, in all)``.

    Returns:
        One result a seed, in the order given.

    Raises:
        SamplesError: If labels and features differ in size, there is no split, one trains on a
            single class, folds test a pixel twice, or the guard refuses a split.
    """
    smoother = parse_smoothing(smooth) if isinstance(smooth, str) else smooth
    jobs = {s: _listed(splits) for s, splits in splits_by_seed.items()}
    _check(values, labels, jobs)
    total, done, out = sum(map(len, jobs.values())), 0, []
    for seed, splits in jobs.items():
        runs = []
        for split in splits:
            learner = make_learner(seed)
            seen = combined_window(window, learner.window)
            leak = guard(split, seen, mode)
            runs.append((leak, _run(values, labels, split, learner, smoother, scratch)))
            done += 1
            if progress is not None:
                progress("evaluating", done, total)
        made = _judged(labels, seed, splits, runs, seen, bootstrap)
        if smoother is not None:
            mixed = _mixed(splits, smoother.halo)
            made = replace(made, smoothing=smoother.text, mixed=mixed)
        out.append(made)
    return out


@dataclass(frozen=True, eq=False)
class _Run:
    """Classes of the tested pixels of one split, and what it took."""

    ids: Ids
    fit_seconds: float
    predict_seconds: float
    settings: dict[str, Any]


def _run(
    values: PixelValues,
    labels: PixelLabels,
    split: PixelSplit,
    learner: PixelLearner,
    smoother: Smoother | None,
    scratch: Path | None,
) -> _Run:
    """Fit on the training part and predict the tested one, in row-major order."""
    start = time.perf_counter()
    # Inner folds keep whole what the split keeps whole, except blocks, which they cut themselves.
    fields = split.units if split.kind == "fields" else None
    learner.fit(values, labels.pixels(split.train, fields=fields))
    fitted = time.perf_counter()
    found = _predicted(values, labels, split.test, learner, smoother, scratch)
    return _Run(found, fitted - start, time.perf_counter() - fitted, learner.settings())


def _predicted(
    values: PixelValues,
    labels: PixelLabels,
    test: Mask,
    learner: PixelLearner,
    smoother: Smoother | None,
    scratch: Path | None,
) -> Ids:
    temperature = learner.temperature
    if smoother is None:
        return likeliest_at(values, learner, labels.pixels(test), temperature)
    ids = np.zeros(labels.shape, np.int32)
    blocks = posterior_blocks(values, learner, temperature, smooth=smoother, scratch=scratch)
    for block in blocks:
        chosen = learner.classes_[block.probabilities.argmax(axis=2)]
        ids[block.rows, block.cols] = np.where(block.valid, chosen, 0)
    found = ids[test]
    if not found.all():
        raise SamplesError(
            f"{int((found == 0).sum()):,} tested pixels have no features; read the labels with "
            "this cube, which leaves out its invalid pixels"
        )
    return found


def _judged(
    labels: PixelLabels,
    seed: int,
    splits: tuple[PixelSplit, ...],
    runs: list[tuple[Leak, _Run]],
    window: int | None,
    bootstrap: int,
) -> Evaluated:
    """Compare the tested pixels of all folds with their truth."""
    predicted = np.zeros(labels.shape, np.int32)
    tested, known = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
    for split, (_, run) in zip(splits, runs, strict=True):
        predicted[split.test] = run.ids
        tested |= split.test
        trained = np.array([False, *(n > 0 for n in split.train_counts.values())])
        known |= split.test & trained[labels.ids]
    units = splits[0].units
    groups = fields_of(labels)[0] if units is None else units
    accuracy = assess(
        labels.ids[tested],
        predicted[tested],
        labels.classes,
        bootstrap=bootstrap,
        seed=seed,
        groups=groups[tested],
    )
    right = (predicted == labels.ids) & known
    return Evaluated(
        seed=seed,
        splits=splits,
        accuracy=accuracy,
        trained_overall=float(right.sum() / known.sum()) if known.any() else 0.0,
        untrained_pixels=int((tested & ~known).sum()),
        leaks=tuple(leak for leak, _ in runs),
        window=window,
        predicted=predicted,
        fit_seconds=sum(run.fit_seconds for _, run in runs),
        predict_seconds=sum(run.predict_seconds for _, run in runs),
        learners=tuple(run.settings for _, run in runs),
    )


def _mixed(splits: tuple[PixelSplit, ...], halo: int) -> float:
    """Return the share of tested pixels with a training pixel within reach of the smoothing."""
    near = [distance_to(split.train)[split.test] <= halo for split in splits]
    return float(np.concatenate(near).mean())


def _check(
    values: PixelValues, labels: PixelLabels, jobs: Mapping[int, tuple[PixelSplit, ...]]
) -> None:
    if tuple(values.shape) != labels.shape:
        raise SamplesError(
            f"the features have {values.shape[0]} x {values.shape[1]} pixels and the labels "
            f"{labels.shape[0]} x {labels.shape[1]}; read both for one cube"
        )
    if not jobs or not all(jobs.values()):
        raise SamplesError("no split was given; give at least one for every seed")
    for seed, splits in jobs.items():
        for split in splits:
            refuse_one_class(split)
        twice = int((np.sum([s.test for s in splits], axis=0) > 1).sum())
        if twice:
            raise SamplesError(
                f"the splits of seed {seed} test {twice:,} pixels more than once, so they are no "
                "folds; give each as a seed of its own"
            )


def _listed(splits: PixelSplit | Sequence[PixelSplit]) -> tuple[PixelSplit, ...]:
    return (splits,) if isinstance(splits, PixelSplit) else tuple(splits)


def _in_all(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    first, *others = names
    return tuple(name for name in first if all(name in other for other in others))
