from __future__ import annotations

import numpy as np
import pytest

from made_cubes import painted_cube
from terrapatch.errors import SamplesError
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.learn.pixels.leakage import check_leakage, combined_window, guard
from terrapatch.learn.pixels.splits import (
    PixelSplit,
    block_split,
    field_split,
    fixed_split,
    random_split,
)


def painted() -> PixelLabels:
    return PixelLabels(painted_cube()[1], ("a", "b", "c", "d"))


def shares(split: PixelSplit, half: int) -> tuple[float, float]:
    """Count by brute force: tested pixels in training windows, and overlapping windows."""
    train, test = np.argwhere(split.train), np.argwhere(split.test)
    away = np.abs(test[:, None] - train[None]).max(axis=2).min(axis=1)
    return float((away <= half).mean()), float((away <= 2 * half).mean())


@pytest.mark.parametrize("window", [1, 3, 7, 15])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_leaks_are_counted_as_by_brute_force(window: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = PixelLabels(rng.integers(0, 3, (30, 24)), ("a", "b"))
    for split in (
        random_split(labels, 0.05, seed=seed),
        block_split(labels, 8, 1, seed=seed),
        fixed_split(labels, np.arange(24)[None, :] < np.full((30, 1), 5)),
    ):
        leak = check_leakage(split, window)
        assert (leak.inside, leak.overlapping) == pytest.approx(shares(split, window // 2))


@pytest.mark.parametrize("buffer", [0, 1, 4])
def test_a_buffer_of_half_a_window_is_enough(buffer: int) -> None:
    split = block_split(painted(), 20, buffer, seed=3)
    leak = guard(split, 2 * buffer + 1)
    assert leak.clean
    assert leak.flag == ""
    assert leak.nearest == buffer + 1


def test_a_window_beyond_the_buffer_is_refused_with_the_buffer_that_would_do() -> None:
    split = block_split(painted(), 20, 2, seed=3)
    with pytest.raises(SamplesError, match=r"a buffer of 3 pixels would do \(it has 2\)"):
        guard(split, 7)
    leak = guard(split, 7, mode="flag")
    assert not leak.clean
    assert leak.flag.startswith("leaks ")
    assert guard(block_split(painted(), 20, 3, seed=3), 7).clean


def test_the_smallest_window_that_is_offered_is_clean() -> None:
    split = field_split(painted(), seed=1)
    with pytest.raises(SamplesError, match="a window of at most 1,"):
        guard(split, 5)
    assert guard(split, 1).clean


def test_random_splits_are_flagged_whatever_the_window() -> None:
    split = random_split(painted(), 0.1, seed=0)
    for window in (1, 9, None):
        leak = guard(split, window)
        assert leak.flag == "leaky"
        assert not leak.clean
    assert check_leakage(split, 1).inside == 0


def test_features_of_the_whole_scene_leak_everywhere() -> None:
    split = block_split(painted(), 20, 5, seed=0)
    with pytest.raises(SamplesError, match="whatever the buffer"):
        guard(split, None)
    assert guard(split, None, mode="flag").inside == 1.0


def test_windows_add_up() -> None:
    assert combined_window(1) == 1
    assert combined_window(11, 9) == 19
    assert combined_window(11, 9, 3) == 21
    assert combined_window(11, None) is None
    with pytest.raises(SamplesError, match="odd"):
        combined_window(4, 3)


def test_a_pixel_far_away_shows_how_windows_reach() -> None:
    ids = np.ones((1, 21), np.int32)
    train = np.zeros_like(ids, bool)
    train[0, 0] = True
    split = fixed_split(PixelLabels(ids, ("a",)), train, ~train & (np.arange(21) >= 6)[None])
    assert check_leakage(split, 11).inside == 0  # it sees to pixel 5
    assert check_leakage(split, 13).inside == pytest.approx(1 / 15)
    assert check_leakage(split, 11).overlapping == pytest.approx(5 / 15)
    assert check_leakage(split, 11).nearest == 6


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(SamplesError, match="refuse or flag"):
        guard(random_split(painted(), 0.1), 3, mode="ignore")
