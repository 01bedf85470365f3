"""Options that say how a cube is read, for every command of ``terrapatch pixels``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

READING = "Reading the cube"

CubeArgument = Annotated[
    str,
    typer.Argument(
        metavar="CUBE",
        help="GeoTIFF, ENVI, LAN, NetCDF, HDF5, .mat, .npy, .npz; file.npz:NAME picks an array.",
    ),
]
Variable = Annotated[
    str | None,
    typer.Option("--variable", help="Name of the array in the file.", rich_help_panel=READING),
]
CubeBands = Annotated[
    str | None,
    typer.Option("--bands", help="Bands to take: names, 1-6.", rich_help_panel=READING),
]
Drop = Annotated[
    str,
    typer.Option(
        "--drop", help="Bands to leave out: 1-5,130-135,900-970nm.", rich_help_panel=READING
    ),
]
KeepBad = Annotated[
    bool,
    typer.Option("--keep-bad", help="Keep bands the file calls bad.", rich_help_panel=READING),
]
KeepVapour = Annotated[
    bool,
    typer.Option(
        "--keep-water-vapour",
        help="Keep narrow bands at 1350-1420 and 1800-1950 nm.",
        rich_help_panel=READING,
    ),
]
Wavelengths = Annotated[
    Path | None,
    typer.Option("--wavelengths", help="File of one nm a band.", rich_help_panel=READING),
]
Scale = Annotated[
    float | None,
    typer.Option(
        "--scale", help="Factor to physical values, if not stated.", rich_help_panel=READING
    ),
]
Axes = Annotated[
    str | None,
    typer.Option("--axes", help="Order of an array's axes: yxb, byx.", rich_help_panel=READING),
]
