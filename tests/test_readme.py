"""What the README prints works as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from terrapatch.studies.painted import paint

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
BLOCKS = [(m[1], m[2]) for m in BLOCK.finditer(README)]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    paint(folder / "scene.tif", seed=0, size=(600, 720))
    paint(folder / "elsewhere.tif", seed=1, size=(600, 720))
    return folder


def test_the_shell_examples_work(place: Path) -> None:
    lines = [line for _, block in BLOCKS for line in block.splitlines()]
    commands = [line.split("#")[0] for line in lines if line.startswith("terrapatch ")]
    assert len(commands) >= 8
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=place,
            env={**os.environ, "PATH": tools, "TERRAPATCH_WEIGHTS": str(place / "weights")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    for made in ("clusters/clusters.tif", "clusters/clusters_polygons.gpkg", "cells.parquet"):
        assert (place / made).exists()
    assert (place / "elsewhere_clusters" / "clusters.tif").exists()


def test_the_python_example_works(place: Path) -> None:
    for made in ("scene.zarr", "clusters"):
        shutil.rmtree(place / made, ignore_errors=True)
    (example,) = [block for language, block in BLOCKS if language == "python"]
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=place, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ClusterRow(id=1" in done.stdout


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
