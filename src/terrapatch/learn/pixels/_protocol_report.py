"""Results of several protocols side by side, the random one never alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._evaluated import Evaluated

Floats = NDArray[np.float64]
_LEVEL = 0.95
# Shares below this are no whole percent.
_SHOWN = 0.005
_MEASURES = ("overall", "average", "kappa")


@dataclass(frozen=True)
class Spread:
    """Mean of a measure over seeds and how sure it is.

    Attributes:
        mean: Mean over seeds.
        sd: Standard deviation over seeds; NaN for one seed.
        low: Lower end of the interval.
        high: Upper end of the interval.
        over: What the interval is over: ``seeds`` (Student's t on the mean), or ``ground``
            (fields, blocks or regions that were resampled; mean of the seeds' ends) where all
            seeds test the same pixels, as folds, fixed splits and single seeds do.
    """

    mean: float
    sd: float
    low: float
    high: float
    over: str

    @classmethod
    def of(
        cls, values: Sequence[float], within: tuple[float, float] | None, least: float = 0.0
    ) -> Spread:
        """Measure the spread over seeds.

        Args:
            values: The measure for each seed.
            within: Interval over the ground, where all seeds test the same pixels; ``None``
                for the interval over seeds.
            least: What the measure cannot be below: 0 for a share, -1 for kappa.
        """
        from scipy.stats import t

        known = np.asarray(values, np.float64)
        mean, sd = float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else math.nan
        if within is not None:
            return cls(mean, sd, *within, "ground")
        half = float(t.ppf((1 + _LEVEL) / 2, len(known) - 1)) * sd / math.sqrt(len(known))
        # No share, and no kappa, is above 1. Where there is no interval both ends stay NaN.
        low, high = np.clip((mean - half, mean + half), least, 1.0)
        return cls(mean, sd, float(low), float(high), "seeds")


@dataclass(frozen=True)
class ClassResult:
    """How a class fared under a protocol.

    Attributes:
        name: Its name.
        train: Mean number of training pixels over seeds (and folds).
        test: Mean number of tested pixels over seeds (of all folds together).
        recall: Mean over the seeds that test it; NaN if none does.
        precision: Likewise, over seeds in which it was called.
        f1: Likewise.
        untestable: Seeds in which it has no tested pixel.
        untrained: Seeds in which it is tested without a training pixel.
    """

    name: str
    train: float
    test: float
    recall: float
    precision: float
    f1: float
    untestable: int
    untrained: int


@dataclass(frozen=True, eq=False)
class ProtocolResult:
    """What a learner reached under one protocol.

    Attributes:
        name: Name of the protocol.
        evaluated: Results of the seeds.
        notes: What else should be known.
    """

    name: str
    evaluated: tuple[Evaluated, ...]
    notes: tuple[str, ...] = ()

    def spread(self, measure: str) -> Spread:
        """Return a measure over seeds: ``overall``, ``average`` or ``kappa``."""
        accuracies = [e.accuracy for e in self.evaluated]
        if self._same_ground():
            ends = np.mean([a.intervals[measure] for a in accuracies], axis=0)
            within = (float(ends[0]), float(ends[1]))
        else:
            within = None
        values = [float(getattr(a, measure)) for a in accuracies]
        return Spread.of(values, within, -1.0 if measure == "kappa" else 0.0)

    def _same_ground(self) -> bool:
        """Whether all seeds test the same pixels, so that their spread misses the ground's luck."""
        first, *others = (e.predicted > 0 for e in self.evaluated)
        return all(np.array_equal(first, other) for other in others)

    @property
    def majority(self) -> float:
        """What always naming the most frequent class would reach, mean over seeds."""
        return float(np.mean([e.accuracy.majority for e in self.evaluated]))

    @property
    def trained_overall(self) -> float:
        """Overall accuracy over the classes that had training pixels, mean over seeds."""
        return float(np.mean([e.trained_overall for e in self.evaluated]))

    @property
    def leaky(self) -> bool:
        """Whether training pixels lie among tested ones by the protocol's making."""
        return any(e.leaky for e in self.evaluated)

    @property
    def flag(self) -> str:
        """A few words on leakage, the worst over seeds; nothing where it is clean.

        ``leaky``; or ``leaks 12 %`` of the tested pixels through the window, and ``mixes
        5 %`` of them with training pixels in smoothing.
        """
        leaks = [leak for e in self.evaluated for leak in e.leaks]
        worst = max(leaks, key=lambda leak: (leak.leaky, leak.inside))
        if worst.leaky or not self.mixed:
            return worst.flag
        shown = f"{100 * self.mixed:.0f} %" if self.mixed >= _SHOWN else "under 1 %"
        return ", ".join(filter(None, (worst.flag, f"mixes {shown}")))

    @property
    def mixed(self) -> float:
        """Share of the tested pixels that smoothing mixes with training ones, the worst seed."""
        return max(e.mixed for e in self.evaluated)

    @property
    def inside(self) -> float:
        """Share of the tested pixels inside training windows, the worst over seeds and folds."""
        return max(leak.inside for e in self.evaluated for leak in e.leaks)

    def counts(self, part: str) -> float:
        """Return the number of pixels that ``train`` (mean over folds) or ``test``, over seeds."""
        pooled = np.mean if part == "train" else np.sum
        return float(
            np.mean([pooled([getattr(s, part).sum() for s in e.splits]) for e in self.evaluated])
        )

    def classes(self) -> list[ClassResult]:
        """Return how each class fared."""
        names = self.evaluated[0].accuracy.classes
        measures = {
            key: _means(getattr(e.accuracy, key) for e in self.evaluated)
            for key in ("recall", "precision", "f1")
        }
        return [
            ClassResult(
                name=name,
                train=self._mean_count("train_counts", name),
                test=self._mean_count("test_counts", name),
                **{key: float(values[i]) for key, values in measures.items()},
                untestable=sum(name in e.untestable for e in self.evaluated),
                untrained=sum(name in e.untrained for e in self.evaluated),
            )
            for i, name in enumerate(names)
        ]

    def _mean_count(self, part: str, name: str) -> float:
        pooled = np.mean if part == "train_counts" else np.sum
        return float(
            np.mean([pooled([getattr(s, part)[name] for s in e.splits]) for e in self.evaluated])
        )

    def as_row(self) -> dict[str, Any]:
        """Return everything as one flat row of numbers and texts; what is NaN is ``None``."""
        row: dict[str, Any] = {
            "protocol": self.name,
            "flag": self.flag,
            "leaky": self.leaky,
            "seeds": len(self.evaluated),
            "train_pixels": self.counts("train"),
            "test_pixels": self.counts("test"),
        }
        for measure in _MEASURES:
            spread = self.spread(measure)
            row |= {
                measure: _json(spread.mean),
                f"{measure}_sd": _json(spread.sd),
                f"{measure}_low": _json(spread.low),
                f"{measure}_high": _json(spread.high),
            }
        first = self.evaluated[0]
        return row | {
            "interval": self.spread("overall").over,
            "overall_of_trained": self.trained_overall,
            "majority": self.majority,
            "window": first.window,
            "inside_training_window": float(self.inside),
            "smoothing": first.smoothing,
            "smoothing_mixes_training": float(self.mixed),
            "untestable": [c.name for c in self.classes() if c.untestable],
            "untrained": [c.name for c in self.classes() if c.untrained],
            "fit_seconds": float(np.mean([e.fit_seconds for e in self.evaluated])),
            "predict_seconds": float(np.mean([e.predict_seconds for e in self.evaluated])),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class ProtocolReport:
    """Protocols side by side: what a learner reaches depends on how it is asked.

    Attributes:
        results: The protocols, in the order they are shown.
        notes: What else should be known, such as a protocol that cannot be had here.

    Raises:
        SamplesError: If only random protocols are there: their figures never stand alone.
    """

    results: tuple[ProtocolResult, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse random figures without spatial ones beside them."""
        if not self.results:
            raise SamplesError("a report needs at least one protocol; evaluate one")
        if all(result.leaky for result in self.results):
            names = ", ".join(result.name for result in self.results)
            raise SamplesError(
                f"only protocols with training pixels among the tested ones were given ({names}); "
                "their figures flatter and are not shown alone: add blocks, fields or regions"
            )

    def __getitem__(self, name: str) -> ProtocolResult:
        """Return the protocol of a name.

        Raises:
            SamplesError: If there is none.
        """
        found = {result.name: result for result in self.results}
        if name not in found:
            raise SamplesError(f"there is no protocol {name!r}; there are {', '.join(found)}")
        return found[name]

    def rows(self) -> list[dict[str, Any]]:
        """Return a flat row for each protocol, for CSV, JSON or HTML."""
        return [result.as_row() for result in self.results]

    def table(self) -> list[tuple[str, ...]]:
        """Return rows for printing, the first of them the heading; measures in percent."""
        head = ("protocol", "train", "test", "OA", "95 %", "AA", "kappa", "majority", "leakage")
        return [head, *(_shown(result) for result in self.results)]

    def class_table(self) -> list[tuple[str, ...]]:
        """Return the recall of each class under each protocol, for printing, in percent.

        ``untestable`` stands where no seed tests a class, ``untrained`` behind a figure where
        some seed tested it without a training pixel.
        """
        head = ("class", *(result.name for result in self.results))
        seen = dict.fromkeys(c.name for r in self.results for c in r.classes())
        by_name = [{c.name: c for c in r.classes()} for r in self.results]
        return [head, *((name, *(_recall(c.get(name)) for c in by_name)) for name in seen)]

    def sentences(self) -> list[str]:
        """Say for each protocol what was done, what cannot be tested and what counts as wrong."""
        out = []
        for result in self.results:
            one = result.evaluated[0]
            parts = [*(dict.fromkeys(map(str, one.splits))), one.told(), *result.notes]
            out.append(f"{result.name} (seed {one.seed}): {' '.join(parts)}")
        return [*out, *self.notes]


def _shown(result: ProtocolResult) -> tuple[str, ...]:
    overall, average, kappa = (result.spread(measure) for measure in _MEASURES)
    return (
        result.name,
        f"{result.counts('train'):,.0f}",
        f"{result.counts('test'):,.0f}",
        _with_sd(overall, 100, 1),
        "–" if math.isnan(overall.low) else f"{100 * overall.low:.1f}–{100 * overall.high:.1f}",
        _with_sd(average, 100, 1),
        _with_sd(kappa, 1, 3),
        f"{100 * result.majority:.1f}",
        result.flag or "none",
    )


def _with_sd(spread: Spread, scale: float, digits: int) -> str:
    if math.isnan(spread.mean):
        return "–"
    text = f"{scale * spread.mean:.{digits}f}"
    return text if math.isnan(spread.sd) else f"{text} ± {scale * spread.sd:.{digits}f}"


def _recall(result: ClassResult | None) -> str:
    if result is None:
        return "–"
    if math.isnan(result.recall):
        return "untestable"
    return f"{100 * result.recall:.1f}{' untrained' if result.untrained else ''}"


def _means(arrays: Iterable[Floats]) -> Floats:
    """Average over seeds what is known; NaN where nothing is."""
    table = np.stack(list(arrays))
    known = ~np.isnan(table)
    sums, counts = np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def _json(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
