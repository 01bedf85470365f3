"""New clusters find their old names: permuted, split, merged, gone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from terrapatch.errors import ClusterError
from terrapatch.learn.matching import match


def _random(seed: int, n_old: int, n_new: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_old + 1, (9, 11)), rng.integers(0, n_new + 1, (9, 11))


@pytest.mark.parametrize("rule", ["majority", "assignment"])
def test_a_permutation_is_undone(rule) -> None:
    old = np.random.default_rng(0).integers(0, 7, (20, 30))
    turn = np.array([0, 4, 6, 1, 2, 5, 3])
    found = match(old, turn[old], 6, 6, rule=rule)
    assert found.taken[turn].tolist() == list(range(7))
    assert found.agreement[1:].tolist() == [1.0] * 6
    assert found.kept[1:].tolist() == [1.0] * 6


def test_a_split_cluster_keeps_its_name_in_all_parts() -> None:
    old = np.array([1, 1, 1, 1, 2, 2, 0])
    new = np.array([1, 1, 1, 3, 2, 2, 0])
    found = match(old, new, 2, 3)
    assert found.taken.tolist() == [0, 1, 2, 1]
    assert found.followers(1) == (1, 3)
    one = match(old, new, 2, 3, rule="assignment")
    assert one.taken.tolist() == [0, 1, 2, 0]
    assert one.kept[1] == 0.75


def test_a_group_counts_as_one_and_an_outvoted_one_is_gone() -> None:
    old = np.array([1, 2, 1, 2, 3, 3, 3, 4])
    new = np.array([1, 1, 1, 1, 1, 1, 2, 2])
    alone = match(old, new, 4, 2)
    assert alone.taken.tolist() == [0, 1, 3]  # of equally many, the lower id
    together = match(old, new, 4, 2, groups=[0, 2, 2, 3, 4])
    assert together.taken.tolist() == [0, 2, 3]
    assert together.agreement.tolist() == [0, 4 / 6, 0.5]
    assert together.followers(4) == ()
    assert together.kept[4] == 0
    assert np.isnan(together.kept[1])
    assert together.kept[3] == pytest.approx(1 / 3)


def test_empty_cells_and_clusters_without_cells() -> None:
    found = match([0, 1, 0, 2], [1, 0, 2, 2], 3, 3)
    assert found.taken.tolist() == [0, 0, 2, 0]
    assert found.agreement[1] == found.agreement[3] == 0
    assert np.isnan(found.kept[3])
    nothing = match([0, 0], [1, 2], 2, 2)
    assert nothing.taken.tolist() == [0, 0, 0]
    assert match([0, 0], [1, 2], 2, 2, rule="assignment").taken.tolist() == [0, 0, 0]


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_no_other_naming_of_the_new_clusters_keeps_more(seed: int, n_old: int, n_new: int) -> None:
    old, new = _random(seed, n_old, n_new)
    best = match(old, new, n_old, n_new)
    both = (old > 0) & (new > 0)
    kept = (best.taken[new] == old)[both].sum()
    table = np.zeros((n_old + 1, n_new + 1), int)
    np.add.at(table, (old[both], new[both]), 1)
    assert kept == table.max(axis=0).sum() == best.shared.sum()


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_assignment_pairs_one_to_one_with_the_largest_total(
    seed: int, n_old: int, n_new: int
) -> None:
    old, new = _random(seed, n_old, n_new)
    found = match(old, new, n_old, n_new, rule="assignment")
    used = found.taken[found.taken > 0]
    assert len(set(used.tolist())) == len(used)
    both = (old > 0) & (new > 0)
    table = np.zeros((n_old + 1, n_new + 1), int)
    np.add.at(table, (old[both], new[both]), 1)
    rows, cols = linear_sum_assignment(-table[1:, 1:])
    assert found.shared.sum() == table[1:, 1:][rows, cols].sum()


def test_bad_requests() -> None:
    with pytest.raises(ClusterError, match="no rule 'best'"):
        match([1], [1], 1, 1, rule="best")  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match="apply the old model to the new features"):
        match([1, 1], [1], 1, 1)
    with pytest.raises(ClusterError, match="new ids go from 1 to 5, not from 0 to 4"):
        match([1, 1], [1, 5], 4, 4)
