"""``info`` shows every raster, and the command it prints works."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from affine import Affine

RASTERS = {
    "rgb": {},
    "grey": {"bands": 1},
    "two bands": {"bands": 2},
    "six bands without names": {"bands": 6},
    "named": {"bands": 4, "dtype": "uint16", "descriptions": ["blue", "green", "red", "nir"]},
    "uint16": {"dtype": "uint16"},
    "reflectance": {"dtype": "float32", "bands": 1},
    "negative": {"dtype": "int16", "values": "constant", "level": -7},
    "mask": {"nodata": "mask"},
    "alpha": {"nodata": "alpha"},
    "nodata": {"nodata": 0},
    "nan": {"dtype": "float32", "nodata": "nan"},
    "no place": {"crs": None, "transform": None},
    "degrees": {"crs": "EPSG:4326", "transform": Affine(0.001, 0, 12, 0, -0.001, 60)},
    "coarse": {"transform": Affine(500, 0, 3e5, 0, -500, 2e6)},
    "tiny": {"height": 2, "width": 3},
    "a name with 'quotes' & spaces": {"bands": 1},
}


@pytest.mark.parametrize("name", RASTERS)
def test_the_command_it_prints_works(cli, make_raster, name: str) -> None:
    make_raster(f"{name}.tif", **RASTERS[name])
    run = cli("info", f"{name}.tif")
    assert run.code == 0, run.err
    assert run.err == ""
    command = shlex.split(run.out.splitlines()[-1])
    assert command[:2] == ["terrapatch", "embed"]
    done = cli(*command[1:], "--backbone", "imagestats", "--quiet")
    assert (done.code, done.err) == (0, "")


def test_what_is_shown(cli, make_raster) -> None:
    make_raster("s.tif", nodata="mask", block=16)
    shown = cli("info", "s.tif").out
    for words in (
        "GTiff, deflate, blocks of 16 x 16 pixels, overviews: none",
        "64 x 64 pixels",
        "EPSG:32643 (WGS 84 / UTM zone 43N)",
        "0.5 x 0.5 m, on the ground 0.4999 x 0.4999 m",
        "1 red, uint8, mostly",
        "a mask of its own; 75 % of a thinned sample is valid",
        "bands 1 red, 2 green, 3 blue are taken",
        "0 to 255, taken as they are",
        "--size 60m --stride 60m",
    ):
        assert words in shown


def test_units_that_have_to_be_told(cli, make_raster) -> None:
    make_raster("s.tif", dtype="uint16", values="gradient", bands=4)
    run = cli("info", "s.tif")
    assert "not known; declare them with --units, for example 0:255" in run.out
    assert "choose three with --bands" in run.out
    assert run.out.splitlines()[-1].endswith("--bands 1,2,3 --units 0:255")


def test_a_value_given_as_nodata(cli, make_raster) -> None:
    make_raster("s.tif", values="constant", level=9)
    assert cli("info", "s.tif", "--json").result["valid"] == 1
    found = cli("info", "s.tif", "--nodata", 9, "--json").result
    assert found["valid"] == 0
    assert found["command"] is None
    assert "no valid pixel" in found["obstacle"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"transform": Affine.translation(5e5, 2e6) @ Affine.rotation(20)}, "rotated"),
        ({"transform": Affine(0.5, 0, 5e5, 0, 0.5, 2e6)}, "south-up"),
        ({"bands": 1, "colorinterp": ["palette"], "photometric": "palette"}, "palette"),
        ({"dtype": "complex64", "bands": 1, "values": "constant"}, "complex"),
        ({"dtype": "uint16", "transform": Affine.rotation(5)}, "rotated"),
    ],
)
def test_rasters_that_would_be_refused_are_shown_too(cli, make_raster, options, words) -> None:
    make_raster("s.tif", **options)
    run = cli("info", "s.tif")
    assert run.code == 0, run.err
    assert run.err == ""
    assert "64 x 64 pixels" in run.out
    assert run.out.splitlines()[-1].startswith("in the way")
    assert words in run.out.splitlines()[-1]
    found = cli("info", "s.tif", "--json").result
    assert found["command"] is None
    refused = cli("embed", "s.tif", "-o", "f.zarr", "--size", 8, "--backbone", "imagestats")
    assert refused.err == f"error: {found['obstacle']}\n"


def test_what_is_no_raster(cli) -> None:
    Path("s.tif").write_text("nothing")
    for name in ("s.tif", "none.tif", ".", ""):
        run = cli("info", name)
        assert run.code == 2
        assert run.err.startswith("error: ")
        assert run.err.count("\n") == 1


@pytest.mark.data
def test_every_tricky_raster_is_shown(cli, data_dir) -> None:
    for path in sorted(data_dir("tricky").glob("*.tif")):
        run = cli("info", path, "--json")
        assert (run.code, run.err) == (0, "")
        assert (run.result["command"] is None) == (run.result["obstacle"] is not None)
