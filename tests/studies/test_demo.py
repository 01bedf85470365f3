"""The demonstration runs the whole way, finds the settlements, and repeats itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import terrapatch as tp
from terrapatch.errors import OutputError
from terrapatch.studies.demo import demo

pytestmark = pytest.mark.slow


def test_demo_beats_its_baseline_and_leaves_a_map(tmp_path: Path) -> None:
    result = demo(tmp_path / "demo", seed=0, size=(768, 1024))
    network, baseline = result.scores
    assert network.informal > baseline.informal + 0.1
    assert network.mean > baseline.mean
    assert all(f.exists() for f in result.files)
    named = tp.ClassMap.open(tmp_path / "demo" / "settlements.tif")
    assert "informal settlement" in named.legend.names
    assert not list((tmp_path / "demo").glob(".baseline.*"))
    assert any("IoU informal" in line for line in result.lines)

    with pytest.raises(OutputError, match="--overwrite"):
        demo(tmp_path / "demo", size=(768, 1024))
    (tmp_path / "demo" / "settlements_notes.txt").write_text("mine")
    (tmp_path / "demo" / "mine.zarr").mkdir()
    again = demo(tmp_path / "demo", seed=0, size=(768, 1024), overwrite=True)
    assert again.scores == result.scores
    assert (tmp_path / "demo" / "settlements_notes.txt").read_text() == "mine"
    assert (tmp_path / "demo" / "mine.zarr").exists()


def test_a_folder_with_a_scene_of_somebody_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "scene.tif").write_text("mine")
    with pytest.raises(OutputError, match=r"holds scene.tif, which no demonstration made"):
        demo(tmp_path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]
    assert (tmp_path / "scene.tif").read_text() == "mine"
