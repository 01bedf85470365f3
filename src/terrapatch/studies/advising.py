"""How to learn from the labels at hand: what two lectures say, and a quick trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from terrapatch.errors import SamplesError
from terrapatch.learn.accuracy import Accuracy, assess
from terrapatch.learn.advice import Advice, advise
from terrapatch.learn.fitting import cross_validate, make_folds
from terrapatch.learn.samples import Samples
from terrapatch.studies.sampling import Labelled, Scenes, gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[str, int, int], None]

TRIED = {
    "last-layer": "a classifier on the last layer",
    "lower-layers": "a classifier on the lower half of the layers",
    "all-layers": "a classifier on all layers",
}


@dataclass(frozen=True, eq=False)
class AdviseResult:
    """What ``advise_on`` found.

    Attributes:
        advice: What the lectures say of so many labels on such imagery.
        trials: Accuracy on unseen samples of each way that was tried, the best first.
        untried: Ways the lectures name that were not tried: tuning takes minutes to hours.
        protocol: How the samples were split.
    """

    advice: Advice
    trials: tuple[tuple[str, Accuracy], ...]
    untried: tuple[str, ...]
    protocol: str


def advise_on(
    samples: Labelled | Sequence[Labelled] | Samples,
    *,
    features: Scenes = (),
    column: str | None = None,
    similarity: float | None = None,
    folds: int = 3,
    seed: int = 0,
    embedding: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> AdviseResult:
    """Say how to learn from the samples at hand, and try what can be tried quickly.

    Args:
        samples: As in ``train``.
        features: Stores of the scenes that vectors and rasters lie on.
        column: Column of the vectors that holds the class.
        similarity: How similar the imagery is to what the network was trained on, 0 to 1;
            ``None`` if it is not known, which is treated as different.
        folds: Folds of the trial; in space wherever samples lie somewhere.
        seed: Seed of everything random.
        embedding: Options of ``embed_images``, for images.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        SamplesError: If nothing can be learned from the samples.
    """
    given = samples
    if not isinstance(given, Samples):
        given = gather(
            given, features=features, column=column, embedding=embedding, progress=progress
        )
    given.require_learnable()
    counts = dict(zip(given.classes, map(int, given.counts), strict=True))
    found = advise(counts, similarity)
    if len(given.groups) < 2:
        raise SamplesError(
            "the features come from one layer, so layers cannot be compared; embed with all "
            "layers (leave out --layers)"
        )
    pairs, protocol = make_folds(given, folds, seed)
    trials = []
    for name in [*TRIED]:
        part = _layers(given, name)
        result = cross_validate(part, folds=pairs, seed=seed, progress=progress)
        trials.append(
            (name, assess(result.ids, result.predicted, given.classes, bootstrap=500, seed=seed))
        )
    trials.sort(key=lambda one: -one[1].overall)
    untried = tuple(name for name in found.trials if name not in TRIED)
    return AdviseResult(found, tuple(trials), untried, protocol)


def _layers(samples: Samples, name: str) -> Samples:
    """Return the samples with the features of some layers alone."""
    groups = list(samples.groups)
    kept = {
        "last-layer": groups[-1:],
        "lower-layers": groups[: max(1, len(groups) // 2)],
        "all-layers": groups,
    }[name]
    first, last = kept[0][1], kept[-1][2]
    values: NDArray[Any] = samples.values[:, first:last]
    shifted = tuple((layer, start - first, stop - first) for layer, start, stop in kept)
    return replace(samples, values=values, groups=shifted)
