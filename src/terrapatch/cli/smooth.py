"""``terrapatch smooth``: a class map without speckle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Overwrite, Quiet
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.smoothing import SmoothResult

_MOST_ROWS = 15


def smooth(
    class_map: Annotated[Path, typer.Argument(metavar="MAP", help="A class map, e.g. named.tif.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoTIFF to write.")],
    size: Annotated[
        int,
        typer.Option(help="Side of the square whose commonest class a cell takes; 0: none."),
    ] = 3,
    min_hectares: Annotated[
        float | None,
        typer.Option(help="Smaller patches become part of their largest neighbour."),
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write classes as polygons too.")
    ] = True,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Smooth a class map, never across no data, and say which classes changed into which."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.smoothing import smooth as run

        made = run(
            class_map,
            out,
            size=size,
            min_hectares=min_hectares,
            polygons=polygons,
            overwrite=overwrite,
        )
        _report(voice, made)


def _report(voice: Voice, made: SmoothResult) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("from")
    table.add_column("to")
    table.add_column("cells", justify="right")
    areas = any(move.hectares is not None for move in made.moves)
    if areas:
        table.add_column("hectares", justify="right")
    for move in made.moves[:_MOST_ROWS]:
        area = () if move.hectares is None else (f"{move.hectares:,.1f}",)
        table.add_row(Text(move.source), Text(move.target), f"{move.cells:,}", *area)
    if made.moves:
        voice.table(table)
    if len(made.moves) > _MOST_ROWS:
        voice.show(f"… and {len(made.moves) - _MOST_ROWS} more pairs of classes")
    part = words.share(made.changed / made.cells) if made.cells else "0 %"
    voice.show(f"{made.changed:,} of {made.cells:,} cells ({part}) have another class now")
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.result(
        {
            "cells": made.cells,
            "changed": made.changed,
            "moves": [
                {"from": m.source, "to": m.target, "cells": m.cells, "hectares": m.hectares}
                for m in made.moves
            ],
            "notes": list(made.notes),
        }
    )
