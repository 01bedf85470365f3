"""The estimators against the worked example of Olofsson et al. 2014, and allocations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrapatch.errors import SamplesError
from terrapatch.learn.area_estimation import Z, allocate, estimate, sample_size

CLASSES = ("deforestation", "forest gain", "stable forest", "stable non-forest")
COUNTS = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
HECTARES = PIXELS * 0.09  # 30 m


def test_the_worked_example_is_exact() -> None:
    found = estimate(COUNTS, HECTARES, CLASSES, PIXELS)
    assert round(found.overall[0], 4) == 0.9465
    assert round(Z * found.overall[1], 4) == 0.0185
    assert [round(a) for a in found.area] == [21_158, 11_686, 285_770, 581_386]
    assert [round(a) for a in found.area_half] == [6_158, 3_756, 15_510, 16_282]
    assert [round(u, 2) for u in found.users[0]] == [0.88, 0.73, 0.93, 0.96]
    assert [round(Z * u, 2) for u in found.users[1]] == [0.07, 0.10, 0.04, 0.02]
    assert round(found.producers[0][0], 3) == 0.749
    assert round(Z * found.producers[1][0], 3) == 0.213
    assert [round(p, 2) for p in found.producers[0]] == [0.75, 0.85, 0.93, 0.96]
    assert [round(Z * p, 2) for p in found.producers[1]] == [0.21, 0.25, 0.03, 0.02]
    assert found.proportions.sum() == pytest.approx(1.0)
    assert found.area.sum() == pytest.approx(HECTARES.sum())


def test_cochrans_size_and_the_examples_allocation() -> None:
    """641 points in the paper; 75 for each rare class, the rest by area."""
    assert sample_size(PIXELS, [0.7, 0.6, 0.9, 0.95], 0.01) == 641
    shared = allocate(HECTARES, PIXELS, 640, minimum=75)
    assert shared.tolist() == [75, 75, 162, 328]


def test_the_interval_holds_what_it_promises() -> None:
    """Of 400 samples of a known population about 95 % of the intervals hold the true area."""
    random = np.random.default_rng(0)
    rates = np.array([[0.8, 0.2], [0.15, 0.85]])
    mapped = np.array([300.0, 700.0])
    true = mapped @ rates
    held = 0
    for _ in range(400):
        counts = np.stack([random.multinomial(n, r) for n, r in zip((60, 90), rates, strict=True)])
        found = estimate(counts, mapped, ("a", "b"))
        held += bool(abs(found.area[0] - true[0]) <= found.area_half[0])
    assert 0.92 < held / 400 < 0.98


def test_a_class_that_was_looked_at_whole_has_no_error_of_sampling() -> None:
    found = estimate([[1, 0], [10, 30]], [1.0, 400.0], ("rare", "rest"), [1, 400])
    assert found.users[1][0] == 0.0
    assert found.without_error() == ("rare",)


def test_a_class_that_the_map_lacks_has_no_users_accuracy() -> None:
    found = estimate([[20, 2, 1], [1, 30, 0], [0, 0, 0]], [5.0, 5.0, 0.0], ("a", "b", "c"))
    assert np.isnan(found.users[0][2])
    assert found.producers[0][2] == 0.0
    assert found.as_dict()["classes"][2]["users_accuracy"] is None
    assert found.area[2] == pytest.approx(10 * 0.5 / 23)


@pytest.mark.parametrize(
    ("counts", "mapped", "sentence"),
    [
        ([[5, 0], [1, 0]], [1.0, 1.0], r"too few labelled points in 'b' \(1\)"),
        ([[5, 0], [1, 3]], [1.0, 0.0], "points lie in b, which has no area"),
        ([[5, 0]], [1.0, 1.0], "do not fit 2 classes"),
        ([[5, 0], [-1, 3]], [1.0, 1.0], "must not be negative"),
    ],
)
def test_bad_counts_are_refused(
    counts: list[list[int]], mapped: list[float], sentence: str
) -> None:
    with pytest.raises(SamplesError, match=sentence):
        estimate(counts, mapped, ("a", "b"))


@given(
    cells=st.lists(st.integers(0, 5000), min_size=1, max_size=12).filter(lambda c: sum(c) > 50),
    part=st.floats(0.05, 1.0),
)
def test_an_allocation_adds_up_and_fits(cells: list[int], part: float) -> None:
    room = np.array(cells)
    n = max(int(part * room.sum()), int(np.minimum(room, 2).sum()))
    points = allocate(room.astype(float), room, n)
    assert points.sum() == n
    assert (points <= room).all()
    assert (points >= np.minimum(room, 2)).all()
    larger = room[:, None] > room[None]
    assert (points[:, None] >= points[None])[larger].all()


@pytest.mark.parametrize(
    ("n", "minimum", "sentence"),
    [(5, None, "at least 6"), (10_000, None, "has no 10,000"), (50, 1, "at least 2")],
)
def test_impossible_samples_are_refused(n: int, minimum: int | None, sentence: str) -> None:
    with pytest.raises(SamplesError, match=sentence):
        allocate([100.0, 50.0, 10.0], [100, 50, 10], n, minimum)


@pytest.mark.parametrize(("error", "accuracy"), [(0.0, 0.8), (0.6, 0.8), (0.01, 1.0)])
def test_impossible_sizes_are_refused(error: float, accuracy: float) -> None:
    with pytest.raises(SamplesError, match="between 0 and"):
        sample_size([1.0], [accuracy], error)
