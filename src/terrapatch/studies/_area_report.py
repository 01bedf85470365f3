"""The report of estimated areas, as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from terrapatch.learn.area_estimation import Z
from terrapatch.studies.figures import bars_with_intervals
from terrapatch.studies.page import Page

if TYPE_CHECKING:
    from terrapatch.studies.area import EstimateResult

_MOST_CLASSES = 25


def report(result: EstimateResult, title: str) -> Page:
    """Put areas and accuracies onto one page.

    Args:
        result: What was found.
        title: What the page is about.
    """
    found, unit = result.estimate, result.unit
    overall, half = found.overall[0], Z * found.overall[1]
    page = Page(
        title,
        f"The map is right on {100 * overall:.1f} ± {100 * half:.1f} % of its area "
        f"(95 % interval), by {found.n:,} points that a person has looked at.",
    )
    for note in result.notes:
        page.note(note, warning=True)
    page.section("Areas")
    page.facts(
        [
            ("overall accuracy", f"{100 * overall:.1f} ± {100 * half:.1f} %"),
            ("labelled points", f"{found.n:,} of {result.labelled.points:,}"),
            (f"mapped area, {unit}", f"{found.total:,.1f}"),
        ]
    )
    _bars(page, result)
    rows = [
        [name, f"{found.mapped[i]:,.1f}", f"{found.area[i]:,.1f} ± {found.area_half[i]:,.1f}",
         _percent(found.share[0][i], found.share[1][i])]
        for i, name in enumerate(found.classes)
    ]  # fmt: skip
    page.table(
        ["class", f"mapped, {unit}", f"estimated, {unit}", "share of the area"],
        rows,
        "Area by counting cells of the map, and by the reference sample with 95 % intervals",
        "lrrr",
    )
    page.section("Accuracy")
    _accuracy(page, result)
    page.section("What it rests on")
    page.text(
        "Estimators and variances are those of a stratified random sample after Olofsson et al. "
        "(2014), Remote Sensing of Environment 148. They hold if points were drawn at random by "
        "class of this very map, were all looked at, and if what was written down is the truth. "
        "Errors of the person who labels are not in the intervals.\n\n"
        "No correction for a finite map is made: on a map of few cells the intervals are wider "
        "than they need be. A class that the map does not have cannot be estimated."
    )
    return page


def _bars(page: Page, result: EstimateResult) -> None:
    found = result.estimate
    order = np.argsort(-found.area, kind="stable")[:_MOST_CLASSES]
    low = np.maximum(0.0, found.area - found.area_half)
    page.figure(
        bars_with_intervals(
            [found.classes[i] for i in order],
            found.area[order],
            low[order],
            (found.area + found.area_half)[order],
            f"estimated area, {result.unit}",
        ),
        "Bars of the estimated area of each class with 95 % intervals",
        "Estimated area of each class with its 95 % interval, cut off at 0.",
    )


def _accuracy(page: Page, result: EstimateResult) -> None:
    found = result.estimate
    rows = [
        [name, f"{found.counts[i].sum():,}",
         _percent(found.users[0][i], found.users[1][i]),
         _percent(found.producers[0][i], found.producers[1][i])]
        for i, name in enumerate(found.classes)
    ]  # fmt: skip
    page.table(
        ["class", "points", "user's accuracy", "producer's accuracy"],
        rows,
        "User's: how much of what the map calls a class is one. Producer's: how much of a class "
        "the map has found. 95 % intervals.",
        "lrrr",
    )
    if len(found.classes) > _MOST_CLASSES:
        page.text("The error matrix is too large for a page; it stands in error_matrix.csv.")
        return
    matrix = [
        [name, *(f"{100 * p:.2f}" if n else "–" for p, n in zip(found.proportions[i],
                                                              found.counts[i], strict=True))]
        for i, name in enumerate(found.classes)
    ]  # fmt: skip
    page.table(
        ["map, reference →", *found.classes],
        matrix,
        "Error matrix in percent of the area; rows are the map, columns the reference",
    )


def _percent(value: float, error: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{100 * value:.1f} ± {100 * Z * error:.1f} %"
