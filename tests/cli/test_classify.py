"""``classify`` of several scenes from the shell: tables, objects, interrupts."""

from __future__ import annotations

from pathlib import Path

import pytest

import terrapatch as tp
from terrapatch.studies.painted import paint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model of band statistics, beside ``scene.tif`` and ``other.tif``."""
    made = paint(tmp_path / "scene.tif", seed=1, size=(512, 512))
    paint(tmp_path / "other.tif", seed=2, size=(256, 256))
    tp.embed(made.rgb_path, tmp_path / "f.zarr", size="12m", backbone="imagestats")
    options = {"features": [tmp_path / "f.zarr"], "head": "centroid", "folds": 3}
    tp.train(made.truth_path, tmp_path / "model", baselines=False, **options)
    return tmp_path / "model"


def test_several_scenes_one_table(cli, model: Path) -> None:
    command = ("classify", "scene.tif", "other.tif", "--model", "model", "-o", "maps")
    run = cli(*command, "--no-polygons")
    assert run.code == 0, run.err
    lines = [line.split() for line in run.out.splitlines()]
    assert lines[0] == ["scene", "id", "name", "cells", "share"]
    for name in ("scene", "other", "in"):
        assert sum(line[0] == name for line in lines[1:]) == 1, run.out
    assert "wrote maps/mosaic.vrt" in run.out
    assert "next: open maps/mosaic.vrt in QGIS" in run.out
    assert Path("maps/other.tif").exists()

    run = cli(*command)
    assert run.code == 2
    assert "exist in maps already; pass --overwrite to write them anew" in run.err
    assert len(run.err.strip().splitlines()) == 1

    run = cli(*command, "--no-polygons", "--overwrite", "--json")
    assert run.code == 0, run.err
    told = run.result
    assert told["mosaic"] == "maps/mosaic.vrt"
    assert [one["scene"] for one in told["maps"]] == ["scene", "other"]
    for k, entry in enumerate(told["classes"]):
        assert entry["cells"] == sum(one["classes"][k]["cells"] for one in told["maps"])
    assert sum(entry["cells"] for entry in told["classes"]) > 0


def test_an_interrupt_says_what_is_kept(cli, model: Path, monkeypatch) -> None:
    import terrapatch.studies.classifying as study

    real, calls = study.embed, []

    def embed(scene: object, *args: object, **options: object) -> tp.FeatureRaster:
        if calls:
            raise KeyboardInterrupt
        calls.append(scene)
        return real(scene, *args, **options)  # type: ignore[arg-type]

    command = ("classify", "scene.tif", "other.tif", "--model", "model", "-o", "maps")
    with monkeypatch.context() as patch:
        patch.setattr(study, "embed", embed)
        run = cli(*command, "-q")
    assert run.code == 130
    assert run.err.splitlines()[-1] == (
        "interrupted: the features of 1 of 2 scenes are kept; run the same command again to go on"
    )
    run = cli(*command, "-q")
    assert run.code == 0, run.err
