"""Training a scene classifier, and what it is worth on samples it has not seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn._features import single_thread
from terrapatch.learn._training_index import TrainingIndex
from terrapatch.learn.heads import DEFAULT_HEAD, INNER_FOLDS, find_head, make_head, scores, tune
from terrapatch.learn.samples import Samples
from terrapatch.learn.scene_model import SceneModel

if TYPE_CHECKING:
    from terrapatch.learn.cnn_head import Maps
    from terrapatch.legend import Legend

log = logging.getLogger("terrapatch")

Progress = Callable[[str, int, int], None]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Folds = list[tuple[Indices, Indices]]

# Fewer features than this are band statistics, where direction alone says little.
FEW_FEATURES = 32
# Sides of a block of cells in which samples stay together, in patches.
BLOCK = 4
ALPHA = 0.05
# The score of a class a fold has not seen, beside the scores it has.
UNSEEN = -50.0


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """What a recipe says of samples that it was not trained on.

    Attributes:
        ids: Truth ``(n,)``, of the samples that were tested.
        predicted: Class ids ``(n,)``.
        probabilities: ``(n, classes)``, calibrated on the other folds (of a single fold each
            half on the other).
        raw: The same before calibration.
        set_size: Classes in each conformal set ``(n,)``.
        covered: Whether the set holds the truth ``(n,)``.
        fold: Number of the fold each was tested in.
        places: Which samples these are.
        protocol: How the folds were made, in words.
        chosen: Hyper-parameters of each fold.
        temperature: Of all folds together.
        threshold: Conformal threshold of all folds together; ``None`` with too few samples.
    """

    ids: NDArray[np.int32]
    predicted: NDArray[np.int32]
    probabilities: Floats
    raw: Floats
    set_size: NDArray[np.int64]
    covered: NDArray[np.bool_]
    fold: NDArray[np.int32]
    places: Indices
    protocol: str
    chosen: tuple[dict[str, Any], ...]
    temperature: float
    threshold: float | None


def default_scaling(samples: Samples, head: str | Any | None = None) -> str:
    """Return the scaling that measured best for features of this kind.

    A head that learns from maps scales their channels itself, and no other scaling measured
    better in front of it.
    """
    if head is not None and find_head(head).spatial:
        return "none"
    few = samples.values.shape[1] < FEW_FEATURES
    return "standardise" if few else "standardise-layer-l2"


def default_head(samples: Samples) -> str:
    """Return the head that measured best for features of this kind.

    Least squares masks a class that lies between two others along one direction (Hastie,
    Tibshirani and Friedman 2009, section 4.2), which thousands of features have room to
    avoid and a handful of band statistics has not.
    """
    return "rbf-svm" if samples.values.shape[1] < FEW_FEATURES else DEFAULT_HEAD


def make_folds(samples: Samples, n: int, seed: int = 0) -> tuple[Folds, str]:
    """Split samples for cross-validation: in space where they lie somewhere, else stratified.

    Args:
        samples: The samples. Where they have positions, blocks of 4 x 4 patches stay together
            and training samples whose patch overlaps a tested one's are left out; with as many
            scenes as folds or more, whole scenes are held out.
        n: Number of folds.
        seed: Seed of the draw.

    Returns:
        Pairs of training and test indices, and the protocol in words.

    Raises:
        SamplesError: If there are too few samples, or they lie so that no folds can be made.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    blank = np.zeros(len(samples))
    if samples.positions is None:
        samples.require_learnable(n)
        split = StratifiedKFold(n, shuffle=True, random_state=seed)
        return list(split.split(blank, samples.ids)), f"{n} stratified folds"
    if samples.scenes is not None and len(np.unique(samples.scenes)) >= n:
        if n > samples.counts.max():
            raise SamplesError(
                f"no class has {n} samples, so {n} folds of whole scenes cannot be made; label "
                "more of them, or ask for fewer folds"
            )
        grouped = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
        pairs = _usable(samples, grouped.split(blank, samples.ids, samples.scenes))
        if len(pairs) < 2:
            raise SamplesError(
                "without the scenes of a fold one class is left to train on; label every class in "
                "two scenes or more, or ask for more folds than there are scenes"
            )
        return pairs, f"{len(pairs)} folds of whole scenes"
    return _blocked(samples, n, seed)


def _usable(samples: Samples, pairs: Iterable[tuple[Indices, Indices]]) -> Folds:
    """Return the folds that test something, and learn two classes or more."""
    return [(a, b) for a, b in pairs if len(b) and len(np.unique(samples.ids[a])) > 1]


def _blocked(samples: Samples, n: int, seed: int) -> tuple[Folds, str]:
    from terrapatch.learn.blocked import BlockedFolds

    side = BLOCK * samples.reach
    folds = BlockedFolds(n_splits=n, block=side, buffer=samples.reach, seed=seed)
    usable = _usable(samples, folds.split(np.zeros(len(samples)), samples.ids, samples.spread()))
    if len(usable) < 2:
        raise SamplesError(
            f"the samples lie too close together for {n} folds of blocks of {side:.6g} map units; "
            "label places farther apart, or ask for fewer folds"
        )
    told = f"{len(usable)} folds of blocks of {side:.6g} map units, {samples.reach:.6g} apart"
    return usable, told


def cross_validate(
    samples: Samples,
    head: str | Any | None = None,
    scaling: str | None = None,
    *,
    folds: int | Folds = 5,
    seed: int = 0,
    alpha: float = ALPHA,
    protocol: str = "given folds",
    progress: Progress | None = None,
) -> CrossValidated:
    """Train on all folds but one and test on that one, in turn.

    Hyper-parameters are chosen inside each training part. Temperatures and conformal
    thresholds of a fold come from the scores of the other folds; where there is one fold
    only, those of every second sample come from the others.

    Args:
        samples: The samples.
        head: A name of ``terrapatch.learn.heads``, or a scikit-learn classifier; by default
            what measured best for features of this kind.
        scaling: A name of ``terrapatch.learn.scaling``; by default what measured best.
        folds: A number (see ``make_folds``), or pairs of training and test indices.
        seed: Seed of everything random.
        alpha: Share of conformal sets that may miss the truth.
        protocol: How given folds were made, in words.
        progress: Called as ``progress("cross-validating", folds done, folds in all)``.

    Raises:
        SamplesError: If the samples cannot be split like that.
    """
    pairs, told = make_folds(samples, folds, seed) if isinstance(folds, int) else (folds, protocol)
    name = scaling or default_scaling(samples, head)
    head = default_head(samples) if head is None else head
    found, chosen = [], []
    for done, (train, test) in enumerate(pairs, 1):
        part = samples.take(train)
        fitted, picked = _tuned(part, head, name, seed)
        found.append(full_scores(fitted, samples.values[test], len(samples.classes)))
        chosen.append(picked)
        if progress is not None:
            progress("cross-validating", done, len(pairs))
    places = np.concatenate([test for _, test in pairs])
    number = np.repeat(np.arange(len(pairs)), [len(test) for _, test in pairs])
    return _judged(
        samples.ids[places], np.concatenate(found), number, places, told, tuple(chosen), alpha
    )


def _tuned(part: Samples, head: str | Any, scaling: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """Choose and fit on one training part; where samples lie somewhere, by blocks of it too."""
    inner, maps = None, _maps(part, head)
    if part.positions is not None and find_head(head).grid:
        try:
            inner, _ = make_folds(part, INNER_FOLDS, seed)
        except SamplesError:
            log.info("too few places to choose hyper-parameters by blocks: defaults are used")
            with single_thread():
                made = make_head(head, scaling, part.groups, seed, maps)
                fitted = made.fit(part.values, part.ids)
            return fitted, {}
    with single_thread():
        return tune(head, scaling, part.groups, part.values, part.ids, seed, inner, maps)


def _maps(samples: Samples, head: str | Any) -> Maps | None:
    """Return the shapes of the samples' maps where a head asks for them."""
    from terrapatch.learn.feature_maps import map_shapes

    if not find_head(head).spatial or getattr(head, "maps", None) is not None:
        return None
    return map_shapes(samples.recipe.space, samples.groups)


def full_scores(fitted: Any, rows: NDArray[Any], n_classes: int) -> Floats:
    """Return scores with a column for every class, also those a fold has not seen."""
    given = scores(fitted, np.asarray(rows, np.float64))
    known = np.asarray(fitted.classes_, np.int64) - 1
    if len(known) == n_classes:
        return given
    full = np.full((len(rows), n_classes), given.min() + UNSEEN)
    full[:, known] = given
    return full


def _judged(
    ids: NDArray[np.int32],
    given: Floats,
    number: NDArray[Any],
    places: Indices,
    protocol: str,
    chosen: tuple[dict[str, Any], ...],
    alpha: float,
) -> CrossValidated:
    """Calibrate every fold on the others; a single one half by half, each on the other."""
    from terrapatch.learn.calibration import apply_temperature, fit_temperature

    calibrated = np.empty_like(given)
    size, covered = np.zeros(len(ids), np.int64), np.ones(len(ids), bool)
    parts = number if len(np.unique(number)) > 1 else np.arange(len(number)) % 2
    for part in np.unique(parts):
        here = parts == part
        others = ~here if (~here).any() else here
        calibrated[here] = apply_temperature(
            given[here], fit_temperature(given[others], ids[others])
        )
        level = _threshold(
            apply_temperature(given[others], fit_temperature(given[others], ids[others])),
            ids[others],
            alpha,
        )
        sets = calibrated[here] >= 1.0 - (1.0 if level is None else level)
        size[here] = sets.sum(axis=1)
        covered[here] = sets[np.arange(here.sum()), ids[here] - 1]
    temperature = fit_temperature(given, ids)
    whole = apply_temperature(given, temperature)
    return CrossValidated(
        ids=ids,
        predicted=(given.argmax(axis=1) + 1).astype(np.int32),
        probabilities=calibrated,
        raw=apply_temperature(given, 1.0),
        set_size=size,
        covered=covered,
        fold=number.astype(np.int32),
        places=places,
        protocol=protocol,
        chosen=chosen,
        temperature=float(temperature),
        threshold=_threshold(whole, ids, alpha),
    )


def _threshold(probabilities: Floats, ids: NDArray[Any], alpha: float) -> float | None:
    """Return the conformal threshold, or ``None`` where there are too few samples for one."""
    from terrapatch.learn.conformal import ConformalSets

    try:
        return float(ConformalSets.fit(probabilities, ids, alpha=alpha).thresholds[0])
    except SamplesError:
        return None


def train_scene_model(
    samples: Samples,
    head: str | Any | None = None,
    scaling: str | None = None,
    *,
    checked: CrossValidated | None = None,
    legend: Legend | None = None,
    seed: int = 0,
    alpha: float = ALPHA,
    metrics: dict[str, Any] | None = None,
) -> SceneModel:
    """Fit a head to all samples; its calibration comes from cross-validation.

    The model also keeps how far the samples are from each other (``TrainingIndex``): across
    the folds of the cross-validation where samples lie somewhere, else across the classes.

    Args:
        samples: The samples.
        head: A name of ``terrapatch.learn.heads``, or a scikit-learn classifier; by default
            what measured best for features of this kind.
        scaling: A name of ``terrapatch.learn.scaling``; by default what measured best.
        checked: What ``cross_validate`` found for the same recipe; without it the model is
            not calibrated and has no conformal level.
        legend: Names and colours of the classes, in the samples' order.
        seed: Seed of everything random.
        alpha: Share of conformal sets that may miss the truth.
        metrics: What to write into the model about its accuracy, JSON values.

    Raises:
        SamplesError: If nothing can be learned from the samples.
    """
    from terrapatch.legend import Legend

    samples.require_learnable()
    name = scaling or default_scaling(samples, head)
    head = default_head(samples) if head is None else head
    fitted, chosen = _tuned(samples, head, name, seed)
    groups, told = _index_groups(samples, checked)
    index = TrainingIndex.fit(samples.values, fitted[0], groups, seed)
    level = None
    if checked is not None and checked.threshold is not None:
        level = {"alpha": alpha, "threshold": checked.threshold}
    return SceneModel(
        pipeline=fitted,
        legend=legend or Legend.of(samples.classes),
        index=index,
        description={
            "any_size": samples.positions is None,
            "conformal": level,
            "counts": [int(n) for n in samples.counts],
            "groups": [[layer, int(a), int(b)] for layer, a, b in samples.groups],
            "head": find_head(head).name,
            "index": {"groups": told, **index.as_dict()},
            "metrics": metrics or {},
            "n_features": int(samples.values.shape[1]),
            "parameters": chosen,
            "scaling": name,
            "seed": seed,
            "space": dict(samples.recipe.space),
            "space_fingerprint": samples.recipe.space_fingerprint,
            "temperature": 1.0 if checked is None else checked.temperature,
            "versions": {p: version(p) for p in ("numpy", "scikit-learn", "skops", "terrapatch")},
        },
    )


def _index_groups(samples: Samples, checked: CrossValidated | None) -> tuple[NDArray[Any], str]:
    """Return the groups across which training samples are measured, and what they are."""
    if samples.positions is not None and checked is not None:
        fold = np.full(len(samples), -1)
        fold[checked.places] = checked.fold
        if len(np.unique(fold)) > 1:
            return fold, checked.protocol
    return samples.ids, "classes"
