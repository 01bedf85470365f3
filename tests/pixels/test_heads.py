"""Heads on pixels: what they learn, how they choose, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from pixel_scenes import NAMES, PixelScene, painted_scene
from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn.calibration import apply_temperature
from terrapatch.learn.pixels._inner_folds import inner_folds, stratified_sample
from terrapatch.learn.pixels._svm_grid import COSTS, WIDTHS, choose_svm, scale_gamma
from terrapatch.learn.pixels._tiles import gather, mirrored
from terrapatch.learn.pixels.base import LabelledPixels
from terrapatch.learn.pixels.heads import HEAD_FILE, SCALING_FILE, HeadLearner
from terrapatch.learn.pixels.learners import learner_names, parse_learner, restore_learner


@pytest.fixture(scope="module")
def scene() -> PixelScene:
    return painted_scene()


def made(text: str) -> Any:
    """Return a learner by its text; the small forest is a classifier that somebody passes in."""
    if text == "small forest":
        return HeadLearner(RandomForestClassifier(15, n_jobs=-1, random_state=0))
    return parse_learner(text)


def fitted(scene: PixelScene, text: str, pixels: LabelledPixels | None = None) -> Any:
    """Fit a learner on the spectra of a scene; return it and all its scores."""
    with scene.stack().over(scene.cube) as values:
        learner = made(text).fit(values, scene.pixels if pixels is None else pixels)
        rows = values.read(slice(0, scene.ids.shape[0]), slice(0, scene.ids.shape[1]))
    return learner, learner.scores(rows[scene.valid][:, None])[:, 0]


def some(pixels: LabelledPixels, keep: Any) -> LabelledPixels:
    """Return some of the pixels."""
    fields = None if pixels.fields is None else pixels.fields[keep]
    return replace(
        pixels, rows=pixels.rows[keep], cols=pixels.cols[keep], ids=pixels.ids[keep], fields=fields
    )


@pytest.mark.parametrize(
    "text",
    [
        "ridge",
        "logistic",
        "linear-svm",
        "rbf-svm",
        "knn",
        "centroid",
        "small forest",
        "rbf-svm:balance=balanced,folds=stratified",
        "rbf-svm:C=100,gamma=scale,scaling=none",
    ],
)
def test_heads_learn_and_come_back_as_they_were(scene: PixelScene, text: str) -> None:
    learner, scores = fitted(scene, text)
    said = learner.classes_[scores.argmax(axis=1)]
    assert (said == scene.ids[scene.valid]).mean() > 0.9
    assert scores.dtype == np.float32
    assert 0.01 <= learner.temperature <= 100
    again = restore_learner(learner.kind, learner.settings(), learner.files())
    assert again.files() == learner.files()
    assert again.settings() == learner.settings()
    with scene.stack().over(scene.cube) as values:
        block = values.read(slice(20, 40), slice(0, 30))
    assert np.array_equal(again.scores(block), learner.scores(block))


def test_the_same_seed_gives_the_same_bytes(scene: PixelScene) -> None:
    for text in ("rbf-svm", "small forest"):
        one, other = fitted(scene, text)[0], fitted(scene, text)[0]
        assert one.files() == other.files()
        assert one.settings() == other.settings()


def test_gathered_rows_are_those_of_the_pixels() -> None:
    scene = painted_scene(150, 170, share=0.01)
    with scene.stack().over(scene.cube) as values:
        whole = values.read(slice(0, 150), slice(0, 170))
        order = np.random.default_rng(0).permutation(len(scene.pixels))
        pixels = some(scene.pixels, order)
        assert np.array_equal(gather(values, pixels), whole[pixels.rows, pixels.cols])
        assert gather(values, some(pixels, slice(0, 0))).shape == (0, 24)


def test_pixels_without_features_and_outside_are_refused(scene: PixelScene) -> None:
    for row, col, words in ((0, 49, "row 0, column 49"), (60, 3, "outside the scene of 60 x 50")):
        pixels = LabelledPixels(np.array([5, row]), np.array([5, col]), np.array([1, 2]), NAMES)
        with scene.stack().over(scene.cube) as values, pytest.raises(SamplesError, match=words):
            parse_learner("ridge").fit(values, pixels)


def test_one_class_is_refused(scene: PixelScene) -> None:
    with pytest.raises(SamplesError, match="only oats has any"):
        fitted(scene, "rbf-svm", some(scene.pixels, scene.pixels.ids == 3))


@pytest.mark.parametrize("text", [n for n in learner_names() if n not in ("forest", "mlp")])
def test_classes_of_one_pixel_are_learned(scene: PixelScene, text: str) -> None:
    ids = scene.pixels.ids
    keep = (ids != 2) | (np.cumsum(ids == 2) == 1)
    learner, scores = fitted(scene, text, some(scene.pixels, keep))
    assert learner.counts[1] == 1
    assert np.isfinite(scores).all()
    alone = [int(np.flatnonzero(ids == c)[0]) for c in (1, 2, 3, 4)]
    learner, scores = fitted(scene, text, some(scene.pixels, alone))
    assert "too few" in learner.told
    assert learner.temperature == 1.0
    assert scores.shape[1] == 4


def test_fields_are_never_cut_and_lone_fields_never_tested() -> None:
    pixels = painted_scene(fields=True).pixels
    assert pixels.fields is not None
    fields = np.where(pixels.ids == 4, 7, pixels.fields)
    folds = inner_folds(replace(pixels, fields=fields))
    assert "whole fields" in folds.told
    assert len(folds.pairs) == 3
    for train, test in folds.pairs:
        assert not set(fields[train]) & set(fields[test])
        assert 7 not in fields[test]
        assert set(pixels.ids[test]) <= set(pixels.ids[train])


def test_blocks_are_never_cut_and_few_pixels_fall_back() -> None:
    pixels = painted_scene().pixels
    folds = inner_folds(pixels)
    assert "blocks of 20 pixels" in folds.told or "blocks of 10 pixels" in folds.told
    side = 20 if "20" in folds.told else 10
    for train, test in folds.pairs:
        blocks = pixels.rows // side * 1000 + pixels.cols // side
        assert not set(blocks[train]) & set(blocks[test])
    near = some(pixels, (pixels.rows < 5) & (pixels.cols < 21))
    assert "stratified" in inner_folds(near).told


def test_stratified_folds_test_every_pixel_of_classes_of_two_once() -> None:
    pixels = painted_scene().pixels
    folds = inner_folds(pixels, "stratified")
    tested = np.concatenate([test for _, test in folds.pairs])
    assert np.array_equal(np.sort(tested), np.arange(len(pixels)))
    other = inner_folds(pixels, "stratified", seed=1)
    assert not np.array_equal(other.pairs[0][1], folds.pairs[0][1])


def test_a_sample_keeps_shares_and_small_classes() -> None:
    ids = np.repeat([1, 2, 3], [9000, 900, 12]).astype(np.int32)
    kept = ids[stratified_sample(ids, 1000, 0)]
    assert np.bincount(kept).tolist() == [0, 908, 91, 12]
    assert len(stratified_sample(ids, 20_000, 0)) == len(ids)


def test_the_grid_finds_what_scikit_learn_finds() -> None:
    rng = np.random.default_rng(0)
    ids = np.repeat([1, 2, 3], 40).astype(np.int32)
    rows = rng.normal(0, 1, (120, 6)) + 0.9 * np.eye(6)[ids]
    pixels = LabelledPixels(np.arange(120), np.arange(120), ids, ("a", "b", "c"))
    pairs = inner_folds(pixels, "stratified").pairs
    scale = scale_gamma(rows)
    assert scale == pytest.approx(SVC().fit(rows, ids)._gamma)
    table = {
        (cost, scale * width): cross_val_score(
            SVC(C=cost, gamma=scale * width), rows, ids, cv=pairs
        )
        for cost in COSTS
        for width in WIDTHS
    }
    weights = [len(test) for _, test in pairs]
    accuracy = {key: float(np.average(v, weights=weights)) for key, v in table.items()}
    chosen = choose_svm(rows, ids, pairs)
    assert chosen.accuracy == pytest.approx(max(accuracy.values()))
    assert accuracy[(chosen.parameters["C"], chosen.parameters["gamma"])] == chosen.accuracy


def test_the_temperature_helps_pixels_that_were_not_trained_on(scene: PixelScene) -> None:
    for text in ("rbf-svm:folds=stratified", "logistic:folds=stratified"):
        noisy = painted_scene(noise=0.3)
        learner, scores = fitted(noisy, text)
        true = noisy.ids[noisy.valid] - 1
        losses = [
            -np.log(apply_temperature(scores, t)[np.arange(len(true)), true] + 1e-12).mean()
            for t in (learner.temperature, 1.0)
        ]
        assert losses[0] < losses[1]


def test_large_training_parts_are_tuned_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terrapatch.learn.pixels.heads.MOST_TUNED", 120)
    scene = painted_scene()
    learner, _ = fitted(scene, "ridge")
    assert "a stratified sample of 1" in learner.told
    assert sum(learner.counts) == len(scene.pixels)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cnn", "there is no learner 'cnn'"),
        ("svm", "there is no learner 'svm'.*rbf-svm"),
        ("rbf-svm:D=3", "has no option 'D'.*scaling, balance, folds, C, gamma"),
        ("rbf-svm:C", "'C' in 'rbf-svm:C' is not understood"),
        ("rbf-svm:C=-1", "C=-1 of the learner rbf-svm is no number above 0"),
        ("rbf-svm:C=nan", "no number above 0"),
        ("knn:n_neighbors=2.5", "no number above 0"),
        ("knn:balance=balanced", "the head knn cannot weigh its classes.*rbf-svm"),
        ("rbf-svm:balance=some", "there is no balance 'some'"),
        ("rbf-svm:folds=some", "there are no folds 'some'"),
    ],
)
def test_texts_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(SamplesError, match=words):
        parse_learner(text)


def test_heads_on_maps_and_unknown_parameters_are_refused(scene: PixelScene) -> None:
    with pytest.raises(SamplesError, match="the head cnn learns from maps"):
        HeadLearner("cnn")
    with scene.stack().over(scene.cube) as values, pytest.raises(SamplesError, match="has no para"):
        HeadLearner("rbf-svm", parameters={"K": 1}).fit(values, scene.pixels)


def test_damaged_learners_are_refused(scene: PixelScene) -> None:
    learner, _ = fitted(scene, "rbf-svm:C=10")
    settings, files = learner.settings(), learner.files()
    with pytest.raises(RecipeError, match="kind 'tree'"):
        restore_learner("tree", settings, files)
    for broken in (
        {HEAD_FILE: files[HEAD_FILE][:-40], SCALING_FILE: files[SCALING_FILE]},
        {HEAD_FILE: files[HEAD_FILE], SCALING_FILE: b"no"},
        {HEAD_FILE: files[HEAD_FILE]},
    ):
        with pytest.raises(RecipeError, match="damaged"):
            restore_learner("head", settings, broken)
    for wrong in ({"classes": [1, 2]}, {"groups": [["spectra", 0, 5]]}, {"temperature": "warm"}):
        with pytest.raises(RecipeError, match="damaged"):
            restore_learner("head", settings | wrong, files)


def test_mirrored_places() -> None:
    assert mirrored(-3, 7, 4).tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]
    assert mirrored(-2, 3, 1).tolist() == [0] * 5
    padded = np.pad(np.arange(5), 11, mode="reflect")
    assert mirrored(-11, 16, 5).tolist() == padded.tolist()
