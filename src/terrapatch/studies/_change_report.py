"""The report of a comparison of two dates, as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from terrapatch.studies import _change_map as tables
from terrapatch.studies._apply_report import picture
from terrapatch.studies._transfer_words import percent
from terrapatch.studies.figures import bars_with_intervals
from terrapatch.studies.page import Page

if TYPE_CHECKING:
    from terrapatch.studies.changing import ChangeResult

_MOST_IN_MATRIX = 14
_MOST_PAIRS = 40


def report(result: ChangeResult) -> Page:
    """Put what changed onto one page."""
    first, *rest = result.words
    page = Page("What changed between two dates", first)
    for sentence in rest:
        page.text(sentence)
    if result.noise is None:
        page.note("The noise floor is not known; see the notes.", warning=True)
    for note in result.notes:
        page.note(note)
    _overall(page, result)
    _pairs(page, result)
    _classes(page, result)
    _conclusions(page)
    page.section("How it was made")
    page.recipe(
        {side: dict(one.class_map.provenance)
         for side, one in zip(("before", "after"), result.sides, strict=True)}
    )  # fmt: skip
    return page


def _overall(page: Page, result: ChangeResult) -> None:
    found = result.transitions
    page.section("Where it changed")
    facts = [
        ("cells compared", f"{found.n:,}"),
        ("with another class", percent(found.share)),
        ("noise floor", "not known" if result.noise is None else percent(result.noise.share)),
    ]
    page.facts(facts)
    page.figure(
        picture(result.class_map, None),
        "The map of changes with its legend",
        f"From {result.sides[0].name} to {result.sides[1].name}.",
    )


def _pairs(page: Page, result: ChangeResult) -> None:
    found = result.transitions
    page.section("What became of what")
    rows = tables.pair_rows(found, result.noise, result.legend)
    verdicts = {True: "above", False: "within", None: None}
    shown = [
        (f"{old} → {new}", cells, area, percent(share), _whole(noise), verdicts[clear])
        for old, new, cells, area, share, noise, clear in rows[:_MOST_PAIRS]
    ]
    page.table(
        ["change", "cells", "hectares", "of the first class", "cells by noise alone", "the noise"],
        shown,
        "Changes, the most frequent first"
        + (f"; transitions.csv has all {len(rows)}" if len(rows) > _MOST_PAIRS else ""),
    )
    k = len(result.legend)
    if k <= _MOST_IN_MATRIX:
        page.table(
            ["from / to", *result.legend.names],
            [
                (name, *(int(n) for n in row))
                for name, row in zip(result.legend.names, found.cells, strict=True)
            ],
            "Cells: rows the first date, columns the second",
        )
    else:
        page.text(f"The matrix of {k} classes stands in matrix_cells.csv.")


def _whole(cells: float | None) -> int | None:
    return None if cells is None else round(cells)


def _classes(page: Page, result: ChangeResult) -> None:
    page.section("Gains and losses")
    rows = tables.class_rows(result.transitions, result.noise, result.legend)
    occurring = [(*r[:8], _whole(r[8]), _whole(r[9]), *r[10:]) for r in rows if r[1] or r[2]]
    heads = ("class", "before", "after", "stayed", "gained", "lost", "net", "swapped",
             "noise gains", "noise losses", "ha before", "ha after", "ha net")  # fmt: skip
    page.table(
        heads,
        occurring,
        "Cells and hectares of each class; swapped: lost in one place and gained in another",
    )
    net = np.array([row[6] for row in occurring], np.float64)
    noise = np.array([np.nan if row[8] is None else row[8] + row[9] for row in occurring])
    spread = 2 * np.sqrt(noise)
    page.figure(
        bars_with_intervals(
            [row[0] for row in occurring], net, -spread + net, spread + net, "net change, cells"
        ),
        "Bars of the net change of each class",
        "Net change. Noise moves cells both ways and mostly cancels in it: the interval is two "
        "standard errors of what noise alone leaves over.",
    )


def _conclusions(page: Page) -> None:
    page.section("What not to conclude")
    page.text(
        "The noise floor is what moving the patches does on one date. Another season, another sun, "
        "another sensor, and images that do not lie exactly on each other change classes too, and "
        "are not in it: a change above the noise floor is real in the images, and not yet on the "
        "ground. Look at a sample of each before you report it.\n\n"
        "Areas are counted in cells, each one class. They are no estimate of area; for that draw a "
        "reference sample of changed and unchanged cells (terrapatch area)."
    )
