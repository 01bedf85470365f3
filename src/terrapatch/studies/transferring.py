"""A trained model in another place: what it is worth there, and what labels there would be."""

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

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn.accuracy import Accuracy, assess
from terrapatch.learn.contrast import Contrast, contrast
from terrapatch.learn.fitting import CrossValidated, cross_validate
from terrapatch.learn.samples import Samples
from terrapatch.learn.scene_model import SceneModel
from terrapatch.studies import _transfer_measures as measures
from terrapatch.studies._class_pairs import ClassPairs, Pairs, pair_classes
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies.sampling import find_images_of, gather, is_image_source
from terrapatch.studies.training import neighbours

if TYPE_CHECKING:
    from terrapatch.studies.sampling import Labelled, Scenes

Progress = Callable[[str, int, int], None]

FILES = ("report.html", "predictions.csv", "metrics.json")
# Fewer samples than this fall into no quarters worth the name.
LEAST = 8
# Points below the ceiling that count as having reached it.
CLOSE = 0.02


@dataclass(frozen=True, eq=False)
class TransferResult:
    """What ``transfer`` found.

    Attributes:
        folder: The folder that was written.
        files: Every file in it, the report first.
        notes: Sentences a person should know.
        model: The model.
        samples: The samples of the paired classes.
        pairs: Which class of the model is which class here.
        answers: What the model says of each sample.
        open: How good it is when all its classes compete; a class without counterpart is wrong.
        closed: How good it is when only the classes with a counterpart compete.
        ceiling: What the same head reaches when trained here, by cross-validation; ``None``
            where the samples are too few for it.
        protocol: How that was cross-validated.
        drop: The ceiling less ``open`` and less ``closed``; empty without a ceiling.
        few: What a head trained on few labels of the place reaches.
        by_dissimilarity: Accuracy along the distance to the training samples; ``None`` for a
            model that does not know them.
        by_margin: Accuracy along the margin, the surest first.
    """

    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    model: SceneModel
    samples: Samples
    pairs: ClassPairs
    answers: measures.Answers
    open: Accuracy
    closed: Accuracy
    ceiling: Accuracy | None
    protocol: str
    drop: dict[str, Contrast]
    few: tuple[measures.FewLabels, ...]
    by_dissimilarity: measures.Ordered | None
    by_margin: measures.Ordered

    @property
    def home(self) -> dict[str, Any] | None:
        """The model's accuracy where it was trained, as it was written then."""
        found = self.model.description["metrics"].get("accuracy")
        return found if isinstance(found, dict) and "overall" in found else None

    @property
    def beyond(self) -> float | None:
        """Share of the samples beyond the model's threshold of dissimilarity."""
        far, threshold = self.answers.dissimilarity, self.model.index_threshold
        return None if far is None or threshold is None else float((far > threshold).mean())

    @property
    def labels_to_match(self) -> int | None:
        """Smallest number of local labels a class that is as good as the model, if any."""
        return measures.smallest_reaching(self.few, self.closed.overall)

    @property
    def labels_to_ceiling(self) -> int | None:
        """Smallest number of local labels a class within 2 points of the ceiling, if any."""
        if self.ceiling is None:
            return None
        return measures.smallest_reaching(self.few, self.ceiling.overall - CLOSE)

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures as JSON values."""
        from terrapatch.studies._transfer_words import advice

        far = self.by_dissimilarity
        kept = self.home
        return {
            "accuracy": {
                "open": self.open.as_dict(),
                "closed": self.closed.as_dict(),
                "ceiling": None if self.ceiling is None else self.ceiling.as_dict(),
                "home": kept and {key: kept.get(key) for key in ("overall", "intervals", "n")},
            },
            "drop": {name: one.as_dict() for name, one in self.drop.items()},
            "ceiling_protocol": self.protocol,
            "few_labels": [
                {"k": one.k, "mean": one.mean, "accuracies": list(one.accuracies),
                 "deviation": None if np.isnan(one.deviation) else one.deviation,
                 "tested": list(one.tested)}
                for one in self.few
            ],
            "labels_to_match": self.labels_to_match,
            "labels_to_ceiling": self.labels_to_ceiling,
            "dissimilarity": None if far is None else far.as_dict() | {
                "threshold": self.model.index_threshold,
                "groups": self.model.description["index"]["groups"],
                "beyond": self.beyond,
            },
            "margin": self.by_margin.as_dict(),
            "pairs": self.paired_names,
            "without_counterpart": {
                "model": list(self.pairs.unmapped_model), "here": list(self.pairs.unmapped_here)
            },
            "advice": advice(self),
        }  # fmt: skip

    @property
    def paired_names(self) -> dict[str, str]:
        """Names of the model's classes and of their counterparts."""
        both = zip(self.model.classes, self.pairs.counterpart, strict=True)
        return {name: self.pairs.classes[id - 1] for name, id in both if id > 0}


def transfer(
    samples: Labelled | Sequence[Labelled] | Samples,
    model: SceneModel | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    class_map: Pairs | None = None,
    features: Scenes = (),
    column: str | None = None,
    rule: str = "majority",
    minimum: float = 0.5,
    few: Sequence[int] = (1, 5, 10, 20),
    seeds: int = 5,
    folds: int = 5,
    seed: int = 0,
    embedding: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TransferResult:
    """Test a trained model on labelled samples of another place or data set, and report.

    Args:
        samples: As in ``train``: a folder of images for each class, a CSV, a name in the
            catalogue, or vectors and rasters over ``features``; or samples made in Python.
        model: A model that ``train`` made, or its folder.
        out: Folder to write: report, figures and what was said of each sample.
        class_map: A CSV with the columns ``model`` and ``here``, or a mapping from classes of
            the model to classes of the samples; classes of the same name if left out.
        features: Stores of the scenes that vectors and rasters lie on.
        column: Column of the vectors that holds the class.
        rule: How polygons give cells a class: ``majority``, ``centre`` or ``share``.
        minimum: Share of a cell that must be labelled.
        few: Numbers of local labels a class to train the model's head on, for comparison.
        seeds: Draws of each number.
        folds: Folds of the cross-validation among the samples here.
        seed: Seed of everything random; the same seed gives the same bytes.
        embedding: More options of ``embed_images``, for images: bands, units, device,
            cache … What makes the model's feature space cannot be given.
        overwrite: Whether older results in the folder are replaced.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        SamplesError: If samples or class map cannot be read, or do not fit the model.
        RecipeError: If the features were made by another recipe than the model's.
        OutputError: If the folder exists or cannot be written.
    """
    folder = Path(out)
    refuse_existing(folder, overwrite, "transfer")
    numbers = measures.checked_few(few, seeds)
    if folds < 2:
        raise SamplesError(f"{folds} folds cannot be made; ask for 2 or more")
    trained = model if isinstance(model, SceneModel) else SceneModel.load(Path(model))
    given = samples
    if not isinstance(given, Samples):
        _check_early(given, trained, class_map)
        given = gather(
            given,
            features=features,
            column=column,
            rule=rule,
            minimum=minimum,
            embedding=_embedding(trained, embedding or {}),
            progress=progress,
        )
    notes = [*given.notes, *trained.check_recipe(given.recipe)]
    pairs = pair_classes(trained.classes, given.classes, class_map)
    notes += _left_out(given, pairs)
    here = measures.paired_samples(given, pairs)
    if len(here) < LEAST:
        raise SamplesError(
            f"{len(here)} samples have a class with a counterpart in the model; give at least "
            f"{LEAST}"
        )
    here.require_learnable(0)
    found = _judged(folder, here, pairs, trained, folds, seed, progress)
    tried, more = measures.few_labels(here, trained, numbers, seeds, seed, progress)
    whole = replace(found, few=tried, notes=(*notes, *found.notes, *more))
    return _write(whole, _are_pictures(samples))


def _are_pictures(samples: Any) -> bool:
    """Whether the samples' names are images that can be shown."""
    if isinstance(samples, Samples):
        return False
    first = samples[0] if isinstance(samples, list | tuple) else samples
    return is_image_source(first)


def _check_early(samples: Any, model: SceneModel, class_map: Pairs | None) -> None:
    """Refuse a class map that does not fit a list of images before they are embedded."""
    first = samples[0] if isinstance(samples, list | tuple) and len(samples) == 1 else samples
    if isinstance(first, str | os.PathLike) and is_image_source(first):
        pair_classes(model.classes, find_images_of(first).classes, class_map)


def _embedding(model: SceneModel, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options images are embedded with: the model's own, and what is left open."""
    own = model.embedding_options(images=True)
    for name in own:
        if name in given and given[name] != own[name]:
            raise RecipeError(
                f"the samples are embedded by the model's own recipe, whose {name} is "
                f"{own[name]}, not {given[name]}; leave that option out"
            )
    return own | dict(given)


def _left_out(samples: Samples, pairs: ClassPairs) -> list[str]:
    """Say what has no counterpart."""
    from terrapatch.learn._image_list import first_few

    notes = []
    if pairs.unmapped_here:
        counts = dict(zip(samples.classes, samples.counts, strict=True))
        lost = sum(int(counts[name]) for name in pairs.unmapped_here)
        notes.append(
            f"{lost:,} samples were left out, since nothing is mapped to their classes: "
            f"{first_few(pairs.unmapped_here)}"
        )
    if pairs.unmapped_model:
        notes.append(
            f"{len(pairs.unmapped_model)} classes of the model have no counterpart here: "
            f"{first_few(pairs.unmapped_model)}"
        )
    return notes


def _judged(
    folder: Path,
    here: Samples,
    pairs: ClassPairs,
    model: SceneModel,
    folds: int,
    seed: int,
    progress: Progress | None,
) -> TransferResult:
    """Measure all that needs no local labels but for testing, and the ceiling."""
    found, groups = measures.answers(model, here, pairs), neighbours(here)
    wide = (*pairs.classes, measures.ELSEWHERE) if pairs.unmapped_model else pairs.classes
    told: dict[str, Any] = {"seed": seed, "groups": groups}
    notes = []
    try:
        checked = cross_validate(
            here, measures.head_of(model), model.description["scaling"],
            folds=_possible(here, folds), seed=seed, progress=progress,
        )  # fmt: skip
    except SamplesError as fault:
        checked = None
        notes.append(f"what could be reached here was not measured: {fault}")
    far = found.dissimilarity
    if far is None:
        notes.append(
            "the model was saved before models knew their training samples, so nothing is said of "
            "dissimilarity; train it again for that"
        )
    drop = {}
    if checked is not None:
        best = np.full(len(here), -1)
        best[checked.places] = checked.predicted == checked.ids
        for name, called in (("open", found.open), ("closed", found.closed)):
            drop[name] = contrast(best, called == found.ids, **told)
    return TransferResult(
        folder=folder,
        files=(),
        notes=tuple(notes),
        model=model,
        samples=here,
        pairs=pairs,
        answers=found,
        open=assess(found.ids, found.open, wide, **told),
        closed=assess(found.ids, found.closed, pairs.classes, **told),
        ceiling=None if checked is None else _ceiling(checked, pairs, **told),
        protocol="" if checked is None else checked.protocol,
        drop=drop,
        few=(),
        by_dissimilarity=None
        if far is None
        else measures.ordered(found, far, pairs.classes, rising=True, **told),
        by_margin=measures.ordered(found, found.margin, pairs.classes, rising=False, **told),
    )


def _possible(samples: Samples, folds: int) -> int:
    """Return how many folds can be made: where samples lie nowhere, no more than the least class.

    Folds in space see to that themselves.
    """
    return folds if samples.positions is not None else max(2, min(folds, int(samples.counts.min())))


def _ceiling(checked: CrossValidated, pairs: ClassPairs, seed: int, groups: Any) -> Accuracy:
    drawn = None if groups is None else groups[checked.places]
    return assess(checked.ids, checked.predicted, pairs.classes, seed=seed, groups=drawn)


def _write(result: TransferResult, pictures: bool) -> TransferResult:
    from terrapatch.studies._transfer_report import report

    with staging(result.folder) as stage:
        report(result, pictures).save(stage / "report.html")
        (stage / "predictions.csv").write_text(_table(result), encoding="utf-8")
        text = json.dumps(result.metrics, indent=1, sort_keys=True, ensure_ascii=False)
        (stage / "metrics.json").write_text(text + "\n", encoding="utf-8")
        files = publish(stage, result.folder, FILES)
    return replace(result, files=files)


def _table(result: TransferResult) -> str:
    """Write what the model says of every sample."""
    found, classes = result.answers, result.pairs.classes
    far = found.dissimilarity
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "truth", "predicted", "confidence", "margin", "dissimilarity"])
    for i, name in enumerate(result.samples.names):
        writer.writerow(
            [
                name,
                classes[found.ids[i] - 1],
                classes[found.closed[i] - 1],
                f"{found.confidence[i]:.4f}",
                f"{found.margin[i]:.4f}",
                "" if far is None else f"{far[i]:.4f}",
            ]
        )
    return text.getvalue()
