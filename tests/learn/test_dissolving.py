"""Small patches go into their largest neighbour, and no data stays no data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from terrapatch.learn.dissolving import dissolve_small


def test_a_patch_takes_the_class_of_its_largest_neighbour() -> None:
    labels = np.array([[1, 1, 1, 1], [1, 3, 3, 2], [2, 2, 2, 2]], np.uint8)
    done = dissolve_small(labels, np.ones(3), 3)
    assert done.labels.tolist() == [[1, 1, 1, 1], [1, 1, 1, 2], [2, 2, 2, 2]]
    assert (done.dissolved, done.kept) == (1, 0)


def test_the_smallest_goes_first_and_what_meets_grows_together() -> None:
    """The 3 joins the 2s, which become one patch of five, large enough to stay."""
    labels = np.array(
        [[1, 1, 1, 1, 1, 1, 1], [1, 2, 2, 3, 2, 2, 1], [1, 1, 1, 1, 1, 1, 1]], np.uint8
    )
    small = dissolve_small(labels, np.ones(3), 2).labels
    assert small[1].tolist() == [1, 2, 2, 1, 2, 2, 1]  # the 1s are the largest neighbour
    alone = labels.copy()
    alone[[0, 2], 3] = 0
    assert dissolve_small(alone, np.ones(3), 3).labels[1].tolist() == [1, 2, 2, 2, 2, 2, 1]


def test_islands_in_no_data_stay() -> None:
    labels = np.array([[1, 0, 2, 2], [0, 0, 2, 2]], np.uint8)
    done = dissolve_small(labels, np.ones(2), 3)
    assert (done.labels == labels).all()
    assert (done.dissolved, done.kept) == (0, 1)


def test_the_area_of_a_cell_counts_not_their_number() -> None:
    labels = np.array([[1, 1, 2], [1, 1, 1], [1, 3, 1]], np.uint8)
    done = dissolve_small(labels, np.array([2.0, 1.0, 1.0]), 1.5).labels
    assert done.tolist() == [[1, 1, 2], [1, 1, 1], [1, 1, 1]]


@given(
    labels=arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)
    ),
    minimum=st.integers(1, 12),
)
def test_what_is_left_is_large_enough_or_alone(labels: np.ndarray, minimum: int) -> None:
    done = dissolve_small(labels, np.ones(len(labels)), minimum)
    assert ((done.labels == 0) == (labels == 0)).all()
    assert set(np.unique(done.labels)) <= set(np.unique(labels))
    lone, _ = label(labels > 0)
    for id in np.unique(done.labels[done.labels > 0]):
        patches, count = label(done.labels == id)
        for patch in range(1, count + 1):
            inside = patches == patch
            whole = lone == lone[inside][0]
            assert inside.sum() >= minimum or inside.sum() == whole.sum()
    again = dissolve_small(done.labels, np.ones(len(labels)), minimum)
    assert (again.labels == done.labels).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_type_of_ids_is_kept(dtype: type) -> None:
    assert dissolve_small(np.ones((2, 2), dtype), np.ones(2), 1.0).labels.dtype == dtype
