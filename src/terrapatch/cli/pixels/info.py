"""``terrapatch pixels info``: what a cube holds, which bands are kept and which are not."""

from __future__ import annotations

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Nodata, Quiet
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
from terrapatch.cli.voice import speaking


def info(
    cube: CubeArgument,
    variable: Variable = None,
    bands: CubeBands = None,
    drop: Drop = "",
    keep_bad: KeepBad = False,
    keep_water_vapour: KeepVapour = False,
    wavelengths: Wavelengths = None,
    scale: Scale = None,
    nodata: Nodata = None,
    axes: Axes = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show a cube: size, place, bands and wavelengths kept, bands dropped and why."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.cubes import Cube
        from terrapatch.cubes.describing import as_data, facts

        seen = Cube.open(
            cube,
            variable=variable,
            bands=bands,
            drop=drop,
            keep_bad=keep_bad,
            water_vapour=not keep_water_vapour,
            wavelengths=wavelengths,
            scale=scale,
            nodata=nodata,
            axes=axes,
        )
        voice.show(words.facts(facts(seen)))
        voice.result(as_data(seen))
