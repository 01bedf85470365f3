"""The difference of two shares against its definition, and against drawing samples."""

from __future__ import annotations

import numpy as np
import pytest

from terrapatch.errors import SamplesError
from terrapatch.learn.contrast import contrast


def test_is_the_difference_and_its_interval_that_of_drawn_samples():
    rng = np.random.default_rng(0)
    first = (rng.random(200) < 0.9).astype(int)
    second = np.where(rng.random(200) < 0.8, first, 0)
    found = contrast(first, second)
    assert found.difference == pytest.approx(first.mean() - second.mean())
    drawn = [(first[i] - second[i]).mean() for i in rng.integers(0, 200, (4000, 200))]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)
    assert found.certain
    assert str(found).startswith(f"{100 * found.difference:+.1f} (+")
    assert contrast(first, second) == found


def test_two_answers_of_one_sample_are_drawn_together():
    """The same answers differ by nothing in every round, though each share varies."""
    first = np.random.default_rng(1).integers(0, 2, 60)
    same = contrast(first, first)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    assert not same.certain
    apart = contrast(np.r_[first, np.full(60, -1)], np.r_[np.full(60, -1), first])
    assert apart.difference == 0.0
    assert apart.low < -0.05 < 0.05 < apart.high


def test_whole_groups_are_drawn():
    first = np.repeat(np.random.default_rng(2).integers(0, 2, 12), 30)
    second = 1 - first
    alone = contrast(first, second)
    grouped = contrast(first, second, groups=np.repeat(np.arange(12), 30))
    assert grouped.difference == alone.difference
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)
    one = contrast([1, 0], [0, 0], groups=[5, 5])
    assert np.isnan(one.low)
    assert str(one) == "+50.0"
    assert one.as_dict() == {"points": 50.0, "low": None, "high": None}


def test_bad_input_has_its_sentence():
    with pytest.raises(SamplesError, match="cannot be compared"):
        contrast([1, 0], [1])
    with pytest.raises(SamplesError, match="no answer on one of the two sides"):
        contrast([1, 0], [-1, -1])
