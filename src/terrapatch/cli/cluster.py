"""``terrapatch cluster``: features in, a map of clusters out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, FeaturesArgument, Json, Overwrite, Quiet, Seed
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.studies.settlements import ClusterResult

_FITTING = "Fitting"


def cluster(
    features: FeaturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    k: Annotated[
        str,
        typer.Option("-k", "--k", metavar="N|auto", help="Number of clusters, or auto."),
    ] = "12",
    seed: Seed = 0,
    scaling: Annotated[
        str | None,
        typer.Option(
            help="How features are scaled, e.g. standardise-l2 or pca64-half.",
            rich_help_panel=_FITTING,
            show_default="what measured best",
        ),
    ] = None,
    algorithm: Annotated[
        str,
        typer.Option(
            help="consensus of many runs; or one run: kmeans, minibatch, or auto by size.",
            rich_help_panel=_FITTING,
        ),
    ] = "consensus",
    n_init: Annotated[
        int, typer.Option("--n-init", help="Starts of that one run.", rich_help_panel=_FITTING)
    ] = 10,
    model: Annotated[
        Path | None,
        typer.Option(help="Apply this model (or folder of clusters); -k and --seed do not count."),
    ] = None,
    within: Annotated[
        Path | None,
        typer.Option(help="Folder of clusters, one of which (--id) is clustered again."),
    ] = None,
    id: Annotated[int | None, typer.Option("--id", help="The cluster to look into.")] = None,
    scene: Annotated[
        str | None, typer.Option(help="Scene to show under the clusters in the picture.")
    ] = None,
    names_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an earlier result whose names are taken over.",
            show_default="the clusters that are replaced",
        ),
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write clusters as polygons too.")
    ] = True,
    report: Annotated[
        bool | None,
        typer.Option(
            "--report/--no-report",
            help="Write report, contact sheet and exemplars, as terrapatch look does.",
            show_default="where the scene is known",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Cluster the cells of a feature raster: maps for QGIS, a table, a model, a picture.

    Names given with terrapatch name are taken over to the clusters that lie in the same cells.
    """
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.settlements import cluster as run

        options: dict[str, Any] = {"algorithm": algorithm}
        made = run(
            features,
            out,
            _number(k),
            seed=seed,
            scaling=scaling,
            n_init=n_init,
            model=model,
            within=within,
            id=id,
            scene=scene,
            names_from=names_from,
            polygons=polygons,
            report=report,
            overwrite=overwrite,
            progress=voice.progress,
            **options,
        )
        _report(voice, made)


def _number(text: str) -> int | Literal["auto"]:
    """Read the number of clusters."""
    word = text.strip().lower()
    if word == "auto":
        return "auto"
    try:
        return int(word)
    except ValueError:
        from terrapatch.errors import ClusterError

        raise ClusterError(
            f"-k is {text!r}, which is no whole number; give one such as 12, or auto"
        ) from None


def _report(voice: Voice, made: ClusterResult) -> None:
    _show_table(voice, made)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    page = next((file for file in made.files if file.name == "report.html"), None)
    seen = f"{page} in a browser and {made.files[0]}" if page else str(made.files[0])
    voice.show(f"next: open {seen} in QGIS, then name clusters: terrapatch name --help")
    voice.result(
        {
            "folder": str(made.folder),
            "k": made.clusters.n_clusters,
            "clusters": [
                {
                    "id": row.id,
                    "name": row.name,
                    "colour": row.colour,
                    "cells": row.cells,
                    "share": row.share,
                    "hectares": row.hectares,
                }
                for row in made.table
            ],
            "notes": list(made.notes),
        }
    )


def _show_table(voice: Voice, made: ClusterResult) -> None:
    from rich.table import Table
    from rich.text import Text

    areas = any(row.hectares is not None for row in made.table)
    table = Table(box=None, pad_edge=False)
    table.add_column("id", justify="right")
    table.add_column("colour")
    table.add_column("name")
    table.add_column("cells", justify="right")
    table.add_column("share", justify="right")
    if areas:
        table.add_column("hectares", justify="right")
    for row in made.table:
        swatch = Text.assemble(("  ", f"on {row.colour}"), f" {row.colour}")
        area = () if row.hectares is None else (f"{row.hectares:,.1f}",)
        share = words.share(row.share)
        table.add_row(str(row.id), swatch, Text(row.name), f"{row.cells:,}", share, *area)
    voice.table(table)
