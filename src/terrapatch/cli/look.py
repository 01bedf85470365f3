"""``terrapatch look``: clusters as pictures, points, tables and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Quiet, Seed
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.looking import LookResult


def look(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that terrapatch cluster wrote.")
    ],
    per_cluster: Annotated[
        int, typer.Option(metavar="N", help="Exemplars of a cluster, its medoid among them.")
    ] = 8,
    seed: Seed = 0,
    k_curve: Annotated[
        bool,
        typer.Option("--k-curve", help="Measure which number of clusters fits; takes minutes."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look at clusters: a report with exemplars, histogram, tree and embedding; contact sheets.

    Run it again after terrapatch name, and the report bears the new names.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.looking import look as run

        made = run(
            folder, per_cluster=per_cluster, seed=seed, k_curve=k_curve, progress=voice.progress
        )
        _report(voice, made)


def _report(voice: Voice, made: LookResult) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("id", justify="right")
    table.add_column("colour")
    table.add_column("name")
    for head in ("cells", "share", "pieces", "clumping", "stability"):
        table.add_column(head, justify="right")
    for row in made.table:
        swatch = Text.assemble(("  ", f"on {row.colour}"), f" {row.colour}")
        stable = "" if row.stability is None else f"{row.stability:.2f}"
        clumping = row.spread.joins.clumping
        table.add_row(
            str(row.id),
            swatch,
            Text(row.name),
            f"{row.cells:,}",
            words.share(row.share),
            f"{row.spread.pieces:,}",
            "" if clumping != clumping else f"{clumping:.1f}",
            stable,
        )
    voice.table(table)
    for note in made.notes:
        voice.message(f"note: {note}")
    if made.hints:
        voice.show(f"nearest to each other: {made.hints[0]}")
    voice.outputs(made.files)
    voice.show(f"next: open {made.files[0]} in a browser, then: terrapatch name {made.folder}")
    voice.result(_as_dict(made))


def _as_dict(made: LookResult) -> dict[str, object]:
    return {
        "folder": str(made.folder),
        "report": str(made.files[0]),
        "clusters": [
            {
                "id": row.id,
                "name": row.name,
                "part_of": row.part_of,
                "cells": row.cells,
                "share": row.share,
                "hectares": row.hectares,
                "pieces": row.spread.pieces,
                "largest_piece": row.spread.largest,
                "clumping": _known(row.spread.joins.clumping),
                "stability": row.stability,
            }
            for row in made.table
        ],
        "exemplars": [{**vars(e), "kind": e.kind} for e in made.exemplars],
        "merge_first": list(made.hints),
        "silhouette": made.embedding.after.silhouette,
        "neighbours_of_the_same_cluster": made.embedding.after.purity,
        "notes": list(made.notes),
    }


def _known(value: float) -> float | None:
    return value if value == value else None
