"""Blends of heads: whose layers they see, what they say, and how they are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pixel_scenes import PixelScene, painted_scene
from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn.calibration import apply_temperature, fit_temperature
from terrapatch.learn.pixels.blend import BlendLearner, LayerView, make_blend
from terrapatch.learn.pixels.learners import parse_learner, restore_learner
from terrapatch.learn.pixels.model import PixelModel

FEATURES = ("spectra", "mean:window=3", "mean:window=5,of=pca,components=3", "pca:components=4")
TEXT = "lda@mean5+pca|rbf-svm:C=10,gamma=scale@mean3|lda:shrinkage=0.1@spectra"


@pytest.fixture(scope="module")
def scene() -> PixelScene:
    return painted_scene(noise=0.4)


def fitted(scene: PixelScene, text: str = TEXT, **how: Any) -> tuple[BlendLearner, Any]:
    """Fit a blend; return it and the features of the whole scene."""
    with scene.stack(*FEATURES).over(scene.cube) as values:
        learner = parse_learner(f"blend:{text}").fit(values, scene.pixels, **how)
        rows = values.read(slice(0, 60), slice(0, 50))
    assert isinstance(learner, BlendLearner)
    return learner, np.nan_to_num(rows)


def test_it_says_the_mean_of_what_its_members_say(scene: PixelScene) -> None:
    blend, rows = fitted(scene)
    groups = scene.stack(*FEATURES).groups
    assert [name for name, _, _ in groups] == ["spectra", "mean3", "mean5", "pca"]
    columns = {name: list(range(start, stop)) for name, start, stop in groups}
    seen = [columns["mean5"] + columns["pca"], columns["mean3"], columns["spectra"]]
    given = []
    for member, own in zip(blend.members, seen, strict=True):
        scores = member.learner.scores(rows[..., own]).reshape(-1, 4)
        given.append(apply_temperature(scores, member.learner.temperature))
    expected = np.log(np.mean(given, axis=0))
    assert np.allclose(blend.scores(rows).reshape(-1, 4), expected, atol=1e-5)
    assert blend.window == 1
    right = blend.classes_[blend.scores(rows).argmax(axis=2)] == scene.ids
    assert right[scene.valid].mean() > 0.9


def test_members_are_the_heads_alone(scene: PixelScene) -> None:
    blend, _ = fitted(scene)
    with scene.stack(*FEATURES).over(scene.cube) as values:
        start, stop = values.groups[1][1:]
        alone = parse_learner("rbf-svm:C=10,gamma=scale")
        alone.fit(LayerView(values, (("mean3", start, stop),)), scene.pixels)
    assert alone.files() == blend.members[1].learner.files()
    assert alone.settings() == blend.members[1].learner.settings()


def test_its_temperature_is_fitted_to_pixels_that_members_have_not_seen(scene: PixelScene) -> None:
    blend, _ = fitted(scene)
    held = [member.learner.held for member in blend.members]
    given = [
        apply_temperature(h.scores, member.learner.temperature)
        for h, member in zip(held, blend.members, strict=True)
    ]
    mixed = np.log(np.mean(given, axis=0))
    assert blend.temperature == pytest.approx(fit_temperature(mixed, held[0].true))
    other, _ = fitted(scene, "lda@pca|lda:folds=stratified@mean3")
    assert other.temperature == 1.0


def test_names_mean_a_layer_or_all_of_a_kind() -> None:
    groups = (("pca", 0, 4), ("mean5", 4, 7), ("mean9", 7, 9), ("mean5-2", 9, 10), ("eap", 10, 12))

    def seen(text: str) -> list[str]:
        return [name for name, _, _ in make_blend(f"{text}|lda").members[0].chosen(groups)]

    assert seen("lda@mean") == ["mean5", "mean9", "mean5-2"]
    assert seen("lda@mean9+pca") == ["pca", "mean9"]
    assert seen("lda@mean5-2") == ["mean5-2"]
    assert seen("lda@mean5") == ["mean5", "mean5-2"]
    assert seen("lda@mean5-1") == ["mean5"]
    assert seen("lda") == [name for name, _, _ in groups]
    with pytest.raises(SamplesError, match=r"'me'.*choose from pca, mean5, mean9, mean5-2, eap"):
        seen("lda@eap+me")


def test_it_comes_back_as_it_was_and_the_same_seed_gives_the_same_bytes(scene: PixelScene) -> None:
    blend, rows = fitted(scene)
    other, _ = fitted(scene)
    assert other.files() == blend.files()
    assert other.settings() == blend.settings()
    again = restore_learner(blend.kind, blend.settings(), blend.files())
    assert isinstance(again, BlendLearner)
    assert again.files() == blend.files()
    assert again.settings() == blend.settings()
    assert np.array_equal(again.scores(rows), blend.scores(rows))


def test_a_model_holds_it(scene: PixelScene, tmp_path: Any) -> None:
    stack = scene.stack(*FEATURES)
    blend, rows = fitted(scene)
    PixelModel.of(stack, blend, scene.pixels, scene.cube).save(tmp_path / "model")
    model = PixelModel.load(tmp_path / "model")
    assert model.temperature == blend.temperature
    assert np.array_equal(model.learner.scores(rows), blend.scores(rows))


def test_damage_is_refused(scene: PixelScene) -> None:
    blend, _ = fitted(scene)
    files = blend.files()
    with pytest.raises(RecipeError, match="train the model again"):
        BlendLearner.restore(blend.settings(), {n: d for n, d in files.items() if n[0] != "2"})
    short = {n: d[:100] if n.startswith("3-head") else d for n, d in files.items()}
    with pytest.raises(RecipeError, match="train the model again"):
        BlendLearner.restore(blend.settings(), short)
    settings = blend.settings()
    swapped = {**settings, "groups": [["mean3", 0, 24], *settings["groups"][1:]]}
    with pytest.raises(RecipeError, match="damaged"):
        BlendLearner.restore(swapped, files)
    with pytest.raises(RecipeError, match="damaged"):
        BlendLearner.restore({**settings, "classes": [1, 2, 3]}, files)


def test_progress_names_the_member(scene: PixelScene) -> None:
    said = set()
    fitted(scene, progress=lambda stage, done, total: said.add(stage))
    assert {f"fitting (member {i} of 3)" for i in (1, 2, 3)} <= said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lda@pca", "two members or more"),
        ("", "not understood"),
        ("lda@pca||lda", "not understood"),
        ("lda@|lda", "write a head, then @ and layers"),
        ("net:hybridsn@pca|lda", "there is no learner 'net'"),
        ("lda:shrinkage=2@pca|lda", "no number above 0 and up to 1"),
        ("lda:depth=2@pca|lda", "no option 'depth'; it has scaling, balance, folds, shrinkage"),
    ],
)
def test_texts_that_cannot_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(SamplesError, match=words):
        parse_learner(f"blend:{text}")


def test_a_layer_that_is_not_there_is_refused(scene: PixelScene) -> None:
    with pytest.raises(SamplesError, match="'emp', which the features do not have; choose from sp"):
        fitted(scene, "lda@emp|lda@pca")
