"""Fine-tuning a network on images, with its learning curves, its verdict and its worth."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.backbones import DEFAULT, get_backbone
from terrapatch.errors import OutputError, SamplesError, writing
from terrapatch.learn.accuracy import Accuracy, assess
from terrapatch.studies.sampling import Source, find_images_of

if TYPE_CHECKING:
    from terrapatch.learn.diagnosis import Diagnosis
    from terrapatch.learn.image_folder import ImageList
    from terrapatch.learn.tuning import Tuned
    from terrapatch.studies.page import Page

Progress = Callable[[str, int, int], None]

# Shares of the validation and the test part, where no split is given.
HELD_OUT = 0.2


@dataclass(frozen=True, eq=False)
class FinetuneResult:
    """What ``finetune`` made.

    Attributes:
        folder: The folder it wrote.
        files: The files of use in it, the report first.
        tuned: The network.
        diagnosis: What its learning curves say; ``None`` after fewer than four epochs.
        accuracy: How good it is on the test part, which decided nothing.
        protocol: How the samples were split.
    """

    folder: Path
    files: tuple[Path, ...]
    tuned: Tuned
    diagnosis: Diagnosis | None
    accuracy: Accuracy
    protocol: str


def finetune(
    samples: Source,
    out: str | os.PathLike[str],
    *,
    backbone: str = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    input_size: int | None = None,
    average: str = "none",
    device: str = "auto",
    offline: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> FinetuneResult:
    """Fine-tune a network to classes of whole images.

    A run that was interrupted is gone on with by calling it again with the same options. A
    temperature is fitted on the validation part, so that probabilities mean what they say.

    Args:
        samples: A folder with a folder of images for each class, a CSV of paths, classes and
            splits (``train``, ``val``, ``test``), or a name in the catalogue. Without a split
            a fifth each is drawn for validation and for the test, class by class.
        out: Folder to write: checkpoint, ``history.csv``, the model and the report.
        backbone: Name in the registry of the network to begin with.
        weights: File of weights to use instead of the registered one.
        input_size: Side in pixels that images are brought to.
        average: ``d4`` to calibrate and test with the mean over eight turns and flips;
            ``classify`` then takes it too.
        device: ``auto``, ``cpu`` or ``cuda``.
        offline: Whether to open no socket.
        seed: Seed of everything random.
        overwrite: Whether a finished model in the folder is replaced.
        progress: Called as ``progress(stage, done, in all)``.
        **settings: Fields of ``terrapatch.learn.tuning.settings.Settings``: ``strategy``,
            ``freeze``, ``epochs``, ``lr``, ``augment`` …

    Raises:
        SamplesError: If the samples or settings cannot be trained with.
        OutputError: If the folder holds a model already or cannot be written.
    """
    from terrapatch.backbones.turning import check_average
    from terrapatch.learn.tuning import tune
    from terrapatch.learn.tuning.images import Images

    check_average(average)
    folder = Path(out)
    if (folder / "model.json").exists() and not overwrite:
        raise OutputError(
            f"there is a model in {folder} already; pass --overwrite to replace it, or another name"
        )
    images = find_images_of(samples)
    parts, protocol = split(images, seed)
    network = get_backbone(backbone).ready(weights, offline=offline, progress=progress)
    given = {
        name: ([images.paths[i] for i in places], images.labels[places])
        for name, places in parts.items()
    }
    tested = Images(given["test"][0], what="test")
    for i in range(len(tested)):  # one that cannot be read is better known before the training
        tested[i]
    tuned = tune(
        *given["train"],
        *given["val"],
        images.classes,
        network,
        out=folder,
        input_size=input_size,
        device=device,
        progress=progress,
        seed=seed,
        **settings,
    )
    tuned = _calibrated(tuned, *given["val"], average, progress)
    paths, ids = given["test"]
    called = tuned.classify(paths, average=average, progress=progress)
    accuracy = assess(ids, called, images.classes, seed=seed)
    chance = float(np.bincount(images.labels).max() / len(images.labels))
    made = FinetuneResult(folder, (), tuned, _diagnosis(tuned, chance), accuracy, protocol)
    return _write(made, paths, called, overwrite)


def split(images: ImageList, seed: int) -> tuple[dict[str, NDArray[np.intp]], str]:
    """Return the samples of the parts ``train``, ``val`` and ``test``, and how they came about.

    Raises:
        SamplesError: If a class has too few samples for three parts.
    """
    from sklearn.model_selection import train_test_split

    if images.splits is not None:
        parts = {name: images.places(name) for name in ("train", "val", "test")}
        missing = [name for name, places in parts.items() if not len(places)]
        if missing:
            raise SamplesError(
                f"the split names no sample of the part {' or '.join(missing)}; fine-tuning "
                "needs train, val (which decides when to stop) and test"
            )
        told = ", ".join(f"{len(places):,} {name}" for name, places in parts.items())
        return parts, f"the split given: {told}"
    few = int(np.bincount(images.labels)[1:].min())
    if few < 5:
        raise SamplesError(
            f"the smallest class has {few} images; fine-tuning splits them in three parts and "
            "needs 5 or more (train does with fewer)"
        )
    every = np.arange(len(images.labels))
    rest, test = train_test_split(
        every, test_size=HELD_OUT, stratify=images.labels, random_state=seed
    )
    train, val = train_test_split(
        rest, test_size=HELD_OUT / (1 - HELD_OUT), stratify=images.labels[rest], random_state=seed
    )
    drawn = {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}
    told = ", ".join(f"{len(places):,} {name}" for name, places in drawn.items())
    return drawn, f"drawn class by class with seed {seed}: {told}"


def _calibrated(
    tuned: Tuned,
    paths: list[Path],
    ids: NDArray[Any],
    average: str,
    progress: Progress | None,
) -> Tuned:
    """Fit a temperature on the validation part, and keep how images were looked at for it."""
    from terrapatch.learn.calibration import fit_temperature

    scores = tuned.logits(paths, average=average, progress=progress)
    told = {"temperature": fit_temperature(scores, ids), "average": average}
    return replace(tuned, description=tuned.description | told)


def _diagnosis(tuned: Tuned, chance: float) -> Diagnosis | None:
    from terrapatch.learn.diagnosis import diagnose

    curves = tuned.history.as_dict()
    return diagnose(curves, chance=chance) if len(curves["train_loss"]) >= 4 else None


def _write(
    made: FinetuneResult, paths: list[Path], called: NDArray[np.int64], overwrite: bool
) -> FinetuneResult:
    folder = made.folder
    metrics = {
        "protocol": made.protocol,
        "accuracy": made.accuracy.as_dict(),
        "verdict": None if made.diagnosis is None else made.diagnosis.verdict,
    }
    with writing(folder):
        text = json.dumps(metrics, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / "metrics.json").write_text(text, encoding="utf-8")
        (folder / "test.csv").write_text(_table(made.tuned, paths, called), encoding="utf-8")
        _page(made).save(folder / "report.html", overwrite=True)
        made.tuned.save(folder, overwrite=overwrite)
    names = ("report.html", "history.csv", "test.csv", "metrics.json", "head.safetensors",
             "model.json")  # fmt: skip
    return replace(made, files=tuple(folder / n for n in names if (folder / n).exists()))


def _table(tuned: Tuned, paths: list[Path], called: NDArray[np.int64]) -> str:
    """Write what was said of every tested image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "predicted"])
    writer.writerows((path, tuned.classes[id - 1]) for path, id in zip(paths, called, strict=True))
    return text.getvalue()


def _page(made: FinetuneResult) -> Page:
    from terrapatch.studies.figures import (
        confusion_figure,
        learning_curve_figure,
        per_class_figure,
    )
    from terrapatch.studies.page import Page

    accuracy, seen = made.accuracy, made.diagnosis
    low, high = accuracy.intervals["overall"]
    page = Page(
        f"{made.tuned.backbone.name}, fine-tuned",
        f"{100 * accuracy.overall:.1f} % of the test part are right "
        f"(95 % interval {100 * low:.1f}–{100 * high:.1f}).",
    )
    page.section("How it learned")
    if seen is not None:
        page.text(f"Verdict: {seen.verdict}. {seen.reason} {seen.advice}")
    page.figure(
        learning_curve_figure(made.tuned.history.as_dict(), None if seen is None else seen.verdict),
        "Loss and accuracy of the training and validation part, epoch by epoch",
        "Learning curves; the weights of the lowest validation loss were kept.",
    )
    page.section("How good it is")
    page.text(f"Split: {made.protocol}. The test part decided nothing.")
    page.facts(accuracy.summary())
    head, *rows = accuracy.table()
    page.table(list(head), rows, "Precision, recall, F1 and IoU of each class, in percent")
    page.figure(
        per_class_figure(list(accuracy.classes), accuracy.recall, accuracy.precision, accuracy.f1),
        "Recall, precision and F1 of each class",
        "Recall, precision and F1 of each class.",
    )
    page.figure(
        confusion_figure(accuracy.confusion, list(accuracy.classes)),
        "Confusion matrix, true classes down, predicted classes across",
        "Which class was taken for which: rows are true, columns predicted.",
    )
    page.section("How it was made")
    page.recipe(made.tuned.description)
    return page
