"""The report of a training or an evaluation, as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn.calibration import reliability
from terrapatch.studies.figures import (
    bars_with_intervals,
    confusion_figure,
    per_class_figure,
    reliability_figure,
)
from terrapatch.studies.page import GalleryItem, Page

if TYPE_CHECKING:
    from terrapatch.studies.training import TrainResult

# Mistakes that are shown, the most confident first.
MISTAKES = 24
THUMBNAIL = 160


def report(result: TrainResult, pictures: bool = False) -> Page:
    """Put the figures of a training or an evaluation onto one page.

    Args:
        result: What was found.
        pictures: Whether the samples' names are images that can be shown.
    """
    accuracy, metrics = result.accuracy, result.metrics
    low, high = accuracy.intervals["overall"]
    page = Page(
        "Scene classifier" if result.model is not None else "Evaluation of a scene classifier",
        f"{100 * accuracy.overall:.1f} % of samples that were not trained on are right "
        f"(95 % interval {100 * low:.1f}–{100 * high:.1f}).",
    )
    for note in result.notes:
        page.note(note)
    page.section("How good it is")
    page.text(f"Tested by {result.checked.protocol}; hyper-parameters were chosen inside each "
              "training part.")  # fmt: skip
    page.facts(accuracy.summary())
    _baselines(page, result)
    _classes(page, result)
    _calibration(page, result, metrics)
    if pictures:
        _mistakes(page, result)
    page.section("How it was made")
    recipe: dict[str, Any] = {"features": dict(result.samples.recipe.space)}
    if result.model is not None:
        kept = ("head", "parameters", "scaling", "seed", "temperature", "conformal", "versions")
        recipe["model"] = {key: result.model.description[key] for key in kept}
    page.recipe(recipe)
    return page


def _baselines(page: Page, result: TrainResult) -> None:
    rows: list[tuple[str, float, float, float]] = []
    low, high = result.accuracy.intervals["overall"]
    own = str(result.samples.recipe.space["backbone"])
    rows.append((own, result.accuracy.overall, low, high))
    for one in result.baselines:
        ends = (np.nan, np.nan) if one.accuracy is None else one.accuracy.intervals["overall"]
        rows.append((one.name, one.overall, *ends))
    names, *numbers = zip(*rows, strict=True)
    values, lows, highs = (100 * np.array(n, np.float64) for n in numbers)
    page.figure(
        bars_with_intervals(list(names), values, lows, highs, "overall accuracy, %"),
        "Bars of the overall accuracy of this recipe and of simpler ones",
        "The same folds and the same head on simpler descriptions of the samples.",
    )


def _classes(page: Page, result: TrainResult) -> None:
    accuracy = result.accuracy
    page.section("Class by class")
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


def _calibration(page: Page, result: TrainResult, metrics: dict[str, Any]) -> None:
    checked, found = result.checked, metrics["calibration"]
    page.section("How sure it is")
    page.facts(
        [
            ("expected calibration error", f"{100 * found['error_after']:.1f} % "
                                           f"({100 * found['error_before']:.1f} % before)"),
            ("sets that hold the true class", f"{100 * metrics['conformal']['coverage']:.1f} %"),
            ("classes in a set, on average", f"{metrics['conformal']['mean_set_size']:.2f}"),
        ]
    )  # fmt: skip
    table = reliability(checked.probabilities, checked.ids)
    page.figure(
        reliability_figure(table.confidence, table.accuracy, table.count, found["error_after"]),
        "Reliability curve: how often the classifier is right at each confidence",
        "How often it is right when it says how sure it is.",
    )


def _mistakes(page: Page, result: TrainResult) -> None:
    checked, samples = result.checked, result.samples
    wrong = np.flatnonzero(checked.predicted != checked.ids)
    if not len(wrong):
        return
    sure = checked.probabilities.max(axis=1)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    page.section("Its most confident mistakes")
    page.text(
        f"{len(wrong):,} of {len(checked.ids):,} were wrong. Where these look right to you, the "
        "labels may be what is wrong."
    )
    items: list[GalleryItem] = []
    for i in order:
        name = samples.names[checked.places[i]]
        true, called = (samples.classes[ids[i] - 1] for ids in (checked.ids, checked.predicted))
        items.append((_thumbnail(name), f"{true}, taken for {called} ({100 * sure[i]:.0f} %)",
                      "wrong"))  # fmt: skip
    page.gallery(items, "The most confident mistakes, the most confident first")


def _thumbnail(path: str) -> NDArray[np.uint8]:
    """Read a small picture of an image: ``(h, w, 3)`` uint8."""
    from terrapatch.scene import Scene
    from terrapatch.studies.settlements import thumbnail

    return thumbnail(Scene.open(path), THUMBNAIL)
