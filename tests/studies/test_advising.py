"""Advice: both lectures are shown, and the trial finds the layer that knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samples_made import blobs
from terrapatch.errors import SamplesError
from terrapatch.studies.advising import advise_on


def test_the_trial_finds_the_layer_that_knows() -> None:
    some = blobs(n=40)
    noise = np.random.default_rng(5).normal(size=some.values.shape).astype(np.float32)
    only_lower = some.values.copy()
    only_lower[:, 20:] = noise[:, 20:]
    made = advise_on(replace(some, values=only_lower))
    trials = dict(made.trials)
    assert set(trials) == {"last-layer", "lower-layers", "all-layers"}
    assert trials["lower-layers"].overall > trials["last-layer"].overall + 0.2
    assert made.trials[0][1].overall == max(one.overall for one in trials.values())
    assert made.advice.amount == "little"
    assert not made.advice.agree
    assert made.untried == ()
    assert made.protocol == "3 stratified folds"


def test_similar_imagery_makes_the_lectures_agree() -> None:
    made = advise_on(blobs(n=20), similarity=0.9)
    assert made.advice.agree


def test_one_layer_leaves_nothing_to_compare() -> None:
    some = blobs(n=20)
    with pytest.raises(SamplesError, match="come from one layer"):
        advise_on(replace(some, groups=(("one", 0, 40),)))
