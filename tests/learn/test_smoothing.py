"""Smoothing: constant in, constant out; no data stays where it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from terrapatch.errors import SamplesError
from terrapatch.learn.smoothing import majority_filter

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))
maps = arrays(np.uint8, shapes, elements=st.integers(0, 4))


@given(maps, st.sampled_from([3, 5]))
def test_by_brute_force(labels: np.ndarray, side: int) -> None:
    made = majority_filter(labels, 4, side)
    half = side // 2
    for row, col in np.ndindex(labels.shape):
        around = labels[max(0, row - half) : row + half + 1, max(0, col - half) : col + half + 1]
        count = np.bincount(around.ravel(), minlength=5)
        count[0] = 0
        own = labels[row, col]
        if own == 0:
            assert made.labels[row, col] == 0
        elif count[own] == count.max():
            assert made.labels[row, col] == own
        else:
            assert made.labels[row, col] == count.argmax()
    assert made.changed == (made.labels != labels).sum()
    assert made.gained.sum() == 0


def test_constant_in_constant_out() -> None:
    labels = np.full((7, 9), 3, np.uint16)
    labels[2:4, 5] = 0
    made = majority_filter(labels, 300)
    np.testing.assert_array_equal(made.labels, labels)
    assert made.labels.dtype == np.uint16
    assert made.changed == 0


def test_a_square_needs_a_middle() -> None:
    with pytest.raises(SamplesError, match="a square of 4 cells has no middle"):
        majority_filter(np.ones((3, 3), np.uint8), 1, 4)
