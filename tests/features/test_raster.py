"""A finished store: the same grid, open in other clients, honest about damage."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray  # noqa: F401  (registers the accessor)
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from storefiles import Make, files, plan_for, stats, writer_for
from terrapatch.errors import RecipeError, StoreError
from terrapatch.features import FeatureRaster

LAMBERT = (
    "+proj=lcc +lat_1=49.1 +lat_2=45.3 +lat_0=47 +lon_0=3 +x_0=600000 +y_0=200000 "
    "+ellps=intl +units=m +no_defs"
)
GRIDS: dict[str, tuple[Any, Affine]] = {
    "utm": ("EPSG:32643", Affine(0.5, 0, 280_000.25, 0, -0.5, 2_110_000.1)),
    "degrees": ("EPSG:4326", Affine(1e-5, 0, 72.87777, 0, -1.1e-5, 19.07283)),
    "lambert without a code": (LAMBERT, Affine(10, 0, 600_000, 0, -10, 200_000)),
    "web mercator": ("EPSG:3857", Affine(0.597164, 0, 8e6, 0, -0.597164, 2e6)),
    "no crs": (None, Affine(1, 0, 10, 0, -1, 20)),
    "no georeference": (None, None),  # type: ignore[dict-item]
}


@pytest.fixture(params=GRIDS)
def made(request: Any, make_raster: Make, tmp_path: Path) -> FeatureRaster:
    """A store of 7 x 5 cells with an empty corner, in some CRS."""
    crs, affine = GRIDS[request.param]
    warnings.filterwarnings("ignore", category=UserWarning, module="rasterio")
    scene = make_raster(height=50, width=40, crs=crs, transform=affine, nodata="mask")
    return stats(scene, tmp_path / "f.zarr", dtype="float32")


def test_the_same_geobox_comes_back(made: FeatureRaster, tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "scene.tif", tmp_path / "g.zarr")
    again = FeatureRaster.open(made.path)
    assert again.geobox == made.geobox == plan.grid.geobox
    assert again.geobox.affine == plan.grid.geobox.affine
    assert again == made
    assert (again.shape, again.n_features) == ((7, 5), 6)
    assert again.names == tuple(f"bands.{p}.{i}" for p in ("mean", "std") for i in range(3))
    assert again.groups == (("bands", 0, 6),)


def test_plain_xarray_and_rioxarray_open_it(made: FeatureRaster) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xr.open_zarr(made.path, chunks=None).load()
    located = data["features"].rio
    affine, crs = located.transform(), located.crs
    assert data["features"].dims == ("y", "x", "feature")
    assert data["valid"].dims == ("y", "x")
    assert data["valid"].rio.crs == crs
    expected = made.geobox
    assert affine.almost_equals(expected.affine)
    assert (crs is None) == (expected.crs is None)
    if crs is not None:
        assert GeoBox((7, 5), expected.affine, crs.to_wkt()).crs == expected.crs
    centres = [expected.affine * (c + 0.5, r + 0.5) for r, c in ((0, 0), (6, 4))]
    x, y = data["x"].values, data["y"].values
    np.testing.assert_allclose([(x[0], y[0]), (x[-1], y[-1])], centres)
    np.testing.assert_array_equal(data["features"], made.read(slice(None), slice(None)))


def test_data_is_lazy_named_and_located(made: FeatureRaster) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = made.data
    assert not data.variable._in_memory
    assert tuple(data.coords["feature"].values) == made.names
    assert (data.rio.crs is None) == (made.geobox.crs is None)
    one = data.sel(feature="bands.mean.1").values
    np.testing.assert_array_equal(one, made.read(slice(None), slice(None))[..., 1])


def test_blocks_go_over_all_cells_again_and_again(made: FeatureRaster) -> None:
    for _ in range(2):
        (block,) = made.blocks()
        assert (block.rows, block.cols) == (slice(0, 7), slice(0, 5))
        np.testing.assert_array_equal(block.valid, made.valid())
        np.testing.assert_array_equal(np.isnan(block.values).all(axis=2), block.valid == 0)
        assert (block.values.dtype, block.valid.dtype) == (np.float32, np.float32)
    assert (made.valid() == 0).any()


def test_float16_is_the_stored_type_by_default(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster()
    half, full = (
        stats(scene, tmp_path / f"{t}.zarr", dtype=t).read(slice(None), slice(None))
        for t in ("float16", "float32")
    )
    np.testing.assert_array_equal(half, full.astype("float16").astype("float32"))
    assert stats(scene, tmp_path / "f.zarr").recipe.execution["dtype"] == "float16"


def cut(chunk: Path) -> None:
    chunk.write_bytes(chunk.read_bytes()[:-20])


def empty(chunk: Path) -> None:
    chunk.write_bytes(b"")


def flip(chunk: Path) -> None:
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 16
    chunk.write_bytes(data)


def lose(chunk: Path) -> None:
    chunk.unlink()


@pytest.mark.parametrize("harm", [cut, empty, flip, lose])
@pytest.mark.parametrize("chunk", ["features/c/0/0/0", "valid/c/0/0"])
def test_a_damaged_chunk_is_one_sentence(
    make_raster: Make, tmp_path: Path, harm: Callable[[Path], None], chunk: str
) -> None:
    made = stats(make_raster(), tmp_path / "f.zarr")
    harm(made.path / chunk)
    with pytest.raises(StoreError, match=r"f.zarr is damaged near row 0, column 0") as caught:
        list(FeatureRaster.open(made.path).blocks())
    assert "\n" not in str(caught.value)
    assert "embed the scene again with --overwrite" in str(caught.value)


def test_damaged_metadata_is_one_sentence(make_raster: Make, tmp_path: Path) -> None:
    made = stats(make_raster(), tmp_path / "f.zarr")
    root = made.path / "zarr.json"
    text = root.read_text()
    root.write_text(text[: len(text) // 2])
    with pytest.raises(StoreError, match="is not a feature store of Terrapatch"):
        FeatureRaster.open(made.path)
    for change in ("layers", "terrapatch"):
        data = json.loads(text)
        del data["attributes"][change]
        root.write_text(json.dumps(data))
        with pytest.raises(StoreError):
            FeatureRaster.open(made.path)
    data = json.loads(text)
    del data["attributes"]["terrapatch"]["grid"]
    root.write_text(json.dumps(data))
    with pytest.raises(StoreError, match="is not a feature store of Terrapatch"):
        FeatureRaster.open(made.path)


def test_what_is_not_a_store(make_raster: Make, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no feature store .*none.zarr; make one with"):
        FeatureRaster.open(tmp_path / "none.zarr")
    (tmp_path / "empty").mkdir()
    for path in (make_raster(), tmp_path / "empty"):
        with pytest.raises(StoreError, match="is not a feature store of Terrapatch"):
            FeatureRaster.open(path)


def test_an_unfinished_store_is_not_opened(make_raster: Make, tmp_path: Path) -> None:
    out = tmp_path / "f.zarr"
    plan = plan_for(make_raster(), out)
    with writer_for(plan, out) as writer:
        (block,) = plan.blocks
        writer.write(block, np.zeros((8, 8, 6), np.float32), np.ones((8, 8), np.float32))
    for path in (out, writer.part):
        with pytest.raises(
            StoreError, match=r"is not finished \(1 blocks are done\); run the same"
        ):
            FeatureRaster.open(path)


def test_another_version_of_the_layout(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster()
    made = stats(scene, tmp_path / "f.zarr")
    root = made.path / "zarr.json"
    data = json.loads(root.read_text())
    data["attributes"]["terrapatch"]["format"] = 99
    root.write_text(json.dumps(data))
    with pytest.raises(RecipeError, match=r"version 99 .* reads version 1; .* with --overwrite"):
        FeatureRaster.open(made.path)
    assert stats(scene, made.path, overwrite=True).shape == (8, 8)


def test_a_store_can_be_moved_and_opened_from_within(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stats(make_raster(), tmp_path / "f.zarr")
    before = files(made.path)
    shutil.move(made.path, tmp_path / "moved.zarr")
    monkeypatch.chdir(tmp_path / "moved.zarr")
    assert FeatureRaster.open(".").recipe == made.recipe
    assert files(tmp_path / "moved.zarr") == before
