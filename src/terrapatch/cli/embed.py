"""``terrapatch embed``: a scene in, a feature raster out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrapatch.cli import words
from terrapatch.cli.options import (
    GRID,
    NETWORK,
    READING,
    Bands,
    Debug,
    Json,
    Nodata,
    Offline,
    Overwrite,
    Quiet,
    SceneArgument,
    Units,
)
from terrapatch.cli.voice import Voice, speaking

if TYPE_CHECKING:
    from terrapatch.features import Estimate, FeatureRaster


def _grid(name: str, text: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel=GRID)


def _network(name: str, text: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel=NETWORK)


def embed(
    scene: SceneArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Zarr store to write, e.g. features.zarr.")
    ],
    size: Annotated[str, _grid("--size", "Patch size: metres on the ground (60m) or pixels.")],
    stride: Annotated[
        str | None, _grid("--stride", "Cell size; the patch size if left out.")
    ] = None,
    edge: Annotated[
        str, _grid("--edge", "Beyond the scene: reflect, nodata or drop such cells.")
    ] = "reflect",
    bands: Bands = None,
    adapt: Annotated[
        str | None,
        typer.Option(
            "--adapt",
            help="Mix more bands into three: repeat, mean, pca, or the store of another scene.",
            rich_help_panel=READING,
        ),
    ] = None,
    units: Units = None,
    nodata: Nodata = None,
    readers: Annotated[
        int | None,
        typer.Option(
            "--readers",
            help="Threads that read; by a short trial if left out.",
            min=1,
            rich_help_panel=READING,
        ),
    ] = None,
    backbone: Annotated[
        str, _network("--backbone", "Name; see terrapatch backbones list.")
    ] = "efficientnet_lite0",
    weights: Annotated[
        Path | None, _network("--weights", "File of weights to use instead of the registered one.")
    ] = None,
    layers: Annotated[
        str | None, _network("--layers", "Names or module paths with commas, all, or last.")
    ] = None,
    pooling: Annotated[
        str | None, _network("--pooling", "mean, std, max, gem, flatten; several with commas.")
    ] = None,
    l2: Annotated[
        bool | None, _network("--l2/--no-l2", "Bring each layer's numbers to unit length.")
    ] = None,
    input_size: Annotated[
        int | None, _network("--input-size", "Side patches are resized to, in pixels.")
    ] = None,
    average: Annotated[
        str, _network("--average", "d4: the mean over eight turns and flips, for 8x the work.")
    ] = "none",
    mode: Annotated[
        str, _network("--mode", "exact, or dense: overlapping patches share their work.")
    ] = "exact",
    compile: Annotated[  # noqa: A002 (named as in Python)
        str, _network("--compile", "auto (where the work left pays for it), on or off.")
    ] = "auto",
    device: Annotated[str, _network("--device", "auto, cpu, cuda, cuda:1 …")] = "auto",
    precision: Annotated[
        str, _network("--precision", "auto (by a short trial), fp32, bf16 or fp16.")
    ] = "auto",
    batch: Annotated[int | None, _network("--batch", "Patches at once in the network.")] = None,
    dtype: Annotated[str, _network("--dtype", "Stored type: float16 or float32.")] = "float16",
    offline: Offline = False,
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
    """Embed every patch of a scene and store the result as a raster of features.

    A run that was interrupted goes on when the same command is given again.
    """
    options: dict[str, Any] = {
        "size": size,
        "stride": stride,
        "edge": edge,
        "backbone": backbone,
        "weights": weights,
        "layers": layers,
        "pooling": pooling,
        "l2": l2,
        "bands": bands,
        "adapt": adapt,
        "units": units,
        "nodata": nodata,
        "input_size": input_size,
        "mode": mode,
        "average": average,
        "compile": compile,
        "device": device,
        "precision": precision,
        "batch": batch,
        "dtype": dtype,
        "offline": offline,
    }
    with speaking(as_json, quiet, debug) as voice:
        # A missing file is said at once, before the libraries that would use it are loaded.
        from terrapatch.backbones import get_backbone

        get_backbone(backbone).ready(weights, offline=offline, progress=voice.progress)
        if dry_run:
            _dry_run(voice, scene, out, overwrite, options)
            return
        voice.kept = lambda: _kept(out)
        from terrapatch.features import embed as run

        began = time.monotonic()
        made = run(
            scene,
            out,
            **options,
            readers=readers,
            overwrite=overwrite,
            restart=restart,
            progress=voice.progress,
        )
        _report(voice, made, time.monotonic() - began)


def _report(voice: Voice, made: FeatureRaster, seconds: float) -> None:
    rows, cols = made.shape
    n_bytes = sum(f.stat().st_size for f in made.path.rglob("*") if f.is_file())
    voice.outputs([made.path])
    voice.show(
        f"{rows} x {cols} cells of {made.n_features:,} features, {words.size(n_bytes)}, "
        f"in {words.duration(seconds)}\nnext: terrapatch cluster {made.path} -k 12 -o clusters"
    )
    voice.result(
        {
            "path": str(made.path),
            "rows": rows,
            "cols": cols,
            "features": made.n_features,
            "bytes": n_bytes,
            "seconds": round(seconds, 3),
            "fingerprint": made.recipe.fingerprint,
        }
    )


def _dry_run(voice: Voice, scene: str, out: Path, overwrite: bool, options: dict[str, Any]) -> None:
    import shutil

    import psutil

    from terrapatch.features import estimate, prepare

    voice.kept = lambda: "nothing would have been written"
    plan = prepare(scene, out, **options)
    need = estimate(plan)
    place = next(p for p in out.absolute().parents if p.exists())
    memory, disk = psutil.virtual_memory().available, shutil.disk_usage(place).free
    rows, cols = plan.grid.shape
    voice.show(
        words.facts(
            [
                ("cells", f"{need.cells:,} ({rows} x {cols})"),
                ("patches", f"{_about(need)} (cells without a valid pixel are skipped)"),
                ("features", f"{need.features:,} a cell"),
                ("store", f"about {words.size(need.store_bytes)} "
                          f"({words.size(disk)} are free)"),
                ("memory", f"about {words.size(need.memory_bytes)} at most "
                           f"({words.size(memory)} are free)"),
                ("time", f"about {words.duration(need.seconds)}, by short trials; "
                         f"{need.rate:.3g} cells a second"),
                ("dry run", f"nothing was written; {_state(out, overwrite)}"),
            ]
        )
    )  # fmt: skip
    voice.result(
        {
            "dry_run": True,
            "rows": rows,
            "cols": cols,
            "cells": need.cells,
            "patches": need.patches,
            "features": need.features,
            "store_bytes": need.store_bytes,
            "memory_bytes": need.memory_bytes,
            "seconds": need.seconds,
            "cells_per_second": need.rate,
            "free_disk_bytes": disk,
            "free_memory_bytes": memory,
        }
    )


def _about(need: Estimate) -> str:
    return f"{'' if need.patches == need.cells else 'about '}{need.patches:,}"


def _state(out: Path, overwrite: bool) -> str:
    from terrapatch.errors import OutputError
    from terrapatch.features.store import refuse_taken

    try:
        refuse_taken(out, overwrite)
    except OutputError as fault:
        return f"a run would be refused: {fault}"
    kept = _kept_cells(out)
    if kept is not None:
        return f"{out} would be gone on with: {kept[0]:,} of {kept[1]:,} cells are done"
    return f"{out} would be {'replaced' if out.exists() else 'made'}"


def _kept(out: Path) -> str:
    """Say what an interrupted run has kept."""
    part = out.with_name(out.name + ".part")
    cells = _kept_cells(out)
    if cells is None:
        return "nothing is kept, since nothing had been embedded; run the same command again"
    return f"{cells[0]} of {cells[1]} cells are kept in {part}; run the same command again to go on"


def _kept_cells(out: Path) -> tuple[int, int] | None:
    """Return cells done and cells in all of an unfinished store, if there is one."""
    from terrapatch.errors import TerrapatchError
    from terrapatch.features.layout import FINISHED, MARKS, part_of
    from terrapatch.features.store import unfinished_recipe

    try:
        recipe = unfinished_recipe(out)
    except TerrapatchError:
        return None
    if recipe is None:
        return None
    (rows, cols), side = recipe.grid["shape"], recipe.execution["block"]
    if (part_of(out) / FINISHED).exists():
        return rows * cols, rows * cols
    done = 0
    for mark in (part_of(out) / MARKS).glob("*.*"):
        i, j = (int(n) * side for n in mark.name.split("."))
        done += (min(i + side, rows) - i) * (min(j + side, cols) - j)
    return done, rows * cols
