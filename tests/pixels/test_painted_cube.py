"""The painted cube: what is in it, that the seed decides every byte, and what makes it hard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from terrapatch.cubes import Cube
from terrapatch.errors import GridError, OutputError
from terrapatch.studies.painted_cube import LEGEND, NODATA, PaintedCube, cube_picture, paint_cube

SMALL = {"size": (64, 72), "bands": 60}


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> PaintedCube:
    return paint_cube(tmp_path_factory.mktemp("painted") / "cube.tif", seed=3)


def test_it_is_a_cube_with_wavelengths_and_a_place(painted: PaintedCube) -> None:
    cube = Cube.open(painted.cube_path)
    assert cube.shape == (140, 160)
    assert cube.geobox.crs.to_epsg() == 32633
    assert {d.reason for d in cube.dropped} == {"water vapour"}
    assert cube.n_bands + len(cube.dropped) == 100
    assert cube.wavelengths is not None
    assert (cube.wavelengths[0], cube.wavelengths[-1]) == (420.0, 2450.0)
    assert set(cube.scale) == {0.0001}
    with rasterio.open(painted.cube_path) as src, rasterio.open(painted.truth_path) as truth:
        assert (truth.crs, truth.transform, truth.shape) == (src.crs, src.transform, src.shape)
        stored, ids = src.read(), truth.read(1)
    assert ((stored == NODATA).all(axis=0) == (ids == 0)).all()
    assert 0.005 < (ids == 0).mean() < 0.15
    assert set(np.unique(ids)) == {0, *LEGEND.ids}
    assert np.bincount(ids.ravel(), minlength=8).min() > 200


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    made = [paint_cube(tmp_path / f"{n}.tif", seed=5, **SMALL) for n in "ab"]
    assert made[0].cube_path.read_bytes() == made[1].cube_path.read_bytes()
    assert made[0].truth_path.read_bytes() == made[1].truth_path.read_bytes()
    other = cube_picture(seed=6, **SMALL)
    assert not np.array_equal(other[1], cube_picture(seed=5, **SMALL)[1])
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        *("a.tif", "a_truth.tif", "b.tif", "b_truth.tif"),
    ]


def test_spectra_look_like_what_they_are() -> None:
    values, truth, nm = cube_picture(seed=1)

    def mean(name: str, wavelength: float) -> float:
        at = int(np.argmin(np.abs(nm - wavelength)))
        number = LEGEND.names.index(name) + 1
        return float(np.nanmean(values[..., at][truth == number]))

    for plants in ("maize", "wheat", "grass", "trees"):
        assert mean(plants, 860) > 3 * mean(plants, 670)  # the red edge
        assert mean(plants, 550) > mean(plants, 670)  # the green peak
        assert mean(plants, 1450) < mean(plants, 1650)  # leaf water
    assert mean("bare soil", 2120) > mean("bare soil", 2205)  # clay
    assert mean("water", 860) < 0.05 < mean("water", 440)
    assert mean("bare soil", 1380) < 0.02  # no light


def test_noise_rises_and_light_drifts() -> None:
    values, truth, nm = cube_picture(seed=2)
    soil = truth == LEGEND.names.index("bare soil") + 1
    together = soil[:, 1:] & soil[:, :-1]
    apart = (values[:, 1:] - values[:, :-1])[together]
    blue, far = (apart[:, int(np.argmin(np.abs(nm - x)))] for x in (500, 2400))
    spread = [1.4826 * np.median(np.abs(part)) for part in (blue, far)]
    assert spread[1] > 2 * spread[0]
    red = values[..., int(np.argmin(np.abs(nm - 860)))]
    low, high = np.nanmean(red[:70, 80:]), np.nanmean(red[70:, :80])
    assert abs(high - low) > 0.01


@pytest.mark.parametrize(
    "options", [{"size": (40, 80)}, {"size": (80, 40)}, {"size": (64, 64), "bands": 8}]
)
def test_too_little_to_show_is_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(GridError, match="shows nothing; ask for at least 48 x 48 pixels and 12"):
        paint_cube(tmp_path / "c.tif", **options)
    assert not list(tmp_path.iterdir())


def test_what_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "c_truth.tif").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"c_truth\.tif exists already"):
        paint_cube(tmp_path / "c.tif", **SMALL)
    assert (tmp_path / "c_truth.tif").read_text(encoding="utf-8") == "mine"
    paint_cube(tmp_path / "c.tif", overwrite=True, **SMALL)
    assert Cube.open(tmp_path / "c.tif").n_bands < 60
