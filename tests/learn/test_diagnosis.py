"""Learning curves with a known fault, drawn at random, and curves of the lectures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from terrapatch.errors import SamplesError
from terrapatch.learn.diagnosis import VERDICTS, diagnose


def noisy(rng, curves: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Scatter of a point of accuracy and of 4 % of the loss, in every curve."""
    n = len(curves["train_loss"])
    out = {}
    for name, curve in curves.items():
        if "accuracy" in name:
            out[name] = np.clip(curve + rng.normal(0, 0.01, n), 0, 1).tolist()
        else:
            out[name] = (curve * np.exp(rng.normal(0, 0.04, n))).tolist()
    return out


def falling(n: int, start: float, end: float, tau: float) -> np.ndarray:
    return end + (start - end) * np.exp(-np.arange(n) / tau)


def good(rng) -> dict[str, np.ndarray]:
    n, classes = int(rng.integers(15, 61)), int(rng.integers(3, 40))
    tau, top, gap = n * rng.uniform(0.05, 0.15), rng.uniform(0.95, 1), rng.uniform(0.0, 0.05)
    low = rng.uniform(0.05, 0.15)
    return {
        "train_loss": falling(n, math.log(classes), low, tau),
        "val_loss": falling(n, math.log(classes), low + 0.1, tau),
        "train_accuracy": falling(n, 1 / classes, top, tau),
        "val_accuracy": falling(n, 1 / classes, top - gap, tau),
    }


def underfit(rng) -> dict[str, np.ndarray]:
    """Half of them too slow, half of them too small a network."""
    n, classes = int(rng.integers(15, 61)), int(rng.integers(3, 40))
    start = math.log(classes)
    slow = rng.random() < 0.5
    tau = n * (rng.uniform(1, 2) if slow else rng.uniform(0.05, 0.15))
    top = 1.0 if slow else rng.uniform(1 / classes + 0.3, 0.82)
    low = 0.1 if slow else start * rng.uniform(0.3, 0.5)
    gap = rng.uniform(0, 0.05)
    return {
        "train_loss": falling(n, start, low, tau),
        "val_loss": falling(n, start, low + 0.05, tau),
        "train_accuracy": falling(n, 1 / classes, top, tau),
        "val_accuracy": falling(n, 1 / classes, top - gap, tau),
    }


def overfit(rng) -> dict[str, np.ndarray]:
    n, classes = int(rng.integers(20, 61)), int(rng.integers(3, 40))
    start, tau, gap = math.log(classes), n * rng.uniform(0.08, 0.2), rng.uniform(0.12, 0.4)
    late = np.maximum(np.arange(n) - n * 0.35, 0) / n
    return {
        "train_loss": falling(n, start, 0.02, tau),
        "val_loss": falling(n, start, 0.35 * start, tau) + late * rng.uniform(0.3, 1.5),
        "train_accuracy": falling(n, 1 / classes, rng.uniform(0.96, 1), tau),
        "val_accuracy": falling(n, 1 / classes, 0.98 - gap, tau),
    }


def oscillating(rng) -> dict[str, np.ndarray]:
    base = (good if rng.random() < 0.5 else overfit)(rng)
    n = len(base["val_loss"])
    swing = rng.uniform(0.07, 0.2) * rng.normal(0, 1, n)
    return base | {
        "val_accuracy": base["val_accuracy"] - swing,
        "val_loss": base["val_loss"] * np.exp(3 * swing),
    }


def untrained(rng) -> dict[str, np.ndarray]:
    """Guessing at the share of the largest class, or a loss that bursts."""
    n, classes = int(rng.integers(10, 61)), int(rng.integers(3, 40))
    share = rng.uniform(1 / classes, 1 / classes + 0.08)
    loss = np.full(n, math.log(classes))
    if rng.random() < 0.3:
        loss[int(rng.integers(1, n)) :] = np.nan
    return {
        "train_loss": loss,
        "val_loss": loss * 1.02,
        "train_accuracy": np.full(n, share),
        "val_accuracy": np.full(n, share - 0.01),
    }


FAMILIES = {
    "good": good,
    "underfit": underfit,
    "overfit": overfit,
    "oscillating": oscillating,
    "did not train": untrained,
}


@pytest.mark.parametrize("first_seed", [0, 1000, 2000])
def test_five_families_of_curves_by_twenty_seeds(first_seed):
    assert set(FAMILIES) == set(VERDICTS)
    wrong = []
    for verdict, family in FAMILIES.items():
        for seed in range(first_seed, first_seed + 20):
            rng = np.random.default_rng([seed, len(verdict)])
            found = diagnose(noisy(rng, family(rng)))
            if found.verdict != verdict:
                wrong.append((verdict, seed, found))
    assert len(wrong) <= 3, wrong


def test_knowing_chance_does_as_well():
    right = 0
    for verdict, family in FAMILIES.items():
        for seed in range(20):
            rng = np.random.default_rng([seed, len(verdict)])
            curves = family(rng)
            chance = min(0.5, float(np.nanmean(curves["train_accuracy"][:1])))
            right += diagnose(noisy(rng, curves), chance=chance).verdict == verdict
    assert right >= 97


def flat(train_loss, val_loss, train, val, n=10):
    values = (train_loss, val_loss, train, val)
    names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    return {name: [value] * n for name, value in zip(names, values, strict=True)}


def test_the_collapsed_network_of_the_lectures_did_not_train():
    """Deck 003: three vegetables, no batch normalisation, 40 % and 35 %."""
    found = diagnose(flat(1.09, 1.12, 0.40, 0.35), chance=0.36)
    assert found.verdict == "did not train"
    assert "40.0 %" in found.reason
    assert "36.0 %" in found.reason
    assert "batch normalisation" in found.advice
    assert diagnose(flat(1.09, 1.12, 0.40, 0.35)).verdict == "did not train"


def test_a_network_that_was_good_from_the_start_is_good():
    assert diagnose(flat(0.03, 0.06, 0.99, 0.98)).verdict == "good"
    assert diagnose(flat(0.03, 0.06, 0.99, 0.98), chance=0.05).verdict == "good"


def test_a_rare_class_that_is_never_found_is_no_success():
    found = diagnose(flat(0.33, 0.34, 0.91, 0.91), chance=0.91)
    assert found.verdict == "did not train"


def test_reasons_tell_the_two_ways_to_underfit_apart_and_the_epoch_to_stop_at():
    n = np.arange(20)
    slow = {
        "train_loss": 2 - 0.05 * n,
        "val_loss": 2 - 0.045 * n,
        "train_accuracy": 0.2 + 0.03 * n,
        "val_accuracy": 0.2 + 0.028 * n,
    }
    assert "more epochs" in diagnose(slow).advice
    assert "deeper" in diagnose(flat(0.8, 0.85, 0.72, 0.70)).advice
    sink = np.r_[np.linspace(2, 0.5, 8), np.linspace(0.5, 1.2, 12)]
    late = {
        "train_loss": np.linspace(2, 0.01, 20),
        "val_loss": sink,
        "train_accuracy": np.linspace(0.3, 1, 20),
        "val_accuracy": np.r_[np.linspace(0.3, 0.8, 8), np.full(12, 0.8)],
    }
    found = diagnose(late)
    assert found.verdict == "overfit"
    assert "since epoch 10" in found.reason
    lively = late | {"val_accuracy": np.array(late["val_accuracy"]) + 0.1 * (-1.0) ** n}
    both = diagnose(lively)
    assert both.verdict == "oscillating"
    assert "ahead of validation" in both.reason


def test_a_burst_loss_names_its_epoch():
    history = flat(0.5, 0.6, 0.8, 0.8)
    history["train_loss"][6:] = [math.nan] * 4
    assert "epoch 7" in diagnose(history).reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"val_loss": [1.0] * 9}, "different numbers of epochs"),
        ({"val_accuracy": [80.0] * 10}, "not percent"),
        ({"val_accuracy": [[0.8]] * 10}, "one number an epoch"),
    ],
)
def test_bad_input_has_its_sentence(change, words):
    with pytest.raises(SamplesError, match=words):
        diagnose(flat(0.5, 0.6, 0.8, 0.8) | change)


def test_short_or_missing_curves_are_refused():
    with pytest.raises(SamplesError, match="3 epochs are too few"):
        diagnose(flat(0.5, 0.6, 0.8, 0.8, n=3))
    with pytest.raises(SamplesError, match="lacks train_accuracy"):
        diagnose({"train_loss": [1.0], "val_loss": [1.0]})
    with pytest.raises(SamplesError, match="chance is 40"):
        diagnose(flat(0.5, 0.6, 0.8, 0.8), chance=40)
