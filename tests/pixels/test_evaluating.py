from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import SamplesError
from terrapatch.features.pixels.live import LivePixels
from terrapatch.features.pixels.stack import FeatureStack
from terrapatch.learn.pixels.base import LabelledPixels, PixelLearner, PixelValues, Progress
from terrapatch.learn.pixels.evaluating import (
    Protocol,
    ProtocolPlan,
    ProtocolReport,
    ProtocolResult,
    Spread,
    evaluate_protocols,
    evaluate_splits,
)
from terrapatch.learn.pixels.labels import PixelLabels
from terrapatch.learn.pixels.learners import parse_learner
from terrapatch.learn.pixels.splits import (
    PixelSplit,
    block_folds,
    block_split,
    field_folds,
    field_split,
    fields_of,
    fixed_split,
    random_split,
    region_splits,
)

NAMES = ("wheat", "maize", "woods", "water")


class NearestMean(PixelLearner):
    """Holds a pixel for the class whose mean is nearest; counts where it was fitted."""

    kind = "nearest mean"

    def __init__(self, seed: int = 0, window: int = 1) -> None:
        self.seed, self.window = seed, window
        self.fitted: LabelledPixels | None = None

    def fit(
        self, values: PixelValues, pixels: LabelledPixels, *, progress: Progress | None = None
    ) -> NearestMean:
        scene = values.read(slice(0, values.shape[0]), slice(0, values.shape[1]))
        rows = scene[pixels.rows, pixels.cols].astype(float)
        self.fitted, self.classes_ = pixels, np.unique(pixels.ids)
        self.means = np.stack([rows[pixels.ids == c].mean(axis=0) for c in self.classes_])
        return self

    def scores(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        halo = self.window // 2
        own = values[halo : values.shape[0] - halo, halo : values.shape[1] - halo]
        return -np.square(own[:, :, None] - self.means).sum(axis=3).astype(np.float32)

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def files(self) -> dict[str, bytes]:
        return {"means": self.means.tobytes()}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], files: Mapping[str, bytes]) -> NearestMean:
        return cls(settings["seed"])


@pytest.fixture(scope="module")
def labels() -> PixelLabels:
    ids = painted_cube(field=8)[1]
    ids[7::8], ids[:, 7::8] = 0, 0
    return PixelLabels(ids, NAMES)


@pytest.fixture(scope="module")
def pixels() -> Iterator[LivePixels]:
    """Spectra with so much noise that a pixel alone is often mistaken."""
    values, _, waves = painted_cube(field=8, noise=0.4)
    cube = Cube.of_array(values, wavelengths=waves)
    with FeatureStack.fit(["spectra"], cube).over(cube) as live:
        yield live


def test_figures_are_those_of_the_tested_pixels(pixels: LivePixels, labels: PixelLabels) -> None:
    split = block_split(labels, 12, 2, seed=4)
    (one,) = evaluate_splits(pixels, labels, {4: split}, NearestMean, window=1)
    scene = pixels.read(slice(0, 60), slice(0, 50))
    learner = NearestMean().fit(pixels, labels.pixels(split.train))
    called = learner.classes_[learner.scores(scene).argmax(axis=2)]
    np.testing.assert_array_equal(one.predicted, np.where(split.test, called, 0))
    truth, found = labels.ids[split.test], called[split.test]
    assert one.accuracy.overall == pytest.approx(np.mean(truth == found))
    recalls = [np.mean(found[truth == c] == c) for c in np.unique(truth)]
    assert one.accuracy.average == pytest.approx(np.mean(recalls))
    counts = np.bincount(truth)
    assert one.accuracy.majority == pytest.approx(counts.max() / counts.sum())
    assert one.accuracy.n == split.test.sum()
    assert one.accuracy.grouped
    assert one.accuracy.units == len(np.unique(split.units[split.test]))  # type: ignore[index]
    assert one.learners == ({"seed": 4},)
    assert one.fit_seconds > 0
    assert one.predict_seconds > 0


def test_the_learner_gets_the_training_part_and_nothing_else(
    pixels: LivePixels, labels: PixelLabels
) -> None:
    made: list[NearestMean] = []

    def make(seed: int) -> NearestMean:
        made.append(NearestMean(seed))
        return made[-1]

    fields, _ = fields_of(labels)
    splits = {s: field_split(labels, 200, seed=s) for s in (3, 5)}
    evaluate_splits(pixels, labels, splits, make, window=1)
    assert [learner.seed for learner in made] == [3, 5]
    for learner, split in zip(made, splits.values(), strict=True):
        got = learner.fitted
        assert got is not None
        mask = np.zeros(labels.shape, bool)
        mask[got.rows, got.cols] = True
        np.testing.assert_array_equal(mask, split.train)
        np.testing.assert_array_equal(got.fields, fields[split.train])


def test_smoothing_predicts_the_scene_and_helps(pixels: LivePixels, labels: PixelLabels) -> None:
    splits = {s: field_split(labels, seed=s) for s in range(2)}
    raw = evaluate_splits(pixels, labels, splits, NearestMean, window=1)
    smooth = evaluate_splits(pixels, labels, splits, NearestMean, window=1, smooth="gaussian:1.5")
    for before, after in zip(raw, smooth, strict=True):
        assert after.accuracy.overall > before.accuracy.overall + 0.03
        assert after.smoothing == "gaussian:sigma=1.5"
        assert before.smoothing == ""
        train, test = (np.argwhere(m) for m in (after.splits[0].train, after.splits[0].test))
        away = np.abs(test[:, None] - train[None]).max(axis=2).min(axis=1)
        assert after.mixed == pytest.approx((away <= 6).mean())  # four standard deviations
        assert before.mixed == 0
        assert "the smoothing (gaussian:sigma=1.5) mixes in" in after.told()
        assert ((after.predicted > 0) == after.splits[0].test).all()


def test_folds_are_judged_together(pixels: LivePixels, labels: PixelLabels) -> None:
    folds = field_folds(labels, 3, seed=1)
    (one,) = evaluate_splits(pixels, labels, {1: folds}, NearestMean, window=1)
    assert one.accuracy.n == len(labels)
    np.testing.assert_array_equal(one.predicted > 0, labels.labelled)
    alone = [evaluate_splits(pixels, labels, {1: f}, NearestMean, window=1)[0] for f in folds]
    right = sum(np.trace(a.accuracy.confusion) for a in alone)
    assert one.accuracy.overall == pytest.approx(right / len(labels))
    assert one.accuracy.units == fields_of(labels)[0].max()
    (other,) = evaluate_splits(
        pixels, labels, {2: field_folds(labels, 3, seed=2)}, NearestMean, window=1
    )
    result = ProtocolResult("folds", (one, other))
    assert result.spread("overall").over == "ground"  # both test every pixel
    assert result.counts("test") == len(labels)
    assert result.counts("train") == pytest.approx(len(labels) * 2 / 3)
    assert sum(c.train for c in result.classes()) == pytest.approx(len(labels) * 2 / 3)
    with pytest.raises(SamplesError, match="more than once"):
        evaluate_splits(pixels, labels, {1: [*folds, folds[0]]}, NearestMean, window=1)


def test_classes_without_training_pixels_count_as_wrong_and_it_is_said(
    pixels: LivePixels, labels: PixelLabels
) -> None:
    ids = labels.ids.copy()
    west = np.broadcast_to(np.arange(50) < 24, ids.shape)
    ids[west & (ids == 3)] = 0
    some = PixelLabels(ids, NAMES)
    split = fixed_split(some, west)
    (one,) = evaluate_splits(pixels, some, {0: split}, NearestMean, window=1)
    untrained = int((ids[~west] == 3).sum())
    assert one.untrained == ("woods",)
    assert one.untrained_pixels == untrained
    right = round(one.accuracy.overall * one.accuracy.n)
    assert one.trained_overall == pytest.approx(right / (one.accuracy.n - untrained))
    assert one.accuracy.recall[2] == 0
    assert f"{untrained:,} of them belong to classes without a training pixel (woods)" in one.told()


def test_the_guard_adds_the_windows_of_features_and_learner(
    pixels: LivePixels, labels: PixelLabels
) -> None:
    split = block_split(labels, 12, 2, seed=0)

    def patches(seed: int) -> NearestMean:
        return NearestMean(seed, window=3)

    (one,) = evaluate_splits(pixels, labels, {0: split}, patches, window=3)
    assert one.window == 5
    assert one.leaks[0].clean
    with pytest.raises(SamplesError, match="a buffer of 3 pixels would do"):
        evaluate_splits(pixels, labels, {0: split}, patches, window=5)
    (one,) = evaluate_splits(pixels, labels, {0: split}, patches, window=5, mode="flag")
    assert one.leaks[0].flag.startswith("leaks")
    (one,) = evaluate_splits(pixels, labels, {0: split}, patches, window=None, mode="flag")
    assert one.window is None
    assert one.leaks[0].inside == 1


def test_same_seeds_same_figures(pixels: LivePixels, labels: PixelLabels) -> None:
    splits = {s: random_split(labels, 0.05, seed=s) for s in (0, 1)}
    one, again = (
        evaluate_splits(pixels, labels, splits, NearestMean, window=1, bootstrap=50)
        for _ in range(2)
    )
    assert [e.accuracy.as_dict() for e in one] == [e.accuracy.as_dict() for e in again]


def test_the_protocols_stand_together(pixels: LivePixels, labels: PixelLabels) -> None:
    west = np.broadcast_to(np.arange(50) < 24, labels.shape)
    fixed = fixed_split(labels, west)

    def blocks(seed: int) -> PixelSplit:
        return block_split(labels, 12, 2, 150, seed=seed)

    plan = ProtocolPlan(
        (
            Protocol.of("random", labels, lambda s: random_split(labels, 0.1, seed=s), range(3)),
            Protocol("fixed", labels, dict.fromkeys(range(3), fixed)),
            Protocol.of("blocks", labels, blocks, range(3)),
            Protocol.of("fields", labels, lambda s: field_split(labels, 150, seed=s), range(3)),
        ),
        ("The protocol regions is missing.",),
    )
    stages = []
    report = evaluate_protocols(
        plan,
        pixels,
        NearestMean,
        window=1,
        bootstrap=100,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )
    assert [r.name for r in report.results] == ["random", "fixed", "blocks", "fields"]
    assert stages[2] == ("evaluating random", 3, 3)
    table = report.table()
    assert {len(row) for row in table} == {9}
    assert [row[-1] for row in table[1:]] == ["leaky", "none", "none", "none"]
    overall = [e.accuracy.overall for e in report["blocks"].evaluated]
    spread = report["blocks"].spread("overall")
    assert spread.mean == pytest.approx(np.mean(overall))
    assert spread.sd == pytest.approx(np.std(overall, ddof=1))
    half = 4.302653 * spread.sd / math.sqrt(3)  # Student's t with two degrees of freedom
    assert (spread.low, spread.high) == pytest.approx((spread.mean - half, spread.mean + half))
    assert spread.over == "seeds"
    # A fixed split is the same for every seed: its interval is that of its ground.
    same = report["fixed"].spread("overall")
    assert same.over == "ground"
    ends = [e.accuracy.intervals["overall"] for e in report["fixed"].evaluated]
    assert (same.low, same.high) == pytest.approx(tuple(np.mean(ends, axis=0)))
    rows = json.loads(json.dumps(report.rows()))
    assert [row["leaky"] for row in rows] == [True, False, False, False]
    assert rows[2]["train_pixels"] == 150
    assert rows[2]["overall"] == pytest.approx(spread.mean)
    assert any("leaky" in text for text in report.sentences())
    assert report.sentences()[-1] == "The protocol regions is missing."
    assert len(report.class_table()) == 5
    with pytest.raises(SamplesError, match="there are random, fixed, blocks, fields"):
        report["regions"]


def test_untestable_and_untrained_classes_stand_in_the_tables(
    pixels: LivePixels, labels: PixelLabels
) -> None:
    ids = labels.ids.copy()
    ids[ids == 4] = 0
    ids[56:60, 42:47] = 4  # one field, in a corner
    some = PixelLabels(ids, NAMES)
    plan = [
        Protocol.of("fields", some, lambda s: field_split(some, seed=s), range(2)),
        Protocol.of("regions", some, lambda s: region_splits(some), [0]),
    ]
    report = evaluate_protocols(plan, pixels, NearestMean, window=1, bootstrap=0)
    table = {row[0]: row[1:] for row in report.class_table()}
    assert table["water"] == ("untestable", "0.0 untrained")
    rows = report.rows()
    assert rows[0]["untestable"] == ["water"]
    assert rows[1]["untrained"] == ["water"]
    assert rows[1]["overall_low"] is None
    assert "It cannot test water." in report.sentences()[0]


def test_the_random_protocol_never_stands_alone(pixels: LivePixels, labels: PixelLabels) -> None:
    random = Protocol.of("random", labels, lambda s: random_split(labels, 0.1, seed=s), [0])
    strewn = fixed_split(labels, np.random.default_rng(0).random(labels.shape) < 0.1)
    fixed = Protocol("fixed", labels, {0: strewn})
    with pytest.raises(SamplesError, match="add blocks"):
        evaluate_protocols([random, fixed], pixels, NearestMean, window=1)
    evaluated = evaluate_splits(pixels, labels, random.splits, NearestMean, window=1)
    result = ProtocolResult("random", tuple(evaluated))
    with pytest.raises(SamplesError, match="not shown alone: add blocks"):
        ProtocolReport((result,))
    with pytest.raises(SamplesError, match="at least one protocol"):
        ProtocolReport(())


def test_a_split_that_trains_one_class_is_refused_before_anything_is_fitted(
    pixels: LivePixels, labels: PixelLabels
) -> None:
    made: list[NearestMean] = []

    def make(seed: int) -> NearestMean:
        made.append(NearestMean(seed))
        return made[-1]

    splits = {0: block_split(labels, 10, 0, seed=0), 1: fixed_split(labels, labels.ids == 2)}
    with pytest.raises(SamplesError, match="fixed: only maize trains, and a learner needs two"):
        evaluate_splits(pixels, labels, splits, make, window=1)
    assert not made


def test_intervals_over_seeds_stay_among_what_can_be() -> None:
    shares = Spread.of([0.1, 0.9], None)
    assert (shares.low, shares.high) == (0.0, 1.0)
    assert Spread.of([0.1, 0.9], None, -1.0).low == -1.0
    assert Spread.of([0.5, 0.52], None).low == pytest.approx(0.51 - 12.706 * 0.01, abs=1e-4)


def test_features_of_another_scene_are_refused(pixels: LivePixels) -> None:
    other = PixelLabels(np.ones((10, 10), int), ("a",))
    with pytest.raises(SamplesError, match="60 x 50 pixels and the labels 10 x 10"):
        evaluate_splits(pixels, other, {0: random_split(other, 0.5)}, NearestMean, window=1)
    with pytest.raises(SamplesError, match="no split was given"):
        evaluate_splits(
            pixels, PixelLabels(np.ones((60, 50), int), ("a",)), {}, NearestMean, window=1
        )


def test_a_real_head_on_folds_of_blocks(pixels: LivePixels, labels: PixelLabels) -> None:
    splits = {0: block_folds(labels, 2, 12, 2, seed=0)}
    (one,) = evaluate_splits(
        pixels, labels, splits, lambda seed: parse_learner("logistic", seed), window=1
    )
    assert one.accuracy.overall > 2 * one.accuracy.majority
    assert one.accuracy.n == len(labels)
