"""The report of a judged recipe: protocols side by side, classes, splits as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.cubes.describing import sentences
from terrapatch.legend import Legend
from terrapatch.studies.figures import bars_with_intervals, confusion_figure
from terrapatch.studies.page import GalleryItem, Page

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.learn.pixels.evaluating import ProtocolPlan, ProtocolReport, ProtocolResult
    from terrapatch.learn.pixels.splits import PixelSplit
    from terrapatch.studies.pixels.asked import PixelTask
    from terrapatch.studies.pixels.evaluating import PixelEvaluation

Rgb = NDArray[np.uint8]

LONGEST = 480
"""Longest side of a picture of the scene, pixels."""
_TRAIN, _TEST, _DROPPED, _NONE = (0, 95, 150), (216, 130, 60), (150, 150, 150), (244, 244, 244)


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a report shows of a scene.

    Attributes:
        items: Pictures with captions, for ``Page.gallery``.
    """

    items: tuple[GalleryItem, ...]

    @classmethod
    def of(cls, task: PixelTask, plan: ProtocolPlan, legend: Legend | None = None) -> Pictures:
        """Draw the scene, its labels, and the split of each protocol's first seed."""
        legend = legend or Legend.of(task.labels.classes)
        items: list[GalleryItem] = [
            (false_colour(task.cube), "the scene in three bands", "plain"),
            (coloured(task.labels.ids, legend), "the labels", "plain"),
        ]
        for protocol in plan.protocols:
            seed, split = next(iter(protocol.splits.items()))
            one = split[0] if isinstance(split, Sequence) else split
            told = f"{protocol.name}, seed {seed}: blue trains, orange is tested, grey is left out"
            items.append((split_picture(one), told, "plain"))
        return cls(tuple(items))


def report_page(made: PixelEvaluation, pictures: Pictures, title: str = "") -> Page:
    """Put what a recipe reached onto one page.

    Args:
        made: What was found.
        pictures: What is shown of the scene.
        title: Title of the page.
    """
    page = Page(title or f"What a pixel classifier of {made.task.cube.name} is worth", lead(made))
    for note in made.notes:
        page.note(note)
    protocols_section(page, made.report)
    page.section("Class by class")
    head, *rows = made.report.class_table()
    page.table(list(head), rows, "Recall of each class under each protocol, in percent")
    honest = honest_result(made.report)
    accuracy = honest.evaluated[0].accuracy
    page.figure(
        confusion_figure(accuracy.confusion, list(accuracy.classes)),
        "Confusion matrix, true classes down, predicted classes across",
        f"Which class was taken for which under {honest.name}, seed {honest.evaluated[0].seed}.",
    )
    page.section("The scene and the splits")
    page.gallery(pictures.items, "The scene, its labels and what trained", side=LONGEST)
    page.section("How it was judged")
    for sentence in (*sentences(made.task.cube), *made.report.sentences()):
        page.text(sentence)
    page.recipe(recipe_facts(made))
    return page


def lead(made: PixelEvaluation) -> str:
    """Say in one paragraph what was found, the honest figure first."""
    honest = honest_result(made.report)
    spread = honest.spread("overall")
    text = f"Under {honest.name}, {100 * spread.mean:.1f} % of the tested pixels are right"
    if np.isfinite(spread.low):
        over = "seeds" if spread.over == "seeds" else "fields and blocks"
        low, high = 100 * max(spread.low, 0.0), 100 * min(spread.high, 1.0)
        text += f" (95 % interval over {over} {low:.1f}–{high:.1f})"
    text += f"; always naming the largest class gives {100 * honest.majority:.1f} %."
    text += caveat(honest)
    random = [result for result in made.report.results if result.leaky]
    if random:
        flattering = random[0].spread("overall").mean
        text += f" A split of neighbouring pixels would claim {100 * flattering:.1f} %."
    return text


def caveat(result: ProtocolResult) -> str:
    """Say in a sentence what flatters a figure of a split by ground; nothing where none does."""
    told = []
    if result.inside:
        told.append(f"up to {_percent(result.inside)} of the tested pixels lie in training windows")
    if result.mixed:
        told.append(f"up to {_percent(result.mixed)} are smoothed with training pixels")
    return f" This may flatter: {', and '.join(told)}." if told else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.005 else "1 %"


def honest_result(report: ProtocolReport) -> ProtocolResult:
    """Return the protocol that figures of new ground come from: the last that is not leaky.

    Features that see farther than its buffer still flatter it, see ``caveat``.
    """
    return [result for result in report.results if not result.leaky][-1]


def protocols_section(page: Page, report: ProtocolReport) -> None:
    """Add the protocols side by side, as a table and as bars."""
    page.section("Protocols side by side")
    head, *rows = report.table()
    page.table(list(head), rows, "Accuracy under each protocol, in percent; mean over seeds")
    spreads = [result.spread("overall") for result in report.results]
    values, lows, highs = (
        100 * np.clip(np.array([getattr(s, k) for s in spreads], np.float64), 0.0, 1.0)
        for k in ("mean", "low", "high")
    )
    names = [r.name if not r.flag else f"{r.name} ({r.flag})" for r in report.results]
    page.figure(
        bars_with_intervals(names, values, lows, highs, "overall accuracy, %"),
        "Bars of the overall accuracy under each protocol",
        "The same recipe, asked in different ways. A leaky split tests what was trained on.",
    )


def recipe_facts(made: PixelEvaluation) -> dict[str, Any]:
    """Return the recipe and what was chosen, as JSON values."""
    return {
        "cube": made.task.cube.as_dict(),
        "features": list(made.recipe.features),
        "learner": made.recipe.learner,
        "smoothing": made.recipe.smooth,
        "window": made.window,
        "learners": {
            result.name: [list(e.learners) for e in result.evaluated[:1]]
            for result in made.report.results
        },
    }


def false_colour(cube: Cube, longest: int = LONGEST) -> Rgb:
    """Return a thinned picture of three bands, stretched over the middle 96 % of each.

    Args:
        cube: The cube.
        longest: Longest side in pixels.

    Returns:
        ``(rows, cols, 3)`` uint8, white where there is no data.
    """
    rows, cols = cube.shape
    step = max(1, -(-max(rows, cols) // longest))
    bands = shown_bands(cube)
    lines = []
    with cube.reader() as reader:
        for row in range(0, rows, step):
            block = reader.read(slice(row, row + 1), slice(0, cols))
            lines.append(block.values[:, ::step][..., bands])
    values = np.concatenate(lines)
    out = np.full(values.shape, 255, np.uint8)
    good = np.isfinite(values).all(axis=2)
    for i in range(values.shape[2]):
        low, high = np.percentile(values[..., i][good], (2, 98)) if good.any() else (0.0, 1.0)
        part = (values[..., i][good] - low) / max(high - low, 1e-12)
        out[..., i][good] = np.rint(255 * np.clip(part, 0.0, 1.0))
    return out


def shown_bands(cube: Cube) -> list[int]:
    """Return three bands for a picture: near infrared, red and green, or far apart."""
    waves = cube.wavelengths
    if waves is not None and waves.min() < 600 and waves.max() > 800:
        return [int(np.argmin(np.abs(waves - nm))) for nm in (850.0, 660.0, 560.0)]
    roles = list(cube.roles)
    if {"nir", "red", "green"} <= set(roles):
        return [roles.index(name) for name in ("nir", "red", "green")]
    last = cube.n_bands - 1
    return [last, last // 2, 0]


def coloured(ids: NDArray[Any], legend: Legend, longest: int = LONGEST) -> Rgb:
    """Return a thinned picture of class ids in the legend's colours, pale where there is none."""
    table = np.array([_NONE, *(entry.rgb for entry in legend)], np.uint8)
    return np.asarray(table[_thinned(ids, longest)], np.uint8)


def split_picture(split: PixelSplit, longest: int = LONGEST) -> Rgb:
    """Return a picture of what trains, what is tested, and what is neither."""
    parts = np.zeros(split.train.shape, np.uint8)
    parts[split.train], parts[split.test], parts[split.dropped] = 1, 2, 3
    table = np.array([_NONE, _TRAIN, _TEST, _DROPPED], np.uint8)
    return np.asarray(table[_thinned(parts, longest)], np.uint8)


def _thinned(ids: NDArray[Any], longest: int) -> NDArray[Any]:
    step = max(1, -(-max(ids.shape) // longest))
    return np.ascontiguousarray(ids[::step, ::step])
