"""What the README prints works as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from shapely.geometry import shape

from terrapatch.studies.painted import paint
from terrapatch.studies.painted_cube import PaintedCube, paint_cube

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
    shutil.copy(folder / "scene_truth.tif", folder / "labels.tif")
    cut_photos(folder / "scene.tif", folder / "labels.tif", folder / "photos")
    cut_photos(folder / "elsewhere.tif", folder / "elsewhere_truth.tif", folder / "other_photos")
    label_fields(paint_cube(folder / "cube.tif", seed=0, size=(60, 72), bands=24), folder)
    return folder


def label_fields(painted: PaintedCube, folder: Path) -> None:
    """Write the parcels of a painted cube as polygons with their crop."""
    with rasterio.open(painted.truth_path) as src:
        ids, transform, crs = src.read(1), src.transform, src.crs
    found = list(shapes(ids, mask=ids > 0, transform=transform))
    crops = [painted.legend.names[int(id) - 1] for _, id in found]
    table = gpd.GeoDataFrame({"crop": crops}, geometry=[shape(g) for g, _ in found], crs=crs)
    table.to_file(folder / "fields.gpkg")


def cut_photos(scene: Path, labels: Path, folder: Path, side: int = 48, most: int = 6) -> None:
    """Cut the scene into images of one class each."""
    with rasterio.open(scene) as src, rasterio.open(labels) as truth:
        pixels, ids = src.read(), truth.read(1)
    for top in range(0, ids.shape[0] - side, side):
        for left in range(0, ids.shape[1] - side, side):
            window = slice(top, top + side), slice(left, left + side)
            id = int(np.bincount(ids[window].ravel(), minlength=7)[1:].argmax()) + 1
            held = folder / ("built" if id <= 3 else "open")
            held.mkdir(parents=True, exist_ok=True)
            if len(list(held.iterdir())) < most:
                with rasterio.open(
                    held / f"{top}-{left}.png", "w", driver="PNG", width=side, height=side,
                    count=3, dtype="uint8",
                ) as dst:  # fmt: skip
                    dst.write(pixels[:, window[0], window[1]])


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
    for made in ("classes.tif", "classes_confidence.tif", "model/report.html"):
        assert (place / made).exists()
    assert (place / "photos_report" / "report.html").exists()
    assert (place / "tuned" / "model.json").exists()
    for made in (
        "tuned_classes.tif",
        "transfer_report/report.html",
        "clusters/named.tif",
        "clusters/contact_sheet.png",
        "alike_sheet.png",
        "calm.tif",
        "points.gpkg",
    ):
        assert (place / made).exists()


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
