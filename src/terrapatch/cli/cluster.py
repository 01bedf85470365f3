"""``terrapatch cluster``: features in, a map of clusters out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    k: Annotated[int, typer.Option("-k", "--k", help="Number of clusters.")] = 12,
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
        str, typer.Option(help="kmeans, minibatch, or auto by size.", rich_help_panel=_FITTING)
    ] = "auto",
    n_init: Annotated[
        int, typer.Option("--n-init", help="Starts of k-means.", rich_help_panel=_FITTING)
    ] = 10,
    model: Annotated[
        Path | None,
        typer.Option(help="Apply this model (or folder of clusters); -k and --seed do not count."),
    ] = None,
    scene: Annotated[
        str | None, typer.Option(help="Scene to show under the clusters in the picture.")
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons/--no-polygons", help="Write clusters as polygons too.")
    ] = True,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Cluster the cells of a feature raster: maps for QGIS, a table, a model, a picture."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.settlements import cluster as run

        options: dict[str, Any] = {"algorithm": algorithm}
        made = run(
            features,
            out,
            k,
            seed=seed,
            scaling=scaling,
            n_init=n_init,
            model=model,
            scene=scene,
            polygons=polygons,
            overwrite=overwrite,
            progress=voice.progress,
            **options,
        )
        _report(voice, made)


def _report(voice: Voice, made: ClusterResult) -> None:
    _show_table(voice, made)
    for note in made.notes:
        voice.message(f"note: {note}")
    voice.outputs(made.files)
    voice.show(f"next: open {made.files[0]} in QGIS")
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
