"""Legends: ids, names and colours in one order; colours that everybody can tell apart."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrapatch import legend as module
from terrapatch.errors import LegendError
from terrapatch.legend import Legend, LegendEntry, distinct_colours

NAMES = st.lists(
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20),
    min_size=1,
    max_size=40,
    unique=True,
)


def _lab(colours: list[str]) -> np.ndarray:
    return module.perceived(np.array([module._rgb(c) for c in colours], dtype=np.uint8))


def _smallest_distance(colours: list[str]) -> float:
    lab = _lab(colours)
    gaps = np.linalg.norm(lab[:, :, None] - lab[:, None, :], axis=-1)
    gaps[:, np.arange(len(colours)), np.arange(len(colours))] = np.inf
    return float(gaps.min())


@given(st.integers(0, 1500), st.integers(0, 1500))
@settings(max_examples=30, deadline=None)
def test_colours_are_prefix_stable(a: int, b: int) -> None:
    few, many = sorted((a, b))
    assert distinct_colours(many)[:few] == distinct_colours(few)


@pytest.mark.parametrize("n", [1, 7, 64, 65, 1000, 1024, 1025, 5000])
def test_colours_are_unique(n: int) -> None:
    assert len(set(distinct_colours(n))) == n


@pytest.mark.parametrize(("n", "least"), [(12, 15.0), (20, 15.0), (50, 8.0), (300, 2.9)])
def test_colours_stay_apart_for_every_kind_of_eyes(n: int, least: float) -> None:
    assert _smallest_distance(distinct_colours(n)) >= least


def test_colours_are_neither_black_nor_white() -> None:
    lightness = _lab(distinct_colours(1000))[0, :, 0]
    assert lightness.min() > 25
    assert lightness.max() < 91


def test_three_hundred_colours_take_no_time() -> None:
    module._farthest.cache_clear()
    start = time.perf_counter()
    distinct_colours(300)
    assert time.perf_counter() - start < 0.5


def test_lab_of_known_colours() -> None:
    lab = _lab(["#ffffff", "#000000", "#ff0000"])[0]
    np.testing.assert_allclose(lab[0], [100, 0, 0], atol=0.05)
    np.testing.assert_allclose(lab[1], [0, 0, 0], atol=0.05)
    np.testing.assert_allclose(lab[2], [53.24, 80.09, 67.20], atol=0.05)


def test_dichromats_see_greys_as_greys() -> None:
    grey = _lab(["#808080"])
    np.testing.assert_allclose(grey, np.broadcast_to(grey[0], grey.shape), atol=0.1)


@given(NAMES)
@settings(max_examples=40, deadline=None)
def test_a_legend_survives_its_dictionary(names: list[str]) -> None:
    legend = Legend.of(names)
    assert Legend.from_dict(legend.as_dict()) == legend
    assert legend.ids == tuple(range(1, len(names) + 1))
    assert list(legend.names) == names
    assert [e.colour for e in legend] == distinct_colours(len(names))
    assert len(legend.rgb) == len(legend) == len(names)


def test_renaming_and_recolouring_leave_the_rest() -> None:
    legend = Legend.of(["a", "b", "c"])
    changed = legend.renamed({2: "roofs"}).recoloured({3: "#ABCDEF"})
    assert changed.names == ("a", "roofs", "c")
    assert changed.colours == (*legend.colours[:2], "#abcdef")
    assert legend[2].name == "b"
    assert changed[3].rgb == (0xAB, 0xCD, 0xEF)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Legend(()), "at least one"),
        (lambda: Legend.of(["a", "a"]), "both named 'a'"),
        (lambda: Legend.of(["a", " a "]), "both named 'a'"),
        (lambda: Legend.of(["a", "  "]), "class 2 has no name"),
        (lambda: Legend.of(["a\nb"]), "line break"),
        (lambda: Legend.of(["a"], ["red"]), "#rrggbb"),
        (lambda: Legend.of(["a"], ["#ff0000", "#00ff00"]), "1 names but 2 colours"),
        (lambda: Legend((LegendEntry(0, "a", "#ff0000"),)), "0 is kept for no data"),
        (lambda: Legend((LegendEntry(2, "a", "#ff0000"),)), "1, 2, 3"),
        (lambda: Legend((LegendEntry(True, "a", "#ff0000"),)), "1, 2, 3"),
        (lambda: Legend.of(["a"])[2], "no class 2"),
        (lambda: Legend.of(["a"]).renamed({3: "x"}), "no class 3"),
        (lambda: Legend.of(["a"]).recoloured({0: "#ff0000"}), "no class 0"),
        (lambda: Legend.from_dict({"classes": [{"id": 1}]}), "not a legend"),
        (lambda: Legend.from_dict({}), "not a legend"),
        (lambda: distinct_colours(-1), "0 to"),
    ],
)
def test_what_makes_no_legend_is_said(make: object, says: str) -> None:
    with pytest.raises(LegendError, match=says):
        make()  # type: ignore[operator]
