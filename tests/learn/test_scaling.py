"""Scalings: what streaming learns is what one look at all rows would have learned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from terrapatch.errors import ClusterError
from terrapatch.learn.scaling import (
    HalfWhitenedPCA,
    Standardise,
    make_scaling,
    scaling_names,
    unit_rows,
)

GROUPS = (("a", 0, 3), ("b", 3, 8))


def rows_of(seed: int, n: int = 60, offset: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return offset + rng.normal(size=(n, 8)) * np.geomspace(0.01, 100, 8)


@pytest.mark.parametrize("name", scaling_names())
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(1, 59), max_size=6),
    offset=st.sampled_from([0.0, 3.0, 1000.0]),
    order=st.randoms(use_true_random=False),
)
def test_streamed_fit_is_the_whole_fit_whatever_the_blocks(name, seed, cuts, offset, order):
    rows = rows_of(seed, offset=offset)
    whole = make_scaling(name, GROUPS).fit(rows)
    parts = np.split(rows, sorted(set(cuts)))
    order.shuffle(parts)
    streamed = make_scaling(name, GROUPS)
    for part in parts:
        streamed.partial_fit(part)
    # Eigenvectors answer rounding of the mean by 1 / (gap of eigenvalues).
    tolerance = 1e-6 if "pca" in name and offset > 10 else 1e-9
    assert np.allclose(streamed.transform(rows), whole.transform(rows), rtol=0, atol=tolerance)


def test_standardise_is_standard_scaler_and_rows_get_length_one():
    rows = rows_of(1, offset=5)
    expected = StandardScaler().fit_transform(rows)
    assert np.allclose(Standardise("none").fit_transform(rows), expected, atol=1e-9)
    scaled = Standardise("row").fit_transform(rows)
    assert np.allclose(scaled, expected / np.linalg.norm(expected, axis=1, keepdims=True))


def test_per_layer_gives_every_layer_the_same_length():
    scaled = make_scaling("standardise-layer-l2", GROUPS).fit_transform(rows_of(2))
    for _, start, stop in GROUPS:
        assert np.allclose(np.linalg.norm(scaled[:, start:stop], axis=1), np.sqrt(0.5))


def test_per_width_lets_a_narrow_layer_have_as_much_to_say_as_a_wide_one():
    rows = rows_of(2, offset=5)
    expected = StandardScaler().fit_transform(rows)
    scaled = make_scaling("standardise-layer", GROUPS).fit_transform(rows)
    for _, start, stop in GROUPS:
        assert np.square(scaled[:, start:stop]).sum(axis=1).mean() == pytest.approx(1.0)
        assert np.allclose(
            scaled[:, start:stop], expected[:, start:stop] / np.sqrt(stop - start), atol=1e-9
        )


def test_half_whitened_pca_is_pca_scaled_by_the_fourth_root_of_the_variance():
    rows = rows_of(3, n=200)
    units = unit_rows(rows, GROUPS)
    pca = PCA(5).fit(units)
    variance = pca.explained_variance_ * (len(rows) - 1) / len(rows)
    expected = unit_rows(pca.transform(units) * variance**-0.25)
    got = HalfWhitenedPCA(5, groups=GROUPS).fit(rows)
    signs = np.sign((got.transform(rows) * expected).sum(axis=0))
    assert np.allclose(got.transform(rows), expected * signs, atol=1e-9)
    peaks = np.abs(got.to_arrays()["projection"]).argmax(axis=1)
    assert (got.to_arrays()["projection"][np.arange(5), peaks] > 0).all()


def test_standardised_pca_does_not_depend_on_the_units():
    rows = rows_of(4, n=100, offset=2)
    one = make_scaling("standardise-pca64-half", GROUPS).fit_transform(rows)
    other = make_scaling("standardise-pca64-half", GROUPS).fit_transform(rows * np.arange(1, 9))
    assert np.allclose(one, other, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in scaling_names() if "standardise" in n])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_dimensions_do_not_blow_up(name, value):
    rows = rows_of(5)
    rows[:, 2] = value
    scaling = make_scaling(name, GROUPS).fit(rows)
    rows[:, 2] += 7
    scaled = scaling.transform(rows)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() < 20
    if "pca" not in name:
        assert (scaled[:, 2] == 0).all()


@pytest.mark.parametrize("name", scaling_names())
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_rows_that_are_all_alike_stay_finite_and_alike(name, value):
    scaled = make_scaling(name, GROUPS).fit_transform(np.full((30, 8), value))
    assert np.isfinite(scaled).all()
    assert np.ptp(scaled, axis=0).sum() == 0


def test_fewer_rows_than_components():
    rows = rows_of(6, n=5)
    assert make_scaling("pca64-half", GROUPS).fit_transform(rows).shape == (5, 4)


@pytest.mark.parametrize("name", scaling_names())
def test_arrays_restore_the_scaling_to_the_bit(name):
    rows = rows_of(7)
    fitted = make_scaling(name, GROUPS).fit(rows)
    again = make_scaling(name, GROUPS).from_arrays(8, fitted.to_arrays())
    assert np.array_equal(again.transform(rows), fitted.transform(rows))
    with pytest.raises(ValueError, match="cannot learn on"):
        again.partial_fit(rows)
    assert np.array_equal(clone(fitted).fit(rows).transform(rows), fitted.transform(rows))


def test_refitting_forgets():
    scaling = Standardise().fit(rows_of(8, offset=50))
    fresh = Standardise().fit(rows_of(9))
    assert np.array_equal(scaling.fit(rows_of(9)).mean_, fresh.mean_)


def test_damaged_arrays_are_refused():
    arrays = Standardise().fit(rows_of(1)).to_arrays()
    with pytest.raises(ValueError, match="damaged"):
        Standardise().from_arrays(8, {**arrays, "mean": np.zeros(7)})
    with pytest.raises(ValueError, match="damaged"):
        Standardise().from_arrays(8, {**arrays, "inverse": np.full(8, np.nan)})


def test_unknown_name_lists_the_known():
    with pytest.raises(ClusterError, match="standardise-l2"):
        make_scaling("whiten", GROUPS)
