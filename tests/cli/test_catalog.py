"""``terrapatch catalog``, run as its own small program."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import rasters
from terrapatch.cli.catalog import app, get, verify
from terrapatch.studies import catalog as python


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def objects(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """OPTIMAL-31 with one image a class, so that it is not whole."""
    for one in python.catalog_show("optimal-31").classes:
        rasters.make_raster(tmp_path / one.name / "1.tif", width=8, height=8, bands=3)
    return tmp_path


def test_list_names_everything_and_how_it_is_had():
    said = run("list")
    assert said.exit_code == 0
    for entry in python.catalog_list():
        assert entry.id in said.stdout
    (ucm,) = [line for line in said.stdout.splitlines() if line.startswith("uc-merced-land-use")]
    told = " ".join(ucm.split())
    assert told == "uc-merced-land-use UC Merced Land Use, 2,100 images 21 other torchgeo"
    assert run().stdout == said.stdout


def test_list_for_machines_is_one_result():
    (result,) = objects(run("list", "--json"))
    assert result["type"] == "result"
    assert len(result["entries"]) == len(python.catalog_list())
    assert result["entries"][0]["classes"][0] == {
        **dict.fromkeys(("value", "train", "test")),
        "name": "agricultural",
        "count": 100,
    }


def test_show_says_terms_classes_and_the_command():
    said = run("show", "UCMerced")
    assert said.exit_code == 0
    for words in (
        "21 of 100 images: agricultural; airplane",
        "other: The imagery is public domain",
        "$TERRAPATCH_DATA/ucmerced/images",
        "terrapatch catalog get uc-merced-land-use FOLDER",
        "UCMerced_LandUse.zip (about 332 MB, sha256 06c539ef",
        "0.3 m",
        "256 x 256 px",
    ):
        assert words in said.stdout
    assert "16, with pixels: Alfalfa 46; Corn-notill 1,428" in run("show", "indian-pines").stdout
    told = "52, with pixels to train and to test: Buildings 1,720 + 15,475; Corn 1,778 + 16,005;"
    assert told in run("show", "indian-pines-52").stdout
    assert "0.2 to 30 m" in run("show", "resisc45").stdout
    (result,) = objects(run("show", "salinas", "--json"))
    assert (result["id"], result["gsd"]) == ("salinas", 3.7)


def test_every_entry_can_be_shown():
    for entry in python.catalog_list():
        said = run("show", entry.id)
        assert said.exit_code == 0
        assert entry.how_to_get in said.stdout


def test_an_unknown_name_is_one_sentence():
    said = run("show", "ucmercd")
    assert said.exit_code == 2
    assert said.stderr == (
        "error: the catalogue has no 'ucmercd'; did you mean uc-merced-land-use?\n"
    )


def test_get_by_hand_and_offline_say_what_to_do(tmp_path):
    said = run("get", "aid", tmp_path)
    assert said.exit_code == 2
    assert "by hand: follow the download links on https://captain-whu.github.io/AID/" in said.stderr
    said = run("get", "ucmerced", tmp_path, "--offline", "--json")
    assert said.exit_code == 2
    (fault,) = objects(said)
    assert (fault["type"], fault["kind"]) == ("error", "CatalogError")
    assert "download UCMerced_LandUse.zip" in fault["text"]


def test_get_says_where_it_is_and_what_is_next(tmp_path, monkeypatch):
    asked = []

    def fake(*args, **options):
        asked.append((args, options))
        return tmp_path / "there"

    monkeypatch.setattr(python, "get", fake)
    said = run("get", "ucmerced", tmp_path)
    assert (
        said.stdout
        == f"{tmp_path / 'there'}\nnext: terrapatch catalog verify ucmerced {tmp_path}\n"
    )
    assert objects(run("get", "ucmerced", tmp_path, "--json"))[-1]["path"] == str(
        tmp_path / "there"
    )
    assert [args for args, _ in asked] == [("ucmerced", tmp_path)] * 2
    assert asked[0][1]["progress"] is not None
    assert asked[1][1] == {"offline": False, "progress": None}


def test_verify_shows_each_fault_and_leaves_with_2(images):
    said = run("verify", "optimal-31", images)
    assert said.exit_code == 2
    lines = said.stdout.splitlines()
    assert lines[0] == "class airplane: 1 images instead of 60"
    assert len(lines) == 32
    assert lines[-1] == f"{images}: 31 images read in 31 classes; 31 faults"
    told = run("verify", "optimal-31", images, "--json")
    assert told.exit_code == 2
    assert objects(told)[-1]["type"] == "result"
    assert objects(told)[-1]["whole"] is False
    assert run("verify", "optimal-31", images, "--quiet").stdout == ""


def test_verify_of_a_whole_set_leaves_with_0(tmp_path, monkeypatch):
    found = python.Verified("x", tmp_path, 4, {"a": 2, "b": 2}, (), ("x.zip",), ())
    monkeypatch.setattr(python, "verify", lambda *args, **options: found)
    said = run("verify", "ucmerced", tmp_path)
    assert said.exit_code == 0
    assert said.stdout == f"{tmp_path}: 4 images read in 2 classes, hash of x.zip right; whole\n"


def test_verify_looks_in_the_folder_of_all_data(tmp_path, monkeypatch):
    monkeypatch.setenv("TERRAPATCH_DATA", str(tmp_path))
    said = run("verify", "ucmerced")
    assert said.exit_code == 2
    assert f"{tmp_path / 'ucmerced' / 'images'}" in said.stderr


def test_command_and_python_have_the_same_names():
    general = {"as_json", "quiet", "debug"}
    for command, call in ((get, python.get), (verify, python.verify)):
        options = set(inspect.signature(command).parameters) - general
        assert {"id" if name == "name" else name for name in options} == set(
            inspect.signature(call).parameters
        ) - {"progress"}
