"""From polygons to a map of classes on real imagery, by the command line alone, in real QGIS."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import shape

import terrapatch as tp
from qgis_client import ask_qgis, require_qgis
from terrapatch.learn import truth_on_cells

pytestmark = [pytest.mark.slow, pytest.mark.data]

INFORMAL, UNKNOWN = 1, (0, 255)
# Of the single mosaics this one holds enough of both classes: 33 informal cells of 60 m, where
# g4_2 holds 2 (and its model reaches F1 0.42 on g1_1; calling all cells informal gives 0.16).
TRAINED, TESTED = "g3_1", "g1_1"


def polygons(labels: Path, path: Path) -> None:
    """Write a label raster as polygons of informal settlement and of all else."""
    with rasterio.open(labels) as src:
        ids, transform, crs = src.read(1), src.transform, src.crs
    two = np.where(ids == INFORMAL, 1, 2).astype(np.uint8)
    found = list(shapes(two, mask=~np.isin(ids, UNKNOWN), transform=transform))
    kinds = ["informal" if value == 1 else "other" for _, value in found]
    assert set(kinds) == {"informal", "other"}
    table = gpd.GeoDataFrame({"kind": kinds}, geometry=[shape(g) for g, _ in found], crs=crs)
    table.to_file(path)


def f1_of_informal(ids: np.ndarray, labels: Path, stride: tuple[int, int]) -> float:
    """Return F1 of informal settlement over the cells that are mostly labelled."""
    with rasterio.open(labels) as src:
        pixels = src.read(1)
    counts = truth_on_cells(pixels, stride, ids.shape, 6, ignore=UNKNOWN)
    known = (counts.sum(axis=-1) > 0) & (ids > 0)
    truth = (2 * counts[..., 0] > counts.sum(axis=-1))[known]
    found = (ids == 1)[known]
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


@pytest.mark.qgis
def test_polygons_become_a_map_that_opens_right(
    data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    require_qgis()
    home, away = (data_dir("mumbai", f"mumbai_{n}_rgb.tif") for n in (TRAINED, TESTED))
    polygons(data_dir("mumbai", f"mumbai_{TRAINED}_labels.tif"), tmp_path / "kinds.gpkg")
    tool = Path(sys.executable).with_name("terrapatch")
    for command in (
        ["embed", str(home), "-o", "home.zarr", "--size", "60m"],
        ["train", "kinds.gpkg", "--features", "home.zarr", "--column", "kind", "-o", "model",
         "--folds", "3"],
        ["classify", str(away), "--model", "model", "-o", "g1/classes.tif"],
    ):  # fmt: skip
        done = subprocess.run([tool, *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    shutil.copytree(tmp_path / "g1", tmp_path / "copy")
    names = ("classes.tif", "classes_confidence.tif", "classes_polygons.gpkg")
    raster, confidence, areas = ask_qgis([{"path": str(tmp_path / "copy" / n)} for n in names])
    made = tp.ClassMap.open(tmp_path / "g1" / "classes.tif")
    assert made.legend.names == ("informal", "other")
    shown = [[e.id, e.name, e.colour, 255] for e in made.legend]
    assert raster["valid"]
    assert raster["renderer"] == "paletted"
    assert raster["classes"] == shown
    assert raster["crs_valid"]
    assert raster["authid"] == "EPSG:32643"
    assert raster["nodata"]
    assert raster["nodata_value"] == 0
    assert confidence["renderer"] == "singlebandpseudocolor"
    assert areas["renderer"] == "categorizedSymbol"
    assert areas["count"] > 0
    for name in ("classes.tif", "classes_confidence.tif"):
        valid, errors, _ = cog_validate(tmp_path / "g1" / name, strict=True)
        assert valid, errors
    stride = tp.FeatureRaster.open(tmp_path / "g1" / "classes.zarr").recipe.grid["stride_px"]
    labels = data_dir("mumbai", f"mumbai_{TESTED}_labels.tif")
    assert f1_of_informal(made.values, labels, tuple(stride)) >= 0.6
