"""How something was made can be read back from every kind of thing we write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from terrapatch.errors import MapError, RecipeError, StoreError
from terrapatch.features import FeatureRaster, embed
from terrapatch.features.exports import export
from terrapatch.studies.explain import Explanation, explain
from terrapatch.studies.settlements import cluster


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and a folder of clusters from 16-bit values, in metres."""
    from rasters import make_raster

    folder = tmp_path_factory.mktemp("made")
    make_raster(folder / "scene.tif", dtype="uint16", nodata=7)
    raster = embed(
        folder / "scene.tif",
        folder / "f.zarr",
        size="4m",
        stride="2m",
        units="0:3000",
        backbone="imagestats",
    )
    cluster(raster, folder / "clusters", 4, seed=3)
    for name in ("f.tif", "f.parquet"):
        export(raster, folder / name)
    return folder


THINGS = {
    "f.zarr": "feature store",
    "f.tif": "feature raster",
    "f.parquet": "feature table",
    "clusters": "cluster folder",
    "clusters/clusters.tif": "class map",
    "clusters/distance.tif": "value map",
    "clusters/clusters.json": "STAC item",
    "clusters/distance.json": "STAC item",
    "clusters/model": "cluster model",
    "clusters/model/model.json": "cluster model",
}


@pytest.mark.parametrize("name", THINGS)
def test_every_kind(made: Path, name: str) -> None:
    told = explain(made / name)
    assert told.kind == THINGS[name]
    json.dumps(told.recipe, allow_nan=False)
    rows = dict(told.rows)
    assert len(rows) == len(told.rows)
    assert all(value and "\n" not in value for value in rows.values())
    if told.kind != "cluster model":
        assert rows["scene"].startswith("scene.tif, 64 x 64 pixels of uint16, EPSG:32643")
        assert rows["units"] == "0:3000: 0 is black, 3000 is white"
        assert rows["nodata"] == "7 in any band"
        assert rows["patches"].startswith("8 px (3.999 m)")
        assert "one every 4 px (2" in rows["patches"]
        assert "(asked for: 4m and 2m); 16 x 16 cells" in rows["patches"]
    if told.kind.startswith("c") or "distance" in name or told.kind == "STAC item":
        assert rows["clusters"].startswith("k = 4, seed 3, consensus of ")
        assert rows["scaling"].startswith("standardise")


def test_recipe_is_that_of_the_features(made: Path) -> None:
    recipe = FeatureRaster.open(made / "f.zarr").recipe.as_dict()
    for name in ("f.zarr", "f.tif", "f.parquet"):
        assert explain(made / name).recipe == recipe
    assert explain(made / "clusters").recipe["features"] == recipe


def test_a_network_is_named_with_its_weights() -> None:
    from terrapatch.studies._explain_words import about_features

    recipe = {
        "scene": {
            "name": "s.tif",
            "shape": [10, 20],
            "dtype": "uint8",
            "crs": None,
            "transform": [1, 0, 0, 0, -1, 0],
            "bands": [3, 2, 1],
            "band_names": ["red", "green", "band 1"],
            "nodata": [None] * 3,
            "nodata_rule": "all bands",
            "units": {"text": "uint8", "low": [0] * 3, "high": [255] * 3},
            "datetime": "2024-05-01T00:00:00Z",
        },
        "grid": {
            "size": "5px",
            "stride": "5px",
            "size_px": [5, 6],
            "stride_px": [5, 6],
            "edge": "drop",
            "shape": [2, 4],
        },
        "backbone": {
            "name": "net",
            "weights": "0123456789abcdef",
            "input_size": 128,
            "bands": ["red", "green", "blue"],
        },
        "descriptor": {"layers": ["a", "b"], "pooling": ["mean"], "l2": True},
        "execution": {
            "mode": "exact",
            "device": "cpu",
            "precision": "bf16",
            "batch": 32,
            "block": 8,
            "dtype": "float16",
        },
        "versions": {"terrapatch": "0.1.0"},
    }
    rows = dict(about_features(recipe, 7))
    assert rows["scene"].endswith("no CRS, taken 2024-05-01T00:00:00Z")
    assert rows["bands"] == "3 red, 2 green, band 1"
    assert rows["patches"].startswith("5 x 6 px, one every 5 x 6 px; 2 x 4 cells, patches only")
    assert rows["backbone"].startswith("net (weights 0123456789ab…), patches brought to 128 px")
    assert rows["features"] == "mean of a, b, each layer brought to unit length: 7 numbers a cell"


def test_what_is_not_ours(made: Path, tmp_path: Path, make_raster: Callable[..., Path]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "s.json").write_text("{}")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "f.parquet").write_bytes(b"PAR1")
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "x.zarr").mkdir()
    shutil.copytree(made / "f.zarr", tmp_path / "g.zarr.part")
    (tmp_path / "g.zarr.part" / ".done").mkdir()
    cases = {
        make_raster("s.tif"): (MapError, "no tag TERRAPATCH"),
        tmp_path / "s.json": (MapError, "no terrapatch:recipe"),
        tmp_path / "bad.json": (RecipeError, "not whole JSON"),
        tmp_path / "list.json": (RecipeError, "another kind"),
        tmp_path / "binary.json": (RecipeError, "not text"),
        tmp_path / "f.parquet": (RecipeError, "not a whole Parquet file"),
        tmp_path / "x.txt": (RecipeError, "holds no recipe"),
        tmp_path / "none.tif": (RecipeError, "there is no file"),
        tmp_path / "empty": (RecipeError, "neither a feature store"),
        tmp_path / "x.zarr": (StoreError, "not a feature store"),
        tmp_path / "g.zarr": (StoreError, "not finished"),
    }
    for path, (kind, words) in cases.items():
        with pytest.raises(kind, match=words):
            explain(path)


def test_a_map_of_another_maker_of_ours(tmp_path: Path) -> None:
    """Provenance we know nothing of is shown as it is."""
    import numpy as np
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from terrapatch.maps import ValueMap

    grid = GeoBox((2, 3), Affine(1, 0, 0, 0, -1, 0), "EPSG:32643")
    ValueMap(
        np.ones((2, 3), np.float32), grid, "age", "a", {"method": "by hand", "n_steps": 3}
    ).save(tmp_path / "m.tif")
    told: Explanation = explain(tmp_path / "m.tif")
    assert told.rows == [("method", "by hand"), ("n steps", "3")]
    assert "age" in told.what
