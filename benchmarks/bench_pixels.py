"""The table of pixel-wise mapping: Indian Pines under every protocol, EnMAP Potsdam, Raleigh.

Each row is judged by ``terrapatch.pixels.evaluate`` on seeds 0 to 4. ``random`` and ``fixed``
strew training pixels among tested ones: they are printed for comparison with the literature,
never alone. Needs ``$TERRAPATCH_DATA``. Usage:

    python benchmarks/bench_pixels.py [--seeds 5] [--only indian,potsdam,raleigh] [--speed]

``--speed`` runs ``bench_svm_map.py`` as well (the full-size cube, minutes).
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from terrapatch.learn.pixels.evaluating import ProtocolResult
from terrapatch.studies.pixels.asked import PixelRecipe, PixelTask, open_task
from terrapatch.studies.pixels.evaluating import PixelEvaluation, evaluate
from terrapatch.studies.pixels.protocols import Judging
from terrapatch.studies.pixels.recipes import default_recipe, default_steps

GOALS = {
    "random 10 % (leaky)": "97 / 98.5",
    "fixed 695 / 9,671 (leaky)": "90 / 94",
    "disjoint training fields": "88 / 92",
    "20 x 20 blocks, 5 px buffer": "65 / 70",
    "whole fields": "55 / 62",
}
POTSDAM = "1=roof,2=pavement,3=low vegetation,4=tree,5=soil,6=water"
PLAIN = PixelRecipe(("spectra",))
# No value depends on more than 11 x 11 pixels, so a buffer of 5 keeps training windows clean.
WITHIN = PixelRecipe(
    (
        "mnf:components=15",
        "mean:window=3,of=mnf,components=15",
        "mean:window=5,of=mnf,components=15",
        "mean:window=11,of=mnf,components=15",
        "emp:components=4,radii=1-2,reconstruction=no",
    ),
    "lda",
)


def data() -> Path:
    """Return the folder of the data sets."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("TERRAPATCH_DATA", beside))


def indian_pines(seeds: int) -> None:
    """Judge plain spectra, the two best recipes and one for random splits, five protocols each."""
    file = data() / "indian_pines" / "indian_pines_8bit.npz"
    task = open_task(f"{file}:cube", f"{file}:gt")
    usual = Judging(
        protocols=("random", "fixed", "blocks", "fields"),
        seeds=seeds, buffer=5, n_train=1025,
        train=f"{file}:train_hong", test=f"{file}:test_hong",
    )  # fmt: skip
    disjoint = replace(
        usual, protocols=("fixed",), seeds=1, train=f"{file}:train_disjoint_grss", test=None
    )
    steps = default_steps(task)
    recipes = [("spectra", PLAIN), *((step.name, step.recipe) for step in steps[-2:])]
    # Chosen by folds of single pixels, which is what a random split rewards.
    filling = PixelRecipe(steps[-1].recipe.features, "rbf-svm:folds=stratified", "gaussian:sigma=1")
    more = (("within the buffer", WITHIN), ("filling in between labels", filling))
    for name, recipe in (*recipes, *more):
        begun = time.perf_counter()
        found, apart = judged(task, recipe, usual), judged(task, recipe, disjoint)
        rows = dict(zip(GOALS, (*found.report.results[:2], *apart.report.results,
                                *found.report.results[2:]), strict=True))  # fmt: skip
        head(f"Indian Pines (8 bit), {name}: {recipe}", found)
        for protocol, result in rows.items():
            show(protocol, result, GOALS[protocol])
        told(found.report.sentences() + apart.report.sentences(), found.notes, begun)


def potsdam(seeds: int) -> None:
    """Judge spectra and the default recipe in blocks of an EnMAP scene."""
    folder = data() / "enmap_potsdam"
    task = open_task(folder / "potsdam_images.tif", folder / "potsdam_labels.tif", classes=POTSDAM)
    both = Judging(protocols=("random", "blocks", "fields"), seeds=seeds, share=0.5, buffer=5)
    for name, recipe in (("spectra", PLAIN), ("the default", default_recipe(task))):
        begun = time.perf_counter()
        found = judged(task, recipe, both)
        head(f"EnMAP Potsdam, {name}: {recipe}", found)
        for result in found.report.results:
            goal = "beats spectra / +5" if result.name == "blocks" else ""
            show(result.name, result, goal)
        told(found.report.sentences(), found.notes, begun)


def raleigh(seeds: int) -> None:
    """Judge the default recipe on whole polygons of a Landsat scene."""
    folder = data() / "landsat_raleigh"
    task = open_task(
        folder / "landsat7_2000_6band_float32.tif", folder / "landsat96_polygons.shp",
        column="label", reading={"drop": "6"},
    )  # fmt: skip
    held = Judging(protocols=("random", "fields"), seeds=seeds, share=0.5, folds=3)
    for name, recipe in (("spectra", PLAIN), ("the default", default_recipe(task))):
        begun = time.perf_counter()
        found = judged(task, recipe, held)
        head(f"Landsat Raleigh, {name}: {recipe}", found)
        for result in found.report.results:
            show(result.name, result, "printed" if result.name == "fields" else "")
        told(found.report.sentences(), found.notes, begun)


def judged(task: PixelTask, recipe: PixelRecipe, judging: Judging) -> PixelEvaluation:
    """Judge a recipe without writing anything."""
    return evaluate(task, recipe=recipe, judging=judging)


def head(title: str, found: PixelEvaluation) -> None:
    """Print the title of a table."""
    window = "the whole scene" if found.window is None else f"{found.window} x {found.window} px"
    print(f"\n## {title}\na pixel's class is told by {window}\n")
    print("| protocol | train | test | OA | 95 % | OA of trained classes | AA | kappa | majority "
          "| leakage | floor / goal |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")


def show(name: str, result: ProtocolResult, goal: str) -> None:
    """Print one row."""
    overall, average, kappa = (result.spread(m) for m in ("overall", "average", "kappa"))
    deviation = "" if math.isnan(overall.sd) else f" ± {100 * overall.sd:.1f}"
    print(
        f"| {name} | {result.counts('train'):,.0f} | {result.counts('test'):,.0f} "
        f"| **{100 * overall.mean:.1f}**{deviation} "
        f"| {100 * overall.low:.1f}–{100 * overall.high:.1f} ({overall.over}) "
        f"| {100 * result.trained_overall:.1f} | {100 * average.mean:.1f} "
        f"| {kappa.mean:.3f} | {100 * result.majority:.1f} | {result.flag or 'none'} | {goal} |",
        flush=True,
    )


def told(sentences: list[str], notes: tuple[str, ...], begun: float) -> None:
    """Print what was done, and how long it took."""
    print()
    for sentence in (*sentences, *notes):
        print(f"- {sentence}")
    print(f"- {time.perf_counter() - begun:.0f} s", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="indian,potsdam,raleigh")
    parser.add_argument("--speed", action="store_true", help="run bench_svm_map.py too")
    given = parser.parse_args()
    studies = {"indian": indian_pines, "potsdam": potsdam, "raleigh": raleigh}
    for name in given.only.split(","):
        studies[name](given.seeds)
    if given.speed:
        subprocess.run([sys.executable, Path(__file__).with_name("bench_svm_map.py")], check=True)


if __name__ == "__main__":
    main()
