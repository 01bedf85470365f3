"""The ladder: the same splits for every step, one table, one page, the random split never alone."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import study_files as files
from study_files import SVM, offline_text
from terrapatch.errors import FeatureError, OutputError, SamplesError
from terrapatch.studies.pixels.asked import PixelRecipe, PixelTask, open_task
from terrapatch.studies.pixels.ladder import Ladder, Step, ladder, read_steps
from terrapatch.studies.pixels.protocols import Judging

STEPS = (
    Step("bands", PixelRecipe(("spectra",), SVM)),
    Step("local means", PixelRecipe(("mean:window=13",), SVM)),
    Step("bands, smoothed", PixelRecipe(("spectra",), SVM, "gaussian:sigma=1")),
    Step("profiles", PixelRecipe(("emp:components=2,radii=1-2",), SVM)),
)
GROUND = Judging(("random", "blocks", "fields"), seeds=2, side=10, buffer=2)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> PixelTask:
    home = files.study_files(tmp_path_factory.mktemp("ladder"), noise=0.2)
    return open_task(home.cube, home.polygons, column="kind")


@pytest.fixture(scope="module")
def climbed(task: PixelTask, tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    out = tmp_path_factory.mktemp("ladders") / "ladder"
    return ladder(task, out=out, steps=STEPS, judging=GROUND)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_steps_are_judged_on_the_same_pixels(climbed: Ladder) -> None:
    first, *others = climbed.evaluations
    for made in others:
        assert made.plan is first.plan
        for one, other in zip(first.report.results, made.report.results, strict=True):
            for a, b in zip(one.evaluated, other.evaluated, strict=True):
                assert np.array_equal(a.predicted > 0, b.predicted > 0)
                assert a.splits is b.splits or all(
                    np.array_equal(x.train, y.train)
                    for x, y in zip(a.splits, b.splits, strict=True)
                )


def test_the_table_begins_with_the_majority_class(climbed: Ladder) -> None:
    head, majority, *steps = climbed.table()
    assert head == ("step", "random", "blocks", "fields", "window")
    assert majority[0] == "majority class"
    assert [row[0] for row in steps] == [step.name for step in STEPS]
    assert [row[-1] for row in steps] == ["1", "13", "9", "scene"]
    bands = climbed.evaluations[0].report
    assert steps[0][3].startswith(f"{100 * bands['fields'].spread('overall').mean:.1f} ± ")
    assert all(float(row[2].split()[0]) > float(majority[2]) for row in steps[:1])


def test_what_leaks_is_said_beside_the_figure(climbed: Ladder) -> None:
    by_name = {row[0]: row for row in climbed.table()}
    assert all(row[1].endswith("(leaky)") for name, row in by_name.items() if name in
               {step.name for step in STEPS})  # fmt: skip
    assert "leaks" not in by_name["bands"][2]
    assert "(leaks " in by_name["local means"][2]  # it sees 6 pixels far, and the buffer has 2


def test_gains_are_the_differences_of_the_steps(climbed: Ladder) -> None:
    head, *rows = climbed.gains()
    assert head == ("step", "random", "blocks", "fields")
    assert [row[0] for row in rows] == [step.name for step in STEPS[1:]]
    first, second = (e.report["fields"].spread("overall").mean for e in climbed.evaluations[:2])
    assert rows[0][3] == f"{100 * (second - first):+.1f}"


def test_one_table_and_one_page(climbed: Ladder) -> None:
    folder = climbed.files[0].parent
    assert [f.name for f in climbed.files] == ["ladder.csv", "classes.csv", "ladder.html"]
    assert {f.name for f in folder.iterdir()} == {f.name for f in climbed.files}
    table = rows_of(folder / "ladder.csv")
    assert [(r["step"], r["protocol"]) for r in table] == [
        (step.name, name) for step in STEPS for name in climbed.protocols
    ]
    assert not [head for head in table[0] if "seconds" in head]
    assert float(table[0]["overall"]) == pytest.approx(
        climbed.evaluations[0].report["random"].spread("overall").mean, abs=1e-6
    )
    assert len(rows_of(folder / "classes.csv")) == len(STEPS) * 3 * len(files.NAMES)
    text = offline_text(folder / "ladder.html")
    assert "What each step buys on cube.tif" in text
    assert "Under fields the first step, bands, reaches" in text
    assert "A random split would claim up to" in text
    assert "random (leaky: it flatters)" in text
    for step in STEPS:
        assert text.count(step.name) >= 5


def test_the_same_seed_gives_the_same_tables(
    climbed: Ladder, task: PixelTask, tmp_path: Path
) -> None:
    (tmp_path / "steps.csv").write_text(
        "name,features,learner,smooth\n"
        + "".join(
            f"{s.name if ',' not in s.name else chr(34) + s.name + chr(34)},"
            f'"{" + ".join(s.recipe.features)}","{SVM}",{s.recipe.smooth}\n'
            for s in STEPS
        ),
        encoding="utf-8",
    )
    assert read_steps(tmp_path / "steps.csv") == STEPS
    again = ladder(task, out=tmp_path / "l", steps=tmp_path / "steps.csv", judging=GROUND)
    for one, other in zip(climbed.files[:2], again.files[:2], strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_buffer_is_five_pixels_unless_given(task: PixelTask) -> None:
    made = ladder(task, steps=STEPS[:1], judging=Judging(("blocks",), seeds=1, share=0.05))
    (protocol,) = made.plan.protocols
    assert {split.buffer for split in protocol.splits.values()} == {5}
    assert made.files == ()


def test_the_usual_steps_end_with_the_recipe_to_begin_with(task: PixelTask) -> None:
    from terrapatch.studies.pixels.recipes import default_recipe, default_steps

    steps = default_steps(task)
    assert steps[0].recipe.features[0].startswith("spectra")
    assert len({step.name for step in steps}) == len(steps)
    assert default_recipe(task) in {step.recipe for step in steps}


def test_a_random_split_never_stands_alone(task: PixelTask, tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match="a random split is never shown alone"):
        ladder(task, out=tmp_path / "l", steps=STEPS, judging=Judging(("random",)))
    assert not (tmp_path / "l").exists()


HEAD = "name,features,learner,smooth\n"


@pytest.mark.parametrize(
    ("text", "fault", "sentence"),
    [
        (HEAD, SamplesError, r"steps\.csv holds no step"),
        ("name,features\na,spectra\n", SamplesError, "there is no column learner or smooth"),
        (
            HEAD + "a,spectra,knn,none\na,snv,knn,none\n",
            SamplesError,
            r"line 3: the step 'a' stands there twice",
        ),
        (HEAD + "a,spectra,,none\n", SamplesError, "line 2: there is nothing under learner"),
        (HEAD + "a,spectrum,knn,none\n", FeatureError, "there is no pixel feature 'spectrum'"),
        (HEAD + "a,spectra,svm,none\n", SamplesError, "there is no learner 'svm'"),
        (HEAD + "a,spectra,knn,blur\n", SamplesError, "there is no smoothing 'blur'"),
    ],
)
def test_steps_that_are_not_understood_are_refused(
    tmp_path: Path, text: str, fault: type[Exception], sentence: str
) -> None:
    (tmp_path / "steps.csv").write_text(text, encoding="utf-8")
    with pytest.raises(fault, match=sentence):
        read_steps(tmp_path / "steps.csv")


def test_older_results_are_kept_unless_they_may_go(climbed: Ladder, task: PixelTask) -> None:
    folder = climbed.files[0].parent
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    with pytest.raises(OutputError, match="exists already and is not empty"):
        ladder(task, out=folder, steps=STEPS[:1], judging=GROUND)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
