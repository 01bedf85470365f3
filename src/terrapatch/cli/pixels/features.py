"""``terrapatch pixels features``: numbers of every pixel, stored as a feature raster."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli import words
from terrapatch.cli.options import Debug, Json, Nodata, Overwrite, Quiet
from terrapatch.cli.pixels.cube_options import (
    Axes,
    CubeBands,
    Drop,
    KeepBad,
    KeepVapour,
    Scale,
    Variable,
    Wavelengths,
)
from terrapatch.cli.pixels.study_options import reading_of
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features import FeatureRaster


def features(
    cube: Annotated[
        str | None,
        typer.Argument(metavar="CUBE", help="GeoTIFF, ENVI, NetCDF, HDF5, .mat, .npz …"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Zarr store to write, e.g. features.zarr.")
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            "--feature", "-f", help="Such as pca:components=10; again for more. See --list."
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show the features there are, with their defaults.")
    ] = False,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Stored type: float32 or float16.")
    ] = "float32",
    variable: Variable = None,
    bands: CubeBands = None,
    drop: Drop = "",
    keep_bad: KeepBad = False,
    keep_water_vapour: KeepVapour = False,
    wavelengths: Wavelengths = None,
    scale: Scale = None,
    nodata: Nodata = None,
    axes: Axes = None,
    overwrite: Overwrite = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard what an unfinished run has left.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take; write nothing.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compute features of every pixel of a cube and store them as a raster.

    A run that was interrupted goes on when the same command is given again.
    """
    given = dict(locals())
    with speaking(as_json, quiet, debug) as voice:
        if list_:
            _list(voice)
            return
        if cube is None or out is None or not feature:
            missing = "CUBE" if cube is None else "--out" if out is None else "--feature"
            raise typer.BadParameter(f"{missing} is missing; --list shows the features there are")
        from terrapatch.features.pixels.registry import parse_feature
        from terrapatch.features.store import refuse_taken

        asked = [parse_feature(text) for text in feature]
        if not dry_run:
            refuse_taken(out, overwrite)
        from terrapatch.cubes import Cube

        opened = Cube.open(cube, **reading_of(given))
        voice.message(opened.describe())
        if dry_run:
            _dry_run(voice, opened, asked, out, dtype, overwrite)
            return
        from terrapatch.features.pixels.stack import FeatureStack
        from terrapatch.features.pixels.writing import write_features

        began = time.monotonic()
        voice.kept = lambda: _kept(out)
        stack = FeatureStack.fit(asked, opened, progress=voice.progress)
        made = write_features(stack, opened, out, dtype, overwrite, restart, voice.progress)
        _report(voice, made, stack.window, time.monotonic() - began)


def _kept(out: Path) -> str:
    """Say what an interrupted run has kept."""
    from terrapatch.features.layout import is_store, part_of

    part = part_of(out)
    if not is_store(part):
        return "nothing is kept, since nothing had been written; run the same command again"
    return f"the blocks that were done are kept in {part}; run the same command again to go on"


def _report(voice: Voice, made: FeatureRaster, window: int | None, seconds: float) -> None:
    rows, cols = made.shape
    n_bytes = sum(f.stat().st_size for f in made.path.rglob("*") if f.is_file())
    voice.outputs([made.path])
    voice.show(
        f"{rows} x {cols} pixels of {made.n_features:,} features ({_seen(window)}), "
        f"{words.size(n_bytes)}, in {words.duration(seconds)}"
    )
    voice.result(
        {
            "path": str(made.path),
            "rows": rows,
            "cols": cols,
            "features": made.n_features,
            "window": window,
            "names": list(made.names),
            "layers": made.recipe.descriptor["layers"],
            "bytes": n_bytes,
            "seconds": round(seconds, 3),
            "fingerprint": made.recipe.fingerprint,
        }
    )


def _seen(window: int | None) -> str:
    """Say which pixels decide the numbers of one."""
    return "of the whole scene" if window is None else f"window {window} x {window}"


def _dry_run(
    voice: Voice, cube: Cube, asked: list[Any], out: Path, dtype: str, overwrite: bool
) -> None:
    import shutil

    import psutil

    from terrapatch.errors import OutputError
    from terrapatch.features.pixels.costs import try_features
    from terrapatch.features.store import refuse_taken

    voice.kept = lambda: "nothing would have been written"
    need = try_features(asked, cube, dtype)
    place = next(p for p in out.absolute().parents if p.exists())
    memory, disk = psutil.virtual_memory().available, shutil.disk_usage(place).free
    try:
        refuse_taken(out, overwrite)
        state = f"{out} would be {'replaced' if out.exists() else 'made'}"
    except OutputError as fault:
        state = f"a run would be refused: {fault}"
    rows, cols = cube.shape
    voice.show(
        words.facts(
            [
                ("cells", f"{need.cells:,} ({rows} x {cols}), one a pixel"),
                ("features", f"{need.features:,} a pixel, {_seen(need.window)}"),
                ("store", f"about {words.size(need.store_bytes)} ({words.size(disk)} are free)"),
                (
                    "memory",
                    f"about {words.size(need.memory_bytes)} at most "
                    f"({words.size(memory)} are free)",
                ),
                ("time", f"about {words.duration(need.seconds)}, by a short trial"),
                ("dry run", f"nothing was written; {state}"),
            ]
        )
    )
    voice.result(
        {
            "dry_run": True,
            "rows": rows,
            "cols": cols,
            "cells": need.cells,
            "features": need.features,
            "window": need.window,
            "store_bytes": need.store_bytes,
            "memory_bytes": need.memory_bytes,
            "seconds": need.seconds,
            "free_disk_bytes": disk,
            "free_memory_bytes": memory,
        }
    )


def _list(voice: Voice) -> None:
    """Show the kinds of features: defaults, what they are, where they are from."""
    from terrapatch.features.pixels.registry import feature_class, feature_kinds

    rows = []
    for kind in feature_kinds():
        found = feature_class(kind)
        default = found.of({}).text
        rows.append(
            {"kind": kind, "default": default, "what": found.summary, "source": found.source}
        )
    told = [
        (row["kind"], "\n".join(filter(None, (row["what"], row["default"], row["source"]))))
        for row in rows
    ]
    voice.show(words.facts(told))
    voice.result({"features": rows})
