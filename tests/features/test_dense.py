"""The dense mode: windows that share convolutions, on the same cells as the exact mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import terrapatch
from plain_lite0 import photos
from storefiles import files
from terrapatch.errors import BackboneError, GridError, RecipeError
from terrapatch.features import FeatureRaster, engine, prepare
from terrapatch.features.densely import choose_tile
from terrapatch.features.filling import fill
from terrapatch.features.plan import Plan
from terrapatch.features.tiles import Tiling
from terrapatch.learn import fit_clusters
from terrapatch.stream import PatchStream

Make = Callable[..., Path]


def photo(bands: int, height: int, width: int) -> NDArray[Any]:
    """One smooth picture of the size asked for, as bytes without 0."""
    made = photos(1, max(height, width), "float32")[0, :bands, :height, :width]
    return np.clip(made, 1, 255).astype(np.uint8)


def embedded(scene: Path, out: Path, **options: Any) -> NDArray[np.float32]:
    """Embed in the dense mode and return all features ``(rows, cols, features)``."""
    how = {"mode": "dense", "precision": "fp32", "dtype": "float32", "device": "cpu"} | options
    return values(terrapatch.embed(scene, out, overwrite=True, **how))


def values(features: FeatureRaster) -> NDArray[np.float32]:
    """All features ``(rows, cols, features)``."""
    return features.read(slice(None), slice(None))


def in_tiles(scene: Path, out: Path, side: int, tile: tuple[int, int], **options: Any) -> Any:
    """Embed densely in blocks of ``side`` cells and tiles of ``tile`` blocks."""
    how = {"mode": "dense", "precision": "fp32", "dtype": "float32", "device": "cpu"} | options
    plan = prepare(scene, out, **how)
    dense = dataclasses.replace(plan.dense, side=side)
    plan = dataclasses.replace(plan, side=side, tile=tile, dense=dense)
    return values(engine.run(plan, out, overwrite=True))


def seam(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Largest difference, relative to the length of the cell's descriptor."""
    length = np.sqrt(np.square(b.astype(np.float64)).sum(-1) / b.shape[-1])
    return float(np.nanmax(np.abs(a - b).max(-1) / length))


@pytest.mark.parametrize("edge", ["reflect", "drop"])
def test_without_padding_dense_is_exact(make_raster: Make, tmp_path: Path, edge: str) -> None:
    """LeNet pads nothing, so what a window holds of its maps is the cut-out patch's map."""
    scene = make_raster(dtype="uint8", bands=3, height=92, width=84, values=photo)
    how: dict[str, Any] = {"backbone": "lenet5:random", "layers": "conv1,conv2,conv3", "size": 32}
    how |= {"stride": 4, "edge": edge, "pooling": "mean,std,max,gem"}
    dense = embedded(scene, tmp_path / "dense.zarr", **how)
    exact = embedded(scene, tmp_path / "exact.zarr", mode="exact", **how)
    assert dense.shape == exact.shape
    assert np.array_equal(np.isnan(dense), np.isnan(exact))
    assert seam(dense, exact) <= 1e-5


@pytest.mark.parametrize(("size", "stride"), [(64, 16), (50, 21)])
def test_tiles_leave_no_seam(make_raster: Make, tmp_path: Path, size: int, stride: int) -> None:
    """Also where windows begin between positions, and with nodata across the tiles."""
    scene = make_raster(dtype="uint8", bands=3, height=330, width=290, values=holed, nodata=0)
    how: dict[str, Any] = {"size": size, "stride": stride, "input_size": 64}
    how |= {"backbone": "resnet18:random", "layers": "stage1,stage2,stage3"}
    whole = in_tiles(scene, tmp_path / "one.zarr", 32, (1, 1), **how)
    many = in_tiles(scene, tmp_path / "many.zarr", 4, (1, 2), **how)
    assert np.isnan(whole).any()
    assert np.array_equal(np.isnan(whole), np.isnan(many))
    assert seam(many, whole) <= 1e-4


def holed(bands: int, height: int, width: int) -> NDArray[Any]:
    """A picture with a hole that several cells lie in."""
    made = photo(bands, height, width)
    made[:, 100:180, 120:220] = 0
    return made


def test_constant_in_constant_out(make_raster: Make, tmp_path: Path) -> None:
    """At the edges of the scene too: what lies beyond is mirrored, not padded with zeros."""
    scene = make_raster(dtype="uint8", bands=3, height=150, width=130, values="constant", level=77)
    made = embedded(scene, tmp_path / "f.zarr", size=32, stride=10, backbone="resnet18:random")
    first = made[0, 0]
    assert np.abs(made - first).max() <= 1e-4 * np.abs(first).max()


def test_a_shifted_scene_gives_shifted_cells(make_raster: Make, tmp_path: Path) -> None:
    picture = photo(3, 256, 320)
    scene = make_raster(
        "a.tif", dtype="uint8", bands=3, height=256, width=320, values=lambda *_: picture
    )
    moved = make_raster(
        "b.tif", dtype="uint8", bands=3, height=256, width=256, values=lambda *_: picture[:, :, 64:]
    )
    how: dict[str, Any] = {"size": 64, "stride": 32, "layers": "stage1,stage2"}
    how |= {"backbone": "resnet18:random", "input_size": 64}
    a = embedded(scene, tmp_path / "a.zarr", **how)
    b = embedded(moved, tmp_path / "b.zarr", **how)
    assert seam(a[:, 5:], b[:, 3:]) <= 1e-4


def test_order_readers_and_interruptions_change_no_byte(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_raster(dtype="uint8", bands=3, height=256, width=256, values=holed, nodata=0)
    how: dict[str, Any] = {"size": 32, "stride": 8, "backbone": "resnet18:random", "mode": "dense"}
    how |= {"precision": "fp32", "device": "cpu", "layers": "stage1,stage2"}

    def planned(out: Path) -> Plan:
        plan = prepare(scene, out, **how)
        dense = dataclasses.replace(plan.dense, side=8)
        execution = plan.recipe.execution | {"block": 8, "tile": [2, 1]}
        recipe = dataclasses.replace(plan.recipe, execution=execution)
        return dataclasses.replace(plan, side=8, tile=(2, 1), dense=dense, recipe=recipe)

    def run(out: Path, readers: int) -> None:
        engine.run(planned(out), out, readers=readers)

    run(tmp_path / "one.zarr", 1)
    written = engine.StoreWriter.write

    def stopping(writer: Any, block: Any, *rest: Any) -> None:
        if block.index == (1, 2):  # in the middle of a tile
            raise KeyboardInterrupt
        written(writer, block, *rest)

    monkeypatch.setattr(engine.StoreWriter, "write", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "two.zarr", 3)
    monkeypatch.setattr(engine.StoreWriter, "write", written)
    run(tmp_path / "two.zarr", 2)
    assert files(tmp_path / "one.zarr") == files(tmp_path / "two.zarr")
    plan, whole = planned(tmp_path / "x.zarr"), FeatureRaster.open(tmp_path / "one.zarr")
    for work in reversed(plan.works):
        (pixels,) = PatchStream(plan.scene, plan.reading, [work.cells])
        made = engine.embed_work(plan, pixels).astype(np.float16).astype(np.float32)
        stored = whole.read(work.cells.rows, work.cells.cols)
        np.testing.assert_array_equal(made, stored)


def test_a_run_goes_on_with_its_tiles(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine has other memory, but goes on as the run was begun."""
    scene = make_raster(dtype="uint8", bands=3, height=300, width=300, values=photo)
    how: dict[str, Any] = {"size": 16, "stride": 4, "backbone": "lenet5:random"}
    how |= {"layers": "conv1", "mode": "dense", "input_size": 32}
    out = tmp_path / "f.zarr"

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, "embed_work", stop)
        with pytest.raises(KeyboardInterrupt):
            terrapatch.embed(scene, out, **how)
    begun = prepare(scene, out, **how).tile
    monkeypatch.setattr("terrapatch.features.tiling_trial.choose_tile", lambda *_: (9, 9))
    assert prepare(scene, out, **how).tile == begun != (9, 9)
    assert prepare(scene, tmp_path / "new.zarr", **how).tile == (9, 9)


def test_the_modes_are_spaces_of_their_own(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(dtype="uint8", bands=3, height=96, width=96, values=photo)
    how: dict[str, Any] = {"size": 32, "stride": 16, "backbone": "lenet5:random", "layers": "conv1"}
    exact = terrapatch.embed(scene, tmp_path / "e.zarr", **how)
    dense = terrapatch.embed(scene, tmp_path / "d.zarr", mode="dense", **how)
    assert dense.recipe.execution["mode"] == "dense"
    assert dense.geobox == exact.geobox
    model = fit_clusters(exact, 3)
    with pytest.raises(RecipeError, match=r"mode: the features have dense, the model .* exact"):
        model.predict(dense)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backbone": "imagestats"}, "imagestats is no convolutional network"),
        ({"backbone": "rcf"}, "rcf is no convolutional network"),
        ({"backbone": "mobilenet_v3_small:random"}, "sees the whole patch"),
        ({"backbone": "vgg16:random", "layers": "fc6"}, "layer fc6 of vgg16"),
        ({"backbone": "resnet18:random", "pooling": "flatten"}, "pooling 'flatten' needs"),
    ],
)
def test_what_has_no_dense_form_says_so(
    make_raster: Make, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    scene = make_raster(dtype="uint8", bands=3, height=96, width=96, values=photo)
    with pytest.raises(BackboneError, match=said) as caught:
        terrapatch.embed(scene, tmp_path / "f.zarr", size=64, mode="dense", **options)
    assert "--mode exact" in str(caught.value)
    assert not (tmp_path / "f.zarr.part").exists()


def test_an_unknown_mode_is_refused(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(dtype="uint8", bands=3, height=96, width=96, values=photo)
    with pytest.raises(RecipeError, match="mode 'sparse' is not known; choose exact or dense"):
        terrapatch.embed(scene, tmp_path / "f.zarr", size=64, mode="sparse")


def tiling_for(scene: Path, out: Path, **options: Any) -> Tiling:
    """Lay tiles over a scene."""
    plan = prepare(scene, out, mode="dense", backbone="lenet5:random", layers="conv1", **options)
    assert plan.dense is not None
    return plan.dense.tiling


def test_tiles_are_as_large_as_memory_lets_them(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(dtype="uint8", bands=3, height=640, width=640, values=photo)
    tiling = tiling_for(scene, tmp_path / "f.zarr", size=32, stride=8)
    sizes = [choose_tile(tiling, 8, 100.0, 10, budget) for budget in (10**6, 10**7, 10**9)]
    areas = [down * across for down, across in sizes]
    assert areas == sorted(areas)
    assert sizes[-1] == (10, 10)
    with pytest.raises(GridError, match=r"one tile of the dense mode takes .* --mode exact"):
        choose_tile(tiling, 8, 100.0, 10, 1000)


def test_empty_parts_of_a_tile_are_not_run(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def corners(bands: int, height: int, width: int) -> NDArray[Any]:
        made = np.zeros((bands, height, width), np.uint8)
        made[:, 520:560, :40] = made[:, -40:, -40:] = 99
        return made

    scene = make_raster(dtype="uint8", bands=3, height=1024, width=1024, values=corners, nodata=0)
    plan = prepare(
        scene,
        tmp_path / "f.zarr",
        size=32,
        stride=16,
        backbone="lenet5:random",
        layers="conv1",
        mode="dense",
    )
    assert plan.dense is not None
    ran = []
    describe = plan.dense.embedder.describe
    monkeypatch.setattr(
        plan.dense.embedder, "describe", lambda *a: ran.append(a[2]) or describe(*a)
    )
    plan = dataclasses.replace(
        plan, side=16, tile=(4, 4), dense=dataclasses.replace(plan.dense, side=16)
    )
    made = values(engine.run(plan, tmp_path / "f.zarr"))
    assert np.isfinite(made[..., 0]).sum() == 18
    assert len(ran) == 2
    assert sum(h * w for h, w in ran) < 1024 * 1024 / 20


def test_holes_are_filled_from_around() -> None:
    pixels = np.full((1, 12, 12), 50, np.uint8)
    pixels[:, :, 6:] = 90
    valid = np.ones((12, 12), bool)
    valid[3:9, :4] = False
    filled = fill(pixels, valid, (3, 3))
    assert np.array_equal(filled[:, valid], pixels[:, valid])
    assert np.array_equal(filled[0, 3:9, :3], np.full((6, 3), 50))
    empty = fill(pixels, np.zeros((12, 12), bool), (3, 3))
    assert (empty == 127).all()
