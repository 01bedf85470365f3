"""The command ``pixels features``: its list, stores, dry runs, refusals, and lines for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from made_cubes import painted_cube
from terrapatch.cli.pixels.features import features
from terrapatch.features import FeatureRaster
from terrapatch.features.pixels.registry import feature_kinds
from terrapatch.studies.explain import explain

app = typer.Typer()
app.command()(features)


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    values, _, waves = painted_cube(30, 24, 12)
    np.savez(tmp_path / "cube.npz", cube=values, wavelength_nm=waves)
    return tmp_path / "cube.npz"


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_store_is_written_and_explained(cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.zarr"
    code, said, errors = run(
        cube, "-o", out, "-f", "pca:components=3", "-f", "mean:window=5", "--json"
    )
    assert code == 0, errors
    made, result = FeatureRaster.open(out), objects(said)[-1]
    assert (result["rows"], result["cols"], result["features"]) == (30, 24, 15)
    assert result["window"] == 5
    assert result["names"] == list(made.names)
    assert {o["stage"] for o in objects(said) if o["type"] == "progress"} == {"measure", "features"}
    told = dict(explain(out).rows)
    assert "pca:components=3,whiten=no; mean:window=5,of=spectra: 15 numbers" in told["features"]
    assert told["window"] == "the 5 x 5 pixels around it decide a pixel's numbers"
    assert told["bands"] == "12: 400 to 2400 nm"
    code, _, errors = run(cube, "-o", out, "-f", "snv")
    assert code == 2
    assert "f.zarr exists already; pass --overwrite" in errors
    assert run(cube, "-o", out, "-f", "snv", "--overwrite", "--quiet")[:2] == (0, "")
    assert FeatureRaster.open(out).n_features == 12


def test_a_dry_run_writes_nothing(cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.zarr"
    before = sorted(tmp_path.iterdir())
    code, said, errors = run(cube, "-o", out, "-f", "texture:components=1", "--dry-run", "--json")
    assert code == 0, errors
    assert sorted(tmp_path.iterdir()) == before
    result = objects(said)[-1]
    assert (result["cells"], result["features"], result["window"]) == (720, 6, 9)
    run(cube, "-o", out, "-f", "texture:components=1", "--quiet")
    size = sum(f.stat().st_size for f in (out / "features").rglob("*") if f.is_file())
    assert result["store_bytes"] == pytest.approx(size, rel=0.2)
    assert result["memory_bytes"] > 0
    assert result["seconds"] > 0


def test_the_list_names_every_kind() -> None:
    code, said, _ = run("--list")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines() if line[0] != " "] == list(
        feature_kinds()
    )
    assert "pca:components=10,whiten=no" in said
    (result,) = objects(run("--list", "--json")[1])
    assert [row["kind"] for row in result["features"]] == list(feature_kinds())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-f", "pcaa"), "there is no pixel feature 'pcaa' (did you mean pca?)"),
        (("-f", "pca:components=13"), "13 components of pca are asked for but the cube has 12"),
        (("-f", "indices:names=pri"), "pri needs a band at 531 nm: "),
        (("-f", "snv", "--dtype", "int8"), "stored type 'int8' is not known"),
        (("-f", "snv", "--drop", "1-12"), "no band of cube.npz"),
    ],
)
def test_bad_input_is_one_sentence(
    cube: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    code, _, errors = run(cube, "-o", tmp_path / "f.zarr", *words)
    assert code == 2
    last = errors.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert sentence in last
    assert not list(tmp_path.glob("*.zarr*"))


def test_what_is_missing_is_said(cube: Path, tmp_path: Path) -> None:
    assert "CUBE is missing" in run("-o", tmp_path / "f.zarr", "-f", "snv")[2]
    assert "--out is missing" in run(cube, "-f", "snv")[2]
    code, _, errors = run(cube, "-o", tmp_path / "f.zarr")
    assert code == 2
    assert "--feature is missing; --list shows" in errors
