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
