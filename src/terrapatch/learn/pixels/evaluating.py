"""Several protocols for one learner: random and fixed pixels, blocks of ground, whole fields.

A random split of neighbouring pixels gives figures that no map of new ground will reach. It is
shown here only beside splits by ground, flagged, with the share of tested pixels that lie inside
training windows. Figures are means over seeds with a 95 % interval (Student's t over seeds;
for one seed a bootstrap over fields or blocks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels._evaluated import Evaluated, MakeLearner, evaluate_splits
from terrapatch.learn.pixels._protocol_report import (
    ClassResult,
    ProtocolReport,
    ProtocolResult,
    Spread,
)
from terrapatch.learn.pixels.base import PixelValues, Progress
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.learn.pixels.smoothers import Smoother
from terrapatch.learn.pixels.splits import PixelSplit

__all__ = [
    "ClassResult",
    "Evaluated",
    "Protocol",
    "ProtocolPlan",
    "ProtocolReport",
    "ProtocolResult",
    "Spread",
    "evaluate_protocols",
    "evaluate_splits",
]

Splits = PixelSplit | Sequence[PixelSplit]


@dataclass(frozen=True, eq=False)
class Protocol:
    """A way to split labels, for some seeds.

    Attributes:
        name: Its name in tables.
        labels: The labels that are split.
        splits: The split, or the folds, of each seed.
    """

    name: str
    labels: PixelLabels
    splits: dict[int, Splits]

    @classmethod
    def of(
        cls,
        name: str,
        labels: PixelLabels,
        make: Callable[[int], Splits],
        seeds: Iterable[int] = range(5),
    ) -> Protocol:
        """Split labels by each seed.

        Args:
            name: Its name in tables.
            labels: The labels.
            make: Makes the split, or the folds, of a seed.
            seeds: The seeds.
        """
        return cls(name, labels, {seed: make(seed) for seed in seeds})


@dataclass(frozen=True, eq=False)
class ProtocolPlan:
    """Protocols to evaluate together.

    Attributes:
        protocols: The protocols, in the order they are shown.
        notes: Which protocols cannot be had here, and why.
    """

    protocols: tuple[Protocol, ...]
    notes: tuple[str, ...] = ()


def evaluate_protocols(
    plan: ProtocolPlan | Sequence[Protocol],
    values: PixelValues,
    make_learner: MakeLearner,
    *,
    window: int | None,
    mode: str = "flag",
    smooth: Smoother | str | None = None,
    bootstrap: int = 1000,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> ProtocolReport:
    """Evaluate a learner under several protocols, and show them together.

    Args:
        plan: The protocols.
        values: Features of the scene; learned from all of its pixels without labels, if
            learned at all.
        make_learner: Makes an unfitted learner of a seed.
        window: Side of the square that decides the features of a pixel; ``None`` for the whole
            scene.
        mode: Here splits by ground that leak through the window are flagged in the table
            unless ``refuse`` is asked for.
        smooth: What smooths the posteriors; see ``evaluate_splits``.
        bootstrap: Rounds of the intervals within a seed.
        scratch: Folder for what memory should not hold.
        progress: Called as ``progress("evaluating NAME", splits done, in all)``.

    Raises:
        SamplesError: If only random protocols were given, or as ``evaluate_splits``.
    """
    protocols = plan.protocols if isinstance(plan, ProtocolPlan) else tuple(plan)
    if all(_leaky(protocol) for protocol in protocols):
        raise SamplesError(
            "only protocols with training pixels among the tested ones were given; add blocks, "
            "fields or regions, beside which they are shown"
        )
    results = []
    for protocol in protocols:
        evaluated = evaluate_splits(
            values,
            protocol.labels,
            protocol.splits,
            make_learner,
            window=window,
            mode=mode,
            smooth=smooth,
            bootstrap=bootstrap,
            scratch=scratch,
            progress=_named(progress, protocol.name),
        )
        results.append(ProtocolResult(protocol.name, tuple(evaluated)))
    return ProtocolReport(tuple(results), plan.notes if isinstance(plan, ProtocolPlan) else ())


def _leaky(protocol: Protocol) -> bool:
    splits = protocol.splits.values()
    return any(s.leaky for one in splits for s in ([one] if isinstance(one, PixelSplit) else one))


def _named(progress: Progress | None, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{stage} {name}", done, total)
