"""Cramér's V and eta² against figures worked out by hand, and p-values that keep their promise."""

from __future__ import annotations

import numpy as np
import pytest

from terrapatch.errors import SamplesError
from terrapatch.learn.association import associate, cramers_v, eta_squared


def test_cramers_v_is_bergsmas() -> None:
    """2 x 2, n = 40: phi² = .25, bias 1/39, r~ = c~ = 2 - 1/39."""
    table = [[15, 5], [5, 15]]
    assert cramers_v(table) == pytest.approx(((0.25 - 1 / 39) / (1 - 1 / 39)) ** 0.5)
    assert cramers_v(np.eye(3) * 50) == pytest.approx(1.0)
    assert cramers_v([[10, 10], [10, 10]]) == 0.0
    assert cramers_v([[15, 5, 0], [5, 15, 0], [0, 0, 0]]) == cramers_v(table)


def test_cramers_v_says_nothing_where_there_is_nothing_to_compare() -> None:
    assert np.isnan(cramers_v([[3, 4]]))
    assert np.isnan(cramers_v(np.eye(3)))  # as many rows as units


def test_eta_squared_is_the_share_between_classes() -> None:
    """Values 1, 3 | 5, 7: between 16, all in all 20."""
    weights = [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert eta_squared(weights, [1, 3, 5, 7]) == pytest.approx(0.8)
    assert eta_squared(weights, [2, 2, 4, 4]) == pytest.approx(1.0)
    assert np.isnan(eta_squared(weights, [0.1, 0.1, 0.1, 0.1]))
    # Zones that all are the same mixture tell nothing.
    assert eta_squared(np.full((4, 2), 0.5), [1, 3, 5, 7]) == pytest.approx(0.0)


@pytest.mark.parametrize("kind", ["category", "number"])
def test_p_is_about_uniform_without_an_association(kind: str) -> None:
    random = np.random.default_rng(0)
    found = []
    for _ in range(200):
        areas = random.dirichlet([0.7] * 4, 24)
        column = random.integers(0, 3, 24) if kind == "category" else random.normal(size=24)
        found.append([one.p for one in associate(areas, column, kind, permutations=99)])
    p = np.array(found)
    # Ties make p larger than uniform, never smaller: that is the safe side.
    assert ((p.mean(axis=0) > 0.43) & (p.mean(axis=0) < 0.62)).all()
    assert ((p <= 0.1).mean(axis=0) < 0.15).all()
    assert ((p <= 0.5).mean(axis=0) > 0.3).all()


@pytest.mark.parametrize("kind", ["category", "number"])
def test_p_is_small_and_the_measure_one_under_a_perfect_association(kind: str) -> None:
    column = np.repeat([1.0, 2.0, 3.0], 8)
    areas = np.eye(3)[np.repeat([0, 1, 2], 8)] * 12.5
    for one in associate(areas, column, kind, permutations=499):
        assert one.value == pytest.approx(1.0)
        assert one.p == pytest.approx(1 / 500)
        assert one.chance < 0.5
        assert "more than chance" in one.sentence()


def test_zones_are_permuted_not_cells() -> None:
    """Five zones of two kinds: however many cells they hold, p cannot fall below 1 in 10."""
    areas = np.array([[1e6, 0], [1e6, 0], [1e6, 0], [0, 1e6], [0, 1e6]])
    for one in associate(areas, np.array(list("aaabb")), "category", permutations=999):
        assert 0.07 < one.p < 0.13


def test_the_same_seed_gives_the_same_p() -> None:
    random = np.random.default_rng(1)
    areas, column = random.dirichlet([1] * 3, 30), random.normal(size=30)
    first, other = (associate(areas, column, "number", seed=s) for s in (4, 5))
    assert first == associate(areas, column, "number", seed=4)
    assert first != other


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (["a", "a", "a", "a"], "the same value"),
        (["a", "b", "c", "d"], "another value in each zone"),
        (["a", "a", "b"], "at least 4 zones"),
    ],
)
def test_what_cannot_be_compared_is_said(column: list[str], sentence: str) -> None:
    with pytest.raises(SamplesError, match=sentence):
        associate(np.ones((len(column), 2)), column, "category")
