"""The ladder: what each step from plain bands to the best recipe buys, under every protocol."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.evaluating import ProtocolPlan
from terrapatch.studies._csv import read_rows
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.studies.pixels.asked import (
    NO_SMOOTHING,
    PixelRecipe,
    PixelTask,
    fit_stack,
    held_values,
    open_task,
)
from terrapatch.studies.pixels.evaluating import PixelEvaluation, judge
from terrapatch.studies.pixels.protocols import USUAL_BUFFER, Judging

if TYPE_CHECKING:
    from terrapatch.learn.pixels.base import Progress
    from terrapatch.studies.pixels.asked import CubeSource

FILES = ("ladder.csv", "classes.csv", "ladder.html")
WRITERS = "terrapatch pixels ladder"
COLUMNS = ("name", "features", "learner", "smooth")


@dataclass(frozen=True)
class Step:
    """One step of a ladder.

    Attributes:
        name: What it adds, in a few words.
        recipe: The recipe with it.
    """

    name: str
    recipe: PixelRecipe


@dataclass(frozen=True, eq=False)
class Ladder:
    """What each step reached on the same splits.

    Attributes:
        steps: The steps.
        evaluations: What each reached.
        plan: The splits they share.
        task: Cube and labels.
        files: What was written; the report last.
        notes: Sentences a person should know.
    """

    steps: tuple[Step, ...]
    evaluations: tuple[PixelEvaluation, ...]
    plan: ProtocolPlan
    task: PixelTask
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of the protocols."""
        return tuple(protocol.name for protocol in self.plan.protocols)

    def table(self) -> list[tuple[str, ...]]:
        """Return rows for printing, the first of them the heading: accuracy in percent.

        The majority class is the step below all others.
        """
        head = ("step", *self.protocols, "window")
        first = self.evaluations[0].report
        rows = [("majority class", *(f"{100 * r.majority:.1f}" for r in first.results), "")]
        for step, made in zip(self.steps, self.evaluations, strict=True):
            cells = [_cell(result) for result in made.report.results]
            rows.append((step.name, *cells, "scene" if made.window is None else str(made.window)))
        return [head, *rows]

    def gains(self) -> list[tuple[str, ...]]:
        """Return what each step adds to the one before it, in points of overall accuracy."""
        means = np.array(
            [[r.spread("overall").mean for r in e.report.results] for e in self.evaluations]
        )
        rows = [
            (step.name, *(f"{100 * d:+.1f}" for d in gain))
            for step, gain in zip(self.steps[1:], np.diff(means, axis=0), strict=True)
        ]
        return [("step", *self.protocols), *rows]


def ladder(
    cube: CubeSource | PixelTask,
    labels: Any = None,
    out: str | os.PathLike[str] | None = None,
    *,
    steps: Sequence[Step] | str | os.PathLike[str] | None = None,
    judging: Judging | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **reading: Any,
) -> Ladder:
    """Judge recipe after recipe on the same splits, and show what each step buys.

    Args:
        cube: The cube, or cube and labels opened by ``open_task``.
        labels: The labels of its pixels.
        out: Folder to write ``ladder.html``, ``ladder.csv`` and ``classes.csv`` into.
        steps: The steps, or a CSV of them with the columns ``name``, ``features`` (joined by
            `` + ``), ``learner`` and ``smooth``; by default bands, components, local means,
            profiles, a CNN, and the best recipe.
        judging: The protocols; the buffer around blocks is 5 pixels unless it is given, and
            steps that see farther are flagged.
        overwrite: Whether older results give way.
        progress: Called as ``progress(stage, done, in all)``.
        **reading: How cube and labels are read, see ``open_task``.

    Raises:
        SamplesError: If labels or steps cannot be read, or the labels not split.
        CubeError: If the cube cannot be read.
        FeatureError: If it cannot give a feature.
        OutputError: If the folder is not empty or not writable.
    """
    from terrapatch.studies.pixels.recipes import default_steps

    folder = None if out is None else Path(out)
    if folder is not None:
        refuse_existing(folder, overwrite, WRITERS)
    judged = judging or Judging()
    judged = replace(judged, buffer=USUAL_BUFFER) if judged.buffer is None else judged
    given = read_steps(steps) if isinstance(steps, str | os.PathLike) else steps
    task = cube if isinstance(cube, PixelTask) else open_task(cube, labels, **reading)
    chosen = tuple(given or default_steps(task))
    plan = judged.plan(task, None)
    made = tuple(_climbed(task, chosen, judged, plan, progress))
    found = Ladder(chosen, made, plan, task, (), _notes(made))
    return found if folder is None else _written(found, folder)


def _climbed(
    task: PixelTask,
    steps: Sequence[Step],
    judging: Judging,
    plan: ProtocolPlan,
    progress: Progress | None,
) -> Iterable[PixelEvaluation]:
    for number, step in enumerate(steps, start=1):
        told = None if progress is None else _stage(progress, f"{number} of {len(steps)}")
        stack = fit_stack(task, step.recipe, told)
        with held_values(task, stack) as values:
            yield judge(task, values, stack, step.recipe, judging, told, plan)


def _stage(progress: Progress, which: str) -> Progress:
    return lambda stage, done, total: progress(f"step {which}: {stage}", done, total)


def read_steps(path: str | os.PathLike[str]) -> tuple[Step, ...]:
    """Read the steps of a ladder from a CSV.

    Raises:
        SamplesError: If it cannot be read, or holds no step or one name twice.
        FeatureError: If a feature is not understood.
    """
    steps: list[Step] = []
    for place, (name, features, learner, smooth) in read_rows(
        Path(path), COLUMNS, "the table of steps"
    ):
        if name in (step.name for step in steps):
            raise SamplesError(f"{place}: the step {name!r} stands there twice; keep one of them")
        texts = tuple(part.strip() for part in features.split(" + ") if part.strip())
        recipe = PixelRecipe(texts, learner or "rbf-svm", smooth or NO_SMOOTHING)
        steps.append(Step(name, recipe))
    if not steps:
        raise SamplesError(f"{path} holds no step; write one a line: {','.join(COLUMNS)}")
    return tuple(steps)


def _notes(made: Sequence[PixelEvaluation]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for one in made for note in one.notes))


def _cell(result: Any) -> str:
    spread = result.spread("overall")
    text = f"{100 * spread.mean:.1f}"
    text += "" if np.isnan(spread.sd) else f" ± {100 * spread.sd:.1f}"
    return f"{text} ({result.flag})" if result.flag else text


def _written(found: Ladder, folder: Path) -> Ladder:
    from terrapatch.studies.pixels.ladder_report import ladder_page

    with staging(folder) as stage:
        _write_tables(found, stage)
        ladder_page(found).save(stage / "ladder.html")
        files = publish(stage, folder, FILES)
    return replace(found, files=files)


def _write_tables(found: Ladder, folder: Path) -> None:
    """Write a row a step and protocol, and a row a step, protocol and class."""
    rows = [
        {"step": step.name, "features": " + ".join(step.recipe.features),
         "learner": step.recipe.learner, **row}
        for step, made in zip(found.steps, found.evaluations, strict=True)
        for row in made.report.rows()
    ]  # fmt: skip
    heads = [head for head in rows[0] if "seconds" not in head and head != "notes"]
    with (folder / "ladder.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows([[_plain(row[head]) for head in heads] for row in rows])
    with (folder / "classes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        kept = ("train", "test", "recall", "precision", "f1", "untestable", "untrained")
        writer.writerow(("step", "protocol", "class", *kept))
        for step, made in zip(found.steps, found.evaluations, strict=True):
            for result in made.report.results:
                for one in result.classes():
                    cells = (_plain(getattr(one, name)) for name in kept)
                    writer.writerow((step.name, result.name, one.name, *cells))


def _plain(value: Any) -> Any:
    from terrapatch.studies.pixels.evaluating import plain_cell

    return plain_cell(value)
