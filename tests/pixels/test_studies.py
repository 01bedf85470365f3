"""Studies of pixels through Python: judged, trained, mapped, and the same again byte for byte."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

import study_files as files
from study_files import SVM, StudyFiles, offline_text
from terrapatch.cubes import Cube
from terrapatch.errors import OutputError, SamplesError
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.pixels.writing import write_features
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.learn.pixels.model import PixelModel
from terrapatch.studies.pixels.asked import PixelRecipe, PixelTask, open_task
from terrapatch.studies.pixels.classifying import classify
from terrapatch.studies.pixels.evaluating import PixelEvaluation, evaluate
from terrapatch.studies.pixels.protocols import Judging
from terrapatch.studies.pixels.reporting import lead
from terrapatch.studies.pixels.training import PixelTrainResult, train

PLAIN = PixelRecipe(("spectra",), SVM)
SMOOTHED = PixelRecipe(("spectra",), SVM, "gaussian:sigma=1")
GROUND = Judging(("random", "blocks", "fields"), seeds=2, side=10, buffer=1)
CODE = re.compile(rb"pickle|joblib|\.pkl", re.IGNORECASE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> StudyFiles:
    return files.study_files(tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module")
def task(home: StudyFiles) -> PixelTask:
    """Labels of polygons inside the fields, so that classes have fields of their own."""
    return open_task(home.cube, home.polygons, column="kind")


@pytest.fixture(scope="module")
def judged(task: PixelTask, home: StudyFiles) -> PixelEvaluation:
    return evaluate(task, out=home.folder / "report", recipe=PLAIN, judging=GROUND)


@pytest.fixture(scope="module")
def trained(task: PixelTask, home: StudyFiles) -> PixelTrainResult:
    return train(task, out=home.folder / "model", recipe=SMOOTHED, judging=GROUND)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as src:
        return np.asarray(src.read(1))


# --- judging --------------------------------------------------------------------------------


def test_protocols_stand_side_by_side(judged: PixelEvaluation, task: PixelTask) -> None:
    by_name = {row["protocol"]: row for row in judged.report.rows()}
    assert list(by_name) == ["random", "blocks", "fields"]
    n = len(task.labels)
    assert n == 60 * 50 * 64 // 100 - 5 * 7
    assert by_name["random"]["flag"] == "leaky"
    assert by_name["random"]["train_pixels"] == round(0.1 * n)
    assert by_name["random"]["test_pixels"] == n - round(0.1 * n)
    for name in ("blocks", "fields"):
        assert by_name[name]["flag"] == ""
        assert by_name[name]["train_pixels"] == round(0.1 * n)  # as many as random has
        assert by_name[name]["overall"] > 0.9
    share = max(task.labels.counts.values()) / n
    assert by_name["fields"]["majority"] == pytest.approx(share, abs=0.15)


def test_tables_hold_what_the_report_says(judged: PixelEvaluation, home: StudyFiles) -> None:
    folder = home.folder / "report"
    assert judged.files == tuple(folder / n for n in ("classes.csv", "accuracy.csv", "report.html"))
    assert {f.name for f in folder.iterdir()} == {f.name for f in judged.files}
    table = rows_of(folder / "accuracy.csv")
    assert [r["protocol"] for r in table] == ["random", "blocks", "fields"]
    for written, row in zip(table, judged.report.rows(), strict=True):
        assert float(written["overall"]) == pytest.approx(row["overall"], abs=1e-6)
        assert not [name for name in written if "seconds" in name]
    classes = rows_of(folder / "classes.csv")
    assert [r["class"] for r in classes] == [*files.NAMES] * 3
    recall = judged.report["fields"].classes()[1].recall
    assert float(classes[9]["recall"]) == pytest.approx(recall, abs=1e-6)


def test_the_report_is_one_page_without_a_network(judged: PixelEvaluation) -> None:
    text = offline_text(judged.files[-1])
    for section in ("Protocols side by side", "Class by class", "How it was judged"):
        assert section in text
    assert "random (leaky)" in text
    assert text.index("Under fields") < text.index("would claim")  # the honest figure first
    assert "cube.tif: 60 x 50 pixels, 10 of 10 bands kept" in text


def test_a_figure_that_may_flatter_is_not_told_without_saying_so(
    task: PixelTask, judged: PixelEvaluation
) -> None:
    assert "flatter" not in lead(judged)
    wide = PixelRecipe(("mean:window=9",), SVM, "gaussian:sigma=1")
    judging = Judging(("blocks",), seeds=1, side=10, buffer=0)
    made = evaluate(task, recipe=wide, judging=judging)
    (result,) = made.report.results
    assert re.fullmatch(r"leaks \d+ %, mixes \d+ %", result.flag)
    assert result.flag in made.report.table()[1][-1]
    assert re.search(r"up to \d+ % of the tested pixels lie in training windows, and up to \d+ % "
                     "are smoothed with training pixels", lead(made))  # fmt: skip
    assert "little weight" not in " ".join(made.report.sentences())
    apart = evaluate(task, recipe=wide, judging=replace(judging, buffer=4))
    assert apart.report.results[0].flag == ""
    assert "flatter" not in lead(apart)


@pytest.mark.parametrize(
    ("judging", "labels", "sentence"),
    [
        (Judging(("random",)), None, "a random split is never shown alone; add blocks, fields"),
        (
            Judging(("random", "blocks"), side=100, buffer=0),
            None,
            "never shown alone.*The protocol blocks is missing: all labels lie in one block",
        ),
        (
            Judging(("random", "fields")),
            "one field a class",
            "never shown alone.*The protocol fields is missing: ",
        ),
        (
            Judging(("random", "blocks"), side=30, buffer=0),
            "one field a class",
            r"The protocol blocks is missing: blocks \(seed 0\): only . trains",
        ),
    ],
)
def test_a_random_split_never_stands_alone(
    task: PixelTask, tmp_path: Path, judging: Judging, labels: str | None, sentence: str
) -> None:
    if labels is not None:
        ids = np.zeros((60, 50), np.int32)
        ids[10:20, 10:20], ids[40:50, 10:20] = 1, 2
        task = PixelTask(task.cube, PixelLabels(ids, ("a", "b")))
    with pytest.raises(SamplesError, match=sentence):
        evaluate(task, out=tmp_path / "r", recipe=PLAIN, judging=judging)
    assert not (tmp_path / "r").exists()


def test_a_published_split_is_taken_as_it_is(home: StudyFiles, tmp_path: Path) -> None:
    train_ids, test_ids = home.ids.copy(), home.ids.copy()
    train_ids[:, 20:] = 0
    test_ids[:, :25] = 0
    train_ids[0, 0] = 0
    for name, ids in (("tr.tif", train_ids), ("te.tif", test_ids)):
        files.write_labels(tmp_path / name, ids)
    given = {"train": str(tmp_path / "tr.tif"), "test": str(tmp_path / "te.tif")}
    made = evaluate(
        home.cube, home.labels, recipe=PLAIN, judging=Judging(("fixed",), seeds=1, **given)
    )
    (row,) = made.report.rows()
    assert row["train_pixels"] == 60 * 20 - 1
    assert row["test_pixels"] == 60 * 25 - 6 * 8
    assert (row["leaky"], row["flag"]) == (False, "")
    assert row["overall"] > 0.85
    rest = evaluate(
        home.cube,
        home.labels,
        recipe=PLAIN,
        judging=Judging(("fixed",), seeds=1, train=given["train"]),
    )
    assert rest.report.rows()[0]["test_pixels"] == 60 * 50 - 48 - (60 * 20 - 1)


@pytest.mark.parametrize("names", [None, files.TEXT])
@pytest.mark.parametrize("value", [1, 255])
def test_a_published_split_may_be_masks(
    home: StudyFiles, tmp_path: Path, names: str | None, value: int
) -> None:
    where = np.zeros(home.ids.shape, bool)
    where[:, :20] = True
    files.write_labels(tmp_path / "tr.tif", value * where)
    files.write_labels(tmp_path / "te.tif", value * ~where)
    given = {"train": str(tmp_path / "tr.tif"), "test": str(tmp_path / "te.tif")}
    for test in (None, given["test"]):
        judging = Judging(("fixed",), seeds=1, train=given["train"], test=test)
        made = evaluate(home.cube, home.labels, recipe=PLAIN, judging=judging, classes=names)
        (split,) = made.report.results[0].evaluated[0].splits
        np.testing.assert_array_equal(split.train, where)
        np.testing.assert_array_equal(split.test, ~where & home.valid)


def test_masks_and_regions_need_no_names_and_no_column(home: StudyFiles, tmp_path: Path) -> None:
    """Names and column are those of the labels, not of what splits them."""
    regions = np.full(home.ids.shape, 7)
    regions[:, 20:] = 9
    files.write_labels(tmp_path / "r.tif", regions)
    files.write_labels(tmp_path / "tr.tif", regions == 7)
    judging = Judging(
        ("fixed", "regions"), seeds=1, train=tmp_path / "tr.tif", regions=tmp_path / "r.tif"
    )
    ways = (
        {"labels": home.polygons, "column": "kind"},
        {"labels": home.labels, "classes": files.TEXT},
    )
    for way in ways:
        made = evaluate(home.cube, recipe=PLAIN, judging=judging, **way)
        fixed, left_out = (result.evaluated[0].splits for result in made.report.results)
        assert [split.name for split in left_out] == ["7", "9"]
        for split in (fixed[0], left_out[1]):
            assert set(regions[split.train]) == {7}
            assert set(regions[split.test]) == {9}


def test_training_pixels_of_other_names_are_refused_with_the_names(
    home: StudyFiles, tmp_path: Path
) -> None:
    task = open_task(home.cube, home.labels, classes=files.TEXT)
    other = PixelLabels(home.ids, ("1", "2", "3", "4"))
    with pytest.raises(SamplesError, match=r"none of the training pixels .* \(1, 2, 3, 4\).*corn"):
        evaluate(task, recipe=PLAIN, judging=Judging(("fixed",), seeds=1, train=other))


def test_a_published_split_of_other_classes_is_refused(home: StudyFiles, tmp_path: Path) -> None:
    for name in ("tr.tif", "te.tif"):
        files.write_labels(tmp_path / name, home.ids + 1)
    judging = Judging(("fixed",), train=str(tmp_path / "tr.tif"), test=str(tmp_path / "te.tif"))
    with pytest.raises(SamplesError, match="have the class '5', which the labels have not"):
        evaluate(home.cube, home.labels, recipe=PLAIN, judging=judging)


def test_regions_are_tested_by_what_the_others_teach(task: PixelTask) -> None:
    regions = np.ones((60, 50), np.int32)
    regions[:, 20:], regions[:, 40:] = 2, 3
    made = evaluate(task, recipe=PLAIN, judging=Judging(("regions",), seeds=1, regions=regions))
    (result,) = made.report.results
    (one,) = result.evaluated
    assert len(one.splits) == 3
    tested = np.sum([split.test for split in one.splits], axis=0)
    assert (tested == task.labels.labelled).all()
    for number, split in enumerate(one.splits, start=1):
        assert set(regions[split.test]) == {number}
        assert number not in set(regions[split.train])


def test_folds_test_every_pixel_once(task: PixelTask) -> None:
    judging = Judging(("blocks", "fields"), seeds=1, side=10, folds=3)
    made = evaluate(task, recipe=PLAIN, judging=judging)
    for result in made.report.results:
        (one,) = result.evaluated
        assert len(one.splits) == 3
        tested = np.sum([split.test for split in one.splits], axis=0)
        assert (tested == task.labels.labelled).all()
        assert ((one.predicted > 0) == task.labels.labelled).all()


@pytest.mark.parametrize("n", [200, 0])
def test_as_many_training_pixels_as_are_asked_for(task: PixelTask, n: int) -> None:
    plan = Judging(("blocks", "fields"), seeds=1, side=10, buffer=0, n_train=n).plan(task, 1)
    trained = [int(split.train.sum()) for p in plan.protocols for split in p.splits.values()]
    if n:
        assert trained == [n, n]
    else:
        tested = [int(split.test.sum()) for p in plan.protocols for split in p.splits.values()]
        assert [a + b for a, b in zip(trained, tested, strict=True)] == [len(task.labels)] * 2


def test_the_buffer_is_half_the_window_unless_given(task: PixelTask) -> None:
    recipe = PixelRecipe(("mean:window=7",), SVM)
    made = evaluate(task, recipe=recipe, judging=Judging(("blocks",), seeds=1))
    row, (split,) = made.report.rows()[0], made.report.results[0].evaluated[0].splits
    assert (made.window, split.buffer) == (7, 3)
    assert (row["flag"], row["inside_training_window"]) == ("", 0.0)
    narrow = evaluate(task, recipe=recipe, judging=Judging(("blocks",), seeds=1, buffer=0))
    assert narrow.report.rows()[0]["flag"].startswith("leaks")
    strict = Judging(("blocks",), seeds=1, buffer=0, guard="refuse")
    with pytest.raises(SamplesError, match="a buffer of 3 pixels would do"):
        evaluate(task, recipe=recipe, judging=strict)


# --- training and mapping -------------------------------------------------------------------


def test_a_model_is_kept_with_its_worth(trained: PixelTrainResult, home: StudyFiles) -> None:
    names = {f.name for f in trained.files}
    assert {"model.json", "accuracy.csv", "classes.csv", "report.html"} < names
    assert names == {f.name for f in (home.folder / "model").iterdir()}
    for file in trained.files:
        assert file.suffix in {".json", ".csv", ".html", ".safetensors", ".skops"}
        if file.suffix in {".json", ".safetensors"}:
            assert not CODE.search(file.read_bytes())
    model = PixelModel.load(home.folder / "model")
    assert model.classes == files.NAMES
    assert model.description["smooth"] == "gaussian:sigma=1"
    assert set(model.description["metrics"]) == {"random", "blocks", "fields"}
    fields = model.description["metrics"]["fields"]
    assert fields["overall"] == pytest.approx(trained.evaluation.report.rows()[2]["overall"])
    assert "Which class was taken for which" in offline_text(home.folder / "model" / "report.html")


def test_same_seed_same_bytes(
    task: PixelTask, trained: PixelTrainResult, home: StudyFiles, tmp_path: Path
) -> None:
    again = train(task, out=tmp_path / "model", recipe=SMOOTHED, judging=GROUND)
    for one, other in zip(trained.files, again.files, strict=True):
        assert one.name == other.name
        if one.suffix != ".html":  # it says how long things took
            assert one.read_bytes() == other.read_bytes(), one.name
    first = classify(home.cube, home.folder / "model", tmp_path / "a" / "m.tif")
    second = classify(home.cube, tmp_path / "model", tmp_path / "b" / "m.tif")
    assert [f.name for f in first.files] == [f.name for f in second.files]
    for one, other in zip(first.files, second.files, strict=True):
        if one.suffix in {".tif", ".qml", ".xml"}:
            assert one.read_bytes() == other.read_bytes(), one.name


def test_a_network_gives_the_same_bytes_too(task: PixelTask, tmp_path: Path) -> None:
    recipe = PixelRecipe(("pca:components=3",), "net:spectral1d,epochs=2")
    some = np.zeros(task.labels.shape, bool)
    some[::4, ::4] = True
    task = PixelTask(task.cube, task.labels.where(some, "for speed"))
    made = [train(task, out=tmp_path / n, recipe=recipe, judging=None) for n in "ab"]
    for one, other in zip(*(m.files for m in made), strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    maps = [classify(task.cube, tmp_path / n, tmp_path / f"{n}.tif", polygons=False) for n in "ab"]
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert maps[0].class_map.values.max() > 1


def test_the_map_lies_on_the_pixels_of_the_cube(
    trained: PixelTrainResult, home: StudyFiles, tmp_path: Path
) -> None:
    made = classify(home.cube, trained.model, tmp_path / "map.tif")
    with rasterio.open(home.cube) as cube:
        grid = (cube.crs, cube.transform, cube.shape)
    for name in ("map", "map_confidence", "map_margin"):
        with rasterio.open(tmp_path / f"{name}.tif") as src:
            assert (src.crs, src.transform, src.shape) == grid
    ids, sure = read(tmp_path / "map.tif"), read(tmp_path / "map_confidence.tif")
    margin = read(tmp_path / "map_margin.tif")
    assert ((ids == 0) == ~home.valid).all()
    assert (np.isnan(sure) == ~home.valid).all()
    assert (ids == home.ids)[home.valid].mean() > 0.95
    assert ((sure > 0.25) & (sure <= 1))[home.valid].all()
    assert ((margin >= 0) & (margin <= sure + 1e-6))[home.valid].all()
    assert made.counts.tolist() == np.bincount(ids.ravel(), minlength=5).tolist()
    assert made.files[0] == tmp_path / "map.tif"
    assert all(file.is_file() for file in made.files)
    assert {f.name for f in made.files} == {f.name for f in tmp_path.iterdir()}


def test_doubtful_pixels_are_left_empty(
    trained: PixelTrainResult, home: StudyFiles, tmp_path: Path
) -> None:
    full = classify(home.cube, trained.model, tmp_path / "full.tif", polygons=False)
    sure = read(tmp_path / "full_confidence.tif")
    least = float(np.nanpercentile(sure, 30))
    made = classify(
        home.cube, trained.model, tmp_path / "part.tif", min_confidence=least, polygons=False
    )
    ids = np.where(sure < least, 0, read(tmp_path / "full.tif"))
    assert (read(tmp_path / "part.tif") == ids).all()
    lost = int((sure < least).sum())
    assert lost > 500
    total = int(full.counts[1:].sum())
    assert f"{lost:,} of {total:,} pixels are less than {least:.0%} certain" in made.notes[0]


def test_a_model_is_applied_as_it_was_judged(
    trained: PixelTrainResult, home: StudyFiles, tmp_path: Path
) -> None:
    ways = {"model": "model", "same": "gaussian:sigma=1", "none": "none", "more": "gaussian"}
    for name, smooth in ways.items():
        classify(home.cube, trained.model, tmp_path / f"{name}.tif", smooth=smooth, polygons=False)
    sure = {name: read(tmp_path / f"{name}_confidence.tif") for name in ways}
    np.testing.assert_array_equal(sure["model"], sure["same"])
    assert np.nanmax(np.abs(sure["model"] - sure["none"])) > 0.05
    assert np.nanmax(np.abs(sure["model"] - sure["more"])) > 0.05
    told = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert '"smoothing": "gaussian:sigma=1"' in json.dumps(told)


def test_stored_features_give_the_map_of_the_cube(
    trained: PixelTrainResult, home: StudyFiles, tmp_path: Path
) -> None:
    cube = Cube.open(home.cube)
    stack = FeatureStack.fit(["spectra"], cube)
    write_features(stack, cube, tmp_path / "f.zarr")
    classify(tmp_path / "f.zarr", trained.model, tmp_path / "stored.tif", polygons=False)
    classify(home.cube, trained.model, tmp_path / "live.tif", polygons=False)
    assert (read(tmp_path / "stored.tif") == read(tmp_path / "live.tif")).all()


def test_without_a_place_the_map_has_none(home: StudyFiles, tmp_path: Path) -> None:
    np.savez(tmp_path / "cube.npz", cube=home.values, gt=home.ids, wavelength_nm=home.waves)
    made = train(
        tmp_path / "cube.npz",
        f"{tmp_path / 'cube.npz'}:gt",
        tmp_path / "m",
        recipe=PLAIN,
        judging=None,
        reading={"variable": "cube"},
        classes=files.TEXT,
    )
    assert "cube.npz:cube has no georeference; maps of it will have none" in made.notes
    assert not (tmp_path / "m" / "report.html").exists()
    mapped = classify(tmp_path / "cube.npz", made.folder, tmp_path / "map.tif",
                      reading={"variable": "cube"})  # fmt: skip
    with rasterio.open(tmp_path / "map.tif") as src:
        assert src.crs is None
        assert src.shape == (60, 50)
        assert (src.read(1) == home.ids)[home.valid].mean() > 0.9
    assert mapped.class_map.legend.names == files.NAMES


def test_an_older_map_gives_way_whole_or_not_at_all(
    trained: PixelTrainResult, home: StudyFiles, tmp_path: Path
) -> None:
    out = tmp_path / "map.tif"
    classify(home.cube, trained.model, out, polygons=False)
    before = {f: f.read_bytes() for f in tmp_path.iterdir()}
    with pytest.raises(OutputError, match=r"map\.tif exists already; pass --overwrite"):
        classify(home.cube, trained.model, out)
    (tmp_path / "map.tif").rename(tmp_path / "kept.tif")
    with pytest.raises(OutputError, match="exists already"):
        classify(home.cube, trained.model, out, companions=False)  # older companions lie there
    (tmp_path / "kept.tif").rename(out)
    assert {f: f.read_bytes() for f in tmp_path.iterdir()} == before
    classify(home.cube, trained.model, out, companions=False, polygons=False, overwrite=True)
    assert not list(tmp_path.glob("map_confidence*"))
    assert not list(tmp_path.glob("map_margin*"))


@pytest.mark.parametrize("name", ["map.tif", "map_confidence.tif", "map_margin.tif"])
def test_a_map_never_replaces_its_cube(
    trained: PixelTrainResult, home: StudyFiles, tmp_path: Path, name: str
) -> None:
    cube = files.write_cube(tmp_path / name, home.values, home.waves)
    before = cube.read_bytes()
    with pytest.raises(OutputError, match=f"{name} is the cube itself"):
        classify(cube, trained.model, tmp_path / "map.tif", overwrite=True, companions=False)
    assert cube.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == [name]


def test_an_older_model_gives_way_with_all_its_files(task: PixelTask, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    blend = replace(PLAIN, learner="blend:lda|centroid")
    for recipe in (blend, PLAIN):
        made = train(task, out=tmp_path, recipe=recipe, judging=None, overwrite=True)
        assert {f.name for f in tmp_path.iterdir()} == {*(f.name for f in made.files), "notes.txt"}
    assert PixelModel.load(tmp_path).learner.kind == "head"


def test_a_failed_training_leaves_nothing(task: PixelTask, tmp_path: Path) -> None:
    one = task.labels.where(task.labels.ids == 1, "for the test")
    with pytest.raises(SamplesError, match="needs training pixels of two classes"):
        train(PixelTask(task.cube, one), out=tmp_path / "m", recipe=PLAIN, judging=None)
    assert not list(tmp_path.iterdir())


def test_a_recipe_that_cannot_be_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SamplesError, match="there is no learner 'svm'"):
        PixelRecipe(("spectra",), "svm")
    with pytest.raises(SamplesError, match="there is no smoothing 'blur'"):
        PixelRecipe(smooth="blur")
    assert str(PixelRecipe(("pca:components=3",), "forest", "gaussian")) == (
        "pca:components=3,whiten=no, forest, smoothed gaussian:sigma=2"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"protocols": ("random", "blokcs")}, "the protocol 'blokcs' is not known; choose among"),
        ({"protocols": ()}, "the protocol '' is not known"),
        ({"seeds": 0}, "0 seeds were asked for"),
        ({"seed": -3}, "the seed is -3; give one from 0 to 4294967290"),
        ({"seed": 2**32}, "the seed is 4294967296; give one from 0"),
        ({"share": 1.5}, r"the share 1\.5 of training pixels must lie between"),
        ({"side": 0}, "the side of a block is 0 pixels"),
        ({"buffer": -1}, "the buffer is -1 pixels"),
        ({"field_buffer": -1}, "the field buffer is -1 pixels"),
        ({"n_train": -5}, "-5 training pixels were asked for"),
        ({"folds": 1}, "1 folds were asked for; ask for 2 or more"),
        ({"guard": "maybe"}, "the guard 'maybe' is not known; choose refuse or flag"),
        ({"test": "te.tif"}, "tested pixels were given without training pixels"),
        (
            {"train": "tr.tif", "protocols": ("random", "blocks")},
            r"training pixels .* but the protocol fixed is not among .*\(random, blocks\)",
        ),
        ({"regions": "r.tif"}, "regions were given, but the protocol regions is not among"),
        ({"folds": 3, "n_train": 50}, "50 training pixels were asked for with 3 folds"),
    ],
)
def test_a_judging_that_cannot_be_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SamplesError, match=sentence):
        Judging(**options)
