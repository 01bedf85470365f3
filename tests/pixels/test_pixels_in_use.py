"""Faults that using ``terrapatch pixels`` on awkward data found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scipy.io import savemat

import study_files as files
from study_files import SVM, StudyFiles
from terrapatch.cubes import Cube
from terrapatch.errors import CubeError, OutputError, RecipeError, SamplesError
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.pixels.writing import make_features
from terrapatch.learn.pixels._class_names import read_class_names
from terrapatch.learn.pixels.labels import read_labels
from terrapatch.studies.explain import explain
from terrapatch.studies.pixels._map_files import together
from terrapatch.studies.pixels.asked import PixelRecipe, open_task
from terrapatch.studies.pixels.classifying import classify
from terrapatch.studies.pixels.protocols import Judging
from terrapatch.studies.pixels.training import train

JUDGED = Judging(protocols=("random", "blocks"), seeds=1, side=10, buffer=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> StudyFiles:
    return files.study_files(tmp_path_factory.mktemp("use"))


@pytest.fixture(scope="module")
def model(home: StudyFiles) -> Path:
    """Return a judged model of the painted cube, whose maps are smoothed."""
    task = open_task(home.cube, home.labels, classes=files.TEXT)
    recipe = PixelRecipe(learner=SVM, smooth="gaussian:sigma=1")
    return train(task, out=home.folder / "model", recipe=recipe, judging=JUDGED).folder


def envi(path: Path, values: Any, **more: Any) -> Path:
    """Write an ENVI file of GDAL's, ``(rows, cols, bands)``."""
    rows, cols, count = values.shape
    shape = {"height": rows, "width": cols, "count": count, "dtype": values.dtype}
    with rasterio.open(
        path, "w", driver="ENVI", crs=files.CRS, transform=files.PLACE, **shape, **more
    ) as out:
        out.write(values.transpose(2, 0, 1))
    return path


# --- explain --------------------------------------------------------------------------------


def test_a_blend_says_what_its_members_look_at(home: StudyFiles, tmp_path: Path) -> None:
    recipe = PixelRecipe(("spectra", "snv"), "blend:centroid@snv|centroid")
    task = open_task(home.cube, home.labels)
    train(task, out=tmp_path / "m", recipe=recipe, judging=None)
    told = dict(explain(tmp_path / "m").rows)["classifier"]
    assert " on snv and " in told
    assert told.endswith(" on all layers")


def test_a_pixel_model_explains_itself(model: Path) -> None:
    told = explain(model)
    assert told.kind == "pixel model"
    rows = dict(told.rows)
    assert len(rows) == len(told.rows)
    assert rows["classes"] == "4: corn, grass, oats, woods"
    assert rows["classifier"].startswith("rbf-svm (C 10")
    assert rows["features"] == "spectra:scaling=none"
    assert rows["smoothing"] == "gaussian:sigma=1"
    blocks, random = rows["accuracy"].splitlines()
    assert blocks.startswith("blocks: ")
    assert "flatters" not in blocks
    assert random.startswith("random: ")
    assert random.endswith("leaky: this figure flatters")


def test_a_map_says_its_own_smoothing(home: StudyFiles, model: Path, tmp_path: Path) -> None:
    classify(home.cube, model, tmp_path / "map.tif", smooth="none", polygons=False)
    kinds = {
        "map.tif": "class map",
        "map_confidence.tif": "value map",
        "map_margin.json": "STAC item",
    }
    for name, kind in kinds.items():
        told = explain(tmp_path / name)
        assert told.kind == kind
        rows = dict(told.rows)
        assert rows["smoothing"] == "none"
        assert rows["classifier"].startswith("rbf-svm")
        assert rows["trained on"] == "2,952 pixels"


def test_a_store_says_how_its_values_were_read(home: StudyFiles, tmp_path: Path) -> None:
    values = np.nan_to_num(home.values)
    values[:9, :9] = -32768.0  # no nodata is stated
    cube = Cube.open(envi(tmp_path / "cube.dat", values), scale=0.5)
    make_features(cube, ["spectra"], tmp_path / "f.zarr")
    rows = dict(explain(tmp_path / "f.zarr").rows)
    assert rows["values"] == "times 0.5"
    assert rows["nodata"] == "no value means nodata; -32768 by its frequency"


# --- maps that would be wrong in silence ----------------------------------------------------


@pytest.mark.parametrize(("factor", "words"), [(1e4, "times larger"), (1e-4, "times smaller")])
def test_values_in_another_unit_are_said(
    home: StudyFiles, model: Path, tmp_path: Path, factor: float, words: str
) -> None:
    out = tmp_path / "map.tif"
    other = Cube.open(home.cube, scale=factor)
    made = classify(other, model, out, companions=False, polygons=False)
    notes = [n for n in made.notes if words in n]
    assert len(notes) == 1
    assert "10,000" in notes[0]
    assert "--scale" in notes[0]
    same = classify(home.cube, model, out, companions=False, polygons=False, overwrite=True)
    assert not [n for n in same.notes if "times" in n]


def test_reading_a_store_again_is_refused(home: StudyFiles, tmp_path: Path, model: Path) -> None:
    make_features(home.cube, ["spectra"], tmp_path / "f.zarr")
    out = tmp_path / "map.tif"
    with pytest.raises(RecipeError, match="so scale, drop would change nothing"):
        classify(tmp_path / "f.zarr", model, out, reading={"scale": 3.0, "drop": "1"})
    reading = {"scale": None, "drop": "", "keep_bad": False, "water_vapour": True}
    assert classify(tmp_path / "f.zarr", model, out, reading=reading).counts.sum() == 3000


def test_a_darker_scene_is_no_other_unit(home: StudyFiles, model: Path, tmp_path: Path) -> None:
    dark = Cube.open(home.cube, scale=0.1)
    made = classify(dark, model, tmp_path / "map.tif", companions=False, polygons=False)
    assert not [n for n in made.notes if "times" in n]


# --- old and new never mix ------------------------------------------------------------------


def test_a_map_that_cannot_be_whole_leaves_the_old_one(
    home: StudyFiles, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "map.tif"
    classify(home.cube, model, out, polygons=False)
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    (tmp_path / "map_margin.tif").unlink()
    (tmp_path / "map_margin.tif").mkdir()
    with pytest.raises(OutputError, match=r"map_margin\.tif: it is a folder"):
        classify(home.cube, model, out, smooth="none", min_confidence=0.9, overwrite=True)
    left = {f.name: f.read_bytes() for f in tmp_path.iterdir() if f.is_file()}
    assert left == {k: v for k, v in before.items() if k != "map_margin.tif"}


def test_an_interrupt_between_the_files_of_a_map(tmp_path: Path) -> None:
    paths = (tmp_path / "map.tif", tmp_path / "map_confidence.tif")
    for path in paths:
        path.write_text("old")

    def interrupted() -> None:
        with together(paths) as stage:
            (stage / "map.tif").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(f.name for f in tmp_path.iterdir()) == ["map.tif", "map_confidence.tif"]
    assert all(path.read_text() == "old" for path in paths)
    with together(paths) as stage:
        (stage / "map.tif").write_text("new")
    assert [f.read_text() for f in tmp_path.iterdir()] == ["new"]


def test_a_place_that_cannot_be_is_refused_before_the_work(
    home: StudyFiles, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="on the way to it is a file"):
        train(home.cube, "nothing.tif", tmp_path / "file" / "model")
    with pytest.raises(OutputError, match="on the way to it is a file"):
        classify("nothing.tif", model, tmp_path / "file" / "map.tif")


# --- bands ----------------------------------------------------------------------------------


def test_bands_without_names_are_the_same_in_envi(home: StudyFiles, tmp_path: Path) -> None:
    values = np.nan_to_num(home.values)
    stack = FeatureStack.fit(["spectra"], Cube.of_array(values))
    opened = Cube.open(envi(tmp_path / "cube.dat", values))
    assert [band.name for band in opened.bands] == [f"band {n}" for n in range(1, 11)]
    stack.check(opened)


def test_what_would_make_the_bands_right_is_said(home: StudyFiles) -> None:
    values = np.nan_to_num(home.values)
    cube = Cube.open(home.cube)
    stack = FeatureStack.fit(["spectra"], Cube.open(home.cube, drop="3,7-8"))
    with pytest.raises(RecipeError, match=r"--drop 3,7-8\)"):
        stack.check(cube)
    with pytest.raises(RecipeError, match="--wavelengths"):
        FeatureStack.fit(["spectra"], cube).check(Cube.of_array(values))
    with pytest.raises(RecipeError, match="same bands kept"):
        stack.check(Cube.of_array(values))


def test_complex_numbers_of_matlab_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "c.mat", {"cube": np.ones((4, 5, 3)) * 1j})
    with pytest.raises(CubeError, match="holds complex numbers"):
        Cube.open(tmp_path / "c.mat", axes="yxb")


def test_a_folder_lists_no_wavelengths(home: StudyFiles, tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="is a folder, so it lists no wavelengths"):
        Cube.open(home.cube, wavelengths=tmp_path)


def test_bands_as_variables_can_be_stacked(tmp_path: Path) -> None:
    np.savez(tmp_path / "bands.npz", b1=np.ones((4, 5)), b2=np.ones((4, 5)))
    with pytest.raises(CubeError, match="gdalbuildvrt -separate"):
        Cube.open(tmp_path / "bands.npz")


# --- labels ---------------------------------------------------------------------------------


def test_class_names_of_envi_with_umlauts(home: StudyFiles, tmp_path: Path) -> None:
    ids = home.ids.astype(np.uint8)[..., None]
    path = envi(tmp_path / "labels.dat", ids)
    header = path.with_suffix(".hdr")
    text = header.read_text("utf-8") + "class names = {Unclassified, Wald, Grünland, Straße, See}\n"
    header.write_bytes(text.encode("cp1252"))
    cube = Cube.open(home.cube)
    for name in (path, header):
        labels = read_labels(cube, name)
        assert labels.classes == ("Wald", "Grünland", "Straße", "See")
        assert (labels.ids == np.where(home.valid, home.ids, 0)).all()


def test_a_folder_names_no_classes(tmp_path: Path) -> None:
    (tmp_path / "names.csv").mkdir()
    with pytest.raises(SamplesError, match="is a folder, so it names no classes"):
        read_class_names(tmp_path / "names.csv")


def test_labels_too_few_to_judge_can_still_train(home: StudyFiles, tmp_path: Path) -> None:
    task = open_task(home.cube, home.labels)
    ids = np.zeros_like(home.ids)
    ids[15, 5], ids[15, 15], ids[25, 5] = 1, 2, 3
    few = replace(task, labels=replace(task.labels, ids=ids))
    recipe = PixelRecipe(learner=SVM)
    with pytest.raises(SamplesError, match=r"cannot be judged: .*--no-judge"):
        train(few, out=tmp_path / "model", recipe=recipe)
    assert not list(tmp_path.iterdir())
