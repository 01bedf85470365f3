"""Posteriors and their smoothing: what never changes, and what does not count."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixel_scenes import Brightest, painted_scene
from terrapatch.errors import OutputError, SamplesError
from terrapatch.learn.pixels import _scratch
from terrapatch.learn.pixels._scratch import scratch_array
from terrapatch.learn.pixels.cached import CachedPixels
from terrapatch.learn.pixels.learners import parse_learner
from terrapatch.learn.pixels.posteriors import (
    Guide,
    likeliest_at,
    posterior_blocks,
    posteriors_at,
)
from terrapatch.learn.pixels.smoothers import (
    GaussianSmoother,
    GuidedSmoother,
    Smoother,
    parse_smoothing,
    smoothed,
    smoothed_part,
)

SMOOTHERS = [GaussianSmoother(1.5), GuidedSmoother(2, 0.1)]


def random_posteriors(shape: tuple[int, int], k: int = 3, seed: int = 0) -> Any:
    """Return posteriors, validity with holes, and a picture."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(k, 0.4), shape).astype(np.float32)
    return shares, rng.random(shape) < 0.85, rng.normal(0, 1, shape).astype(np.float32)


def put_together(blocks: Any, shape: tuple[int, ...]) -> Any:
    """Return the posteriors of a scene from its blocks; every pixel comes exactly once."""
    out, seen = np.full(shape, np.nan, np.float32), np.zeros(shape[:2], int)
    for block in blocks:
        out[block.rows, block.cols] = block.probabilities
        seen[block.rows, block.cols] += 1
    assert (seen == 1).all()
    return out


@pytest.mark.parametrize("smoother", SMOOTHERS, ids=lambda s: s.text)
def test_constant_in_constant_out(smoother: Smoother) -> None:
    _, valid, guide = random_posteriors((23, 31))
    shares = np.broadcast_to(np.float32([0.7, 0.2, 0.1]), (23, 31, 3))
    found = smoothed(smoother, shares, valid, guide)
    np.testing.assert_allclose(found[valid], shares[valid], atol=1e-6)


@pytest.mark.parametrize("smoother", SMOOTHERS, ids=lambda s: s.text)
def test_invalid_pixels_neither_count_nor_get_values(smoother: Smoother) -> None:
    shares, valid, guide = random_posteriors((23, 31))
    found = smoothed(smoother, shares, valid, guide)
    shares[~valid], guide[~valid] = np.nan, np.nan
    assert np.array_equal(smoothed(smoother, shares, valid, guide), found)
    assert (found[~valid] == 0).all()
    np.testing.assert_allclose(found[valid].sum(axis=1), 1.0, atol=1e-6)
    assert (found >= 0).all()
    assert not np.allclose(found[valid], shares[valid], atol=0.1)


@pytest.mark.parametrize("smoother", SMOOTHERS, ids=lambda s: s.text)
def test_a_part_is_that_part_of_the_whole(smoother: Smoother) -> None:
    shares, valid, guide = random_posteriors((40, 37))
    whole = smoothed(smoother, shares, valid, guide)
    for rows, cols in ((slice(0, 9), slice(30, 37)), (slice(17, 18), slice(4, 33))):
        part = smoothed_part(smoother, rows, cols, shares, valid, guide)
        assert np.array_equal(part, whole[rows, cols])


@pytest.mark.parametrize("smoother", SMOOTHERS, ids=lambda s: s.text)
@pytest.mark.parametrize("shape", [(1, 1), (2, 30), (5, 1)])
def test_scenes_smaller_than_the_window(smoother: Smoother, shape: tuple[int, int]) -> None:
    shares, _, guide = random_posteriors(shape)
    found = smoothed(smoother, shares, np.ones(shape, bool), guide)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-6)
    nothing = smoothed(smoother, shares, np.zeros(shape, bool), guide)
    assert (nothing == 0).all()


def test_gaussian_weights_are_those_of_scipy() -> None:
    from scipy.ndimage import gaussian_filter

    shares, _, _ = random_posteriors((40, 50))
    found = smoothed(GaussianSmoother(2.0), shares, np.ones((40, 50), bool))
    theirs = gaussian_filter(shares.astype(float), (2, 2, 0), mode="mirror", truncate=4.0)
    np.testing.assert_allclose(found, theirs, atol=1e-5)


def test_guided_smoothing_keeps_an_edge_that_the_picture_shows() -> None:
    left = np.arange(40) < 20
    rng = np.random.default_rng(0)
    first = np.where(left, 0.8, 0.2) + rng.normal(0, 0.15, (30, 40))
    shares = np.clip(np.stack([first, 1 - first], axis=-1), 0, 1).astype(np.float32)
    guide = np.broadcast_to(np.where(left, 1.0, -1.0), (30, 40)).astype(np.float32)
    valid = np.ones((30, 40), bool)
    edges = [
        np.abs(np.diff(smoothed(s, shares, valid, guide)[..., 0].mean(axis=0)))[19]
        for s in (GuidedSmoother(4, 0.05), GaussianSmoother(2.0))
    ]
    assert edges[0] > 0.5 > 0.25 > edges[1]
    flat = smoothed(GuidedSmoother(4, 0.05), shares, valid, guide)[:, :15, 0]
    assert flat.std() < 0.4 * shares[:, :15, 0].std()


@pytest.mark.parametrize("text", ["gaussian:sigma=1.5", "guided:radius=2,eps=0.1"])
def test_streamed_smoothing_is_that_of_the_whole_scene(text: str, tmp_path: Path) -> None:
    scene = painted_scene(140, 150, noise=0.4, share=0.03)
    with scene.stack().over(scene.cube) as values:
        learner = parse_learner("centroid").fit(values, scene.pixels)
        shape = (*values.shape, 4)
        raw = put_together(posterior_blocks(values, learner), shape)
        smoother = parse_smoothing(text)
        assert smoother is not None
        blocks = posterior_blocks(values, learner, smooth=smoother, scratch=tmp_path)
        found = put_together(blocks, shape)
        guide = np.zeros(values.shape, np.float32)
        rows = values.read(slice(0, 140), slice(0, 150))[scene.valid]
        guide[scene.valid] = Guide.of(values).drawn(rows)
    assert abs(guide[scene.valid].std() - 1) < 0.05
    whole = smoothed(smoother, raw, scene.valid, guide)
    np.testing.assert_allclose(found, whole, atol=5e-5)
    np.testing.assert_allclose(raw[scene.valid].sum(axis=1), 1.0, atol=1e-6)
    assert (raw[~scene.valid] == 0).all()
    assert not list(tmp_path.iterdir())


def test_posteriors_at_pixels_are_those_of_the_scene() -> None:
    scene = painted_scene(140, 150, share=0.02)
    for learner in (parse_learner("rbf-svm:C=10"), Brightest()):
        with scene.stack("pca:components=4").over(scene.cube) as values:
            learner.fit(values, scene.pixels)
            whole = put_together(posterior_blocks(values, learner, 2.0), (140, 150, 4))
            found = posteriors_at(values, learner, scene.pixels, 2.0)
        np.testing.assert_allclose(found, whole[scene.pixels.rows, scene.pixels.cols], atol=1e-4)


class Narrow(Brightest):
    """Looks at the pixel alone, and notes how many it is given at once."""

    window = 1
    most = 0

    def scores(self, values: Any) -> Any:
        self.most = max(self.most, values.shape[0] * values.shape[1])
        return values.copy()


def test_tested_pixels_are_told_tile_by_tile() -> None:
    scene = painted_scene(140, 150, share=2)  # labelled throughout
    assert len(scene.pixels) > 128 * 128
    with scene.stack("pca:components=4").over(scene.cube) as values:
        learner = Narrow().fit(values, scene.pixels)
        found = posteriors_at(values, learner, scene.pixels)
        assert learner.most <= 128 * 128  # memory does not grow with the labels
        whole = put_together(posterior_blocks(values, learner), (140, 150, 4))
        ids = likeliest_at(values, learner, scene.pixels)
    np.testing.assert_array_equal(found, whole[scene.pixels.rows, scene.pixels.cols])
    np.testing.assert_array_equal(ids, found.argmax(axis=1) + 1)


@pytest.mark.parametrize("learner", [Narrow(), Brightest()])
def test_posteriors_of_pixels_without_features_are_refused(learner: Brightest) -> None:
    scene = painted_scene()
    rows, cols = (np.array([n]) for n in (3, 49))
    invalid = replace(scene.pixels, rows=rows, cols=cols, ids=scene.ids[rows, cols])
    with scene.stack("pca:components=4").over(scene.cube) as values:
        learner.fit(values, scene.pixels)
        with pytest.raises(SamplesError, match=r"1 labelled pixels have no features.*in row 3"):
            posteriors_at(values, learner, invalid)


def test_progress_ends_at_all_pixels() -> None:
    scene = painted_scene()
    told: list[tuple[str, int, int]] = []
    with scene.stack().over(scene.cube) as values:
        learner = parse_learner("centroid").fit(values, scene.pixels)
        smoother = GaussianSmoother(1.0)
        list(posterior_blocks(values, learner, smooth=smoother, progress=lambda *a: told.append(a)))
    assert told[-1] == ("smoothing", 3000, 3000)
    assert ("classifying", 3000, 3000) in told


def test_large_arrays_lie_in_files_without_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_scratch, "IN_MEMORY", 100)
    array = scratch_array((50, 3), np.float32, tmp_path)
    assert isinstance(array, np.memmap)
    assert (array == 0).all()
    array[:] = 7
    assert (array == 7).all()
    assert not list(tmp_path.iterdir())
    assert not isinstance(scratch_array((5, 5), np.float32), np.memmap)
    with pytest.raises(OutputError, match=r"there is no scratch folder .*missing"):
        scratch_array((50, 3), np.float32, tmp_path / "missing")


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """A mapped file that finds the disk full on the way ends the program with a bus error."""
    many = shutil.disk_usage(tmp_path).free // 4 + 2**20
    with pytest.raises(OutputError, match=r"has [\d.,]+ GiB of room and [\d.,]+ GiB are needed"):
        scratch_array((many,), np.float32, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cache_looks_for_room_before_each_tile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes no more of the disk than is read, so the whole need not fit."""
    monkeypatch.setattr(_scratch, "IN_MEMORY", 100)
    scene = painted_scene()
    with scene.stack().over(scene.cube) as values:
        cached = CachedPixels(values, tmp_path)
        part = (slice(0, 5), slice(0, 7))
        np.testing.assert_array_equal(cached.read(*part), values.read(*part))
        room = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: room._replace(free=1000))
        np.testing.assert_array_equal(cached.read(*part), values.read(*part))  # it is there
        with pytest.raises(OutputError, match=r"has 0\.0 GiB of room"):
            CachedPixels(values, tmp_path).read(*part)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("gaussian", "gaussian:sigma=2"),
        ("gaussian:1.5", "gaussian:sigma=1.5"),
        ("guided", "guided:radius=3,eps=0.05"),
        ("guided: radius=5, eps=1e-3", "guided:radius=5,eps=0.001"),
    ],
)
def test_texts_of_smoothings(text: str, canonical: str) -> None:
    found = parse_smoothing(text)
    assert found is not None
    assert found.text == canonical
    assert parse_smoothing(canonical) == found


def test_no_smoothing() -> None:
    assert parse_smoothing(None) is None
    assert parse_smoothing("none") is None


@pytest.mark.parametrize(
    "text",
    ["median", "gaussian:0", "gaussian:nan", "gaussian:wide", "gaussian:radius=3", "guided:2.5",
     "guided:radius=0", "guided:eps=0", "guided:eps=nan", "none:3", "gaussian:1e9"],
)  # fmt: skip
def test_smoothings_that_are_refused(text: str) -> None:
    with pytest.raises(SamplesError, match="smoothing"):
        parse_smoothing(text)


def test_guided_smoothing_without_a_picture_is_refused() -> None:
    shares, valid, _ = random_posteriors((9, 9))
    with pytest.raises(SamplesError, match="needs a picture"):
        smoothed(GuidedSmoother(), shares, valid)
