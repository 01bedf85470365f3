"""Temperature and reliability: known answers, and what must not change."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss

from terrapatch.errors import SamplesError
from terrapatch.learn.calibration import (
    apply_temperature,
    calibration_error_by_chance,
    expected_calibration_error,
    fit_temperature,
    reliability,
)


def drawn_from(logits: np.ndarray, seed: int) -> np.ndarray:
    """Classes drawn with the probabilities that the logits say."""
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    draw = np.random.default_rng([seed, 1]).random((len(logits), 1))
    return np.minimum((draw > cumulated).sum(axis=1), logits.shape[1] - 1) + 1


def logits(seed: int, n: int = 3000, k: int = 5) -> np.ndarray:
    return 2 * np.random.default_rng(seed).normal(size=(n, k))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 999), factor=st.floats(0.3, 8))
def test_finds_the_factor_by_which_scores_were_too_sure(seed, factor):
    true = logits(seed)
    ids = drawn_from(true, seed)
    assert fit_temperature(factor * true, ids) == pytest.approx(factor, rel=0.12)
    shifted = factor * true + np.arange(len(true))[:, None]
    assert fit_temperature(shifted, ids) == pytest.approx(fit_temperature(factor * true, ids))


def test_no_temperature_near_by_is_more_likely():
    scores = 3 * logits(1)
    ids = drawn_from(scores / 3, 1)
    t = fit_temperature(scores, ids)
    here = log_loss(ids, apply_temperature(scores, t), labels=range(1, 6))
    for other in (0.97 * t, 1.03 * t):
        assert here < log_loss(ids, apply_temperature(scores, other), labels=range(1, 6))


def test_calibration_error_falls_to_chance_and_no_class_changes():
    scores = 4 * logits(2, n=6000)
    ids = drawn_from(scores / 4, 2)
    raw = apply_temperature(scores)
    better = apply_temperature(scores, fit_temperature(scores[:3000], ids[:3000]))
    assert expected_calibration_error(raw[3000:], ids[3000:]) > 0.15
    assert expected_calibration_error(better[3000:], ids[3000:]) < 0.03
    assert np.array_equal(raw.argmax(axis=1), better.argmax(axis=1))


def test_scores_that_are_all_right_give_a_finite_answer_and_unlabelled_ones_none():
    scores = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.5, 0.0, 2.0]])
    t = fit_temperature(scores, [1, 2, 3])
    own = apply_temperature(scores, t)[[0, 1, 2], [0, 1, 2]]
    assert 0.05 < t < 5
    assert own.mean() == pytest.approx(1 - 1 / 5, abs=0.05)
    more = np.vstack([scores, [[9.0, 0.0, 0.0]]])
    assert fit_temperature(more, [1, 2, 3, 0]) == t


def test_scores_that_are_worse_than_chance_are_flattened():
    scores = logits(3, n=300)
    wrong = scores.argmin(axis=1) + 1
    flat = apply_temperature(scores, fit_temperature(scores, wrong))
    assert flat.max() < 0.25


def test_probability_zero_is_survived():
    with np.errstate(divide="ignore"):
        scores = np.log(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.4]]))
    t = fit_temperature(scores, [1, 2, 2, 1])
    after = apply_temperature(scores, t)
    assert np.isfinite(after).all()
    assert t > 1
    np.testing.assert_allclose(after.sum(axis=1), 1)


def test_error_by_chance_is_what_perfect_probabilities_show():
    scores = logits(4, n=400)
    p = apply_temperature(scores)
    shown = [expected_calibration_error(p, drawn_from(scores, seed)) for seed in range(150)]
    chance = calibration_error_by_chance(p, seed=1)
    assert chance == pytest.approx(np.mean(shown), rel=0.1)
    assert chance == calibration_error_by_chance(p, seed=1)
    more = apply_temperature(logits(5, n=6400))
    assert calibration_error_by_chance(more, draws=50) == pytest.approx(chance / 4, rel=0.25)


def test_reliability_by_hand():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.5, 0.5], [0.7, 0.3]])
    found = reliability(p, [1, 2, 2, 2, 1, 0], bins=5)
    assert found.count.tolist() == [0, 0, 2, 1, 2]
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.525, 0.8, 0.9])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 1.0, 1.0, 0.5])
    expected = (2 * 0.475 + 0.2 + 2 * 0.4) / 5
    assert found.error == pytest.approx(expected)
    assert expected_calibration_error(p, [1, 2, 2, 2, 1, 0], bins=5) == pytest.approx(expected)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["accuracy"][0] is None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), bins=st.integers(1, 30))
def test_one_bin_is_the_gap_of_the_means_and_all_samples_are_counted(seed, bins):
    scores = logits(seed, n=80)
    p, ids = apply_temperature(scores), drawn_from(scores, seed + 1)
    found = reliability(p, ids, bins)
    assert found.count.sum() == 80
    gap = abs(p.max(axis=1).mean() - (p.argmax(axis=1) + 1 == ids).mean())
    assert gap - 1e-12 <= found.error <= 1
    assert reliability(p, ids, 1).error == pytest.approx(gap)
    used = found.count > 0
    assert (found.confidence[used] <= found.edges[1:][used] + 1e-12).all()
    assert (found.confidence[used] > found.edges[:-1][used] - 1e-12).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit_temperature([[1.0, 2.0]], [0]), "none of 1 samples"),
        (lambda: fit_temperature([[1.0, 2.0]], [3]), "class 3"),
        (lambda: fit_temperature([[1.0, 2.0]], [1, 2]), "2,"),
        (lambda: fit_temperature([[1.0, np.nan]], [1]), "row 0 of the scores"),
        (lambda: fit_temperature([[1.0], [2.0]], [1, 1]), "at least two classes"),
        (lambda: apply_temperature([[1.0, 2.0]], 0.0), "the temperature is 0"),
        (lambda: reliability([[1.0, 2.0]], [1]), "adds up to 3"),
        (lambda: reliability([[0.5, 0.5]], [1], bins=0), "0 bins"),
        (lambda: calibration_error_by_chance(np.empty((0, 2))), "no probabilities"),
    ],
)
def test_bad_input_has_its_sentence(call, words):
    with pytest.raises(SamplesError, match=words):
        call()
