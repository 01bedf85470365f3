"""Options that several commands share; their names are those of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GENERAL = "General"
GRID = "Patches"
READING = "Reading the scene"
NETWORK = "Backbone"

Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Write one JSON object a line for machines.", rich_help_panel=GENERAL
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=GENERAL),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=GENERAL),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an output that exists already."),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Open no socket; TERRAPATCH_OFFLINE=1 does the same."),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
SceneArgument = Annotated[
    str,
    typer.Argument(metavar="SCENE", help="Any raster GDAL reads: file, COG, VRT, URL."),
]
FeaturesArgument = Annotated[
    Path,
    typer.Argument(metavar="FEATURES", help="A store made by terrapatch embed."),
]
Bands = Annotated[
    str | None,
    typer.Option("--bands", help="Names, numbers from 1, or rgb.", rich_help_panel=READING),
]
Units = Annotated[
    str | None,
    typer.Option(
        "--units",
        help="LOW:HIGH, percentile:2,98, reflectance[:N] or uint8.",
        rich_help_panel=READING,
    ),
]
Nodata = Annotated[
    float | None,
    typer.Option("--nodata", help="Value without data, if not stated.", rich_help_panel=READING),
]


def _network(name: str, text: str, shown: str | None = None) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        name, help=text, rich_help_panel=NETWORK, show_default=shown or True
    )
    return option


Backbone = Annotated[str, _network("--backbone", "Name in terrapatch backbones list.")]
Layers = Annotated[str | None, _network("--layers", "Layers to tap, with commas; all or last.")]
Pooling = Annotated[str | None, _network("--pooling", "mean, std, max, gem; with commas.")]
InputSize = Annotated[
    int | None, _network("--input-size", "Side patches are resized to, in pixels.")
]
Average = Annotated[
    str, _network("--average", "d4: the mean over eight turns and flips, for 8x the work.")
]
Device = Annotated[str, _network("--device", "auto, cpu, cuda, cuda:1 …")]
Precision = Annotated[str, _network("--precision", "auto (by a short trial), fp32, bf16 or fp16.")]
