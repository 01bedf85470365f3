"""Labelled samples in, a scene classifier out, with an honest account of what it is worth."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import OutputError, SamplesError, writing
from terrapatch.learn.accuracy import Accuracy, assess
from terrapatch.learn.calibration import expected_calibration_error
from terrapatch.learn.fitting import FEW_FEATURES, CrossValidated, cross_validate, train_scene_model
from terrapatch.learn.heads import find_head
from terrapatch.learn.samples import Samples
from terrapatch.learn.scene_model import SceneModel
from terrapatch.studies.sampling import find_images_of, gather, is_image_source

if TYPE_CHECKING:
    from terrapatch.studies.sampling import Source

Progress = Callable[[str, int, int], None]

# Every file a folder of a model can hold, the model last; nothing else in it is touched.
FILES = ("report.html", "samples.csv", "metrics.json", "head.safetensors", "head.skops",
         "model.json")  # fmt: skip
# What stands beside every figure: what needs no network, and the network that knows nothing.
BASELINES = ("imagestats", "rcf")
# Cosine from which two samples count as one place seen twice.
TWIN = 0.97
BOOTSTRAP = 1000


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
    samples: Source | Sequence[Source] | Samples,
    out: str | os.PathLike[str],
    *,
    features: Sequence[Source] = (),
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
            what measured best for features of their kind.
        scaling: How features are scaled first; by default what measured best.
        folds: Folds of the cross-validation; in space wherever samples lie somewhere.
        seed: Seed of everything random; the same seed gives the same bytes.
        alpha: Share of conformal sets that may miss the truth.
        baselines: Whether simpler descriptions of the same images are tested beside it.
        embedding: Options of ``embed_images``, for images.
        overwrite: Whether an older model in the folder is replaced.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        SamplesError: If the samples cannot be read, or nothing can be learned from them.
        OutputError: If the folder exists or cannot be written.
    """
    folder = Path(out)
    _refuse_existing(folder, overwrite)
    found = _evaluated(
        samples, folder, features, column, rule, minimum, head, scaling, folds, seed, alpha,
        baselines, embedding or {}, progress,
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
    )
    if progress is not None:
        progress("training on all samples", 1, 1)
    return _write(replace(found, model=model), samples)


def evaluate(
    samples: Source | Sequence[Source] | Samples,
    out: str | os.PathLike[str],
    *,
    features: Sequence[Source] = (),
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
    _refuse_existing(folder, overwrite)
    found = _evaluated(
        samples, folder, features, column, rule, minimum, head, scaling, folds, seed, alpha,
        baselines, embedding or {}, progress,
    )  # fmt: skip
    return _write(found, samples)


def _evaluated(
    source: Any,
    folder: Path,
    features: Sequence[Source],
    column: str | None,
    rule: str,
    minimum: float,
    head: str | Any | None,
    scaling: str | None,
    folds: int,
    seed: int,
    alpha: float,
    baselines: bool,
    embedding: Mapping[str, Any],
    progress: Progress | None,
) -> TrainResult:
    if head is not None:
        find_head(head)
    if folds < 2:
        raise SamplesError(f"{folds} folds cannot be made; ask for 2 or more")
    samples = source
    if not isinstance(samples, Samples):
        samples = gather(
            source,
            features=features,
            column=column,
            rule=rule,
            minimum=minimum,
            embedding=embedding,
            progress=progress,
        )
    samples.require_learnable()
    pairs, protocol = _protocol(samples, folds)
    options: dict[str, Any] = {"folds": pairs, "seed": seed, "alpha": alpha, "protocol": protocol}
    checked = cross_validate(samples, head, scaling, progress=progress, **options)
    accuracy = _assessed(samples, checked, seed)
    others = [Baseline("the largest class", accuracy.majority)]
    if baselines and not isinstance(source, Samples) and samples.positions is None:
        others += _simpler(source, samples, head, embedding, checked, seed, progress)
    notes = (*samples.notes, *_twins(samples, checked), *_cautions(samples, checked))
    return TrainResult(folder, (), notes, samples, checked, accuracy, tuple(others), None)


def _protocol(samples: Samples, folds: int) -> tuple[Any, str]:
    """Use a fixed split where there is one."""
    if samples.splits is None or "test" not in samples.splits:
        return folds, ""
    parts = np.array(samples.splits)
    test = np.flatnonzero(parts == "test")
    train = np.flatnonzero(parts != "test")
    if not len(train):
        raise SamplesError("all samples are in the part test, so there is none to train on")
    return [(train, test)], f"a fixed split: {len(train):,} to train, {len(test):,} to test"


def _assessed(samples: Samples, checked: CrossValidated, seed: int) -> Accuracy:
    groups = None
    if samples.positions is not None:  # neighbours are not independent: draw whole folds' blocks
        spread = samples.spread()
        if spread is not None and samples.reach > 0:
            cells = np.floor(spread[checked.places] / (4 * samples.reach)).astype(np.int64)
            _, groups = np.unique(cells, axis=0, return_inverse=True)
    return assess(
        checked.ids,
        checked.predicted,
        samples.classes,
        bootstrap=BOOTSTRAP,
        seed=seed,
        groups=groups,
    )


def _simpler(
    source: Any,
    samples: Samples,
    head: str | Any | None,
    embedding: Mapping[str, Any],
    checked: CrossValidated,
    seed: int,
    progress: Progress | None,
) -> list[Baseline]:
    """Test band statistics, random features and the untrained network on the same folds."""
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
    found = []
    for name in names:
        if name == own:
            continue
        features = embed_images(images.paths, backbone=name, progress=progress, **shared)
        other = from_images(images, features)
        result = cross_validate(other, head, folds=pairs, seed=seed, progress=progress)
        accuracy = _assessed(other, result, seed)
        found.append(Baseline(name, accuracy.overall, accuracy))
    return found


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


def _refuse_existing(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise OutputError(f"{folder} is a file; give the name of a folder to write")
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{folder} exists already and is not empty; pass --overwrite to replace what train or "
            "evaluate wrote in it, or another name"
        )


def _write(result: TrainResult, source: Any) -> TrainResult:
    from terrapatch.studies._training_report import report

    folder = result.folder
    with writing(folder):
        home = folder if folder.exists() else folder.parent
        home.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".train.", suffix=".part", dir=home))
        try:
            stage.chmod(0o755)
            shown = not isinstance(source, Samples) and result.samples.positions is None
            report(result, pictures=shown and is_image_source(_first(source))).save(
                stage / "report.html"
            )
            (stage / "samples.csv").write_text(_table(result), encoding="utf-8")
            text = json.dumps(result.metrics, indent=1, sort_keys=True, ensure_ascii=False)
            (stage / "metrics.json").write_text(text + "\n", encoding="utf-8")
            if result.model is not None:
                result.model.save(stage)
            files = _publish(stage, folder)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return replace(result, files=files)


def _first(source: Any) -> Any:
    return source if isinstance(source, str | os.PathLike) else source[0]


def _publish(stage: Path, folder: Path) -> tuple[Path, ...]:
    """Put finished files into place: first the older model goes, last the new one comes."""
    made = [name for name in FILES if (stage / name).exists()]
    if not folder.exists():
        os.replace(stage, folder)
    else:
        for name in reversed(FILES):
            (folder / name).unlink(missing_ok=True)
        for name in made:
            os.replace(stage / name, folder / name)
    return tuple(folder / name for name in made)


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
