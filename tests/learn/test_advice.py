"""The lectures' tables, their thresholds, and similarity measured on drawn imagery."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrapatch.errors import SamplesError
from terrapatch.learn.advice import LITTLE, MUCH, SIMILAR, TRIALS, advise, imagery_similarity
from terrapatch.learn.applicability import DissimilarityIndex


@pytest.mark.parametrize(
    ("labels", "similarity", "first", "second", "agree", "best"),
    [
        (20, 0.9, "higher layer", "linear SVM on the bottleneck", True, "last-layer"),
        (20, 0.1, "lower layer", "deep features", False, "lower-layers"),
        (5000, 0.9, "top or all", "several or all", True, "tune-top"),
        (5000, 0.1, "top or all", "fine-tune all layers", False, "tune-all"),
    ],
)
def test_the_four_cells_of_both_tables(labels, similarity, first, second, agree, best):
    found = advise(labels, similarity)
    assert len(found.deck_001) == len(found.deck_002) == 1
    assert first in found.deck_001[0]
    assert second in found.deck_002[0]
    assert found.agree is agree
    assert found.trials[0] == best
    assert ("The decks differ" in " ".join(found.cautions)) is not agree


def test_where_the_decks_differ_both_answers_are_tried():
    assert {"lower-layers", "last-layer"} <= set(advise(20, 0.1).trials)
    assert {"tune-top", "tune-all"} <= set(advise(5000, 0.1).trials)


def test_between_little_and_much_both_columns_are_shown():
    found = advise(500, 0.8)
    assert found.amount == "between"
    assert found.deck_001 == advise(20, 0.8).deck_001 + advise(5000, 0.8).deck_001
    assert found.deck_002 == advise(20, 0.8).deck_002 + advise(5000, 0.8).deck_002
    assert {"last-layer", "tune-top"} <= set(found.trials)


@given(labels=st.integers(1, 10**6), similarity=st.none() | st.floats(0, 1))
def test_the_thresholds_are_those_that_are_stated(labels, similarity):
    found = advise(labels, similarity)
    assert (found.amount == "little") == (labels <= LITTLE)
    assert (found.amount == "much") == (labels > MUCH)
    near = similarity is not None and similarity >= SIMILAR
    assert (found.imagery == "similar") == near
    assert (found.imagery == "unknown") == (similarity is None)
    assert set(found.trials) <= set(TRIALS)
    assert len(set(found.trials)) == len(found.trials)
    assert f"there are {labels:,} labels" in found.reason


def test_uneven_and_rare_classes_are_named():
    found = advise({"roof": 3, "road": 40, "sea": 60}, 0.9)
    assert found.labels == 40
    assert "12.5 labels" in advise([10, 15], 0.9).reason
    assert "roof (3)" in found.cautions[0]
    assert any("ten times" in text for text in found.cautions)
    assert advise([30, 40, 60], 0.9).cautions == advise(40, 0.9).cautions
    assert "not known" in advise(40, None).reason


def test_similarity_is_the_share_inside():
    rng = np.random.default_rng(0)
    reference = DissimilarityIndex.fit(rng.normal(size=(300, 4)), groups=np.arange(300) % 5)
    same, other = rng.normal(size=(200, 4)), rng.normal(size=(200, 4)) + 20
    empty = np.full((50, 4), np.nan)
    assert imagery_similarity(same, reference) > 0.9
    assert imagery_similarity(other, reference) == 0
    mixed = imagery_similarity(np.vstack([same[:100], other[:100], empty]), reference)
    assert mixed == pytest.approx(imagery_similarity(same[:100], reference) / 2)
    with pytest.raises(SamplesError, match="no row"):
        imagery_similarity(empty, reference)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: advise({"roof": 0, "sea": 3}, 0.5), "roof has no labels"),
        (lambda: advise([], 0.5), "list of classes"),
        (lambda: advise(5, 1.5), "similarity is 1.5"),
        (lambda: advise(5, float("nan")), "similarity is nan"),
    ],
)
def test_bad_input_has_its_sentence(call, words):
    with pytest.raises(SamplesError, match=words):
        call()
