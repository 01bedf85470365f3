"""``train``, ``evaluate`` and ``classify`` from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from terrapatch.studies.painted import paint

STATS = ("--backbone", "imagestats")


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    return paint(tmp_path / "scene.tif", seed=1, size=(512, 512)).rgb_path


def test_from_labels_to_a_map(cli, painted: Path) -> None:
    assert cli("embed", "scene.tif", "-o", "f.zarr", "--size", "12m", *STATS, "-q").code == 0
    run = cli("train", "scene_truth.tif", "--features", "f.zarr", "-o", "model", "--folds", "3")
    assert run.code == 0, run.err
    assert "overall: " in run.out
    assert "blocks of 48 map units" in run.out
    assert "wrote model/report.html" in run.out
    assert "next: terrapatch classify SCENE --model model -o map.tif" in run.out

    run = cli("classify", "f.zarr", "--model", "model", "-o", "map.tif", "--smooth", "3")
    assert run.code == 0, run.err
    assert "smoothing over 3 x 3 cells changed" in run.err
    with rasterio.open("map.tif") as made, rasterio.open("map_confidence.tif") as sure:
        ids, confidence = made.read(1), sure.read(1)
        assert made.crs.to_epsg() == 32643
    np.testing.assert_array_equal(ids == 0, np.isnan(confidence))
    told = cli("explain", "map.tif").out
    assert "samples it had not seen" in told
    assert "rbf-svm" in told

    run = cli("classify", "f.zarr", "--model", "model", "-o", "map.tif")
    assert run.code == 2
    assert "map.tif exists already; pass --overwrite" in run.err


def test_objects_for_machines(cli, painted: Path) -> None:
    cli("embed", "scene.tif", "-o", "f.zarr", "--size", "12m", *STATS, "-q")
    run = cli(
        "evaluate", "scene_truth.tif", "--features", "f.zarr", "-o", "out", "--head", "centroid",
        "--folds", "3", "--json",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert (
        run.result["accuracy"]["overall"]
        == json.loads(Path("out/metrics.json").read_text())["accuracy"]["overall"]
    )
    assert not Path("out/model.json").exists()


def test_refusals_are_one_sentence(cli, painted: Path, make_raster) -> None:
    cases = {
        ("train", "nowhere", "-o", "m"): "nowhere",
        ("train", "scene_truth.tif", "-o", "m"): "pass --features STORE",
        ("classify", "scene.tif", "--model", "nowhere", "-o", "m.tif"): "no whole model is there",
    }
    for command, words in cases.items():
        run = cli(*command)
        assert run.code == 2, command
        assert words in run.err
        assert "Traceback" not in run.err
        assert len(run.err.strip().splitlines()) == 1, run.err
