"""The ladder as one page: a table of steps and protocols, and a figure a protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from terrapatch.studies.figures import bars_with_intervals
from terrapatch.studies.page import Page
from terrapatch.studies.pixels.reporting import LONGEST, Pictures, caveat, honest_result

if TYPE_CHECKING:
    from terrapatch.studies.pixels.ladder import Ladder


def ladder_page(found: Ladder) -> Page:
    """Put a ladder onto one page.

    Args:
        found: What each step reached.
    """
    page = Page(f"What each step buys on {found.task.cube.name}", _lead(found))
    for note in found.notes:
        page.note(note)
    page.section("Steps and protocols")
    head, *rows = found.table()
    page.table(
        list(head), rows,
        "Overall accuracy, percent, mean ± standard deviation over seeds; what leaks is said",
    )  # fmt: skip
    page.text(
        "All steps are judged on the same splits. A random split of neighbouring pixels tests on "
        "what was trained on: what a step gains there it need not gain on ground that was held "
        "out."
    )
    head, *rows = found.gains()
    page.table(list(head), rows, "What a step adds to the one above it, points")
    for i, name in enumerate(found.protocols):
        _figure(page, found, i, name)
    page.section("Class by class")
    for i, name in enumerate(found.protocols):
        names, *cells = _classes(found, i)
        page.table(names, cells, f"Recall of each class under {name}, percent")
    page.section("The scene and the splits")
    pictures = Pictures.of(found.task, found.plan)
    page.gallery(pictures.items, "The scene, its labels and what trained", side=LONGEST)
    page.section("How it was judged")
    for sentence in found.evaluations[-1].report.sentences():
        page.text(sentence)
    page.recipe({step.name: str(step.recipe) for step in found.steps}, "The recipe of each step")
    return page


def _lead(found: Ladder) -> str:
    honest = [honest_result(made.report) for made in found.evaluations]
    means = [100 * result.spread("overall").mean for result in honest]
    best = int(np.argmax(means))
    text = (
        f"Under {honest[0].name} the first step, {found.steps[0].name}, reaches {means[0]:.1f} % "
        f"and the best one, {found.steps[best].name}, {means[best]:.1f} %.{caveat(honest[best])}"
    )
    first = found.evaluations[0].report.results[0]
    if first.leaky:
        most = max(e.report.results[0].spread("overall").mean for e in found.evaluations)
        text += f" A {first.name} split would claim up to {100 * most:.1f} %."
    return text


def _figure(page: Page, found: Ladder, place: int, name: str) -> None:
    results = [made.report.results[place] for made in found.evaluations]
    spreads = [result.spread("overall") for result in results]
    values, lows, highs = (
        100 * np.clip(np.array([getattr(s, k) for s in spreads], np.float64), 0.0, 1.0)
        for k in ("mean", "low", "high")
    )
    told = results[0].evaluated[0].splits[0].told
    page.figure(
        bars_with_intervals(
            [step.name for step in found.steps],
            values,
            lows,
            highs,
            "overall accuracy, %",
            (100 * results[0].majority, "majority class"),
        ),
        f"Bars of the overall accuracy of each step under {name}",
        f"{name}{' (leaky: it flatters)' if results[0].leaky else ''}: {told}",
    )


def _classes(found: Ladder, place: int) -> list[list[str]]:
    columns = [made.report.class_table() for made in found.evaluations]
    names = [row[0] for row in columns[0][1:]]
    rows = [
        [name, *(column[i + 1][place + 1] for column in columns)] for i, name in enumerate(names)
    ]
    return [["class", *(step.name for step in found.steps)], *rows]
