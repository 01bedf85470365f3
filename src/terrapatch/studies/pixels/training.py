"""Training a pixel classifier: judged first, then fitted to all labels, and kept with a report."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.model import PixelModel
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies.class_colours import Colours, legend_of
from terrapatch.studies.pixels.asked import (
    PixelRecipe,
    PixelTask,
    fit_stack,
    held_values,
    open_task,
)
from terrapatch.studies.pixels.evaluating import (
    PixelEvaluation,
    cautions,
    judge,
    seen,
    write_tables,
)
from terrapatch.studies.pixels.protocols import Judging

if TYPE_CHECKING:
    from terrapatch.features.pixels.stack import FeatureStack
    from terrapatch.learn.pixels.base import PixelValues, Progress
    from terrapatch.legend import Legend
    from terrapatch.studies.pixels.asked import CubeSource

WRITERS = "terrapatch pixels train"
TRAINING = Judging(protocols=("random", "blocks", "fields"), seeds=3, share=0.5)
"""How ``train`` judges a recipe unless told otherwise."""


@dataclass(frozen=True, eq=False)
class PixelTrainResult:
    """What ``train`` made.

    Attributes:
        model: The model, trained on all labels.
        evaluation: What its recipe reached on pixels it had not seen; ``None`` if not judged.
        folder: The folder that was written.
        files: Every file in it.
        notes: Sentences a person should know.
    """

    model: PixelModel
    evaluation: PixelEvaluation | None
    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def train(
    cube: CubeSource | PixelTask,
    labels: Any = None,
    out: str | os.PathLike[str] = "model",
    *,
    recipe: PixelRecipe | None = None,
    judging: Judging | None = TRAINING,
    colours: Colours | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    **reading: Any,
) -> PixelTrainResult:
    """Train a classifier of pixels, and write it with its accuracy and a report.

    Args:
        cube: The cube, or cube and labels opened by ``open_task``.
        labels: The labels of its pixels.
        out: Folder to write; ``model.json`` is in it.
        recipe: Features, learner and smoothing; by default what measured best.
        judging: How the recipe is judged on pixels it has not seen; ``None`` not to.
        colours: Colours of the classes, see ``class_colours.legend_of``.
        seed: Seed of the learner; the same seed gives the same bytes.
        overwrite: Whether an older model in the folder gives way.
        progress: Called as ``progress(stage, done, in all)``.
        **reading: How cube and labels are read, see ``open_task``.

    Raises:
        SamplesError: If the labels cannot be read, split or learned from.
        CubeError: If the cube cannot be read.
        FeatureError: If it cannot give a feature.
        LegendError: If a colour is not ``#rrggbb``.
        OutputError: If the folder is not empty or not writable.
    """
    from terrapatch.studies.pixels.recipes import default_recipe

    folder = Path(out)
    refuse_existing(folder, overwrite, WRITERS)
    task = cube if isinstance(cube, PixelTask) else open_task(cube, labels, **reading)
    legend = legend_of(task.labels.classes, colours, task.source)
    chosen = recipe or default_recipe(task)
    stack = fit_stack(task, chosen, progress)
    with held_values(task, stack) as values:
        judged = None
        if judging is not None:
            judged = _judged(task, values, stack, chosen, judging, progress)
        model = _fitted(task, values, stack, chosen, legend, judged, seed, progress)
    notes = cautions(task, stack, seen(stack, chosen))
    return _written(PixelTrainResult(model, judged, folder, (), notes), task, legend)


def _judged(
    task: PixelTask,
    values: PixelValues,
    stack: FeatureStack,
    recipe: PixelRecipe,
    judging: Judging,
    progress: Progress | None,
) -> PixelEvaluation:
    """Judge the recipe; labels too few for that can still train."""
    try:
        return judge(task, values, stack, recipe, judging, progress)
    except SamplesError as fault:
        raise SamplesError(
            f"the recipe cannot be judged: {fault}; or train without judging it (judging=None, "
            "--no-judge)"
        ) from fault


def _fitted(
    task: PixelTask,
    values: PixelValues,
    stack: FeatureStack,
    recipe: PixelRecipe,
    legend: Legend,
    judged: PixelEvaluation | None,
    seed: int,
    progress: Progress | None,
) -> PixelModel:
    """Fit the learner to all labels; where it chooses, polygons stay whole, else blocks do."""
    pixels = task.labels.pixels()
    learner = recipe.make_learner(seed).fit(values, pixels, progress=progress)
    split, metrics = "", {}
    if judged is not None:
        split = " ".join(result.name for result in judged.report.results)
        metrics = {row.pop("protocol"): _metrics(row) for row in judged.report.rows()}
    return PixelModel.of(
        stack,
        learner,
        pixels,
        task.cube,
        legend=legend,
        split=split,
        metrics=metrics,
        smooth=recipe.smoothing,
    )


def _metrics(row: dict[str, Any]) -> dict[str, Any]:
    """Leave times out of what a model keeps: the same seed gives the same bytes."""
    return {key: value for key, value in row.items() if "seconds" not in key}


def _older_files(folder: Path) -> list[str]:
    """Return the files of an older learner in the folder, which give way with it."""
    try:
        told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        names = [str(name) for name in told["model"]["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # none, or none of ours
    return [n for n in names if Path(n).name == n and n.endswith((".skops", ".safetensors"))]


def _written(result: PixelTrainResult, task: PixelTask, legend: Legend) -> PixelTrainResult:
    names = ["classes.csv", "accuracy.csv", "report.html", *_older_files(result.folder)]
    with staging(result.folder) as stage:
        result.model.save(stage)
        made = sorted(f.name for f in stage.iterdir() if f.name not in names)
        names += [name for name in made if name != "model.json"] + ["model.json"]
        if result.evaluation is not None:
            from terrapatch.studies.pixels.reporting import Pictures, report_page

            write_tables(result.evaluation.report, stage)
            pictures = Pictures.of(task, result.evaluation.plan, legend)
            title = f"A pixel classifier of {task.cube.name}"
            report_page(result.evaluation, pictures, title).save(stage / "report.html")
        files = publish(stage, result.folder, names)
    return replace(result, files=files)
