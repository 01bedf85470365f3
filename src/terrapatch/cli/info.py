"""``terrapatch info``: what we see in a raster, what we would assume, what we need to be told."""

from __future__ import annotations

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Nodata, Quiet, SceneArgument
from terrapatch.cli.voice import speaking


def info(
    scene: SceneArgument,
    nodata: Nodata = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show a raster: grid, bands, nodata, values, and the command that embeds it."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.look import info as look

        seen = look(scene, nodata=nodata)
        voice.show(words.facts(seen.rows()))
        if seen.command is not None:
            voice.show(f"\n{seen.command}")
        voice.result(seen.as_dict())
