"""Morphological profiles: against scikit-image, and what must hold of every opening."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.morphology import disk, erosion, opening, reconstruction

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import FeatureError
from terrapatch.features.pixels._flat import eroded, half_widths
from terrapatch.features.pixels._planes import Planes
from terrapatch.features.pixels.registry import parse_feature
from terrapatch.features.pixels.stack import FeatureStack

Floats = NDArray[np.float32]


def scene(rows: int = 40, cols: int = 33, seed: int = 0, holes: bool = False) -> Floats:
    """Paint one band of blobs with noise; a corner and a strip may be invalid."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=(rows, cols)), 1.5) * 5 + rng.normal(size=(rows, cols))
    if holes:
        image[:5, :7] = np.nan
        image[20:22, 3:30] = np.nan
    return image.astype(np.float32)[..., None]


def profile(values: Floats, text: str, fitted: FeatureStack | None = None) -> Floats:
    """Return a profile of a cube ``(rows, cols, numbers)``."""
    cube = Cube.of_array(values)
    stack = fitted or FeatureStack.fit([text], cube)
    with stack.over(cube) as pixels:
        return pixels.read(slice(0, values.shape[0]), slice(0, values.shape[1]))


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 9])
def test_discs_are_those_of_scikit_image(radius: int) -> None:
    rows = disk(radius).astype(bool)
    assert [int(n) for n in rows.sum(axis=1)] == [2 * w + 1 for w in half_widths(radius, "disc")]
    image = scene()[..., 0]
    assert np.array_equal(eroded(image, radius), erosion(image, disk(radius)))


def test_openings_by_reconstruction_are_those_of_scikit_image() -> None:
    values = scene(holes=True)
    made = profile(values, "emp:components=1,radii=1-3")
    middle = made[..., 3]
    valid = ~np.isnan(values[..., 0])
    low, high = np.where(valid, middle, -99.0), np.where(valid, middle, 99.0)
    for radius in (1, 2, 3):
        seeds = np.where(valid, erosion(high, disk(radius)), -99.0)
        by_hand = reconstruction(seeds, low, "dilation")
        assert np.array_equal(made[..., 3 + radius][valid], by_hand[valid])
        seeds = np.where(valid, -erosion(-low, disk(radius)), 99.0)
        by_hand = reconstruction(seeds, high, "erosion")
        assert np.array_equal(made[..., 3 - radius][valid], by_hand[valid])
    assert np.isnan(made[~valid]).all()


def test_plain_openings_are_those_of_scikit_image_up_to_the_edge() -> None:
    values = scene()
    made = profile(values, "emp:components=1,radii=2+4,reconstruction=no")
    assert np.array_equal(made[..., 3], opening(made[..., 2], disk(2), mode="ignore"))
    assert np.array_equal(made[..., 4], opening(made[..., 2], disk(4), mode="ignore"))


@pytest.mark.parametrize("how", ["", ",reach=4", ",reconstruction=no", ",shape=square"])
def test_closings_image_openings_rise_and_fall_with_the_radius(how: str) -> None:
    made = profile(scene(holes=True), f"emp:components=1,radii=1+2+4{how}")
    steps = np.diff(made, axis=2)
    if how in (",reconstruction=no", ",reach=4"):
        # Digital discs do not open each other, so only the image bounds these.
        middle = made[..., 3:4]
        assert np.nanmin(made[..., :3] - middle) >= 0 >= np.nanmax(made[..., 4:] - middle)
    else:
        assert np.nanmax(steps) <= 0
    assert (steps < 0).any()


def test_an_opened_image_stays_when_it_is_opened_again() -> None:
    once = profile(scene(holes=True), "emp:components=1,radii=2")
    cube = Cube.of_array(once[..., 2:3])
    stack = FeatureStack.fit(["emp:components=1,radii=2"], cube)
    again = profile(once[..., 2:3], "", stack)
    np.testing.assert_array_equal(again[..., 2], again[..., 1])


@pytest.mark.parametrize("how", ["", ",reach=3", ",reconstruction=no"])
def test_the_negative_has_the_mirrored_profile(how: str) -> None:
    values = scene(holes=True)
    text = f"emp:components=1,radii=1-2{how}"
    np.testing.assert_array_equal(profile(-values, text), -profile(values, text)[..., ::-1])


def test_a_constant_scene_has_a_constant_profile() -> None:
    values, _, _ = painted_cube(30, 30)
    stack = FeatureStack.fit(["emp:components=2,radii=1-2"], Cube.of_array(values))
    flat = np.broadcast_to(values[3, 4], values.shape) + np.float32(0)
    fitted = stack.features[0]
    for image in fitted._profile(fitted._components.project(flat)[..., 0], np.ones((30, 30), bool)):
        assert np.ptp(image) == 0


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("emp:components=2,radii=1+3,reconstruction=no", 13),
        ("emp:components=2,radii=1+3,reach=4", 15),
        ("emp:components=2,radii=1+3", None),
    ],
)
def test_the_window_is_exact(text: str, window: int | None) -> None:
    values = painted_cube(41, 41, bands=5, noise=0.3)[0]
    cube = Cube.of_array(values)
    stack = FeatureStack.fit([text], cube)
    assert stack.window == window
    before = profile(values, "", stack)[20, 20]
    if window is None:
        return
    far = np.ones((41, 41), bool)
    half = window // 2
    far[20 - half : 21 + half, 20 - half : 21 + half] = False
    changed = np.where(far[..., None], values[::-1] * 3 - 1, values).astype(np.float32)
    np.testing.assert_array_equal(profile(changed, "", stack)[20, 20], before)


def test_without_reconstruction_the_rim_of_the_window_counts() -> None:
    bright = np.zeros((21, 21, 1), np.float32)
    bright[10, 4:11] = 1.0  # under a square of 7 x 7 whose corner is the pixel
    bright[4:11, 4:11] = 1.0
    text = "emp:components=1,radii=3,shape=square,reconstruction=no"
    stack = FeatureStack.fit([text], Cube.of_array(bright))
    less = bright.copy()
    less[4, 4] = 0.0  # six pixels away in both directions
    assert stack.window == 13
    assert profile(bright, "", stack)[10, 10, 2] > profile(less, "", stack)[10, 10, 2]


def test_a_long_reach_is_the_whole_reconstruction() -> None:
    values = scene(holes=True)
    whole = profile(values, "emp:components=1,radii=1-3")
    np.testing.assert_array_equal(profile(values, "emp:components=1,radii=1-3,reach=400"), whole)


def test_what_invalid_pixels_hold_does_not_matter_and_they_part_regions() -> None:
    values = scene(30, 41)
    values[:, 20] = np.nan
    stack = FeatureStack.fit(["emp:components=1,radii=1-4"], Cube.of_array(values))
    whole = profile(values, "", stack)
    left, right = profile(values[:, :20], "", stack), profile(values[:, 21:], "", stack)
    np.testing.assert_array_equal(whole[:, :20], left)
    np.testing.assert_array_equal(whole[:, 21:], right)


@pytest.mark.parametrize("text", ["emp", "emp:reach=2,radii=1+2", "emp:reconstruction=no,of=mnf"])
def test_neither_blocks_nor_restoring_change_a_number(text: str) -> None:
    values = painted_cube(50, 40, noise=0.1)[0]
    values[8:11, 5:9] = np.nan
    cube = Cube.of_array(values)
    stack = FeatureStack.fit([text], cube)
    again = FeatureStack.restore(stack.settings(), stack.arrays())
    assert (again.names, again.window, again.identity) == (
        stack.names,
        stack.window,
        stack.identity,
    )
    with stack.over(cube) as whole, again.over(cube, side=16) as parts:
        everything = whole.read(slice(0, 50), slice(0, 40))
        for block in parts.blocks():
            np.testing.assert_allclose(
                block.values, everything[block.rows, block.cols], rtol=0, atol=1e-6
            )
        np.testing.assert_array_equal(
            whole.read(slice(7, 31), slice(2, 33)), everything[7:31, 2:33]
        )


def test_texts_are_canonical() -> None:
    feature = parse_feature("emp:radii=1-3,components=2")
    assert feature.text == ("emp:components=2,of=pca,radii=1+2+3,shape=disc,reconstruction=yes")
    for text in (feature.text, "emp:reach=5", "emp:reconstruction=no,of=mnf,shape=square"):
        assert parse_feature(parse_feature(text).text) == parse_feature(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emp:radii=0-3", "radii=0-3"),
        ("emp:radii=1+500", "radii up to 100"),
        ("emp:shape=star", "disc or square"),
        ("emp:reach=3,reconstruction=no", "leave out one of the two"),
        ("emp:colour=1", "no option 'colour'"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(FeatureError, match=said.replace("+", r"\+")):
        parse_feature(text)


def test_a_block_alone_and_too_many_components_are_refused(tmp_path: Path) -> None:
    cube = Cube.of_array(painted_cube(20, 20, bands=3)[0])
    with pytest.raises(FeatureError, match="at most 3"):
        FeatureStack.fit(["emp:components=4"], cube)
    fitted = FeatureStack.fit(["emp:components=2"], cube).features[0]
    from terrapatch.features.pixels.halo import read_with_halo

    with cube.reader() as reader:
        block = read_with_halo(reader, cube.shape, slice(0, 20), slice(0, 20), 0)
    with pytest.raises(FeatureError, match="decided by the whole scene"):
        fitted.compute(block)


def test_a_scene_that_memory_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from terrapatch.features.pixels import profiles

    cube = Cube.of_array(painted_cube(20, 20)[0])
    stack = FeatureStack.fit(["emp"], cube)
    monkeypatch.setattr(profiles, "MAX_TREE_BYTES", 1 << 50)
    with pytest.raises(FeatureError, match="GB are free"), stack.over(cube):
        pass


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="TMPDIR"):
        Planes(tmp_path / "images", (1 << 20, 1 << 20, 1 << 10))
    assert not (tmp_path / "images").exists()
