"""``terrapatch pixels train``: labelled pixels in, a classifier and its worth out."""

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


def train(
    cube: CubeArgument,
    labels: study.Labels,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the model into.")],
    column: study.Column = None,
    layer: study.Layer = None,
    names: study.Names = None,
    rule: study.Rule = "centre",
    feature: study.Features = None,
    learner: study.Learner = None,
    smooth: study.Smooth = None,
    colours: Annotated[
        Path | None,
        typer.Option("--colours", help="Colours: a CSV (class, colour), or a class map."),
    ] = None,
    judge: Annotated[
        bool, typer.Option("--judge/--no-judge", help="Judge the recipe on pixels it has not seen.")
    ] = True,
    protocols_: study.Protocols = None,
    seeds: study.Seeds = 3,
    share: study.Share = 0.5,
    block: study.Side = 20,
    buffer: study.Buffer = None,
    field_buffer: study.FieldBuffer = 0,
    n_train: study.NTrain = None,
    folds: study.Folds = None,
    train_: study.Train = None,
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
    """Train a classifier of pixels: a model, its accuracy, a report.

    The recipe is judged first, on blocks and fields that it has not seen, with a random split
    beside them that shows how much such a split flatters; then it learns from all labels.
    """
    given = dict(locals()) | {"protocols": protocols_, "train": train_}
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.studies.pixels.asked import open_task
        from terrapatch.studies.pixels.recipes import default_recipe
        from terrapatch.studies.pixels.training import TRAINING, WRITERS
        from terrapatch.studies.pixels.training import train as run

        judging = study.judging_of(given, (*TRAINING.protocols, *(["fixed"] if train_ else [])))
        study.refuse_early(given, WRITERS)
        task = open_task(cube, **study.labels_of(given))
        voice.message(task.cube.describe())
        voice.message(task.labels.describe())
        made = run(
            task,
            out=out,
            recipe=study.recipe_of(given, default_recipe(task)),
            judging=judging if judge else None,
            colours=colours,
            seed=seed,
            overwrite=overwrite,
            progress=voice.progress,
        )
        if made.evaluation is not None:
            protocols(voice, made.evaluation)
        for note in made.notes:
            if note not in task.labels.notes:  # those were said with the labels
                voice.message(f"note: {note}")
        voice.outputs(made.files)
        voice.show(f"next: terrapatch pixels classify CUBE --model {made.folder} -o map.tif")
        voice.result(
            {
                "folder": str(made.folder),
                "classes": list(made.model.classes),
                "protocols": [] if made.evaluation is None else made.evaluation.report.rows(),
                "notes": list(made.notes),
            }
        )
