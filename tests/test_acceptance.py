"""The whole way on real imagery, with the figures the project holds itself to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

import terrapatch as tp
from qgis_client import ask_qgis, require_qgis
from terrapatch.errors import BandError, UnitsError
from terrapatch.learn import iou, mask_by_majority, truth_on_cells
from terrapatch.studies.settlements import default_scaling

pytestmark = [pytest.mark.slow, pytest.mark.data]

DataDir = Callable[..., Path]


def _informal_iou(features: tp.FeatureRaster, labels: Path, scaling: str) -> float:
    """Mean over five seeds at k = 12 of the IoU of informal cells."""
    with rasterio.open(labels) as src:
        pixels = src.read(1)
    stride = tuple(features.recipe.grid["stride_px"])
    counts = truth_on_cells(pixels, stride, features.shape, 6, ignore=(0, 255))
    truth = 2 * counts[..., 0] > counts.sum(axis=-1)
    assert truth.sum() / (features.valid() > 0).sum() == pytest.approx(0.087, abs=0.001)
    scores = []
    for seed in range(5):
        ids = tp.fit_clusters(features, 12, seed=seed, scaling=scaling).predict(features).labels
        scores.append(iou(mask_by_majority(ids, truth, 12), truth, where=ids > 0))
    return float(np.mean(scores))


def test_clusters_find_informal_settlements_in_mumbai(data_dir: DataDir, tmp_path: Path) -> None:
    scene = data_dir("mumbai", "mumbai_g1_1_rgb.tif")
    labels = data_dir("mumbai", "mumbai_g1_1_labels.tif")
    features = tp.embed(scene, tmp_path / "g1.zarr", size="60m", stride="60m", precision="fp32")
    plain = tp.embed(scene, tmp_path / "s.zarr", size="60m", backbone="imagestats")
    assert features.n_features == 4128
    found = _informal_iou(features, labels, default_scaling(features))
    baseline = _informal_iou(plain, labels, default_scaling(plain))
    assert found >= 0.70
    assert baseline < found - 0.2


@pytest.mark.qgis
def test_the_command_line_makes_a_map_that_opens_right(data_dir: DataDir, tmp_path: Path) -> None:
    require_qgis()
    scene = data_dir("mumbai", "mumbai_g1_1_rgb.tif")
    tool = Path(sys.executable).with_name("terrapatch")
    for command in (
        [tool, "embed", str(scene), "-o", "g1.zarr", "--size", "60m", "--stride", "60m"],
        [tool, "cluster", "g1.zarr", "-k", "12", "--seed", "0", "-o", "g1/"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    shutil.copytree(tmp_path / "g1", tmp_path / "copy")
    raster, distance = ask_qgis(
        [{"path": str(tmp_path / "copy" / n)} for n in ("clusters.tif", "distance.tif")]
    )
    legend = tp.ClassMap.open(tmp_path / "g1" / "clusters.tif").legend
    assert raster["renderer"] == "paletted"
    assert raster["classes"] == [[e.id, e.name, e.colour, 255] for e in legend]
    assert len(raster["classes"]) == 12
    assert raster["crs_valid"]
    assert raster["authid"] == "EPSG:32643"
    assert raster["nodata"]
    assert raster["nodata_value"] == 0
    assert distance["renderer"] == "singlebandpseudocolor"
    for name in ("clusters.tif", "distance.tif"):
        valid, errors, _ = cog_validate(tmp_path / "g1" / name, strict=True)
        assert valid, errors


@pytest.mark.parametrize(
    ("scene", "options"),
    [
        (("kampala", "kampala_informal_z21_rgb.tif"), {"size": "15m"}),
        (("kampala", "kampala_planned_z21_rgb.tif"), {"size": "15m"}),
        (("scenes", "landsat7_olinda_6band.tif"), {"size": "600m", "bands": "3,2,1"}),
        (("scenes", "naip_2009_rgbn.tif"), {"size": "300m", "bands": "1,2,3"}),
        (
            ("scenes", "sentinel2_two_dates_8band_uint16.tif"),
            {"size": "320m", "bands": "3,2,1", "units": "0:3000"},
        ),
        (
            ("scenes", "sentinel2_bengaluru_4band_uint16_nodata9999.tif"),
            {"size": "160m", "bands": "3,2,1", "units": "percentile:2,98"},
        ),
    ],
    ids=lambda v: v[1] if isinstance(v, tuple) else "",
)
def test_real_scenes_become_maps(
    scene: tuple[str, str], options: dict[str, str], data_dir: DataDir, tmp_path: Path
) -> None:
    path = data_dir(*scene)
    features = tp.embed(path, tmp_path / "f.zarr", precision="fp32", **options)
    result = tp.cluster(features, tmp_path / "c", k=4, seed=0)
    with rasterio.open(path) as src, rasterio.open(tmp_path / "c" / "clusters.tif") as made:
        assert made.crs == src.crs
        assert made.transform.c == src.transform.c
        assert made.transform.f == src.transform.f
        assert set(np.unique(made.read(1))) <= {0, 1, 2, 3, 4}
    assert (result.clusters.counts > 0).all()


def test_sentinel_is_refused_without_units(data_dir: DataDir, tmp_path: Path) -> None:
    path = data_dir("scenes", "sentinel2_two_dates_8band_uint16.tif")
    with pytest.raises(UnitsError, match="--units, for example 0:3000"):
        tp.embed(path, tmp_path / "f.zarr", size="320m", bands="3,2,1")
    with pytest.raises(BandError, match="choose them with --bands"):
        tp.embed(path, tmp_path / "f.zarr", size="320m", units="0:3000")
    assert not list(tmp_path.iterdir())
