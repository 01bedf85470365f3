"""What a recipe is worth: several protocols side by side, the random one never alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.learn.pixels.evaluating import (
    ProtocolPlan,
    ProtocolReport,
    evaluate_protocols,
)
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies.pixels.asked import (
    PixelRecipe,
    PixelTask,
    fit_stack,
    held_values,
    open_task,
)
from terrapatch.studies.pixels.protocols import Judging

if TYPE_CHECKING:
    from terrapatch.features.pixels.stack import FeatureStack
    from terrapatch.learn.pixels.base import PixelValues, Progress
    from terrapatch.studies.pixels.asked import CubeSource
    from terrapatch.studies.pixels.reporting import Pictures

FILES = ("classes.csv", "accuracy.csv", "report.html")
WRITERS = "terrapatch pixels evaluate"


@dataclass(frozen=True, eq=False)
class PixelEvaluation:
    """What a recipe reached.

    Attributes:
        recipe: The recipe.
        report: The protocols side by side.
        plan: The splits.
        task: Cube and labels.
        window: Side of the square that decides a pixel's class; ``None`` for the scene.
        files: What was written; the report last.
        notes: Sentences a person should know.
    """

    recipe: PixelRecipe
    report: ProtocolReport
    plan: ProtocolPlan
    task: PixelTask
    window: int | None
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def evaluate(
    cube: CubeSource | PixelTask,
    labels: Any = None,
    out: str | os.PathLike[str] | None = None,
    *,
    recipe: PixelRecipe | None = None,
    judging: Judging | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **reading: Any,
) -> PixelEvaluation:
    """Judge a recipe under several protocols, and write tables and a report.

    Args:
        cube: The cube, or cube and labels opened by ``open_task``.
        labels: The labels of its pixels.
        out: Folder to write ``report.html``, ``accuracy.csv`` and ``classes.csv`` into.
        recipe: Features, learner and smoothing; by default what measured best.
        judging: The protocols.
        overwrite: Whether an older report gives way.
        progress: Called as ``progress(stage, done, in all)``.
        **reading: How cube and labels are read, see ``open_task``.

    Raises:
        SamplesError: If the labels cannot be read or split.
        CubeError: If the cube cannot be read.
        FeatureError: If it cannot give a feature.
        OutputError: If the folder is not empty or not writable.
    """
    from terrapatch.studies.pixels.recipes import default_recipe

    folder = None if out is None else Path(out)
    if folder is not None:
        refuse_existing(folder, overwrite, WRITERS)
    judged = judging or Judging()
    task = cube if isinstance(cube, PixelTask) else open_task(cube, labels, **reading)
    chosen = recipe or default_recipe(task)
    stack = fit_stack(task, chosen, progress)
    with held_values(task, stack) as values:
        made = judge(task, values, stack, chosen, judged, progress)
    if folder is None:
        return made
    return _written(made, folder)


def judge(
    task: PixelTask,
    values: PixelValues,
    stack: FeatureStack,
    recipe: PixelRecipe,
    judging: Judging,
    progress: Progress | None = None,
    plan: ProtocolPlan | None = None,
) -> PixelEvaluation:
    """Judge a recipe on features that are there already.

    Args:
        task: Cube and labels.
        values: The features.
        stack: What they were made by.
        recipe: The recipe.
        judging: The protocols.
        progress: Called as ``progress(stage, done, in all)``.
        plan: Splits made before, to compare recipes on the same ones.
    """
    window = seen(stack, recipe)
    planned = plan or judging.plan(task, window)
    report = evaluate_protocols(
        planned,
        values,
        recipe.make_learner,
        window=stack.window,
        mode=judging.guard,
        smooth=recipe.smoothing,
        progress=progress,
    )
    return PixelEvaluation(recipe, report, planned, task, window, (), cautions(task, stack, window))


def seen(stack: FeatureStack, recipe: PixelRecipe) -> int | None:
    """Return the side of the square that decides a pixel's class under a recipe."""
    from terrapatch.learn.pixels.leakage import combined_window
    from terrapatch.learn.pixels.smoothers import parse_smoothing

    own = recipe.make_learner(0).window
    smoother = parse_smoothing(recipe.smooth)
    around = 1 if smoother is None else 2 * smoother.halo + 1
    return combined_window(stack.window, own, around)


def cautions(task: PixelTask, stack: FeatureStack, window: int | None) -> tuple[str, ...]:
    """Say what a reader of the figures has to know about features and place."""
    from terrapatch.features.pixels.registry import parse_feature

    told = [*task.labels.notes]
    if any(parse_feature(text).learns for text in stack.texts):
        told.append(
            "features were learned from all pixels of the scene, without labels (transductive): "
            "figures hold for maps of this scene"
        )
    if window is None:
        told.append(
            "a feature sees the whole scene, so no buffer keeps tested pixels out of training "
            "windows; figures of blocks and fields are flagged"
        )
    if not task.cube.georeferenced:
        told.append(f"{task.cube.name} has no georeference; maps of it will have none")
    return tuple(told)


def _written(made: PixelEvaluation, folder: Path) -> PixelEvaluation:
    from terrapatch.studies.pixels.reporting import report_page

    with staging(folder) as stage:
        write_tables(made.report, stage)
        report_page(made, pictures_of(made)).save(stage / "report.html")
        files = publish(stage, folder, FILES)
    return PixelEvaluation(
        made.recipe, made.report, made.plan, made.task, made.window, files, made.notes
    )


def write_tables(report: ProtocolReport, folder: Path) -> None:
    """Write ``accuracy.csv`` (a row a protocol) and ``classes.csv`` (a row a class of each)."""
    import csv

    rows = report.rows()
    with (folder / "accuracy.csv").open("w", newline="", encoding="utf-8") as file:
        heads = [h for h in rows[0] if "seconds" not in h]
        writer = csv.DictWriter(file, heads, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({h: plain_cell(row[h]) for h in heads})
    with (folder / "classes.csv").open("w", newline="", encoding="utf-8") as file:
        columns = ("protocol", "class", "train", "test", "recall", "precision", "f1", "untestable",
                 "untrained")  # fmt: skip
        plain = csv.writer(file, lineterminator="\n")
        plain.writerow(columns)
        for result in report.results:
            for one in result.classes():
                plain.writerow(
                    [result.name, one.name, *(plain_cell(getattr(one, h)) for h in columns[2:])]
                )


def plain_cell(value: Any) -> Any:
    """Return a value as a cell of a CSV: what is not known is empty, a list is joined."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(map(str, value))
    return value


def pictures_of(made: PixelEvaluation) -> Pictures:
    """Return what the report shows of the scene."""
    from terrapatch.studies.pixels.reporting import Pictures

    return Pictures.of(made.task, made.plan)
