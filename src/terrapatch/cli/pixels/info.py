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
from terrapatch.cli.pixels.study_options import reading_of
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
    given = dict(locals())
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.cubes import Cube
        from terrapatch.cubes.describing import as_data, facts

        seen = Cube.open(cube, **reading_of(given))
        voice.show(words.facts(facts(seen)))
        voice.result(as_data(seen))
