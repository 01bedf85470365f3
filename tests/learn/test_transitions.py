"""What became of what: sums add up, equal maps stay, and noise is told from change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrapatch.errors import MapError
from terrapatch.learn.transitions import NoiseFloor, Transitions, count_transitions

BEFORE = np.array([[1, 1, 2, 0], [1, 2, 2, 3], [3, 3, 0, 0]])
AFTER = np.array([[1, 2, 2, 1], [1, 1, 3, 3], [3, 0, 2, 0]])


def test_a_case_by_hand() -> None:
    found = count_transitions(BEFORE, AFTER, 3, [1.0, 2.0, 4.0])
    assert found.cells.tolist() == [[2, 1, 0], [1, 1, 1], [0, 0, 2]]
    assert found.hectares is not None
    assert found.hectares.tolist() == [[3, 1, 0], [2, 1, 2], [0, 0, 6]]
    assert (found.n, found.changed, found.share) == (8, 3, 3 / 8)
    assert (found.only_before, found.only_after) == (1, 2)
    assert found.losses.tolist() == [1, 2, 0]
    assert found.gains.tolist() == [1, 1, 1]
    assert found.swap.tolist() == [2, 2, 0]
    assert found.pairs() == [(1, 2), (2, 1), (2, 3)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_sums_add_up_and_equal_maps_are_diagonal(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    before, after = random.integers(0, k + 1, (2, 7, 9))
    found = count_transitions(before, after, k)
    assert found.table.sum() == before.size
    np.testing.assert_array_equal(
        found.table.sum(axis=1), np.bincount(before.ravel(), minlength=k + 1)
    )
    np.testing.assert_array_equal(
        found.table.sum(axis=0), np.bincount(after.ravel(), minlength=k + 1)
    )
    assert found.gains.sum() == found.losses.sum() == found.changed
    same = count_transitions(before, before, k)
    assert same.changed == 0
    assert not same.pairs()
    assert same.only_before == same.only_after == 0


def test_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MapError, match=r"\(3, 4\) and \(3, 3\) cells cannot be compared"):
        count_transitions(BEFORE, AFTER[:, :3], 3)
    with pytest.raises(MapError, match="class ids go from 0 to 3, not from 0 to 2"):
        count_transitions(BEFORE, AFTER, 2)


def _of(cells: list[list[int]]) -> Transitions:
    table = np.zeros((len(cells) + 1,) * 2, np.int64)
    table[1:, 1:] = cells
    return Transitions(table)


def test_noise_is_scaled_to_the_map_and_the_same_both_ways() -> None:
    floor = NoiseFloor(_of([[400, 30, 0], [10, 50, 10], [0, 0, 0]]), (0.5, 0.5))
    assert floor.share == pytest.approx(50 / 500)
    found = _of([[800, 50, 20], [30, 70, 15], [0, 5, 10]])
    expected = floor.expected(found)
    np.testing.assert_allclose(expected[0, 1], 20 * 2)
    np.testing.assert_allclose(expected[1, 0], 20 * 2)
    np.testing.assert_allclose(expected[1, 2], 5 * 2)
    clear = floor.clear(found)
    assert clear[0, 2]  # never by noise
    assert not clear[0, 1]  # 50 against 40
    assert not clear[1, 0]
    assert not clear.diagonal().any()


def test_change_that_is_noise_is_not_clear() -> None:
    floor = NoiseFloor(_of([[900, 50], [50, 1000]]), (0.5, 0.5))
    assert not floor.clear(_of([[890, 60], [40, 1010]])).any()
    assert floor.clear(_of([[700, 250], [50, 1000]])).tolist() == [[False, True], [False, False]]
    nothing = NoiseFloor(_of([[0, 0], [0, 0]]), (0.0, 0.0))
    assert nothing.share == 0
    assert nothing.expected(_of([[1, 2], [3, 4]])).tolist() == [[0, 0], [0, 0]]
