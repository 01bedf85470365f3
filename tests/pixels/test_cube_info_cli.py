"""``terrapatch pixels info`` shows a cube, to people and to machines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import cube_files as files
from terrapatch.cli.pixels.info import info

app = typer.Typer()
app.command()(info)


def run(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(a) for a in args])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("name", files.FORMATS)
def test_every_format_is_shown(name: str, tmp_path: Path) -> None:
    file, write, options = files.FORMATS[name]
    args = [write(tmp_path / file)]
    for option, value in options.items():
        if option == "wavelengths":
            (tmp_path / "w.txt").write_text("\n".join(map(str, value)))
            value = tmp_path / "w.txt"
        args += [f"--{option}", value]
    code, out, err = run(*args)
    assert (code, err) == (0, "")
    assert "5 of 7 bands kept" in out
    assert "450 to 2200 nm" in out
    assert "times 0.0001" in out
    assert "1.4 % of the sampled pixels are invalid" in out
    assert "5: no data" in out
    placed = name.startswith(files.PLACED)
    assert ("EPSG:32633" if placed else "no georeference") in out


def test_json_is_one_object(tmp_path: Path) -> None:
    code, out, _ = run(files.write_tif(tmp_path / "c.tif"), "--json")
    assert code == 0
    seen = json.loads(out)
    assert seen["bands"] == list(files.KEPT)
    assert [d["reason"] for d in seen["dropped"]] == ["bad-band list", "no data"]
    assert seen["georeferenced"] is True


def test_options_and_refusals(tmp_path: Path) -> None:
    path = files.write_tif(tmp_path / "c.tif")
    assert "5 of 7 bands kept" in run(path, "--keep-bad", "--drop", "1")[1]
    assert "2 of 2 bands kept" in run(path, "--bands", "6-7")[1]
    np.savez(tmp_path / "two.npz", a=files.values(), b=files.values())
    code, out, err = run(tmp_path / "two.npz")
    assert (code, out) == (2, "")
    assert err.startswith("error: two.npz holds 2 cubes: a 13 x 11 x 7, b 13 x 11 x 7; name one")
    assert run(f"{tmp_path / 'two.npz'}:b", "--axes", "yxb")[0] == 0
    assert run(tmp_path / "two.npz", "--variable", "a", "--axes", "yxb")[0] == 0
    assert run(tmp_path / "no.npz")[2].startswith("error: there is no file")
