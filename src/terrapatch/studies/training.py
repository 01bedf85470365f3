"""Labelled samples in, a scene classifier out, with an honest account of what it is worth."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError
from terrapatch.learn.accuracy import Accuracy, assess
from terrapatch.learn.calibration import expected_calibration_error
from terrapatch.learn.fitting import (
    BLOCK,
    FEW_FEATURES,
    CrossValidated,
    cross_validate,
    train_scene_model,
)
from terrapatch.learn.heads import find_head
from terrapatch.learn.samples import Samples
from terrapatch.learn.scene_model import SceneModel
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies.class_colours import Colours, legend_of
from terrapatch.studies.sampling import find_images_of, gather, is_image_source

if TYPE_CHECKING:
    from terrapatch.studies.sampling import Labelled, Scenes

Progress = Callable[[str, int, int], None]

# Every file a folder of a model can hold, the model last; nothing else in it is touched.
FILES = ("report.html", "samples.csv", "metrics.json", "head.safetensors", "head.skops",
         "model.json")  # fmt: skip
# What stands beside every figure: what needs no network, and the network that knows nothing.
BASELINES = ("imagestats", "rcf")
# Cosine from which two samples count as one place seen twice.
TWIN = 0.97
BOOTSTRAP = 1000
# Whose results an --overwrite replaces.
WRITERS = "train or evaluate"


@dataclass(frozen=True, eq=False)
class Baseline:
    """What something simpler reaches on the same folds.

    Attributes:
        name: What it is.
        accuracy: How good it is, or ``None`` for the majority class, which has no interval.
        overall: Overall accuracy, 0 to 1.
    """

    name: str
    overall: float
    accuracy: Accuracy | None = None


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What ``train`` or ``evaluate`` made.

    Attributes:
        folder: The folder that was written.
        files: Every file in it, the report first.
        notes: Sentences a person should know.
        samples: What was trained on.
        checked: What cross-validation (or the test part) found.
        accuracy: How good the recipe is on samples it has not seen.
        baselines: What simpler recipes reach on the same folds.
        model: The model trained on all samples; ``None`` from ``evaluate``.
    """

    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    samples: Samples
    checked: CrossValidated
    accuracy: Accuracy
    baselines: tuple[Baseline, ...]
    model: SceneModel | None

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures as JSON values."""
        checked = self.checked
        return {
            "protocol": checked.protocol,
            "accuracy": self.accuracy.as_dict(),
            "baselines": {one.name: one.overall for one in self.baselines},
            "calibration": {
                "temperature": checked.temperature,
                "error_before": _ece(checked.raw, checked.ids),
                "error_after": _ece(checked.probabilities, checked.ids),
            },
            "conformal": {
                "coverage": float(checked.covered.mean()),
                "mean_set_size": float(checked.set_size.mean()),
            },
            "parameters": list(checked.chosen),
        }


def train(
    samples: Labelled | Sequence[Labelled] | Samples,
    out: str | os.PathLike[str],
    *,
    features: Scenes = (),
    column: str | None = None,
    rule: str = "majority",
    minimum: float = 0.5,
    head: str | Any | None = None,
    scaling: str | None = None,
    folds: int = 5,
    seed: int = 0,
    alpha: float = 0.05,
    baselines: bool = True,
    embedding: Mapping[str, Any] | None = None,
    colours: Colours | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a scene classifier and write it with its accuracy and a report.

    Args:
        samples: A folder with a folder of images for each class, a CSV of paths, classes and
            splits, a name in the catalogue, or vector files and rasters of labels over
            ``features``; or samples made in Python.
        out: Folder to write; ``model.json`` appears in it last.
        features: Stores of the scenes that vectors and rasters lie on.
        column: Column of the vectors that holds the class.
        rule: How polygons give cells a class: ``majority``, ``centre`` or ``share``.
        minimum: Share of a cell that must be labelled.
        head: A name of ``terrapatch.learn.heads``, or a scikit-learn classifier; by default
            what measured best for features of their kind. ``cnn`` learns from maps: images are
            then embedded with pooling ``flatten`` and the layers of ``map_layers`` unless
            ``embedding`` names a pooling or layers.
        scaling: How features are scaled first; by default what measured best.
        folds: Folds of the cross-validation; in space wherever samples lie somewhere.
        seed: Seed of everything random; the same seed gives the same bytes.
        alpha: Share of conformal sets that may miss the truth.
        baselines: Whether simpler descriptions of the same images are tested beside it, by the
            same head; those without maps by the default head where that is ``cnn``.
        embedding: Options of ``embed_images``, for images.
        colours: Colours ``#rrggbb`` of the classes on maps, see ``class_colours.legend_of``; by
            default those of class maps among the samples, else colours that are far apart.
        overwrite: Whether an older model in the folder is replaced.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        SamplesError: If the samples cannot be read, or nothing can be learned from them.
        LegendError: If a colour is not ``#rrggbb``.
        OutputError: If the folder exists or cannot be written.
    """
    folder = Path(out)
    refuse_existing(folder, overwrite, WRITERS)
    _check_request(head, folds)
    gathered = _gathered(samples, features, column, rule, minimum, head, embedding or {}, progress)
    legend = legend_of(gathered.classes, colours, samples)
    found = _evaluated(
        gathered, samples, folder, head, scaling, folds, seed, alpha, baselines, embedding or {},
        progress,
    )  # fmt: skip
    if progress is not None:
        progress("training on all samples", 0, 1)
    model = train_scene_model(
        found.samples,
        head,
        scaling,
        checked=found.checked,
        seed=seed,
        alpha=alpha,
        metrics=found.metrics,
        legend=legend,
    )
    if progress is not None:
        progress("training on all samples", 1, 1)
    return _write(replace(found, model=model), samples)


def evaluate(
    samples: Labelled | Sequence[Labelled] | Samples,
    out: str | os.PathLike[str],
    *,
    features: Scenes = (),
    column: str | None = None,
    rule: str = "majority",
    minimum: float = 0.5,
    head: str | Any | None = None,
    scaling: str | None = None,
    folds: int = 5,
    seed: int = 0,
    alpha: float = 0.05,
    baselines: bool = True,
    embedding: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Cross-validate a recipe, or test it on the test part of a fixed split, and report.

    Arguments as in ``train``; no model is kept.
    """
    folder = Path(out)
    refuse_existing(folder, overwrite, WRITERS)
    _check_request(head, folds)
    gathered = _gathered(samples, features, column, rule, minimum, head, embedding or {}, progress)
    found = _evaluated(
        gathered, samples, folder, head, scaling, folds, seed, alpha, baselines, embedding or {},
        progress,
    )  # fmt: skip
    return _write(found, samples)


def _check_request(head: str | Any | None, folds: int) -> None:
    if head is not None:
        find_head(head)
    if folds < 2:
        raise SamplesError(f"{folds} folds cannot be made; ask for 2 or more")


def _gathered(
    source: Any,
    features: Scenes,
    column: str | None,
    rule: str,
    minimum: float,
    head: str | Any | None,
    embedding: Mapping[str, Any],
    progress: Progress | None,
) -> Samples:
    """Collect samples that something can be learned from."""
    if isinstance(source, Samples):
        return source.require_learnable()
    return gather(
        source,
        features=features,
        column=column,
        rule=rule,
        minimum=minimum,
        embedding=_with_maps(embedding, head),
        progress=progress,
    ).require_learnable()


def _evaluated(
    samples: Samples,
    source: Any,
    folder: Path,
    head: str | Any | None,
    scaling: str | None,
    folds: int,
    seed: int,
    alpha: float,
    baselines: bool,
    embedding: Mapping[str, Any],
    progress: Progress | None,
) -> TrainResult:
    pairs, protocol = _protocol(samples, folds)
    options: dict[str, Any] = {"folds": pairs, "seed": seed, "alpha": alpha, "protocol": protocol}
    checked = cross_validate(samples, head, scaling, progress=progress, **options)
    accuracy = _assessed(samples, checked, seed)
    others = [Baseline("the largest class", accuracy.majority)]
    if baselines and not isinstance(source, Samples) and samples.positions is None:
        others += _simpler(source, samples, head, embedding, checked, seed, progress)
    notes = (*samples.notes, *_twins(samples, checked), *_cautions(samples, checked))
    return TrainResult(folder, (), notes, samples, checked, accuracy, tuple(others), None)


def _with_maps(embedding: Mapping[str, Any], head: str | Any | None) -> Mapping[str, Any]:
    """Ask for maps where the head learns from them and nothing else was asked for."""
    from terrapatch.backbones import DEFAULT
    from terrapatch.learn.feature_maps import FLATTEN, map_layers

    asked = [embedding.get(name) for name in ("layers", "pooling")]
    if head is None or not find_head(head).spatial or any(one is not None for one in asked):
        return embedding
    layers = map_layers(embedding.get("backbone") or DEFAULT, embedding.get("input_size"))
    return {**embedding, "layers": ",".join(layers), "pooling": FLATTEN}


def _protocol(samples: Samples, folds: int) -> tuple[Any, str]:
    """Use a fixed split where there is one."""
    if samples.splits is None or "test" not in samples.splits:
        return folds, ""
    parts = np.array(samples.splits)
    test = np.flatnonzero(parts == "test")
    train = np.flatnonzero(parts != "test")
    if not len(train):
        raise SamplesError("all samples are in the part test, so there is none to train on")
    held = np.unique(samples.ids[train])
    if len(held) < 2:
        raise SamplesError(
            f"outside the part test there are samples of {samples.classes[held[0] - 1]!r} only; "
            "put samples of two classes or more into the part train"
        )
    return [(train, test)], f"a fixed split: {len(train):,} to train, {len(test):,} to test"


def _assessed(samples: Samples, checked: CrossValidated, seed: int) -> Accuracy:
    groups = neighbours(samples)
    return assess(
        checked.ids,
        checked.predicted,
        samples.classes,
        bootstrap=BOOTSTRAP,
        seed=seed,
        groups=None if groups is None else groups[checked.places],
    )


def neighbours(samples: Samples) -> NDArray[np.intp] | None:
    """Return the block of the ground each sample lies in ``(n,)``, ``None`` without places.

    Neighbours are not independent: a bootstrap draws whole blocks, those of the folds.
    """
    spread = samples.spread()
    if spread is None or samples.reach <= 0:
        return None
    cells = np.floor(spread / (BLOCK * samples.reach)).astype(np.int64)
    return np.asarray(np.unique(cells, axis=0, return_inverse=True)[1].ravel(), np.intp)


def _simpler(
    source: Any,
    samples: Samples,
    head: str | Any | None,
    embedding: Mapping[str, Any],
    checked: CrossValidated,
    seed: int,
    progress: Progress | None,
) -> list[Baseline]:
    """Test band statistics, random features and the untrained network on the same folds.

    A head that learns from maps is given those of the untrained network; the others have none.
    """
    from terrapatch.features.images import embed_images
    from terrapatch.learn.samples import from_images

    images = find_images_of(source if isinstance(source, str | os.PathLike) else source[0])
    shared = {
        k: v for k, v in embedding.items() if k in ("bands", "units", "nodata", "cache", "device")
    }
    own = str(samples.recipe.space["backbone"])
    names = [*BASELINES, *([] if ":" in own or own in BASELINES else [f"{own}:random"])]
    pairs = [
        (np.setdiff1d(np.arange(len(samples)), checked.places[checked.fold == n]),
         checked.places[checked.fold == n])
        for n in np.unique(checked.fold)
    ]  # fmt: skip
    spatial = head is not None and find_head(head).spatial
    found = []
    for name in names:
        if name == own:
            continue
        mapped = spatial and name not in BASELINES
        options = shared | (_own_maps(samples) if mapped else {})
        features = embed_images(images.paths, backbone=name, progress=progress, **options)
        other = from_images(images, features)
        judge = head if mapped or not spatial else None
        result = cross_validate(other, judge, folds=pairs, seed=seed, progress=progress)
        accuracy = _assessed(other, result, seed)
        found.append(Baseline(name, accuracy.overall, accuracy))
    return found


def _own_maps(samples: Samples) -> dict[str, Any]:
    """Return the options of ``embed_images`` that give maps of the samples' shapes."""
    space = samples.recipe.space
    named = {name: ",".join(space[name]) for name in ("layers", "pooling")}
    return named | {"input_size": space["input_size"]}


def _twins(samples: Samples, checked: CrossValidated) -> list[str]:
    """Say which samples stand on both sides of a split though they show the same place."""
    from terrapatch.learn.duplicates import across, near_duplicates

    if samples.positions is not None:
        return []
    _, start, stop = samples.groups[-1]  # the last layer tells places apart best
    last = samples.values[:, start:stop]
    if stop - start < FEW_FEATURES:  # a handful of statistics is alike for many places
        return []
    pairs = near_duplicates(last, threshold=TWIN, names=samples.names)
    fold = np.full(len(samples), -1)
    fold[checked.places] = checked.fold
    crossing = across(pairs, fold)
    if not crossing:
        return []
    first = crossing[0]
    return [
        f"{len(crossing)} pairs of samples are near-duplicates (cosine above {TWIN}) and stand on "
        f"both sides of a split, for instance {samples.names[first[0]]} and "
        f"{samples.names[first[1]]}; accuracies are a little too good by that"
    ]


def _cautions(samples: Samples, checked: CrossValidated) -> list[str]:
    notes = []
    if samples.positions is None:
        notes.append(
            "the samples have no place on the ground, so folds could not be kept apart in space; "
            "expect less elsewhere"
        )
    untested = set(range(1, len(samples.classes) + 1)) - set(checked.ids.tolist())
    notes += [
        f"the class {samples.classes[id - 1]!r} could not be tested: none of its samples was in a "
        "tested part"
        for id in sorted(untested)
    ]
    return notes


def _ece(probabilities: NDArray[np.float64], ids: NDArray[Any]) -> float:
    return float(expected_calibration_error(probabilities, ids))


def _write(result: TrainResult, source: Any) -> TrainResult:
    from terrapatch.studies._training_report import report

    folder = result.folder
    with staging(folder) as stage:
        shown = not isinstance(source, Samples) and result.samples.positions is None
        report(result, pictures=shown and is_image_source(_first(source))).save(
            stage / "report.html"
        )
        (stage / "samples.csv").write_text(_table(result), encoding="utf-8")
        text = json.dumps(result.metrics, indent=1, sort_keys=True, ensure_ascii=False)
        (stage / "metrics.json").write_text(text + "\n", encoding="utf-8")
        if result.model is not None:
            result.model.save(stage)
        files = publish(stage, folder, FILES)
    return replace(result, files=files)


def _first(source: Any) -> Any:
    return source if isinstance(source, str | os.PathLike) else source[0]


def _table(result: TrainResult) -> str:
    """Write what was said of every tested sample."""
    samples, checked = result.samples, result.checked
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sample", "class", "predicted", "confidence", "set_size", "fold", "x", "y"])
    for i, place in enumerate(checked.places):
        x, y = ("", "") if samples.positions is None else samples.positions[place]
        writer.writerow(
            [
                samples.names[place],
                samples.classes[checked.ids[i] - 1],
                samples.classes[checked.predicted[i] - 1],
                f"{checked.probabilities[i].max():.4f}",
                int(checked.set_size[i]),
                int(checked.fold[i]) + 1,
                x,
                y,
            ]
        )
    return text.getvalue()
