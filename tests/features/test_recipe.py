"""Recipes: every deciding option changes the fingerprint, and differences are named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from storefiles import Make, plan_for, stats
from terrapatch.features import Recipe, prepare


@pytest.fixture
def recipe(make_raster: Make, tmp_path: Path) -> Recipe:
    """The recipe of a plain run."""
    return plan_for(make_raster(), tmp_path / "f.zarr").recipe


OPTIONS: list[dict[str, Any]] = [
    {"size": 9},
    {"stride": 4},
    {"edge": "nodata"},
    {"pooling": "mean"},
    {"l2": True},
    {"bands": "3,2,1"},
    {"units": "0:200"},
    {"nodata": 7},
    {"batch": 9},
    {"dtype": "float32"},
    {"backbone": "efficientnet_lite0", "layers": "stem", "precision": "fp32", "device": "cpu"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: next(iter(o)))
def test_options_that_decide_change_the_fingerprint(
    recipe: Recipe, make_raster: Make, tmp_path: Path, options: dict[str, Any]
) -> None:
    other = plan_for(make_raster(), tmp_path / "f.zarr", **options).recipe
    assert other.fingerprint != recipe.fingerprint
    assert other.differences(recipe)


def test_network_options_change_the_fingerprint(make_raster: Make, tmp_path: Path) -> None:
    plain: dict[str, Any] = {"layers": "stem", "precision": "fp32", "device": "cpu"}
    options = [{}, {"layers": "stage1"}, {"precision": "bf16"}, {"input_size": 64}]
    made = [
        prepare(make_raster(), tmp_path / "f.zarr", size=32, **(plain | o)).recipe for o in options
    ]
    assert len({r.fingerprint for r in made}) == len(options)
    assert made[0].space == made[2].space, "precisions share a feature space"
    assert made[0].versions.keys() >= {"terrapatch", "torch", "timm", "numpy", "rasterio"}


def test_the_pixels_decide_too(recipe: Recipe, make_raster: Make, tmp_path: Path) -> None:
    other = plan_for(make_raster(seed=1), tmp_path / "f.zarr").recipe
    assert [line.split(":")[0] for line in other.differences(recipe)] == ["scene signature"]


def test_readers_and_place_decide_nothing(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster()
    one = stats(scene, tmp_path / "a.zarr", readers=1)
    four = stats(scene, tmp_path / "deeper" / "b.zarr", readers=4, progress=lambda *_: None)
    assert one.recipe.fingerprint == four.recipe.fingerprint
    assert str(tmp_path) not in json.dumps(one.recipe.as_dict())


def test_every_entry_but_labels_is_in_the_fingerprint(recipe: Recipe) -> None:
    plain = recipe.as_dict()
    for part, entries in plain.items():
        for key in entries if isinstance(entries, dict) else [None]:
            changed = copy.deepcopy(plain)
            if key is None:
                changed[part] = "another"
            else:
                changed[part][key] = "another"
            other = Recipe.from_dict(changed)
            label = (part, key) in (("scene", "name"), ("scene", "datetime"))
            assert (other.fingerprint == recipe.fingerprint) == label, (part, key)
            (line,) = other.differences(recipe)
            assert line.startswith(part if key is None else f"{part} {key}:")
            assert line.endswith(", now another")


@pytest.mark.parametrize("nodata", [None, 3, "nan", float("inf"), -3.4028234663852886e38])
def test_recipes_survive_json(make_raster: Make, tmp_path: Path, nodata: Any) -> None:
    scene = make_raster(dtype="float32", nodata=nodata)
    made = stats(scene, tmp_path / "f.zarr", units="0:1")
    back = Recipe.from_dict(json.loads(json.dumps(made.recipe.as_dict())))
    assert back == made.recipe
    assert back.fingerprint == plan_for(scene, tmp_path / "g.zarr", units="0:1").recipe.fingerprint
    assert back.differences(made.recipe) == []


def test_space_is_what_a_model_needs(make_raster: Make, tmp_path: Path) -> None:
    one = plan_for(make_raster(), tmp_path / "f.zarr").recipe
    two = plan_for(
        make_raster("other.tif", seed=3, height=90, crs="EPSG:3857"),
        tmp_path / "g.zarr",
        stride=4,
        edge="nodata",
        batch=3,
    ).recipe
    assert one.fingerprint != two.fingerprint
    assert one.space_fingerprint == two.space_fingerprint
    assert one.space_differences(two.space) == []


def test_space_differences_are_lines_for_people(make_raster: Make, tmp_path: Path) -> None:
    made = plan_for(make_raster(), tmp_path / "f.zarr", size="8m").recipe
    model = plan_for(
        make_raster(), tmp_path / "f.zarr", size="6m", pooling="std", l2=True, bands="2,1"
    ).recipe
    assert made.space_differences(model.space) == [
        "pooling: the features have mean, std, the model was made with std",
        "L2 per layer: the features have False, the model was made with True",
        "bands: the features have red, green, blue, the model was made with green, red",
        "patch size: the features have 8m, the model was made with 6m",
    ]
    assert made.space_differences({}) != []
    assert made.space_differences(json.loads(json.dumps(made.space))) == []
