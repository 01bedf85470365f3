"""``terrapatch apply``: named clusters on another scene or date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, FeaturesArgument, Json, Overwrite, Quiet, Seed
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.applying import ApplyResult


def apply(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that terrapatch cluster wrote.")
    ],
    features: FeaturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    scene: Annotated[
        str | None,
        typer.Option(
            help="Scene of FEATURES, for pictures.", show_default="looked for beside FEATURES"
        ),
    ] = None,
    unlike: Annotated[
        bool,
        typer.Option(
            "--unlike/--no-unlike", help="Give cells that are unlike anything seen a class."
        ),
    ] = True,
    quantile: Annotated[
        float, typer.Option(help="Share of the model's own ground that is not unlike.")
    ] = 0.99,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write classes as polygons too.")
    ] = True,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Apply named clusters to the features of another scene or date.

    Cells that are farther from their cluster than held-out ground of the model's own scene
    become the class "unlike anything seen".
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.applying import apply as run

        made = run(
            folder,
            features,
            out,
            scene=scene,
            unlike=unlike,
            quantile=quantile,
            seed=seed,
            polygons=polygons,
            overwrite=overwrite,
            progress=voice.progress,
        )
        _report(voice, made)


def _report(voice: Voice, made: ApplyResult) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    areas = any(row.hectares is not None for row in made.table)
    for head in ("id", "colour", "name", "cells", "share", *["hectares"] * areas):
        table.add_column(head, justify="left" if head in ("colour", "name") else "right")
    for row in made.table:
        swatch = Text.assemble(("  ", f"on {row.colour}"), f" {row.colour}")
        area = (f"{row.hectares:,.1f}" if row.hectares is not None else "",) if areas else ()
        share = words.share(row.share)
        table.add_row(str(row.id), swatch, Text(row.name), f"{row.cells:,}", share, *area)
    voice.table(table)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(
        f"next: open {made.files[0]} in QGIS, or compare two dates: terrapatch change --help"
    )
    voice.result(
        {
            "folder": str(made.folder),
            "unlike_share": made.unlike_share,
            "unlike": None if made.unlike is None else made.unlike.description(),
            "classes": [
                {
                    "id": row.id,
                    "name": row.name,
                    "colour": row.colour,
                    "clusters": list(row.clusters),
                    "cells": row.cells,
                    "share": row.share,
                    "hectares": row.hectares,
                }
                for row in made.table
            ],
            "notes": list(made.notes),
        }
    )
