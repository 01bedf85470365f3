"""``terrapatch pixels evaluate``: what a recipe is worth, under protocols side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terrapatch.cli.options import Debug, Json, Nodata, Overwrite, Quiet, Seed
from terrapatch.cli.pixels import study_options as study
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
from terrapatch.cli.pixels.showing import protocols
from terrapatch.cli.voice import speaking


def evaluate(
    cube: CubeArgument,
    labels: study.Labels,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write tables and report into.")
    ] = None,
    column: study.Column = None,
    layer: study.Layer = None,
    names: study.Names = None,
    rule: study.Rule = "centre",
    feature: study.Features = None,
    learner: study.Learner = None,
    smooth: study.Smooth = None,
    protocols_: study.Protocols = None,
    seeds: study.Seeds = 5,
    share: study.Share = 0.1,
    block: study.Side = 20,
    buffer: study.Buffer = None,
    field_buffer: study.FieldBuffer = 0,
    n_train: study.NTrain = None,
    folds: study.Folds = None,
    train: study.Train = None,
    test: study.Test = None,
    regions: study.Regions = None,
    guard: study.Guard = "flag",
    variable: Variable = None,
    bands: CubeBands = None,
    drop: Drop = "",
    keep_bad: KeepBad = False,
    keep_water_vapour: KeepVapour = False,
    wavelengths: Wavelengths = None,
    scale: Scale = None,
    nodata: Nodata = None,
    axes: Axes = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Judge a recipe on pixels it has not seen: random, published, blocks, whole fields.

    A random split of neighbouring pixels flatters, so it never stands alone.
    """
    given = dict(locals()) | {"protocols": protocols_}
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.pixels.asked import open_task
        from terrapatch.studies.pixels.evaluating import WRITERS
        from terrapatch.studies.pixels.evaluating import evaluate as run
        from terrapatch.studies.pixels.protocols import FOUR
        from terrapatch.studies.pixels.recipes import default_recipe

        judging = study.judging_of(given, FOUR)
        study.refuse_early(given, WRITERS)
        task = open_task(cube, **study.labels_of(given))
        voice.message(task.cube.describe())
        voice.message(task.labels.describe())
        made = run(
            task,
            out=out,
            recipe=study.recipe_of(given, default_recipe(task)),
            judging=judging,
            overwrite=overwrite,
            progress=voice.progress,
        )
        protocols(voice, made)
        for note in made.notes:
            voice.message(f"note: {note}")
        if made.files:
            voice.outputs(made.files)
        voice.result(
            {
                "recipe": str(made.recipe),
                "window": made.window,
                "protocols": made.report.rows(),
                "notes": [*made.notes, *made.report.notes],
            }
        )
