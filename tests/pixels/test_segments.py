"""Segments: against a merging written out, across gaps, and as a feature of a scene."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import label

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import FeatureError
from terrapatch.features.pixels import _planes as planes
from terrapatch.features.pixels._ward import ward_segments
from terrapatch.features.pixels.registry import parse_feature
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.features.pixels.writing import write_features

Numbers = NDArray[np.float64]
TEXT = "segments:components=3,of=pca,size=20+100,by=2"


def merged_by_hand(numbers: Numbers, valid: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Merge the two neighbouring regions that cost least until ``count`` are left."""
    own = np.where(valid, np.arange(valid.size).reshape(valid.shape), -1)
    while len(np.unique(own[valid])) > count:
        pairs = set()
        for a, b in ((own[:, :-1], own[:, 1:]), (own[:-1], own[1:])):
            pairs |= {(i, j) for i, j in zip(a.ravel(), b.ravel(), strict=True) if i != j}
        costs = {}
        for i, j in pairs:
            if min(i, j) >= 0:
                a, b = numbers[own == i], numbers[own == j]
                gap = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
                costs[i, j] = len(a) * len(b) / (len(a) + len(b)) * gap
        if not costs:
            break
        i, j = min(costs, key=costs.__getitem__)
        own[own == j] = i
    return own


def alike(a: NDArray[np.integer], b: NDArray[np.integer]) -> bool:
    """Whether two images show the same segments, whatever their numbers."""
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


def gaps(rows: int, cols: int) -> NDArray[np.bool_]:
    valid = np.ones((rows, cols), bool)
    valid[rows // 2], valid[:2, 3:5], valid[-1, -1] = False, False, False
    return valid


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("holes", [False, True])
def test_segments_are_those_of_merging_by_hand(seed, holes):
    numbers = np.random.default_rng(seed).normal(size=(9, 8, 2)).cumsum(axis=0)
    valid = gaps(9, 8) if holes else np.ones((9, 8), bool)
    counts = [3, 7, 20, int(valid.sum())]
    for count, cut in zip(counts, ward_segments(numbers, valid, counts), strict=True):
        assert alike(cut, merged_by_hand(numbers, valid, count))
        assert len(np.unique(cut[valid])) == cut.max() + 1 == count
        assert (cut[~valid] == -1).all()


def test_a_segment_is_one_piece_and_never_reaches_across_a_gap():
    numbers = np.zeros((20, 15, 1))
    numbers[:, 7:] = 1.0
    valid = gaps(20, 15)
    parts = label(valid)[1]
    one, some = ward_segments(numbers, valid, [1, 12])
    assert len(np.unique(one[valid])) == parts == 2
    for cut in (one, some):
        assert all(label(cut == i)[1] == 1 for i in range(cut.max() + 1))


def test_a_coarser_cut_only_joins():
    numbers = np.random.default_rng(0).normal(size=(20, 20, 3))
    coarse, fine = ward_segments(numbers, np.ones((20, 20), bool), [10, 40])
    assert len(np.unique(np.stack([coarse.ravel(), fine.ravel()]), axis=1).T) == 40


def test_fields_are_found_and_means_are_their_own():
    values, ids, waves = painted_cube(40, 40, field=10, noise=0.02)
    cube = Cube.of_array(values, wavelengths=waves)
    stack = FeatureStack.fit(["segments:components=3,of=pca,size=100,by=3,spread"], cube)
    assert stack.names[0] == "segments.100 px PC1"
    assert stack.names[3] == "segments.100 px PC1 deviation"
    with stack.over(cube) as live:
        made = live.read(slice(0, 40), slice(0, 40))
    parts = stack.features[0]._found.project(values)
    # Neighbouring fields of one class are one region, so the cut may be within a field.
    groups, segment = np.unique(made.reshape(-1, 6), axis=0, return_inverse=True)
    segment = segment.reshape(40, 40)
    assert len(groups) == 16
    for i in range(16):
        inside = segment == i
        assert len(np.unique(ids[inside])) == 1
        np.testing.assert_allclose(made[inside][0, :3], parts[inside].mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(made[inside][0, 3:], parts[inside].std(axis=0), atol=1e-5)


def test_blocks_and_invalid_pixels_and_a_way_through_a_store(tmp_path):
    values, _, waves = painted_cube(48, 40)
    values[10:14, :30] = np.nan
    cube = Cube.of_array(values, wavelengths=waves)
    stack = FeatureStack.fit([TEXT, "spectra"], cube)
    assert stack.window is None
    with stack.over(cube) as live:
        whole = live.read(slice(0, 48), slice(0, 40))
        part = live.read(slice(7, 33), slice(5, 21))
    assert np.array_equal(whole[7:33, 5:21], part, equal_nan=True)
    assert np.isnan(whole[10:14, :30]).all()
    assert np.isfinite(whole[:10]).all()
    filled = values.copy()
    filled[10:14, :30] = np.nan
    again = FeatureStack.restore(stack.settings(), stack.arrays())
    store = write_features(again, Cube.of_array(filled, wavelengths=waves), tmp_path / "a.zarr")
    assert np.array_equal(store.read(slice(0, 48), slice(0, 40)), whole, equal_nan=True)
    assert store.names == stack.names


def test_sizes_follow_the_valid_pixels_and_a_scene_without_any_is_all_missing():
    values, _, waves = painted_cube(40, 40, noise=0.2)
    values[:20] = np.nan
    cube = Cube.of_array(values, wavelengths=waves)
    stack = FeatureStack.fit(["segments:components=2,of=pca,size=40"], cube)
    with stack.over(cube) as live:
        made = live.read(slice(20, 40), slice(0, 40))
    assert len(np.unique(made.reshape(-1, 2), axis=0)) == 800 // 40
    values = painted_cube(40, 40)[0]
    values[:, :20, 0], values[:, 20:, 1] = np.nan, np.nan  # no pixel has all bands
    empty = Cube.of_array(values, wavelengths=waves)
    with stack.over(empty) as live:
        assert np.isnan(live.read(slice(0, 40), slice(0, 40))).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("segments:size=1", "whole numbers from 2"),
        ("segments:of=ica", "choose pca or mnf"),
        ("segments:counts=3", "has no option 'counts'"),
        ("segments:of=pca,ridge=0.1", "only with of=mnf"),
    ],
)
def test_options_that_cannot_be_are_refused(text, said):
    with pytest.raises(FeatureError, match=said):
        parse_feature(text)


def test_text_is_canonical():
    feature = parse_feature("segments:size=200+50,components=5")
    assert feature.text == "segments:components=5,of=mnf,size=50+200,by=5,spread=no"
    assert parse_feature(feature.text) == feature


def test_too_few_bands_a_block_alone_and_too_little_memory_are_refused(monkeypatch):
    cube = Cube.of_array(painted_cube(20, 20, bands=5)[0])
    with pytest.raises(FeatureError, match="has 5 bands"):
        FeatureStack.fit(["segments"], cube)
    stack = FeatureStack.fit(["segments:components=3,of=pca"], cube)
    with pytest.raises(FeatureError, match="decided by the whole scene"):
        stack.features[0].compute(None)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("M", (), {"available": 1000})())
    with pytest.raises(FeatureError, match=r"segments looks at .* as a whole: its 20 x 20 pixels"):
        planes.check_memory(cube, "segments", 1100)
    with pytest.raises(FeatureError, match="as a whole"), stack.over(cube):
        pass
