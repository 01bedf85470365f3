"""Bands by name, number, range and triplet."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrapatch.bands import choose_bands, listing, role
from terrapatch.errors import BandError

NAMES = ("Blue", "Green", "Red", "NIR", "", "swir1")


@pytest.mark.parametrize(
    ("choice", "bands"),
    [
        ("rgb", (3, 2, 1)),
        ("RGB ", (3, 2, 1)),
        ("cir", (4, 3, 2)),
        ("red,green", (3, 2)),
        ("R, g ,B", (3, 2, 1)),
        ("near infrared", (4,)),
        ("4,3,2", (4, 3, 2)),
        ("1,1,1", (1, 1, 1)),
        ("1-3", (1, 2, 3)),
        ("2 - 3,swir1", (2, 3, 6)),
        (5, (5,)),
        ([1, "nir"], (1, 4)),
        (("rgb",), None),
    ],
)
def test_choices(choice: Any, bands: tuple[int, ...] | None) -> None:
    if bands is None:
        with pytest.raises(BandError, match="no band named 'rgb'"):
            choose_bands(choice, NAMES, "x.tif")
    else:
        assert choose_bands(choice, NAMES, "x.tif") == bands


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("purple", "x.tif has no band named 'purple'; choose from 1 Blue, 2 Green"),
        ("7", "x.tif has no band 7: its bands are numbered 1 to 6"),
        (0, "no band 0"),
        (-1, "no band named '-1'"),
        ("5-9", "no band 7"),
        ("1-999999999999", "no band 7"),
        ("3-1", "no band is chosen"),
        ("", "no band is chosen"),
        ([], "no band is chosen"),
        (",", "no band is chosen"),
    ],
)
def test_refusals(choice: Any, words: str) -> None:
    with pytest.raises(BandError, match=words):
        choose_bands(choice, NAMES, "x.tif")


def test_a_name_that_two_bands_bear_is_refused() -> None:
    with pytest.raises(BandError, match=r"2 bands named 'red' \(numbers 1, 3\); choose by number"):
        choose_bands("red", ("red", "b", "R"), "x.tif")


def test_names_that_look_like_numbers_are_names() -> None:
    assert choose_bands("3", ("3", "1", "2"), "x.tif") == (1,)
    assert choose_bands("1-2", ("1-2", "a"), "x.tif") == (1,)


@given(st.integers(1, 300), st.data())
def test_numbers_come_back_in_order(n: int, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(1, n), min_size=1, max_size=20))
    names = ("",) * n
    assert choose_bands(wanted, names, "x") == tuple(wanted)
    assert choose_bands(",".join(map(str, wanted)), names, "x") == tuple(wanted)


@given(st.text(max_size=12))
def test_any_text_is_a_choice_or_a_sentence(text: str) -> None:
    with contextlib.suppress(BandError):
        assert all(1 <= b <= len(NAMES) for b in choose_bands(text, NAMES, "x.tif"))


def test_roles_and_listing() -> None:
    assert [role(n) for n in (" R ", "Near-Infrared", "B08")] == ["red", "nir", "b08"]
    assert listing(("a", "", "c")) == "1 a, 2, 3 c"
    assert listing([""] * 31).endswith("12, … 31")
