"""Maps: every pixel with data a class, the same whatever blocks the scene comes in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pixel_scenes import NAMES, Brightest, PixelScene, painted_scene
from terrapatch.cubes import Cube
from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn.calibration import apply_temperature
from terrapatch.learn.pixels import _scratch
from terrapatch.learn.pixels.base import LabelledPixels
from terrapatch.learn.pixels.learners import parse_learner
from terrapatch.learn.pixels.mapping import map_pixels, map_values
from terrapatch.learn.pixels.model import PixelModel
from terrapatch.legend import Legend


def trained(scene: PixelScene, text: str = "rbf-svm:C=10", *features: str) -> PixelModel:
    """Train a model on a scene."""
    stack = scene.stack(*features)
    with stack.over(scene.cube) as values:
        learner = parse_learner(text).fit(values, scene.pixels)
    return PixelModel.of(stack, learner, scene.pixels, scene.cube)


@pytest.fixture(scope="module")
def scene() -> PixelScene:
    """A scene of more than one tile in both directions."""
    return painted_scene(140, 150, noise=0.3, share=0.03)


def test_a_map_names_the_likeliest_class_of_each_pixel(scene: PixelScene) -> None:
    model = trained(scene)
    mapped = map_pixels(scene.cube, model)
    with model.features.over(scene.cube) as values:
        rows = values.read(slice(0, 140), slice(0, 150))[scene.valid]
    scores = model.learner.scores(rows[:, None])[:, 0]
    shares = np.sort(apply_temperature(scores, model.temperature), axis=1)
    assert np.array_equal(mapped.ids[scene.valid], scores.argmax(axis=1) + 1)
    assert (mapped.ids[scene.valid] == scene.ids[scene.valid]).mean() > 0.8
    np.testing.assert_allclose(mapped.confidence[scene.valid], shares[:, -1], atol=1e-4)
    margin = shares[:, -1] - shares[:, -2]
    np.testing.assert_allclose(mapped.margin[scene.valid], margin, atol=1e-4)
    assert (mapped.ids[~scene.valid] == 0).all()
    assert np.isnan(mapped.confidence[~scene.valid]).all()
    assert np.isnan(mapped.margin[~scene.valid]).all()
    assert mapped.ids.dtype == np.uint8
    assert mapped.counts.tolist() == np.bincount(mapped.ids.ravel(), minlength=5).tolist()
    assert mapped.geobox == scene.cube.geobox
    assert mapped.provenance["model"]["space"]["layers"] == list(model.features.texts)


@pytest.mark.parametrize("smooth", [None, "gaussian:1", "guided:radius=2"])
def test_blocks_threads_and_files_change_no_byte(
    scene: PixelScene, smooth: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = trained(scene)
    whole = map_pixels(scene.cube, model, smooth=smooth)
    with model.features.over(scene.cube, side=33) as values:
        blocks = map_pixels(values, model, smooth=smooth)
    monkeypatch.setattr(_scratch, "IN_MEMORY", 1000)
    monkeypatch.setattr("terrapatch.learn.pixels.fast_svm.usable_threads", lambda: 3)
    files = map_pixels(scene.cube, model, smooth=smooth, scratch=tmp_path)
    assert isinstance(files.ids, np.memmap)
    for one in (blocks, files):
        for name in ("ids", "confidence", "margin"):
            assert np.asarray(getattr(one, name)).tobytes() == getattr(whole, name).tobytes()
    assert not list(tmp_path.iterdir())


def test_smoothing_helps_and_is_told(scene: PixelScene) -> None:
    model = trained(scene)
    raw, soft = (map_pixels(scene.cube, model, smooth=s) for s in (None, "gaussian:sigma=1.5"))
    right = [(m.ids[scene.valid] == scene.ids[scene.valid]).mean() for m in (raw, soft)]
    assert right[1] > right[0] + 0.02
    assert (soft.ids[~scene.valid] == 0).all()
    assert soft.provenance["smoothing"] == "gaussian:sigma=1.5"
    with pytest.raises(SamplesError, match="there is no smoothing"):
        map_pixels(scene.cube, model, smooth="median:3")


def test_classes_without_training_pixels_are_told_and_never_mapped(scene: PixelScene) -> None:
    keep = scene.pixels.ids != 2
    pixels = LabelledPixels(
        scene.pixels.rows[keep], scene.pixels.cols[keep], scene.pixels.ids[keep], NAMES
    )
    stack = scene.stack()
    with stack.over(scene.cube) as values:
        learner = parse_learner("centroid").fit(values, pixels)
    model = PixelModel.of(stack, learner, pixels, scene.cube)
    mapped = map_pixels(scene.cube, model)
    assert set(np.unique(mapped.ids)) == {0, 1, 3, 4}
    assert mapped.counts[2] == 0
    assert mapped.notes == ("classes without a training pixel are never mapped: grass",)
    assert model.untrained == ("grass",)


def test_many_classes_need_sixteen_bits(scene: PixelScene) -> None:
    with scene.stack().over(scene.cube) as values:
        learner = parse_learner("centroid").fit(values, scene.pixels)
        learner.classes_ = learner.classes_ + 296
        mapped = map_values(values, learner, 300)
    assert mapped.ids.dtype == np.uint16
    assert set(np.unique(mapped.ids)) == {0, 297, 298, 299, 300}
    assert len(mapped.counts) == 301


def test_other_bands_and_other_features_are_refused(scene: PixelScene) -> None:
    model = trained(scene)
    other = Cube.of_array(np.random.default_rng(0).random((9, 9, 5), np.float32))
    with pytest.raises(RecipeError, match=r"24 bands.*5 bands"):
        map_pixels(other, model)
    stack = scene.stack("pca:components=3")
    with stack.over(scene.cube) as values, pytest.raises(RecipeError, match="another recipe"):
        map_pixels(values, model)


def test_learners_with_a_window_see_the_mirrored_scene(scene: PixelScene) -> None:
    with scene.stack("pca:components=3").over(scene.cube) as values:
        mapped = map_values(values, Brightest().fit(values, scene.pixels), 3)
        whole = np.nan_to_num(values.read(slice(0, 140), slice(0, 150)))
    padded = np.pad(whole, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    sums = sum(padded[i : i + 140, j : j + 150] for i in range(3) for j in range(3))
    assert np.array_equal(mapped.ids, np.where(scene.valid, sums.argmax(axis=-1) + 1, 0))


def test_a_scene_without_data_is_empty() -> None:
    scene = painted_scene()
    model = trained(scene)
    values = np.full((20, 30, 24), np.nan, np.float32)
    values[0, 0] = 0.5
    dark = Cube.of_array(values, wavelengths=scene.cube.wavelengths)
    mapped = map_pixels(dark, model, smooth="gaussian:1")
    assert mapped.counts[0] == 599
    assert Legend.of(NAMES) == model.legend
