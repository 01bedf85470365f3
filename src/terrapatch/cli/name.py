"""``terrapatch name``: names for clusters, and the map they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Quiet
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.naming import NameResult


def name(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that terrapatch cluster wrote.")
    ],
    names: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns id, name, colour and merge_into.",
            show_default="DIR/names.csv",
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="ID=NAME", help="Name a cluster; may be given again."),
    ] = None,
    merge: Annotated[
        list[str] | None,
        typer.Option(metavar="ID:ID", help="Make the first a part of the second; 4: undoes it."),
    ] = None,
    colour: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=#RRGGBB", help="Colour a cluster; may be given again."),
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write the classes as polygons too.")
    ] = True,
    report: Annotated[
        bool,
        typer.Option("--report/--no-report", help="Make an older report again with these names."),
    ] = True,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Name, colour and merge clusters: a named map for QGIS, its table, and samples for train.

    Fill in DIR/names.csv with a spreadsheet, or use --set, --merge and --colour.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.naming import name as run

        made = run(
            folder,
            names,
            rename=_pairs(rename, "--set", "=", '--set 3="Informal settlement"'),
            colour=_pairs(colour, "--colour", "=", "--colour 3=#d55e00"),
            merge={
                id: None if not into else _id(into, "--merge", "--merge 4:3")
                for id, into in _pairs(merge, "--merge", ":", "--merge 4:3").items()
            },
            polygons=polygons,
            report=report,
            progress=voice.progress,
        )
        _report(voice, made)


def _pairs(given: Sequence[str] | None, option: str, mark: str, example: str) -> dict[int, str]:
    """Read ``3=text`` or ``4:3``; of an id given twice neither can be meant."""
    from terrapatch.errors import LegendError

    found: dict[int, str] = {}
    for text in given or ():
        id, between, value = text.partition(mark)
        if not between:
            raise LegendError(f"{option} is {text!r}, without a {mark!r}; write {example}")
        number = _id(id, option, example)
        if number in found:
            raise LegendError(f"{option} is given twice for cluster {number}; give it once")
        found[number] = value.strip()
    return found


def _id(text: str, option: str, example: str) -> int:
    from terrapatch.errors import LegendError

    if not text.strip().isdecimal():
        raise LegendError(f"{option} names {text!r}, which is no id of a cluster; write {example}")
    return int(text)


def _report(voice: Voice, made: NameResult) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    areas = any(row.hectares is not None for row in made.table)
    for head in ("id", "colour", "name", "clusters", "cells", "share", *["hectares"] * areas):
        left = head in ("colour", "name", "clusters")
        table.add_column(head, justify="left" if left else "right")
    for row in made.table:
        swatch = Text.assemble(("  ", f"on {row.colour}"), f" {row.colour}")
        area = (f"{row.hectares:,.1f}" if row.hectares is not None else "",) if areas else ()
        clusters = ", ".join(map(str, row.clusters))
        share = words.share(row.share)
        table.add_row(str(row.id), swatch, Text(row.name), clusters, f"{row.cells:,}", share, *area)
    voice.table(table)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(_next(made))
    voice.result(
        {
            "folder": str(made.folder),
            "classes": [
                {
                    "id": row.id,
                    "name": row.name,
                    "colour": row.colour,
                    "clusters": list(row.clusters),
                    "named": row.named,
                    "cells": row.cells,
                    "share": row.share,
                    "hectares": row.hectares,
                }
                for row in made.table
            ],
            "notes": list(made.notes),
        }
    )


def _next(made: NameResult) -> str:
    text = f"next: open {made.files[0]} in QGIS"
    if len(made.names.named) < 2:
        return text
    samples = made.folder / "samples.tif"
    return f"{text}, or: terrapatch train {samples} --features FEATURES -o MODEL"
