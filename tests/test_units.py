"""What values mean: declared, refused, suggested."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from terrapatch.errors import UnitsError
from terrapatch.units import Sample, eight_bit, parse_units, suggest


def sample(*bands: Any, scale: float = 1.0, offset: float = 0.0) -> Sample:
    values = tuple(np.asarray(b, np.float64) for b in bands)
    return Sample(values, (scale,) * len(values), (offset,) * len(values))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("uint8", (0, 0), (255, 255)),
        ("0:255", (0, 0), (255, 255)),
        ("0:3000", (0, 0), (3000, 3000)),
        (" -9.5 : 1e3 ", (-9.5, -9.5), (1000, 1000)),
        ("0:1,2:3", (0, 2), (1, 3)),
        ("percentile:0,100", (1, 10), (3, 30)),
        ("Percentile: 0 , 100", (1, 10), (3, 30)),
        ("reflectance:10000", (0, 0), (3000, 3000)),
    ],
)
def test_declarations(text: str, low: tuple[float, ...], high: tuple[float, ...]) -> None:
    units = parse_units(text, 2, sample([1, 2, 3], [10, 20, 30]), "x.tif")
    assert units.low == pytest.approx(low)
    assert units.high == pytest.approx(high)


def test_reflectance_from_the_files_scale_and_offset() -> None:
    """Sentinel-2 since 2022: reflectance = value / 10,000 - 0.1."""
    units = parse_units("reflectance", 1, sample([1000, 4000], scale=1e-4, offset=-0.1), "x")
    assert (units.low[0], units.high[0]) == pytest.approx((1000, 4000))
    assert parse_units("reflectance", 1, sample([0.1, 0.9]), "x").high == pytest.approx((0.3,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "not understood; write for example 0:3000"),
        ("", "not understood"),
        ("1:2:3", "not understood"),
        ("a:b", "not understood"),
        ("1-2:5", "not understood"),
        ("5:5", "run backwards or nowhere"),
        ("9:1", "run backwards or nowhere"),
        ("0:1e999", "run backwards or nowhere"),
        ("0:1,0:2,0:3", "3 ranges but 2 bands"),
        ("percentile", "two percentages in order"),
        ("percentile:98,2", "two percentages in order"),
        ("percentile:2,101", "two percentages in order"),
        ("percentile:40,60", "both 7; declare a range"),
        ("reflectance", "values reach 20000 and the file states no scale"),
        ("reflectance:0", "not understood"),
        ("reflectance:-1", "not understood"),
        ("reflectance:nan", "not understood"),
        ("reflectance:inf", "not understood"),
        ("reflectances", "not understood"),
    ],
)
def test_refusals_name_the_scene_and_the_fix(text: str, words: str) -> None:
    with pytest.raises(UnitsError, match=words) as fault:
        parse_units(text, 2, sample([7] * 50, [0, 20000, 20000]), "x.tif")
    assert "x.tif" in str(fault.value)


def test_percentiles_of_a_band_without_values_are_refused() -> None:
    with pytest.raises(UnitsError, match=r"band 2 .* holds no valid value"):
        parse_units("percentile:2,98", 2, sample([1, 2], []), "x.tif")


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
        (2, 3, 4),
    ),
    st.floats(-1e4, 1e4),
    st.floats(1e-3, 1e5),
)
def test_scaling_clips_to_eight_bits_and_keeps_order(pixels: Any, low: float, width: float) -> None:
    units = parse_units(f"{low!r}:{low + width!r}", 2, None, "x")
    with np.errstate(all="ignore"):
        out = units.to_eight_bit(pixels)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 255
    finite = np.isfinite(pixels)
    with np.errstate(all="ignore"):
        expected = np.clip((pixels.astype(np.float64) - low) * 255 / (low + width - low), 0, 255)
    assert np.allclose(out[finite], expected[finite], atol=0.02 + 255 * 1e-2 / width)


def test_scaling_by_hand() -> None:
    units = parse_units("0:10,100:300", 2, None, "x")
    pixels = np.array([[[0, 5, 10, 99]], [[100, 200, 300, 0]]], np.uint16)
    assert units.to_eight_bit(pixels).tolist() == [[[0, 127.5, 255, 255]], [[0, 127.5, 255, 0]]]
    wild = np.array([[[np.nan, np.inf, -np.inf, 5]]] * 2, np.float32)
    assert parse_units("0:10", 2, None, "x").to_eight_bit(wild)[0].tolist() == [[0, 255, 0, 127.5]]


def test_wide_integers_do_not_lose_their_steps() -> None:
    base = 2**30
    units = parse_units(f"{base}:{base + 255}", 1, None, "x")
    pixels = (base + np.arange(256, dtype=np.int64)).reshape(1, 16, 16).astype(np.int32)
    assert np.allclose(units.to_eight_bit(pixels).ravel(), np.arange(256))


def test_eight_bit_pixels_pass_untouched() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert eight_bit(2).to_eight_bit(pixels) is pixels
    assert eight_bit(2).as_dict() == {"text": "uint8", "low": [0.0] * 2, "high": [255.0] * 2}


@pytest.mark.parametrize(
    ("dtype", "values", "first"),
    [
        ("uint16", [0, 500, 4000], "0:3000"),
        ("int16", [-500, 500, 9000], "0:3000"),
        ("uint16", [0, 100, 255], "0:255"),
        ("uint16", [0, 65535], "0:65535"),
        ("float32", [0, 0.4, 0.9], "reflectance"),
        ("float32", [0, 100, 254.5], "0:255"),
        ("float64", [0.1] * 500 + [5.4], "reflectance"),
        ("float32", [-32.5, 41.25], "-32.5:41.25"),
        ("int32", [1000001, 1000002], "1000001:1000002"),
        ("uint16", [40000, 40000], "0:80000"),
        ("float64", [-7, -7], "-14:1"),
    ],
)
def test_suggestions(dtype: str, values: list[float], first: str) -> None:
    assert suggest(dtype, sample(values))[0] == first


@given(
    st.sampled_from(["uint8", "int16", "uint16", "int32", "float32", "float64"]),
    st.lists(
        st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=30),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([1.0, 1e-4]),
)
def test_every_suggestion_is_accepted(dtype: str, bands: list[list[float]], scale: float) -> None:
    given_sample = sample(*bands, scale=scale)
    offered = suggest(dtype, given_sample)
    assert offered
    for text in offered:
        parse_units(text, len(bands), given_sample, "x")
