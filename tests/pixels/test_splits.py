from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from made_cubes import painted_cube
from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.learn.pixels.splits import (
    PixelSplit,
    block_folds,
    block_split,
    field_folds,
    field_split,
    fields_of,
    fixed_split,
    random_split,
    region_splits,
)

NAMES = ("wheat", "maize", "woods", "water")
Make = Callable[[PixelLabels, int], list[PixelSplit]]

MAKERS: dict[str, Make] = {
    "random": lambda labels, seed: [random_split(labels, 0.1, seed=seed)],
    "per class": lambda labels, seed: [random_split(labels, per_class=7, seed=seed)],
    "fixed": lambda labels, seed: [
        fixed_split(labels, np.random.default_rng(seed).random(labels.shape) < 0.3)
    ],
    "blocks": lambda labels, seed: [block_split(labels, 12, 2, seed=seed)],
    "blocks drawn": lambda labels, seed: [block_split(labels, 12, 2, 60, seed=seed)],
    "block folds": lambda labels, seed: block_folds(labels, 3, 12, 2, seed=seed),
    "fields": lambda labels, seed: [field_split(labels, 80, seed=seed, buffer=1)],
    "field folds": lambda labels, seed: field_folds(labels, 3, seed=seed),
    "regions": lambda labels, seed: region_splits(labels, buffer=2),
}


def strewn(seed: int) -> PixelLabels:
    """Label about half the pixels of a painted scene, in patches of any form."""
    _, ids, _ = painted_cube(field=8, seed=seed)
    keep = ndimage.gaussian_filter(np.random.default_rng(seed).random(ids.shape), 1.5) > 0.5
    return PixelLabels(np.where(keep, ids, 0), NAMES)


def painted() -> PixelLabels:
    return PixelLabels(painted_cube()[1], NAMES)


def nearest(split: PixelSplit) -> int:
    """Return the least distance of a training and a tested pixel, by brute force."""
    train, test = np.argwhere(split.train), np.argwhere(split.test)
    return int(np.abs(train[:, None] - test[None]).max(axis=2).min())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_labelled_pixel_is_in_one_part(name: str, seed: int) -> None:
    labels = strewn(seed)
    for split in MAKERS[name](labels, seed):
        parts = split.train.astype(int) + split.test + split.dropped
        np.testing.assert_array_equal(parts, labels.labelled)
        for mask, counts in ((split.train, split.train_counts), (split.test, split.test_counts)):
            assert list(counts.values()) == labels.counted(mask)
        tested = {n for n, count in split.test_counts.items() if count}
        trained = {n for n, count in split.train_counts.items() if count}
        there = {n for n, count in labels.counts.items() if count}
        assert set(split.untestable) == there - tested
        assert set(split.untrained) == tested - trained


@pytest.mark.parametrize("name", MAKERS)
def test_same_seed_same_split_and_another_seed_another(name: str) -> None:
    labels = strewn(4)
    one, again, other = (MAKERS[name](labels, seed) for seed in (5, 5, 6))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a.train, b.train)
        np.testing.assert_array_equal(a.test, b.test)
        assert a.told == b.told
    if name != "regions":
        assert any((a.train != b.train).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("buffer", [0, 1, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_buffer_is_kept_and_no_more_is_dropped(buffer: int, seed: int) -> None:
    labels = strewn(seed)
    for split in (
        block_split(labels, 12, buffer, seed=seed),
        *block_folds(labels, 3, 12, buffer, seed=seed),
        field_split(labels, seed=seed, buffer=buffer),
        *field_folds(labels, 3, seed=seed, buffer=buffer),
        *region_splits(labels, buffer=buffer),
    ):
        assert split.buffer == buffer
        assert nearest(split) > buffer
        assert not split.leaky
        if buffer == 0:
            assert not split.dropped.any()
        elif split.name.startswith("fields"):
            for place in np.argwhere(split.dropped):
                assert np.abs(np.argwhere(split.test) - place).max(axis=1).min() <= buffer


def test_what_is_dropped_around_blocks_is_near_their_ground() -> None:
    labels, side, buffer = strewn(7), 12, 3
    split = block_split(labels, side, buffer, seed=1)
    tested = {tuple(place // side) for place in np.argwhere(split.test)}
    ground = np.zeros(labels.shape, bool)
    for row, col in tested:
        ground[row * side : (row + 1) * side, col * side : (col + 1) * side] = True
    near = ndimage.binary_dilation(ground, np.ones((3, 3)), iterations=buffer)
    np.testing.assert_array_equal(split.dropped, labels.labelled & near & ~ground)
    trained = {tuple(place // side) for place in np.argwhere(split.train)}
    assert not trained & tested


def test_about_half_of_the_labels_lie_in_tested_blocks() -> None:
    labels = painted()
    shares = [block_split(labels, 10, 0, seed=s).test.sum() / len(labels) for s in range(8)]
    assert all(abs(share - 0.5) < 0.05 for share in shares)


@pytest.mark.parametrize("seed", range(4))
def test_whole_fields_are_never_cut(seed: int) -> None:
    labels = strewn(seed)
    fields, _ = fields_of(labels)
    for split in (field_split(labels, seed=seed), *field_folds(labels, 3, seed=seed)):
        assert not set(fields[split.train]) & set(fields[split.test])
        assert split.units is not None
        np.testing.assert_array_equal(split.units, fields)


def test_half_of_the_area_of_each_class_is_held_out() -> None:
    ids = painted().ids.copy()
    ids[9::10], ids[:, 9::10] = 0, 0  # about seven fields of 81 pixels a class
    labels = PixelLabels(ids, NAMES)
    split = field_split(labels, seed=2)
    for name, n in labels.counts.items():
        assert abs(split.test_counts[name] / n - 0.5) < 0.1
        assert split.train_counts[name] + split.test_counts[name] == n


@pytest.mark.parametrize("seed", range(6))
def test_at_least_half_of_the_area_trains_if_asked_for(seed: int) -> None:
    labels = strewn(1)
    half = len(labels) / 2
    blocks = block_split(labels, 12, 0, seed=seed, half="at least")
    largest = np.bincount(blocks.units.ravel())[1:].max()  # type: ignore[union-attr]
    assert half <= blocks.train.sum() < half + largest
    fields = field_split(labels, seed=seed, half="at least")
    number, _ = fields_of(labels)
    for name, n in labels.counts.items():
        own = number[labels.ids == NAMES.index(name) + 1]
        areas = np.unique(own, return_counts=True)[1]
        # All but the last field train where half is reached by none before it.
        assert fields.train_counts[name] >= min(n / 2, n - areas.max())
    with pytest.raises(SamplesError, match="nearest or at least"):
        block_split(labels, 12, half="most")


def test_folds_test_every_unit_once() -> None:
    labels = strewn(3)
    ids = labels.ids.copy()
    ids[ids == 4] = 0
    ids[40:44, 40:44] = 4  # water is one field now
    labels = PixelLabels(ids, NAMES)
    splits = field_folds(labels, 4, seed=0)
    np.testing.assert_array_equal(
        np.sum([s.test for s in splits], axis=0), labels.labelled & (ids != 4)
    )
    assert all("water" in s.untestable and s.train[ids == 4].all() for s in splits)
    blocks = block_folds(labels, 4, 10, 2, seed=0)
    np.testing.assert_array_equal(np.sum([s.test for s in blocks], axis=0), labels.labelled)


def test_a_class_of_two_fields_is_never_whole_in_one_fold() -> None:
    ids = np.zeros((20, 40), np.int32)
    ids[2:6, 2:6], ids[2:6, 30:36] = 1, 1
    ids[12:16, 2:9], ids[12:16, 30:33] = 2, 2
    for seed in range(6):
        for split in field_folds(PixelLabels(ids, ("a", "b")), 2, seed=seed):
            assert not split.untrained
            assert not split.untestable


def test_polygons_are_the_fields_where_there_are_some() -> None:
    ids = np.ones((6, 8), np.int32)
    polygons = np.where(np.arange(8) < 5, 1, 2)[None].repeat(6, 0)
    labels = PixelLabels(ids, ("a",), polygons)
    split = field_split(labels, seed=0)
    assert {*np.unique(polygons[split.train])} | {*np.unique(polygons[split.test])} == {1, 2}
    assert "polygons" in split.told
    with pytest.raises(SamplesError, match="every class is one field"):
        field_split(PixelLabels(ids, ("a",)))


def test_single_points_are_no_fields() -> None:
    """To hold out some of the points that lie all over a scene is a random split."""
    ids = painted().ids
    points = np.where(np.random.default_rng(0).random(ids.shape) < 0.1, ids, 0)
    labels = PixelLabels(points, NAMES)
    for make in (field_split, field_folds):
        with pytest.raises(SamplesError, match=r"connected areas of fewer than 4.*label polygons"):
            make(labels)
    numbered = np.where(points > 0, np.arange(points.size).reshape(points.shape) + 1, 0)
    field_split(PixelLabels(points, NAMES, numbered))  # polygons may be as small as they like


def test_corners_connect_fields_if_asked_to() -> None:
    labels = PixelLabels(np.eye(4, dtype=np.int32), ("a",))
    assert fields_of(labels, 8)[0].max() == 1
    assert fields_of(labels, 4)[0].max() == 4
    with pytest.raises(SamplesError, match="8 or 4"):
        fields_of(labels, 6)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_random_shares_are_in_proportion_and_leave_something_to_test(share: float) -> None:
    ids = np.repeat([1, 2, 3, 4], [600, 297, 2, 1]).reshape(30, 30)
    split = random_split(PixelLabels(ids, NAMES), share, seed=0)
    train = split.train_counts
    assert abs(train["wheat"] - 600 * share) <= 3
    assert abs(train["maize"] - 297 * share) <= 1
    assert (train["woods"], split.test_counts["woods"]) == (1, 1)
    assert (train["water"], split.test_counts["water"]) == (1, 0)
    assert split.untestable == ("water",)
    assert split.leaky


def test_pixels_per_class_leave_half_of_a_rare_class() -> None:
    ids = np.repeat([1, 2, 3, 4], [600, 289, 8, 3]).reshape(30, 30)
    split = random_split(PixelLabels(ids, NAMES), per_class=20, seed=0)
    assert list(split.train_counts.values()) == [20, 20, 4, 2]


def test_a_rare_class_keeps_a_few_when_training_pixels_are_drawn() -> None:
    ids = np.ones((40, 40), np.int32)
    ids[::13, ::13] = 2
    split = block_split(PixelLabels(ids, ("a", "b")), 20, 0, 50, seed=0)
    assert sum(split.train_counts.values()) == 50
    assert split.train_counts["b"] == 3
    with pytest.raises(SamplesError, match="fewer than the 5,000 asked for"):
        block_split(PixelLabels(ids, ("a", "b")), 20, 0, 5000, seed=0)


def test_fixed_pixels_are_leaky_only_where_they_are_strewn() -> None:
    labels = painted()
    at_random = np.random.default_rng(0).random(labels.shape) < 0.2
    west = np.broadcast_to(np.arange(50) < 25, labels.shape)
    assert fixed_split(labels, at_random).leaky
    assert not fixed_split(labels, west).leaky
    split = fixed_split(labels, west, np.arange(50)[None].repeat(60, 0) > 40)
    assert split.dropped.sum() == 60 * 16
    with pytest.raises(SamplesError, match="for training and for testing"):
        fixed_split(labels, west, np.ones(labels.shape))
    with pytest.raises(SamplesError, match="give one value a pixel"):
        fixed_split(labels, west[:-1])


def test_fixed_pixels_of_another_class_or_without_one_are_left_out_and_told() -> None:
    ids = np.ones((10, 10), np.int32)
    ids[:, 5:], ids[0] = 2, 0
    given = np.where(np.arange(10)[:, None] < 4, 1, 0) * np.ones((10, 10), np.int32)
    labels = PixelLabels(ids, ("oats", "rye"))
    split = fixed_split(labels, PixelLabels(given, ("oats",)))
    assert "10 of the training pixels have no label here" in split.told
    assert "15 of the training pixels have another class here" in split.told
    assert split.train.sum() == 15
    assert split.dropped.sum() == 15
    assert split.untrained == ("rye",)


def test_regions_are_left_out_one_by_one() -> None:
    labels = painted()
    splits = region_splits(labels)
    assert [s.name for s in splits] == ["upper left", "upper right", "lower left", "lower right"]
    np.testing.assert_array_equal(np.sum([s.test for s in splits], axis=0), labels.labelled)
    bands = np.repeat([1, 2, 0], 20)[:, None].repeat(50, 1)
    north, south = region_splits(labels, PixelLabels(bands, ("north", "south")))
    assert (north.name, south.name) == ("north", "south")
    assert north.test[:20].all()
    assert not north.train[40:].any()
    assert north.dropped[40:].all()
    with pytest.raises(SamplesError, match="two or more"):
        region_splits(labels, np.ones(labels.shape, int))


def test_what_cannot_be_split_is_refused() -> None:
    labels = painted()
    with pytest.raises(SamplesError, match="either the share"):
        random_split(labels)
    with pytest.raises(SamplesError, match="between 0 and 1"):
        random_split(labels, 10)
    with pytest.raises(SamplesError, match="take smaller blocks"):
        block_split(labels, 100)
    with pytest.raises(SamplesError, match="leaves no training pixel"):
        block_split(labels, 20, 60)
    with pytest.raises(SamplesError, match="at least 2 and at most 30"):
        block_folds(labels, 31, 10, 0)
    with pytest.raises(SamplesError, match="give 0 or more"):
        field_split(labels, buffer=-1)


def test_indian_pines_splits_as_published(data_dir: Callable[..., object]) -> None:
    data = np.load(data_dir("indian_pines", "indian_pines_8bit.npz"), allow_pickle=False)
    names = tuple(str(name) for name in data["class_names"][1:])
    labels, landgrebe, hong, grss = (
        PixelLabels(data[key], names)
        for key in ("gt", "gt_landgrebe_10366", "train_hong", "train_disjoint_grss")
    )
    fixed = fixed_split(landgrebe, hong, data["test_hong"])
    assert (fixed.train.sum(), fixed.test.sum(), fixed.leaky) == (695, 9671, True)
    disjoint = fixed_split(labels, grss)
    assert (disjoint.train.sum(), disjoint.test.sum(), disjoint.leaky) == (5528, 4711, False)
    assert random_split(labels, 0.1).train.sum() == 1025
    for seed in range(5):
        blocks = block_split(labels, 20, 5, 1025, seed=seed)
        assert blocks.train.sum() == 1025
        fields = field_split(labels, 1025, seed=seed)
        assert fields.train.sum() == 1025
        assert fields.untestable == tuple(names[i - 1] for i in (1, 4, 7, 8, 9, 13, 16))
