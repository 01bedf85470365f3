"""``terrapatch pixels`` from the command line: what it does, says to machines, and refuses."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy.io import savemat

import study_files as files
from study_files import SVM, StudyFiles
from terrapatch.cli import main

FAST = ("--feature", "spectra", "--learner", SVM, "--smooth", "none")
QUICK = (*FAST, "--no-judge")
GROUND = ("--block", "10", "--buffer", "1", "--seeds", "1")


@dataclass(frozen=True)
class Run:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The last line of stdout, which sums up."""
        last: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        assert last["type"] == "result"
        return last


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> StudyFiles:
    return files.study_files(tmp_path_factory.mktemp("commands"))


@pytest.fixture
def pixels(
    home: StudyFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., Run]:
    """Run ``terrapatch pixels …`` in a folder with links to the painted files."""
    for file in (home.cube, home.labels, home.polygons):
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TERRAPATCH_DEBUG", raising=False)

    def run(*words: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["terrapatch", "pixels", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Run(ended.value.code, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def model(home: StudyFiles) -> Path:
    """Return a model of the painted cube."""
    from terrapatch.studies.pixels.asked import PixelRecipe, open_task
    from terrapatch.studies.pixels.training import train

    task = open_task(home.cube, home.labels, classes=files.TEXT)
    train(task, out=home.folder / "model", recipe=PixelRecipe(learner=SVM), judging=None)
    return home.folder / "model"


def refused(run: Run, *parts: str) -> None:
    """Check that a command ended in one sentence, without a traceback."""
    assert run.code == 2, run.err
    last = run.err.strip().splitlines()[-1]
    assert last.startswith("error: "), run.err
    for part in parts:
        assert part in last
    assert run.err.count("error: ") == 1
    assert "Traceback" not in run.err + run.out
    assert run.out == ""


def left(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


# --- what they do ---------------------------------------------------------------------------


def test_from_polygons_to_a_map(pixels: Callable[..., Run], tmp_path: Path) -> None:
    made = pixels("train", "cube.tif", "--labels", "fields.gpkg", "--column", "kind", *FAST,
                  *GROUND, "-o", "model")  # fmt: skip
    assert made.code == 0, made.err
    assert "cube.tif: 60 x 50 pixels, 10 of 10 bands kept" in made.err
    assert "1,885 pixels labelled: corn" in made.err
    lines = made.out.splitlines()
    assert lines[0].split() == [
        *("protocol", "train", "test", "OA", "95", "%", "AA", "kappa", "majority", "leakage"),
    ]
    assert [line.split()[0] for line in lines[1:4]] == ["random", "blocks", "fields"]
    assert lines[1].endswith("leaky")
    assert "recipe: spectra:scaling=none, rbf-svm:C=10,gamma=scale" in made.out
    assert "wrote model/model.json" in lines
    mapped = pixels("classify", "cube.tif", "--model", "model", "-o", "map.tif", "--json")
    assert mapped.code == 0, mapped.err
    result = mapped.result
    assert [row["name"] for row in result["classes"]] == list(files.NAMES)
    assert sum(row["pixels"] for row in result["classes"]) == 60 * 50 - 48
    assert result["without_data"] == 48
    written = [json.loads(line) for line in mapped.out.splitlines()]
    paths = [o["path"] for o in written if o["type"] == "output"]
    assert {"map.tif", "map_confidence.tif", "map_margin.tif", "map_polygons.gpkg"} <= set(paths)
    with rasterio.open(tmp_path / "map.tif") as src:
        ids = src.read(1)
    assert [int((ids == row["id"]).sum()) for row in result["classes"]] == [
        row["pixels"] for row in result["classes"]
    ]


def test_the_map_can_leave_things_out(pixels: Callable[..., Run], model: Path) -> None:
    made = pixels("classify", "cube.tif", "--model", model, "-o", "map.tif", "--no-companions",
                  "--no-polygons", "--min-confidence", "0.9", "--smooth", "none")  # fmt: skip
    assert made.code == 0, made.err
    assert "pixels are less than 90% certain and were left empty" in made.err
    assert not {"map_confidence.tif", "map_margin.tif", "map_polygons.gpkg"} & left(Path())


def test_evaluate_prints_the_protocols_together(
    pixels: Callable[..., Run], home: StudyFiles
) -> None:
    train = home.ids.copy()
    train[:, 25:] = 0
    files.write_labels(Path("train.tif"), train)
    before = left(Path())
    made = pixels("evaluate", "cube.tif", "--labels", "labels.tif", "--names", files.TEXT, *FAST,
                  *GROUND, "--train", "train.tif", "--json")  # fmt: skip
    assert made.code == 0, made.err
    rows = {row["protocol"]: row for row in made.result["protocols"]}
    assert list(rows) == ["random", "fixed", "blocks", "fields"]
    assert rows["fixed"]["train_pixels"] == 60 * 25
    assert rows["random"]["leaky"]
    assert not rows["blocks"]["leaky"]
    assert left(Path()) == before  # nothing is written without --out
    plain = pixels("evaluate", "cube.tif", "--labels", "labels.tif", *FAST, *GROUND,
                   "--protocols", "blocks,regions", "-o", "report")  # fmt: skip
    assert plain.code == 0, plain.err
    assert left(Path("report")) == {"accuracy.csv", "classes.csv", "report.html"}


def test_the_ladder_from_a_table_of_steps(pixels: Callable[..., Run]) -> None:
    Path("steps.csv").write_text(
        f'name,features,learner,smooth\nbands,spectra,"{SVM}",none\n'
        f'components,pca:components=3 + mean:window=3,"{SVM}",none\n',
        encoding="utf-8",
    )
    made = pixels("ladder", "cube.tif", "--labels", "fields.gpkg", "--column", "kind", "--steps",
                  "steps.csv", *GROUND, "-o", "ladder", "--json")  # fmt: skip
    assert made.code == 0, made.err
    steps = made.result["steps"]
    assert [step["name"] for step in steps] == ["bands", "components"]
    assert [[r["protocol"] for r in s["protocols"]] for s in steps] == [
        ["random", "blocks", "fields"]
    ] * 2
    assert left(Path("ladder")) == {"ladder.csv", "classes.csv", "ladder.html"}


def test_a_band_of_nothing_is_dropped_and_said(
    pixels: Callable[..., Run], home: StudyFiles
) -> None:
    values = home.values.copy()
    values[..., 3] = np.nan
    values[30:, 40:, 5] = np.nan  # pixels that miss one band are invalid
    files.write_cube(Path("gaps.tif"), values, home.waves)
    made = pixels("train", "gaps.tif", "--labels", "labels.tif", *QUICK, "-o", "m")
    assert made.code == 0, made.err
    assert "gaps.tif: 60 x 50 pixels, 9 of 10 bands kept" in made.err
    assert "dropped 4: no data" in made.err
    assert "of the sampled pixels miss some bands and count as invalid" in made.err
    assert f"left out: invalid in the cube {48 + 30 * 10}" in made.err
    mapped = pixels("classify", "gaps.tif", "--model", "m", "-o", "map.tif", "--json")
    assert mapped.result["without_data"] == 48 + 30 * 10
    refused(pixels("classify", "cube.tif", "--model", "m", "-o", "other.tif"),
            "the features were fitted on 9 bands")  # fmt: skip


def test_commands_and_python_have_the_same_names() -> None:
    """What a command does, Python does in one call of the same name."""
    from terrapatch.cli.pixels import classify as command
    from terrapatch.cli.pixels.study_options import reading_of
    from terrapatch.studies.pixels.asked import PixelRecipe
    from terrapatch.studies.pixels.classifying import classify
    from terrapatch.studies.pixels.protocols import Judging

    options = set(inspect.signature(command.classify).parameters)
    reading = {"variable", "bands", "drop", "keep_bad", "keep_water_vapour", "wavelengths",
               "scale", "nodata", "axes"}  # fmt: skip
    assert reading <= options
    given = dict.fromkeys(reading)
    assert set(reading_of(given)) == reading - {"keep_water_vapour"} | {"water_vapour"}
    ours = set(inspect.signature(classify).parameters) - {"progress", "reading"}
    assert options - reading - {"as_json", "quiet", "debug"} == ours
    from terrapatch.cli.pixels import evaluate

    asked = set(inspect.signature(evaluate.evaluate).parameters)
    assert {"feature", "learner", "smooth"} <= asked
    assert set(inspect.signature(PixelRecipe).parameters) == {"features", "learner", "smooth"}
    renamed = {"protocols": "protocols_", "side": "block"}
    judged = set(inspect.signature(Judging).parameters) - {"connectivity"}
    assert {renamed.get(name, name) for name in judged} <= asked


# --- labels that do not fit -----------------------------------------------------------------


def shifted(home: StudyFiles, path: Path) -> None:
    files.write_labels(path, home.ids, place=files.PLACE * Affine.translation(0.5, 0))


def lost_class(home: StudyFiles, path: Path) -> None:
    """All grass lies on pixels without data."""
    ids = np.where(home.ids == 2, 0, home.ids)
    ids[:6, -8:] = 2
    files.write_labels(path, ids)


def pickled(home: StudyFiles, path: Path) -> None:
    np.savez(path, gt=home.ids.astype(object))


def cells(home: StudyFiles, path: Path) -> None:
    held = np.empty((1, 2), object)
    held[0, 0], held[0, 1] = home.ids, "x"
    savemat(path, {"gt": held})


LABELS: dict[str, tuple[str, Callable[[StudyFiles, Path], object], tuple[str, ...], str]] = {
    "another size": (
        "l.tif", lambda h, p: files.write_labels(p, h.ids[:-3]), (),
        "l.tif has 57 x 50 pixels (rows x columns) but cube.tif has 60 x 50",
    ),
    "turned": (
        "l.tif", lambda h, p: files.write_labels(p, h.ids.T), (),
        "that looks like swapped axes; transpose the labels",
    ),
    "another CRS": (
        "l.tif", lambda h, p: files.write_labels(p, h.ids, crs="EPSG:32634"), (),
        "its CRS is WGS 84 / UTM zone 34N, the cube's WGS 84 / UTM zone 33N; warp it",
    ),
    "another grid": ("l.tif", shifted, (), "its corner is (364015, 5810000) with pixels of 30"),
    "several bands": (
        "l.tif", lambda h, p: files.write_cube(p, h.values, None), (),
        "l.tif has 10 bands, but a label raster has one",
    ),
    "nothing labelled": (
        "l.tif", lambda h, p: files.write_labels(p, 0 * h.ids), (),
        "l.tif labels no pixel",
    ),
    "fractions": (
        "l.tif", lambda h, p: files.write_labels(p, h.ids / 2, dtype="float32"), (),
        "l.tif holds fractions such as",
    ),
    "one class": (
        "l.tif", lambda h, p: files.write_labels(p, np.ones_like(h.ids)), (),
        "a learner needs training pixels of two classes, so label another one too",
    ),
    "a named class that no pixel has": (
        "l.tif", lambda h, p: files.write_labels(p, h.ids), ("--names", f"{files.TEXT},5=barley"),
        "no pixel of cube.tif has the class 'barley', so it cannot be learned; label some of it",
    ),
    "a class on pixels without data": (
        "l.tif", lost_class, ("--names", files.TEXT),
        "no pixel of cube.tif has the class 'grass', so it cannot be learned (left out: invalid "
        "in the cube 48)",
    ),
    "a value without a name": (
        "l.tif", lambda h, p: files.write_labels(p, h.ids), ("--names", "1=corn,2=grass,3=oats"),
        "l.tif holds the values 4, which have no name",
    ),
    "no such file": ("l.tif", lambda *_: None, (), "there is no file l.tif; check the path"),
    "no such column": (
        "fields.gpkg", lambda *_: None, ("--column", "knd"), "no column 'knd'; its columns: kind, n"
    ),
    "no such rule": (
        "fields.gpkg", lambda *_: None, ("--column", "kind", "--rule", "middle"),
        "the rule 'middle' is not known; choose one of",
    ),
    "pickled objects": ("l.npz", pickled, (), "l.npz"),
    "MATLAB cells": ("l.mat", cells, (), "l.mat"),
}  # fmt: skip


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_do_not_fit(case: str, pixels: Callable[..., Run], home: StudyFiles) -> None:
    name, write, words, sentence = LABELS[case]
    write(home, Path(name))
    before = left(Path())
    given = f"{name}:gt" if name.endswith((".npz", ".mat")) else name
    refused(pixels("train", "cube.tif", "--labels", given, *words, *QUICK, "-o", "m"), sentence)
    assert left(Path()) == before
    refused(pixels("evaluate", "cube.tif", "--labels", given, *words, *FAST, "-o", "r"), sentence)
    assert left(Path()) == before


# --- cubes that cannot be used --------------------------------------------------------------


def no_waves(home: StudyFiles, path: Path) -> None:
    files.write_cube(path, home.values, None)


def swapped(home: StudyFiles, path: Path) -> None:
    np.savez(path, cube=home.values.transpose(2, 0, 1), wavelength_nm=home.waves)


CUBES: dict[str, tuple[str, Callable[[StudyFiles, Path], object], tuple[str, ...], str]] = {
    "all bands constant": (
        "c.tif", lambda h, p: files.write_cube(p, np.full_like(h.values, 7), h.waves), (),
        "no band of c.tif is left: all 10 are dropped (10 constant)",
    ),
    "all bands empty": (
        "c.tif", lambda h, p: files.write_cube(p, np.full_like(h.values, np.nan), h.waves), (),
        "no band of c.tif is left: all 10 are dropped (10 no data)",
    ),
    "all bands dropped": (
        "c.tif", lambda h, p: files.write_cube(p, h.values, h.waves), ("--drop", "1-10"),
        "no band of c.tif is left: all 10 are dropped (10 asked to drop)",
    ),
    "swapped axes": (
        "c.npz", swapped, ("--axes", "yxb"),
        "the axes of c.npz:cube look swapped: as yxb its shape (10, 60, 50) has 50 bands, but "
        "there are 10 wavelengths",
    ),
    "rows and columns swapped": (
        "c.npz", lambda h, p: np.savez(p, cube=h.values), ("--axes", "xyb"),
        "labels.tif has 60 x 50 pixels (rows x columns) but c.npz:cube has 50 x 60: that looks "
        "like swapped axes",
    ),
    "wavelengths that an index needs": (
        "c.tif", no_waves, ("--feature", "indices:names=ndvi"),
        "ndvi needs a band at 850 nm but c.tif states no wavelengths",
    ),
    "pickled objects": (
        "c.npz", lambda h, p: np.savez(p, cube=np.array([{1: 2}], object)), (),
        "cube holds Python objects, which is not opened",
    ),
    "a MATLAB structure": (
        "c.mat", lambda h, p: savemat(p, {"cube": {"a": 1}}), (),
        "cube holds a structure, which is not opened",
    ),
    "no MATLAB file": (
        "c.mat", lambda h, p: p.write_bytes(b"nonsense" * 40), (), "c.mat is no whole MATLAB file"
    ),
    "no such file": ("c.tif", lambda *_: None, (), "there is no file c.tif; check the path"),
}  # fmt: skip


@pytest.mark.parametrize("case", CUBES)
def test_cubes_that_cannot_be_used(case: str, pixels: Callable[..., Run], home: StudyFiles) -> None:
    name, write, words, sentence = CUBES[case]
    write(home, Path(name))
    before = left(Path())
    refused(pixels("train", name, "--labels", "labels.tif", *QUICK, *words, "-o", "m"), sentence)
    assert left(Path()) == before


# --- options that do not exist --------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--feature", "spectrum"), "no pixel feature 'spectrum' (did you mean spectra?)"),
        (("--feature", "pca:component=3"), "'pca' has no option 'component'"),
        (("--learner", "svm"), "there is no learner 'svm'; choose one of"),
        (("--learner", "net:resnet"), "there is no network 'resnet'; choose one of"),
        (("--learner", "rbf-svm:D=1"), "the learner rbf-svm has no option 'D'"),
        (("--smooth", "blur"), "there is no smoothing 'blur'; choose gaussian:sigma=2"),
        (("--smooth", "gaussian:sigma=x"), "'sigma=x' in the smoothing"),
        (("--protocols", "random,blokcs"), "the protocol 'blokcs' is not known; choose among"),
        (("--protocols", ""), "the protocol '' is not known; choose among"),
        (("--folds", "1"), "1 folds were asked for; ask for 2 or more"),
        (("--guard", "maybe"), "the guard 'maybe' is not known; choose refuse or flag"),
        (("--names", "corn"), "'corn' in the class names is not understood"),
        (("--names", "no.csv"), "there is no file of class names no.csv"),
    ],
)
def test_what_does_not_exist_is_refused_at_once(
    pixels: Callable[..., Run], words: tuple[str, ...], sentence: str
) -> None:
    run = pixels("train", "cube.tif", "--labels", "labels.tif", *FAST, *words, "-o", "m")
    refused(run, sentence)
    assert run.err.count("\n") == 1  # before a pixel is read
    assert left(Path()) == {"cube.tif", "labels.tif", "fields.gpkg"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--protocols", "random"), "a random split is never shown alone; add blocks, fields"),
        (
            ("--folds", "100"),
            "100 folds were asked of 17 fields (connected areas of a class (8 neighbours)) of "
            "classes with several; ask for at least 2 and at most 17",
        ),
        (("--n-train", "100000"), "fewer than the 100,000 asked for"),
        (("--train", "none.tif"), "there is no file none.tif"),
        (("--colours", "no.csv"), "the table of colours no.csv cannot be read"),
    ],
)
def test_what_these_labels_cannot_give_is_refused(
    pixels: Callable[..., Run], words: tuple[str, ...], sentence: str
) -> None:
    refused(
        pixels("train", "cube.tif", "--labels", "labels.tif", *FAST, *words, "-o", "m"), sentence
    )
    assert left(Path()) == {"cube.tif", "labels.tif", "fields.gpkg"}


@pytest.mark.parametrize("command", ["train", "evaluate", "ladder"])
def test_what_exists_is_kept(pixels: Callable[..., Run], command: str) -> None:
    Path("m").mkdir()
    Path("m/mine.txt").write_text("mine", encoding="utf-8")
    run = pixels(command, "cube.tif", "--labels", "labels.tif", "-o", "m")
    refused(run, "m exists already and is not empty; pass --overwrite to replace what terrapatch")
    assert run.err.count("\n") == 1  # before a pixel is read
    assert left(Path("m")) == {"mine.txt"}
    refused(pixels(command, "cube.tif", "--labels", "labels.tif", "-o", "cube.tif"),
            "cube.tif is a file; give the name of a folder to write")  # fmt: skip


def fewer(home: StudyFiles) -> Path:
    return files.write_cube(Path("c.tif"), home.values[..., :8], home.waves[:8])


def others(home: StudyFiles) -> Path:
    return files.write_cube(Path("c.tif"), home.values, home.waves + 3)


@pytest.mark.parametrize(
    ("cube", "words", "sentence"),
    [
        (fewer, (), "the features were fitted on 10 bands (400 nm"),
        (fewer, (), "but c.tif has 8 bands (400 nm"),
        (others, (), "but c.tif has 10 bands (403 nm"),
        ("cube.tif", ("-o", "map.png"), "the map map.png must end in .tif"),
        ("cube.tif", ("-o", "cube.tif"), "cube.tif exists already; pass --overwrite"),
        ("cube.tif", ("-o", "cube.tif", "--overwrite"), "cube.tif is the cube itself"),
        ("cube.tif", ("-o", "labels.tif"), "labels.tif exists already; pass --overwrite"),
        ("cube.tif", ("--model", "none"), "there is no none/model.json"),
        ("cube.tif", ("--min-confidence", "1"), "the confidence 1 must lie from 0 to below 1"),
        ("cube.tif", ("--smooth", "blur"), "there is no smoothing 'blur'"),
        ("none.tif", (), "there is no file none.tif"),
    ],
)
def test_maps_that_cannot_be_made(
    pixels: Callable[..., Run],
    home: StudyFiles,
    model: Path,
    cube: Any,
    words: tuple[str, ...],
    sentence: str,
) -> None:
    name = cube if isinstance(cube, str) else cube(home).name
    before = left(Path())
    refused(pixels("classify", name, "--model", model, "-o", "map.tif", *words), sentence)
    assert left(Path()) == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "the table of steps steps.csv cannot be read"),
        ("name,features,learner,smooth\n", "steps.csv holds no step"),
        ("name,features\na,spectra\n", "there is no column learner or smooth"),
        ("name,features,learner,smooth\na,spectrum,knn,none\n", "no pixel feature 'spectrum'"),
    ],
)
def test_ladders_without_steps(pixels: Callable[..., Run], text: str | None, sentence: str) -> None:
    if text is not None:
        Path("steps.csv").write_text(text, encoding="utf-8")
    run = pixels("ladder", "cube.tif", "--labels", "labels.tif", "--steps", "steps.csv", "-o", "l")
    refused(run, sentence)
    assert run.err.count("\n") == 1  # before a pixel is read
    assert not Path("l").exists()


def test_machines_get_the_refusal_too(pixels: Callable[..., Run]) -> None:
    run = pixels("train", "cube.tif", "--labels", "none.tif", "-o", "m", "--json")
    assert run.code == 2
    last = json.loads(run.out.splitlines()[-1])
    assert (last["type"], last["exit_code"]) == ("error", 2)
    assert last["text"] == "there is no file none.tif; check the path"
