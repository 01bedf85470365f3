"""Hypercolumns: against one pass over the whole scene, read position by position by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from made_cubes import painted_cube
from terrapatch.backbones.base import Descriptor
from terrapatch.backbones.build import built
from terrapatch.backbones.network import NetworkEmbedder
from terrapatch.backbones.registry import get_backbone
from terrapatch.cubes import Cube
from terrapatch.errors import BackboneError, CubeError, FeatureError, RecipeError
from terrapatch.features.pixels import _columns
from terrapatch.features.pixels._column_layers import dense_layers
from terrapatch.features.pixels.base import PixelBlock
from terrapatch.features.pixels.halo import read_with_halo
from terrapatch.features.pixels.hypercolumns import FittedHypercolumns
from terrapatch.features.pixels.registry import parse_feature
from terrapatch.features.pixels.stack import FeatureStack

Floats = NDArray[np.float32]

# Small networks: without padding and of stride 4, and with lopsided padding and of stride 8.
VALID = "backbone=squeezenet1_0:random1,layers=stem+stage1"
SAME = "backbone=mobilenet_v2:random2,layers=stem+stage2"
LITE = "backbone=efficientnet_lite0:random3,layers=stem+stage2"


def cube_of(rows: int = 40, cols: int = 34, holes: bool = False, seed: int = 0) -> Cube:
    values, _, waves = painted_cube(rows, cols, bands=9, noise=0.1, seed=seed)
    if holes:
        values[8:11, 5:9] = np.nan
        values[:, 30:] = np.nan
    return Cube.of_array(values, wavelengths=waves)


def everything(stack: FeatureStack, cube: Cube, side: int | None = None) -> Floats:
    with stack.over(cube, side=side) as pixels:
        return np.concatenate(
            [
                np.concatenate(
                    [
                        pixels.read(slice(r, min(r + 20, cube.shape[0])), slice(c, c + 17))
                        for c in range(0, cube.shape[1], 17)
                    ],
                    axis=1,
                )
                for r in range(0, cube.shape[0], 20)
            ]
        )


def fitted_of(stack: FeatureStack) -> FittedHypercolumns:
    fitted = stack.features[0]
    assert isinstance(fitted, FittedHypercolumns)
    return fitted


def empty(block: PixelBlock) -> PixelBlock:
    return replace(block, valid=np.zeros_like(block.valid))


@pytest.mark.parametrize("network", ["squeezenet1_0", "mobilenet_v2", "efficientnet_lite0"])
def test_positions_lie_where_gradients_come_from(network: str) -> None:
    backbone = get_backbone(f"{network}:random1")
    assert backbone.architecture is not None
    torch.manual_seed(0)
    for layer in dense_layers(backbone, ["stem", "stage2"]):
        net, caught = built(backbone)[0], list[torch.Tensor]()
        module = net.get_submodule(backbone.architecture.path(layer.name))
        module.register_forward_hook(lambda _m, _i, out, into=caught: into.append(out))
        image = torch.randn(2, 3, 192, 192, requires_grad=True)
        net(image)
        at = 12
        caught[0][:, :, at, at].square().sum().backward()
        assert image.grad is not None
        seen = torch.nonzero(image.grad.abs().sum((0, 1, 2)))[:, 0]
        ends = (layer.low + at * layer.stride, layer.high + at * layer.stride)
        assert (int(seen.min()), int(seen.max())) == ends
        assert layer.centre == (layer.low + layer.high) / 2


@pytest.mark.parametrize(
    ("network", "scale"), [(VALID, 3), (VALID, 4), (SAME, 2), (LITE, 4), (LITE, 1)]
)
def test_numbers_are_those_of_one_pass_read_by_hand(network: str, scale: int) -> None:
    cube = cube_of()
    stack = FeatureStack.fit([f"cnn:{network},scale={scale}"], cube)
    made, fitted = everything(stack, cube), fitted_of(stack)
    geometry = fitted.mode.geometry  # type: ignore[union-attr]
    unit = geometry.unit
    halo = -(-fitted.halo // unit) * unit
    rows, cols = cube.shape[0] // unit * unit, cube.shape[1] // unit * unit
    with cube.reader() as reader:
        block = read_with_halo(reader, cube.shape, slice(0, rows), slice(0, cols), halo)
    shown = fitted.picture(block)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(np.moveaxis(shown, 2, 0)[None].copy()), scale_factor=scale, mode="bilinear"
    )
    names = tuple(layer.name for layer in geometry.layers)
    backbone = get_backbone(network.split(",")[0].split("=")[1]).ready(offline=True)
    run = NetworkEmbedder(backbone, Descriptor(names, ("mean",)), None, "cpu", "fp32")
    maps, start = run.maps(large.numpy()), 0
    for layer in geometry.layers:
        fmap = maps[layer.name][0]
        for r, c in ((0, 0), (11, 7), (rows - 1, cols - 1), (5, 20)):
            by_hand = np.zeros(layer.width)
            at = [((p + halo + 0.5) * scale - 0.5 - layer.centre) / layer.stride for p in (r, c)]
            low = [math.floor(a) for a in at]
            for dr in (0, 1):
                for dc in (0, 1):
                    share = math.prod(
                        1 - abs(a - (b + d)) for a, b, d in zip(at, low, (dr, dc), strict=True)
                    )
                    by_hand += share * fmap[:, low[0] + dr, low[1] + dc]
            one = made[r, c, start : start + layer.width]
            np.testing.assert_allclose(one, by_hand, rtol=1e-4, atol=1e-4 * abs(by_hand).max())
        start += layer.width


@pytest.mark.parametrize(
    "text",
    [
        f"cnn:{VALID},scale=3",
        f"cnn:{LITE},scale=4,components=4",
        "cnn:backbone=mobilenet_v2:random2,layers=stage3,scale=1",  # tiles begin at every eighth
    ],
)
def test_seams_are_invisible(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = cube_of(holes=True)
    stack = FeatureStack.fit([text], cube)
    with stack.over(cube) as pixels:
        whole = pixels.read(slice(0, 40), slice(0, 34))
    spread = float(np.nanstd(whole))
    assert np.isnan(whole[8:11, 5:9]).all()
    assert np.isfinite(whole[20, :30]).all()
    np.testing.assert_allclose(everything(stack, cube, side=16), whole, atol=1e-4 * spread)
    again = FeatureStack.restore(stack.settings(), stack.arrays())
    assert (again.names, again.window, again.identity) == (
        stack.names,
        stack.window,
        stack.identity,
    )
    monkeypatch.setattr(_columns, "TILE", 32)  # many tiles inside a block, too
    np.testing.assert_allclose(everything(again, cube), whole, atol=1e-4 * spread)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        # squeezenet stage1 sees 35 pixels, its positions are 4 apart: (17 + 4) / 3, and 2 and 4.
        (f"cnn:{VALID},scale=3", 2 * (7 + 2 + 4) + 1),
        # stage2 sees 19, its positions are 4 apart: (9 + 4) / 4, and 2 and 4.
        (f"cnn:{LITE},scale=4", 2 * (4 + 2 + 4) + 1),
        ("cnn:mode=patch,side=9,scale=8,backbone=efficientnet_lite0:random3,layers=stage2", 9),
    ],
)
def test_nothing_beyond_the_window_counts(text: str, window: int) -> None:
    rows, cols, at = 45, 41, (22, 20)
    values = painted_cube(rows, cols, bands=9, noise=0.1)[0]
    stack = FeatureStack.fit([text], Cube.of_array(values))
    assert stack.window == window
    near = np.zeros((rows, cols, 1), bool)
    half = window // 2
    near[at[0] - half : at[0] + half + 1, at[1] - half : at[1] + half + 1] = True

    def at_pixel(changed: Floats) -> Floats:
        with stack.over(Cube.of_array(changed)) as pixels:
            return pixels.read(slice(at[0], at[0] + 1), slice(at[1], at[1] + 1))[0, 0]

    before = at_pixel(values)
    other = np.where(near, values, values[::-1] * 2 - 0.5).astype(np.float32)
    np.testing.assert_allclose(at_pixel(other), before, atol=1e-5 * float(abs(before).max()))
    near[at] = False
    inner = np.where(near, values[::-1] * 2 - 0.5, values).astype(np.float32)
    assert abs(at_pixel(inner) - before).max() > 1e-3 * abs(before).max()


def test_patches_are_those_cut_by_hand() -> None:
    cube = cube_of(14, 12, holes=True)
    text = "cnn:mode=patch,side=5,scale=8,backbone=efficientnet_lite0:random3,layers=stage1+stage2"
    stack = FeatureStack.fit([text], cube)
    fitted = fitted_of(stack)
    with stack.over(cube) as pixels, cube.reader() as reader:
        made = pixels.read(slice(0, 14), slice(0, 12))
        for r, c in ((2, 2), (0, 11), (13, 0)):
            block = read_with_halo(reader, cube.shape, slice(r, r + 1), slice(c, c + 1), 2)
            assert block.valid.all()
            run = NetworkEmbedder(
                get_backbone("efficientnet_lite0:random3"),
                Descriptor(("stage1", "stage2"), ("mean",)), 64, "cpu", "fp32",
            )  # fmt: skip
            one = run.features(np.moveaxis(fitted.picture(block), 2, 0)[None])[0]
            np.testing.assert_allclose(made[r, c], one, rtol=1e-4, atol=1e-4)
    assert np.isnan(made[9, 6]).all()
    assert stack.names[0] == "cnn.stage1 1"
    assert stack.n_features == 16 + 24


def test_the_picture_has_the_mean_in_its_middle_and_fills_holes_from_beside() -> None:
    cube = cube_of(holes=True)
    fitted = fitted_of(FeatureStack.fit([f"cnn:{VALID}"], cube))
    with cube.reader() as reader:
        block = read_with_halo(reader, cube.shape, slice(0, 40), slice(0, 34), 0)
    shown = fitted.picture(block)
    assert shown.shape == (40, 34, 3)
    assert 0 <= shown.min() < 60 < 200 < shown.max() <= 255
    assert abs(shown[block.valid].mean(axis=0) - 127.5).max() < 8
    hole = shown[9, 6]
    assert shown[4:15, 1:13].min(axis=(0, 1)).tolist() <= hole.tolist()
    around = block.valid[5:14, 2:11]
    np.testing.assert_allclose(hole, shown[5:14, 2:11][around].mean(axis=0), rtol=1e-5)
    assert (shown[20, 33] != 127.5).all()  # four pixels from valid ones
    assert (fitted.picture(empty(block)) == 127.5).all()


def test_a_constant_scene_is_constant_inside() -> None:
    cube = cube_of()
    fitted = fitted_of(FeatureStack.fit([f"cnn:{LITE}"], cube))
    with cube.reader() as reader:
        block = read_with_halo(reader, (40, 34), slice(0, 40), slice(0, 34), fitted.halo)
    flat = np.broadcast_to(block.values[3, 3], block.values.shape)
    made = fitted.compute(replace(block, values=flat))
    assert np.ptp(fitted.compute(block), axis=(0, 1)).max() > 0.1 * abs(made).max()
    assert np.ptp(made, axis=(0, 1)).max() < 1e-4 * abs(made).max()


def test_bands_by_wavelength_and_by_name() -> None:
    values, _, waves = painted_cube(20, 20, bands=9)
    cube = Cube.of_array(values, wavelengths=waves)
    stack = FeatureStack.fit([f"cnn:bands=2400+900+400,{VALID}"], cube)
    axes = stack.arrays()["0.axes"]
    assert axes.argmax(axis=1).tolist() == [8, 2, 0]
    named = Cube.of_array(values[..., :4], band_names=["blue", "green", "red", "nir"])
    axes = FeatureStack.fit([f"cnn:bands=nir+red+green,{VALID}"], named).arrays()["0.axes"]
    assert axes.argmax(axis=1).tolist() == [3, 2, 1]
    with pytest.raises(FeatureError, match="no band 'swir1'"):
        FeatureStack.fit([f"cnn:bands=swir1+red+green,{VALID}"], named)
    with pytest.raises(CubeError, match="wavelength"):
        FeatureStack.fit([f"cnn:bands=650+550+450,{VALID}"], named)


def test_a_reduction_keeps_what_varies() -> None:
    cube = cube_of()
    plain = FeatureStack.fit([f"cnn:{LITE}"], cube)
    stack = FeatureStack.fit([f"cnn:{LITE},components=3"], cube)
    assert stack.names == ("cnn.PC1", "cnn.PC2", "cnn.PC3")
    whole, few = everything(plain, cube).reshape(-1, 56), everything(stack, cube).reshape(-1, 3)
    scaled = (whole - whole.mean(axis=0)) / np.maximum(whole.std(axis=0, ddof=1), 1e-9)
    variances = np.linalg.eigvalsh(np.cov(scaled, rowvar=False))[::-1][:3]
    np.testing.assert_allclose(few.var(axis=0, ddof=1), variances, rtol=1e-3)
    with pytest.raises(FeatureError, match="at most 56"):
        FeatureStack.fit([f"cnn:{LITE},components=57"], cube)


def test_the_usual_layers_are_those_that_do_not_see_too_far() -> None:
    stack = FeatureStack.fit(["cnn:scale=8"], cube_of(12, 12))
    layers = [name.split()[0] for name in stack.names]
    assert list(dict.fromkeys(layers)) == [f"cnn.stage{i}" for i in (1, 2, 3, 4)]
    assert stack.window == 2 * (math.ceil((73 + 16) / 8) + 2 + 4) + 1


def test_other_weights_are_refused() -> None:
    cube = cube_of(12, 12)
    stack = FeatureStack.fit([f"cnn:{VALID}"], cube)
    settings: Mapping[str, Any] = stack.settings()
    settings["features"][0]["settings"]["weights"] = "0" * 64
    again = FeatureStack.restore(settings, stack.arrays())
    with again.over(cube) as pixels, pytest.raises(RecipeError, match="bring the same weights"):
        pixels.read(slice(0, 12), slice(0, 12))


def test_texts_are_canonical() -> None:
    feature = parse_feature("cnn:scale=8,bands=650+550+450")
    assert feature.text == "cnn:bands=650+550+450,backbone=efficientnet_lite0,scale=8,mode=dense"
    for text in (feature.text, "cnn:mode=patch,side=9", f"cnn:{VALID},components=7"):
        assert parse_feature(parse_feature(text).text) == parse_feature(text)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("cnn:bands=650+550", FeatureError, "or three bands"),
        ("cnn:mode=fast", FeatureError, "dense or patch"),
        ("cnn:side=9", FeatureError, "add mode=patch"),
        ("cnn:mode=patch,side=8", FeatureError, "no middle pixel"),
        ("cnn:mode=patch,components=3", FeatureError, "leave one of the two out"),
        ("cnn:backbone=imagestats", FeatureError, "is not; try efficientnet_lite0"),
        ("cnn:backbone=resnet50:random,layers=logits", FeatureError, "whole picture at once"),
        ("cnn:backbone=nothing", BackboneError, "no backbone 'nothing'"),
        (f"cnn:{VALID}+stage99", BackboneError, "no layer 'stage99'"),
    ],
)
def test_what_cannot_be_is_refused(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        FeatureStack.fit([text], cube_of(12, 12))


def test_two_bands_are_too_few(tmp_path: Path) -> None:
    cube = Cube.of_array(painted_cube(12, 12, bands=2)[0])
    with pytest.raises(FeatureError, match="has 2 bands"):
        FeatureStack.fit([f"cnn:{VALID}"], cube)
