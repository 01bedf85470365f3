"""``terrapatch classify``: a trained model on a scene, as a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli.options import (
    GRID,
    NETWORK,
    Bands,
    Debug,
    Device,
    Json,
    Nodata,
    Offline,
    Overwrite,
    Precision,
    Quiet,
    Units,
)
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.classifying import ClassifyResult


def classify(
    scene: Annotated[
        str, typer.Argument(metavar="SCENE|FEATURES", help="A raster, or a store of its features.")
    ],
    model: Annotated[Path, typer.Option("--model", "-m", help="A folder train wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoTIFF to write.")],
    size: Annotated[
        str | None,
        typer.Option(
            help="Patch size for a scene: metres (60m) or pixels.",
            rich_help_panel=GRID,
            show_default="the model's own",
        ),
    ] = None,
    stride: Annotated[
        str | None,
        typer.Option(
            help="Cell size for a scene.", rich_help_panel=GRID, show_default="the patch size"
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Where a scene's features are put.",
            rich_help_panel=GRID,
            show_default="beside the map",
        ),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(help="Cells below it become no data, 0 to 1.")
    ] = 0.0,
    smooth: Annotated[
        int, typer.Option(help="Side of the square whose commonest class a cell takes; 0: none.")
    ] = 0,
    companions: Annotated[
        bool,
        typer.Option(
            "--companions/--no-companions", help="Write confidence, margin and set size too."
        ),
    ] = True,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write classes as polygons too.")
    ] = True,
    bands: Bands = None,
    units: Units = None,
    nodata: Nodata = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="File of the network's weights.", rich_help_panel=NETWORK),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify a scene with a trained model: a map for QGIS, and how sure it is.

    A scene is embedded first by the model's own recipe; its features stay beside the map.
    """
    embedding: dict[str, Any] = {
        "bands": bands,
        "units": units,
        "nodata": nodata,
        "weights": weights,
        "device": device,
        "precision": precision,
        "offline": offline,
    }
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.classifying import classify as run

        made = run(
            scene,
            model,
            out,
            size=size,
            stride=stride,
            store=store,
            embedding=embedding,
            min_confidence=min_confidence,
            smooth=smooth,
            companions=companions,
            polygons=polygons,
            overwrite=overwrite,
            progress=voice.progress,
        )
        _report(voice, made)


def _report(voice: Voice, made: ClassifyResult) -> None:
    from rich.table import Table

    from terrapatch.cli import words

    table = Table(box=None, pad_edge=False)
    for name in ("id", "name", "cells", "share"):
        table.add_column(name, justify="left" if name == "name" else "right")
    total = max(1, int(made.counts[1:].sum()))
    for entry in made.class_map.legend:
        cells = int(made.counts[entry.id])
        table.add_row(str(entry.id), entry.name, f"{cells:,}", words.share(cells / total))
    voice.table(table)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(f"next: open {made.files[0]} in QGIS")
    voice.result(
        {
            "map": str(made.files[0]),
            "features": str(made.features),
            "notes": list(made.notes),
            "classes": [
                {"id": e.id, "name": e.name, "cells": int(made.counts[e.id])}
                for e in made.class_map.legend
            ],
        }
    )
