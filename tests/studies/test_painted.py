"""The painted scene: the same bytes every time, every class, truth on the same grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from terrapatch.errors import GridError, OutputError
from terrapatch.studies.painted import SMALLEST, PaintedScene, paint, picture

SIZE = (768, 1024)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> PaintedScene:
    return paint(tmp_path_factory.mktemp("painted") / "scene.tif", seed=0, size=SIZE)


def test_same_seed_same_bytes(scene: PaintedScene, tmp_path: Path) -> None:
    again = paint(tmp_path / "scene.tif", seed=0, size=SIZE)
    assert again.rgb_path.read_bytes() == scene.rgb_path.read_bytes()
    assert again.truth_path.read_bytes() == scene.truth_path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif", "scene_truth.tif"]


def test_another_seed_is_another_city() -> None:
    first, second = picture(seed=0, size=(256, 320))[1], picture(seed=1, size=(256, 320))[1]
    assert (first != second).mean() > 0.3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_class_has_its_share(seed: int) -> None:
    truth = picture(seed=seed, size=SIZE)[1]
    shares = np.bincount(truth.ravel(), minlength=7) / truth.size
    assert (shares[1:] > 0.03).all(), shares
    assert 0 < shares[0] < 0.06
    assert len(shares) == 7


def test_truth_lies_on_the_grid_of_the_picture(scene: PaintedScene) -> None:
    with rasterio.open(scene.rgb_path) as rgb, rasterio.open(scene.truth_path) as truth:
        assert rgb.shape == truth.shape == SIZE
        assert rgb.transform == truth.transform
        assert rgb.crs == truth.crs
        assert rgb.crs.to_epsg() == 32643
        assert rgb.res == (0.5, 0.5)
        assert rgb.dtypes == ("uint8",) * 3
        assert rgb.nodata == truth.nodata == 0
        assert rgb.profile["tiled"]
        assert np.array_equal(rgb.dataset_mask() == 0, truth.read(1) == 0)
        table = truth.colormap(1)
    for entry in scene.legend:
        assert "#{:02x}{:02x}{:02x}".format(*table[entry.id][:3]) == entry.colour


def test_kinds_of_land_overlap_in_colour(scene: PaintedScene) -> None:
    """Single pixels must not give the class away: brightness alone separates no two roofs."""
    with rasterio.open(scene.rgb_path) as rgb, rasterio.open(scene.truth_path) as truth:
        grey, ids = rgb.read().mean(axis=0), truth.read(1)
    middle = {k: np.percentile(grey[ids == k], [25, 75]) for k in (1, 2, 3)}
    assert max(low for low, _ in middle.values()) < min(high for _, high in middle.values())


def test_refusals(scene: PaintedScene, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        paint(scene.rgb_path)
    with pytest.raises(GridError, match="at least"):
        paint(tmp_path / "small.tif", size=(SMALLEST - 1, 500))
    assert list(tmp_path.iterdir()) == []
