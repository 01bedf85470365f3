"""The report of a transfer to another place, as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.learn.accuracy import Accuracy
from terrapatch.studies._training_report import _thumbnail
from terrapatch.studies._transfer_words import advice, percent
from terrapatch.studies.figures import (
    bars_with_intervals,
    confusion_figure,
    few_labels_figure,
    per_class_figure,
)
from terrapatch.studies.page import GalleryItem, Page

if TYPE_CHECKING:
    from terrapatch.studies._transfer_measures import Ordered
    from terrapatch.studies.transferring import TransferResult

PICTURES = 12


def report(result: TransferResult, pictures: bool = False) -> Page:
    """Put the figures of a transfer onto one page.

    Args:
        result: What was found.
        pictures: Whether the samples' names are images that can be shown.
    """
    first, *rest = advice(result)
    page = Page("A model in another place", first)
    for sentence in rest:
        page.text(sentence)
    for note in result.notes:
        page.note(note)
    _overall(page, result)
    _labels(page, result)
    page.section("Where to trust it")
    if result.by_dissimilarity is not None:
        page.text(
            "How far a sample is from all training samples, in mean distances between these "
            "(Meyer and Pebesma 2021); "
            f"{percent(result.beyond or 0.0)} of the samples here lie beyond the threshold of "
            f"{result.model.index_threshold:.2f}."
        )
        _quarters(page, result.by_dissimilarity, "dissimilarity", "nearest")
    page.text("The margin is the probability of the first class less that of the second.")
    _quarters(page, result.by_margin, "margin", "surest")
    _classes(page, result)
    if pictures:
        _galleries(page, result)
    page.section("How it was made")
    kept = ("head", "parameters", "scaling", "seed", "space", "temperature", "versions")
    page.recipe(
        {"model": {key: result.model.description[key] for key in kept},
         "pairs": result.paired_names}
    )  # fmt: skip
    return page


def _rows(result: TransferResult) -> list[tuple[str, float, float, float]]:
    """Return name, accuracy and interval of every way to get at classes here, in percent."""
    rows = [
        _row("as it is, all its classes", result.open),
        _row("only classes that occur here", result.closed),
    ]
    for one in result.few:
        ends = (one.mean - one.deviation, one.mean + one.deviation)
        rows.append((f"{one.k} labels a class here", one.mean, *ends))
    if result.ceiling is not None:
        rows.append(_row("the same head trained here", result.ceiling))
    if result.home is not None:
        low, high = (np.nan if v is None else v for v in result.home["intervals"]["overall"])
        rows.append(("the model where it comes from", result.home["overall"], low, high))
    return rows


def _row(name: str, found: Accuracy) -> tuple[str, float, float, float]:
    return (name, found.overall, *found.intervals["overall"])


def _overall(page: Page, result: TransferResult) -> None:
    page.section("What it is worth here")
    page.text(
        "Predicted with all its classes, one without a counterpart here counts as wrong; with only "
        "those that occur here, probabilities are added up for each class and the largest wins."
    )
    facts = [("samples", f"{result.closed.n:,}"), ("classes", f"{len(result.pairs.classes)}")]
    facts += [(f"points lost, {name}", str(one)) for name, one in result.drop.items()]
    page.facts(facts)
    names, *numbers = zip(*_rows(result), strict=True)
    values, lows, highs = (100 * np.array(n, np.float64) for n in numbers)
    protocol = f" Trained here: {result.protocol}." if result.protocol else ""
    page.figure(
        bars_with_intervals(list(names), values, lows, highs, "overall accuracy, %"),
        "Bars of the overall accuracy of the model here, of few labels, and of the ceiling",
        "Overall accuracy with 95 % intervals; of few labels mean and deviation over draws."
        + protocol,
    )


def _labels(page: Page, result: TransferResult) -> None:
    if not result.few:
        return
    page.section("What labels here are worth")
    rows = [
        (str(one.k), f"{100 * one.mean:.1f}",
         "–" if np.isnan(one.deviation) else f"{100 * one.deviation:.1f}",
         f"{len(one.accuracies)}", f"{np.mean(one.tested):.0f}")
        for one in result.few
    ]  # fmt: skip
    page.table(
        ["labels a class", "accuracy", "deviation", "draws", "tested"], rows,
        "A head trained on labels of this place alone and tested on the rest, in percent",
    )  # fmt: skip
    at = [one.k for one in result.few]
    mean = np.array([one.mean for one in result.few])
    gap = np.nan_to_num([one.deviation for one in result.few])
    flat = {"the model, transferred": result.closed, "trained on all here": result.ceiling}
    curves = {"few labels here": (mean, np.clip(mean - gap, 0, 1), np.clip(mean + gap, 0, 1))}
    for name, found in flat.items():
        if found is not None:
            low, high = (np.full(len(at), v) for v in found.intervals["overall"])
            curves[name] = (np.full(len(at), found.overall), low, high)
    page.figure(
        few_labels_figure(at, curves),
        "Accuracy against the number of labels a class here, beside the transferred model",
        "How many labels of this place are as good as the model from elsewhere.",
    )


def _quarters(page: Page, found: Ordered, what: str, first: str) -> None:
    names = [f"{first} quarter", "second", "third", "last"]
    named = [
        f"{name} ({low:.2f}–{high:.2f})"
        for name, (low, high) in zip(names, found.edges, strict=True)
    ]
    shares = [[one.overall, *one.intervals["overall"]] for one in found.parts]
    values, lows, highs = 100 * np.array(shares).T
    page.figure(
        bars_with_intervals(named, values, lows, highs, "accuracy, %"),
        f"Bars of the accuracy in quarters of the {what}",
        f"Accuracy in quarters of the {what}; first less last: {found.spread} points.",
    )


def _classes(page: Page, result: TransferResult) -> None:
    closed, wide = result.closed, result.open
    page.section("Class by class")
    head, *rows = closed.table()
    page.table(list(head), rows, "With only the classes that occur here, in percent")
    page.figure(
        per_class_figure(list(closed.classes), closed.recall, closed.precision, closed.f1),
        "Recall, precision and F1 of each class",
        "Recall, precision and F1 of each class, with only those that occur here.",
    )
    page.figure(
        confusion_figure(wide.confusion, list(wide.classes)),
        "Confusion matrix, true classes down, predicted classes across",
        "Which class was taken for which when all the model's classes compete.",
    )


def _galleries(page: Page, result: TransferResult) -> None:
    found = result.answers
    wrong = np.flatnonzero(found.closed != found.ids)
    sure = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:PICTURES]
    page.section("Samples to look at")
    page.gallery(_items(result, sure), "Its most confident mistakes, the most confident first")
    if found.dissimilarity is not None:
        far = np.argsort(-found.dissimilarity, kind="stable")[:PICTURES]
        page.gallery(_items(result, far), "What is least like its training samples")


def _items(result: TransferResult, places: NDArray[Any]) -> list[GalleryItem]:
    found, classes, items = result.answers, result.pairs.classes, list[GalleryItem]()
    for i in places:
        true, called = (classes[ids[i] - 1] for ids in (found.ids, found.closed))
        words = true if true == called else f"{true}, taken for {called}"
        caption = f"{words} ({100 * found.confidence[i]:.0f} %)"
        tone: Any = "right" if true == called else "wrong"
        items.append((_thumbnail(result.samples.names[i]), caption, tone))
    return items
