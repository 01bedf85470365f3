"""Tables that several commands of ``terrapatch pixels`` show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from terrapatch.cli.voice import Voice
    from terrapatch.studies.pixels.evaluating import PixelEvaluation


def protocols(voice: Voice, made: PixelEvaluation) -> None:
    """Show the protocols side by side, the classes, and what each protocol did."""
    show_table(voice, made.report.table())
    show_table(voice, made.report.class_table())
    voice.show(f"recipe: {made.recipe}")
    seen = "the whole scene" if made.window is None else f"{made.window} x {made.window} pixels"
    voice.show(f"a pixel's class is told by {seen}")
    for sentence in made.report.sentences():
        voice.show(sentence)


def show_table(voice: Voice, rows: Sequence[Sequence[str]]) -> None:
    """Show rows, the first of them the heading; the first column is text."""
    from rich.table import Table
    from rich.text import Text

    head, *body = rows
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in body:
        table.add_row(*(Text(cell) for cell in row))
    voice.table(table)
