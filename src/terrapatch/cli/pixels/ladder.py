"""``terrapatch pixels ladder``: what each step buys, under every protocol."""

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
from terrapatch.cli.pixels.showing import show_table
from terrapatch.cli.voice import speaking


def ladder(
    cube: CubeArgument,
    labels: study.Labels,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    steps: Annotated[
        Path | None,
        typer.Option(
            "--steps",
            help="CSV of steps: name, features (joined by ' + '), learner, smooth.",
            show_default="bands, components, means, profiles, CNN, smoothing",
        ),
    ] = None,
    column: study.Column = None,
    layer: study.Layer = None,
    names: study.Names = None,
    rule: study.Rule = "centre",
    protocols_: study.Protocols = None,
    seeds: study.Seeds = 5,
    share: study.Share = 0.1,
    block: study.Side = 20,
    buffer: study.Buffer = 5,
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
    """Judge recipe after recipe on the same splits: bands, profiles, CNN, smoothing."""
    given = dict(locals()) | {"protocols": protocols_}
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.pixels.asked import open_task
        from terrapatch.studies.pixels.ladder import WRITERS, read_steps
        from terrapatch.studies.pixels.ladder import ladder as run
        from terrapatch.studies.pixels.protocols import FOUR

        judging = study.judging_of(given, FOUR)
        study.refuse_early(given, WRITERS)
        chosen = None if steps is None else read_steps(steps)
        task = open_task(cube, **study.labels_of(given))
        voice.message(task.cube.describe())
        voice.message(task.labels.describe())
        made = run(
            task,
            out=out,
            steps=chosen,
            judging=judging,
            overwrite=overwrite,
            progress=voice.progress,
        )
        show_table(voice, made.table())
        show_table(voice, made.gains())
        for note in made.notes:
            voice.message(f"note: {note}")
        voice.outputs(made.files)
        voice.result(
            {
                "steps": [
                    {"name": step.name, "recipe": str(step.recipe), "protocols": one.report.rows()}
                    for step, one in zip(made.steps, made.evaluations, strict=True)
                ],
                "notes": list(made.notes),
            }
        )
