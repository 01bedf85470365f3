"""Heads: every one tells blobs apart, is tuned inside the training part, and is saved whole."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from samples_made import blobs
from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn._head_file import dumped, restored
from terrapatch.learn.heads import HEADS, find_head, head_names, make_head, scores, tune

SCALING = "standardise-layer-l2"


@pytest.mark.parametrize("name", [n for n in head_names() if not HEADS[n].spatial])
def test_every_head_learns_and_comes_back_from_its_bytes(name: str) -> None:
    train, test = blobs(), blobs(seed=1)
    fitted, chosen = tune(name, SCALING, train.groups, train.values, train.ids)
    given = scores(fitted, test.values)
    assert given.shape == (90, 3)
    assert (given.argmax(axis=1) + 1 == test.ids).mean() > 0.85
    assert (given.argmax(axis=1) + 1 == fitted.predict(test.values)).mean() > 0.98
    assert set(chosen) == set(find_head(name).grid)

    again, _ = tune(name, SCALING, train.groups, train.values, train.ids)
    data = dumped(fitted[-1])
    assert data == dumped(again[-1])
    fitted.steps[-1] = ("head", restored(data, "head.skops"))
    np.testing.assert_array_equal(scores(fitted, test.values), given)


@pytest.mark.parametrize("name", ["ridge", "logistic", "linear-svm", "centroid"])
def test_two_classes_have_two_columns(name: str) -> None:
    two = blobs(k=2)
    fitted, _ = tune(name, SCALING, two.groups, two.values, two.ids)
    given = scores(fitted, two.values)
    assert given.shape == (60, 2)
    np.testing.assert_array_equal(given.argmax(axis=1) + 1, fitted.predict(two.values))


def test_a_classifier_of_ones_own_is_a_head() -> None:
    some = blobs()
    fitted, chosen = tune(GaussianNB(), "none", some.groups, some.values, some.ids)
    assert chosen == {}
    assert fitted.score(some.values, some.ids) > 0.9
    restored(dumped(fitted[-1]), "head.skops")


def test_too_few_samples_leave_the_defaults() -> None:
    few = blobs(n=2)
    fitted, chosen = tune("logistic", SCALING, few.groups, few.values, few.ids)
    assert chosen == {}
    assert fitted.predict(few.values).shape == (6,)


def test_unknown_heads_are_refused() -> None:
    with pytest.raises(SamplesError, match="no head 'svm'; choose one of ridge"):
        make_head("svm", SCALING, blobs().groups)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)

    def fit(self, *_: object) -> Evil:
        return self


def test_code_is_neither_saved_nor_opened(tmp_path, capsys) -> None:
    with pytest.raises(SamplesError, match="cannot be saved without code"):
        dumped(Evil())
    with pytest.raises(RecipeError, match=r"head\.skops is damaged"):
        restored(pickle.dumps(Evil()), "head.skops")
    import skops.io

    with pytest.raises(RecipeError, match="could run code, so it is not opened"):
        restored(skops.io.dumps(Evil()), "head.skops")
    assert capsys.readouterr().out == ""


def test_cut_bytes_are_damaged() -> None:
    some = blobs()
    fitted, _ = tune("centroid", SCALING, some.groups, some.values, some.ids)
    data = dumped(fitted[-1])
    with pytest.raises(RecipeError, match="is damaged"):
        restored(data[: len(data) // 2], "x")


def test_neighbours_are_no_more_than_the_least_inner_part_has() -> None:
    some = blobs(n=6, k=3)
    every = np.arange(len(some))
    parts = [(every[::4], np.setdiff1d(every, every[::4])), (every[1:], every[:1])]
    fitted, chosen = tune("knn", "none", some.groups, some.values, some.ids, folds=parts)
    assert chosen["n_neighbors"] <= 5
    assert fitted.predict(some.values).shape == some.ids.shape
