"""Attribute profiles: against connected parts counted level by level, and what must hold."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import FeatureError
from terrapatch.features.pixels._tree_attributes import NodeAttributes
from terrapatch.features.pixels._trees import ImageTree
from terrapatch.features.pixels.attributes import MIDDLE, levels_of
from terrapatch.features.pixels.registry import parse_feature
from terrapatch.features.pixels.stack import FeatureStack

Floats = NDArray[np.float32]
Levels = NDArray[np.uint16]


def painted_levels(rows: int = 18, cols: int = 16, top: int = 12, seed: int = 0) -> Levels:
    """Paint a small image of few levels, from 1."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=(rows, cols)), 1.0)
    image = (image - image.min()) / np.ptp(image) * (top - 1) + 1
    return image.round().astype(np.uint16)


def scene(rows: int = 36, cols: int = 30, seed: int = 0, holes: bool = False) -> Floats:
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=(rows, cols)), 1.2) * 4 + rng.normal(size=(rows, cols))
    if holes:
        image[:4, :9] = np.nan
        image[15:17, 4:20] = np.nan
    return image.astype(np.float32)[..., None]


def profile(values: Floats, text: str, fitted: FeatureStack | None = None) -> Floats:
    cube = Cube.of_array(values)
    stack = fitted or FeatureStack.fit([text], cube)
    with stack.over(cube) as pixels:
        return pixels.read(slice(0, values.shape[0]), slice(0, values.shape[1]))


MEASURES: dict[str, Callable[[NDArray[np.bool_], Levels], float]] = {
    "area": lambda part, _: float(part.sum()),
    "diagonal": lambda part, _: math.hypot(
        *(np.ptp(np.flatnonzero(part.any(axis=axis))) + 1 for axis in (0, 1))
    ),
    "inertia": lambda part, _: (
        sum(np.var(at) + 1 / 12 for at in np.nonzero(part)) / float(part.sum())
    ),
    "std": lambda part, image: float(np.std(image[part].astype(float))),
}


def by_levels(image: Levels, name: str, threshold: float) -> NDArray[np.float64]:
    """Filter by counting the connected parts of every level set, one level after the other."""
    out = np.zeros(image.shape)
    ground = np.zeros(image.shape, int)
    regions, n = label(image > 0, np.ones((3, 3)))
    for i in range(1, n + 1):
        ground[regions == i] = image[regions == i].min()
    for level in range(1, int(image.max()) + 1):
        parts, n = label(image >= level, np.ones((3, 3)))
        for i in range(1, n + 1):
            part = parts == i
            if level <= ground[part][0] or MEASURES[name](part, image) >= threshold - 1e-9:
                out[part] += 1
    return out


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(
    ("name", "threshold"),
    [("area", 7.0), ("diagonal", 4.0), ("inertia", 0.25), ("inertia", 0.5), ("std", 1.1)],
)
def test_filters_on_the_max_tree_are_those_by_hand(
    name: str, threshold: float, holes: bool
) -> None:
    image = painted_levels()
    if holes:
        image[5:7] = 0
        image[:, 3] = 0
    tree = ImageTree.brighter(image)
    measured = NodeAttributes(tree, image, image > 0).measure(name)
    ground = tree.levels[tree.parents] == 0
    made = tree.filtered(ground | (measured >= threshold - 1e-9))
    by_hand = by_levels(image, name, threshold)
    assert np.array_equal(made[image > 0], by_hand[image > 0])
    assert (by_hand[image > 0] < image[image > 0]).any()


def test_attributes_of_figures_that_are_known() -> None:
    image = np.ones((20, 20), np.uint16)
    image[2:10, 2:10] = 5  # a square of 8
    image[14, 1:17] = 9  # a line of 16
    tree = ImageTree.brighter(image)
    made = NodeAttributes(tree, image, image > 0)
    inner = np.arange(len(tree.levels)) >= 400
    square, line = (int(np.flatnonzero(inner & (tree.levels == level))[0]) for level in (5, 9))
    assert made.measure("area")[[square, line]].tolist() == [64.0, 16.0]
    assert made.measure("inertia")[square] == pytest.approx(1 / 6)
    assert made.measure("inertia")[line] == pytest.approx((16**2 + 1) / 12 / 16)
    assert made.measure("diagonal")[line] == pytest.approx(math.hypot(1, 16))
    assert made.measure("std")[[square, line]].tolist() == [0.0, 0.0]


def nested() -> Levels:
    """A bright square of 12 with a dark hole of 3 x 3, in whose middle is one bright pixel."""
    image = np.full((20, 20), 100, np.uint16)
    image[4:16, 4:16] = 200
    image[8:11, 8:11] = 50
    image[9, 9] = 220
    return image


@pytest.mark.parametrize(("least", "pixel", "hole", "square"), [
    (1, 220, 50, 200), (2, 50, 50, 200), (9, 50, 50, 200), (10, 200, 200, 200),
    (144, 200, 200, 200), (145, 100, 100, 100),
])  # fmt: skip
def test_shapes_count_their_holes(least: int, pixel: int, hole: int, square: int) -> None:
    image = nested()
    tree = ImageTree.shapes(image, 100)
    area = NodeAttributes(tree, image, image > 0).measure("area")
    made = tree.filtered(area >= least)
    assert (made[9, 9], made[8, 8], made[5, 5], made[0, 0]) == (pixel, hole, square, 100)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_taken_away_is_the_image(seed: int) -> None:
    image = np.random.default_rng(seed).integers(1, 65536, (17, 23)).astype(np.uint16)
    for tree in (ImageTree.brighter(image), ImageTree.shapes(image, MIDDLE)):
        assert np.array_equal(tree.filtered(np.ones(len(tree.levels), bool)), image)


@pytest.mark.parametrize("holes", [False, True])
def test_the_negative_has_the_negative_self_dual_profile(holes: bool) -> None:
    values, text = scene(holes=holes), "eap:components=1,tree=shapes,area=5+20"
    np.testing.assert_array_equal(profile(-values, text), -profile(values, text))


def test_the_negative_swaps_thinnings_and_thickenings() -> None:
    values, text = scene(holes=True), "eap:components=1,area=5+20"
    cube, negative = Cube.of_array(values), Cube.of_array(-values)
    stack, other = FeatureStack.fit([text], cube), FeatureStack.fit([text], negative)
    made, mirrored = profile(values, "", stack), profile(-values, "", other)
    swap = {"thinning": "thickening", "thickening": "thinning"}
    names = [" ".join(swap.get(w, w) for w in name.split()) for name in stack.names]
    at = [other.names.index(name) for name in names]
    np.testing.assert_array_equal(mirrored[..., at], -made)


def test_area_filters_bound_the_image_and_rise_with_the_threshold() -> None:
    made = profile(scene(holes=True), "eap:components=1,attributes=area+diagonal,area=4+9+30")
    image, area, diagonal = made[..., :1], made[..., 1:7], made[..., 7:]
    thick, thin = area[..., :3], area[..., 3:]
    assert np.nanmin(thick - image) >= 0 >= np.nanmax(thin - image)
    assert np.nanmax(np.diff(thick, axis=2)) <= 0
    assert np.nanmax(np.diff(thin, axis=2)) <= 0
    assert np.nanmax(np.diff(diagonal[..., :4], axis=2)) <= 0


def test_levels_are_whole_steps_with_the_mean_in_the_middle() -> None:
    image = np.array([[0.0, 1.0, -1.0, 99.0, -99.0, 7.0]], np.float32)
    valid = np.array([[True, True, True, True, True, False]])
    levels = levels_of(image, 0.001, valid)
    assert levels.tolist() == [[MIDDLE, MIDDLE + 1000, MIDDLE - 1000, 65535, 1, 0]]


def test_the_unfiltered_component_is_within_half_a_step() -> None:
    values = painted_cube(30, 30)[0]
    with FeatureStack.fit(["eap:components=3", "pca:components=3"], Cube.of_array(values)).over(
        Cube.of_array(values)
    ) as pixels:
        made = pixels.read(slice(0, 30), slice(0, 30))
        names = [n for n in pixels.names if n in ("eap.PC1", "eap.PC2", "eap.PC3")]
        at = [pixels.names.index(n) for n in names]
    deviation = made[..., -3:].std(axis=(0, 1))
    assert (abs(made[..., at] - made[..., -3:]).max(axis=(0, 1)) < deviation * 6 / 32767).all()


def test_a_constant_component_stays_constant() -> None:
    values = painted_cube(20, 20)[0]
    fitted = FeatureStack.fit(["eap:components=1"], Cube.of_array(values)).features[0]
    flat, valid = np.full((20, 20), 0.25, np.float32), np.ones((20, 20), bool)
    levels = levels_of(flat, fitted._step(0), valid)
    for image in fitted._profile(levels, valid):
        assert np.ptp(image) == 0


@pytest.mark.parametrize("tree", ["maxmin", "shapes"])
def test_invalid_pixels_count_for_nothing(tree: str) -> None:
    values = scene(30, 41)
    values[:, 20] = np.nan
    text = f"eap:components=1,tree={tree},area=5+20"
    stack = FeatureStack.fit([text], Cube.of_array(values))
    whole = profile(values, "", stack)
    assert np.isnan(whole[:, 20]).all()
    left, right = profile(values[:, :20], "", stack), profile(values[:, 21:], "", stack)
    np.testing.assert_array_equal(whole[:, :20], left)
    np.testing.assert_array_equal(whole[:, 21:], right)


@pytest.mark.parametrize("text", ["area,area=3+6", "diagonal,diagonal=4.5"])
def test_the_window_of_rising_attributes_is_exact(text: str) -> None:
    values = scene(31, 31, seed=3)
    stack = FeatureStack.fit([f"eap:components=1,attributes={text}"], Cube.of_array(values))
    window = 11 if "area" in text else 9
    assert stack.window == window
    near = np.zeros((31, 31, 1), bool)
    near[15 - window // 2 : 16 + window // 2, 15 - window // 2 : 16 + window // 2] = True
    before = profile(values, "", stack)[15, 15]
    for seed in range(4, 12):
        other = np.where(near, values, scene(31, 31, seed=seed) * 2).astype(np.float32)
        np.testing.assert_array_equal(profile(other, "", stack)[15, 15], before)


def test_the_rim_of_the_window_counts() -> None:
    line = np.zeros((21, 21, 1), np.float32)
    line[10, 5:11] = 1.0
    stack = FeatureStack.fit(["eap:components=1,attributes=area,area=6"], Cube.of_array(line))
    shorter = line.copy()
    shorter[10, 5] = 0.0
    thin = stack.names.index("eap.PC1 thinning area 6")
    assert stack.window == 11
    assert profile(line, "", stack)[10, 10, thin] > profile(shorter, "", stack)[10, 10, thin]


@pytest.mark.parametrize("how", ["area+std", "inertia", "area,tree=shapes"])
def test_other_attributes_see_the_whole_scene(how: str) -> None:
    cube = Cube.of_array(painted_cube(20, 20)[0])
    assert FeatureStack.fit([f"eap:attributes={how}"], cube).window is None


@pytest.mark.parametrize("tree", ["maxmin", "shapes"])
def test_neither_blocks_nor_restoring_change_a_number(tree: str) -> None:
    values = painted_cube(50, 40, noise=0.1)[0]
    values[8:11, 5:9] = np.nan
    cube = Cube.of_array(values)
    text = f"eap:tree={tree},attributes=area+diagonal+inertia+std,of=mnf,components=2"
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
            np.testing.assert_array_equal(block.values, everything[block.rows, block.cols])


def test_areas_are_chosen_by_the_size_of_a_pixel() -> None:
    from odc.geo.geobox import GeoBox

    values = painted_cube(20, 20)[0]
    metres = GeoBox.from_bbox((500000, 5000000, 500600, 5000600), "EPSG:32633", shape=(20, 20))
    places = ((None, (50, 200, 350, 500, 700)), (metres, (33, 133, 233, 333, 466)))
    for geobox, areas in places:
        cube = Cube.of_array(values, geobox=geobox)
        names = FeatureStack.fit(["eap:components=1,attributes=area"], cube).names
        assert names[-5:] == tuple(f"eap.PC1 thinning area {area}" for area in areas)


def test_texts_are_canonical() -> None:
    feature = parse_feature("eap:attributes=area+std,area=500+100,components=2")
    assert feature.text == (
        "eap:components=2,of=pca,attributes=area+std,tree=maxmin,area=100+500,"
        "std=0.3+0.6+0.9+1.2+1.5"
    )
    for text in (feature.text, "eap", "eap:tree=shapes,attributes=inertia"):
        assert parse_feature(parse_feature(text).text) == parse_feature(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eap:attributes=colour", "'colour' is not known"),
        ("eap:area=-3", "area=-3 of 'eap'"),
        ("eap:area=ten", "area=ten of 'eap'"),
        ("eap:tree=oak", "maxmin or shapes"),
        ("eap:attributes=area,std=1", "add it to attributes"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        parse_feature(text)
