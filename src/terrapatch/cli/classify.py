"""``terrapatch classify``: a trained model on scenes, as maps."""

from __future__ import annotations

from collections.abc import Sequence
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
    from terrapatch.legend import Legend
    from terrapatch.studies._classify_many import ManyResult
    from terrapatch.studies.classifying import ClassifyResult


def classify(
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE|FEATURES...", help="Rasters, or stores of their features; one or more."
        ),
    ],
    model: Annotated[
        Path, typer.Option("--model", "-m", help="A folder that train or finetune wrote.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="GeoTIFF to write; a folder for several scenes.")
    ],
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
            help="Where a scene's features are put; a folder for several scenes.",
            rich_help_panel=GRID,
            show_default="beside the map",
        ),
    ] = None,
    average: Annotated[
        str | None,
        typer.Option(
            help="d4: the mean over eight turns and flips, or none; for fine-tuned networks.",
            rich_help_panel=NETWORK,
            show_default="as the model was made",
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
            "--companions/--no-companions",
            help="Write confidence, margin, set size and dissimilarity too.",
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
    """Classify scenes with a trained model: maps for QGIS, and how sure they are.

    A scene is embedded first by the model's own recipe; its features stay beside the map. Of
    several scenes each has a map in the folder OUT, and mosaic.vrt shows them all as one.
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

        voice.kept = lambda: _kept(scenes, out, store)
        options: dict[str, Any] = {
            "size": size,
            "stride": stride,
            "store": store,
            "average": average,
            "embedding": embedding,
            "min_confidence": min_confidence,
            "smooth": smooth,
            "companions": companions,
            "polygons": polygons,
            "overwrite": overwrite,
            "progress": voice.progress,
        }
        if len(scenes) == 1:
            _report(voice, run(scenes[0], model, out, **options))
        else:
            _report_many(voice, run(scenes, model, out, **options))


def _kept(scenes: list[str], out: Path, store: Path | None) -> str:
    """Say what an interrupted run has kept."""
    from terrapatch.features.layout import is_store, part_of
    from terrapatch.studies._classify_many import plan_tasks

    if len(scenes) == 1:
        places = [(out, store or out.with_suffix(".zarr"))]
    else:
        places = [(task.path, task.store) for task in plan_tasks(scenes, out, store)]
    whole = [place for _, place in places if is_store(place)]
    begun = [part_of(place) for _, place in places if is_store(part_of(place))]
    if not whole and not begun:
        return "nothing is kept; run the same command again"
    told = [f"the features of {len(whole)} of {len(places)} scenes are kept"] if whole else []
    told += [f"what is embedded of a scene is kept in {part}" for part in begun]
    again = " with --overwrite" if any(path.exists() for path, _ in places) else ""
    return f"{' and '.join(told)}; run the same command again{again} to go on"


def _report(voice: Voice, made: ClassifyResult) -> None:
    _show_counts(voice, made.class_map.legend, [("", made.counts)])
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(f"next: open {made.files[0]} in QGIS")
    voice.result(
        {
            "map": str(made.files[0]),
            "features": str(made.features),
            "notes": list(made.notes),
            "classes": _classes(made.class_map.legend, made.counts),
        }
    )


def _report_many(voice: Voice, made: ManyResult) -> None:
    counted = [(name, one.counts) for name, one in zip(made.names, made.maps, strict=True)]
    _show_counts(voice, made.legend, [*counted, ("in all", made.counts)])
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    first = made.mosaic or made.files[0].parent
    voice.show(f"next: open {first} in QGIS")
    voice.result(
        {
            "mosaic": None if made.mosaic is None else str(made.mosaic),
            "notes": list(made.notes),
            "classes": _classes(made.legend, made.counts),
            "maps": [
                {
                    "scene": name,
                    "map": str(one.files[0]),
                    "features": str(one.features),
                    "classes": _classes(made.legend, one.counts),
                }
                for name, one in zip(made.names, made.maps, strict=True)
            ],
        }
    )


def _show_counts(voice: Voice, legend: Legend, counted: Sequence[tuple[str, Any]]) -> None:
    """Show the cells of each class; of several scenes only classes that they hold."""
    from rich.table import Table

    from terrapatch.cli import words

    several = len(counted) > 1
    table = Table(box=None, pad_edge=False)
    for name in (*(("scene",) if several else ()), "id", "name", "cells", "share"):
        table.add_column(name, justify="left" if name in ("scene", "name") else "right")
    for scene, counts in counted:
        total, first = max(1, int(counts[1:].sum())), True
        for entry in legend:
            cells = int(counts[entry.id])
            if several and not cells:
                continue
            begin = (scene if first else "",) if several else ()
            shown = (str(entry.id), entry.name, f"{cells:,}", words.share(cells / total))
            table.add_row(*begin, *shown)
            first = False
        if several and first:
            table.add_row(scene, "", "no class", "0", "")
    voice.table(table)


def _classes(legend: Legend, counts: Any) -> list[dict[str, Any]]:
    return [{"id": e.id, "name": e.name, "cells": int(counts[e.id])} for e in legend]
