"""``terrapatch pixels classify``: a cube and a model in, a map out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Nodata, Overwrite, Quiet
from terrapatch.cli.pixels.cube_options import (
    Axes,
    CubeArgument,
    CubeBands,
    Drop,
    KeepBad,
    KeepVapour,
    Scale,
    Variable,
    Wavelengths,
)
from terrapatch.cli.pixels.study_options import reading_of
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.pixels.classifying import PixelMap


def classify(
    cube: CubeArgument,
    model: Annotated[
        Path, typer.Option("--model", help="Folder that terrapatch pixels train wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The map, a .tif.")],
    smooth: Annotated[
        str,
        typer.Option(
            "--smooth", help="model (as it was judged), none, or a text: gaussian:sigma=2."
        ),
    ] = "model",
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", help="Leave less certain pixels empty.")
    ] = 0.0,
    companions: Annotated[
        bool, typer.Option("--companions/--no-companions", help="Write confidence and margin.")
    ] = True,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write classes as polygons too.")
    ] = True,
    variable: Variable = None,
    bands: CubeBands = None,
    drop: Drop = "",
    keep_bad: KeepBad = False,
    keep_water_vapour: KeepVapour = False,
    wavelengths: Wavelengths = None,
    scale: Scale = None,
    nodata: Nodata = None,
    axes: Axes = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Give every pixel of a cube (or of features stored by pixels features) a class."""
    given = dict(locals())
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.pixels.classifying import classify as run

        made = run(
            cube,
            model,
            out,
            smooth=smooth,
            min_confidence=min_confidence,
            companions=companions,
            polygons=polygons,
            reading=reading_of(given),
            overwrite=overwrite,
            progress=voice.progress,
        )
        _report(voice, made)


def _report(voice: Voice, made: PixelMap) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for head in ("id", "colour", "name", "pixels", "share"):
        table.add_column(head, justify="left" if head in ("colour", "name") else "right")
    total = max(1, int(made.counts[1:].sum()))
    for entry in made.class_map.legend:
        n = int(made.counts[entry.id])
        swatch = Text.assemble(("  ", f"on {entry.colour}"), f" {entry.colour}")
        table.add_row(str(entry.id), swatch, Text(entry.name), f"{n:,}", words.share(n / total))
    voice.table(table)
    voice.show(f"without data: {int(made.counts[0]):,} pixels")
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(f"next: open {made.files[0]} in QGIS")
    voice.result(
        {
            "map": str(made.files[0]),
            "classes": [
                {"id": e.id, "name": e.name, "colour": e.colour, "pixels": int(made.counts[e.id])}
                for e in made.class_map.legend
            ],
            "without_data": int(made.counts[0]),
            "notes": list(made.notes),
        }
    )
