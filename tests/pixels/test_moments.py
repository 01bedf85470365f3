"""Moments of a cube: those of numpy, whatever the blocks, and only of pixels that count."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from made_cubes import painted_cube
from terrapatch.cubes import Cube
from terrapatch.errors import FeatureError
from terrapatch.features.pixels.moments import Moments


def holed(seed: int = 0, rows: int = 23, cols: int = 17, bands: int = 6) -> NDArray[np.float32]:
    values = painted_cube(rows, cols, bands, field=5, seed=seed)[0]
    values[np.random.default_rng(seed).random((rows, cols)) < 0.2] = np.nan
    return values


def noise_by_hand(values: NDArray[np.float32], counts: NDArray[np.bool_]) -> NDArray[np.float64]:
    scatter, pairs = np.zeros((values.shape[2],) * 2), 0
    for down, across in ((0, 1), (1, 0)):
        found = [
            values[r, c].astype(np.float64) - values[r + down, c + across]
            for r in range(values.shape[0] - down)
            for c in range(values.shape[1] - across)
            if counts[r, c] and counts[r + down, c + across]
        ]
        centred = np.array(found) - np.mean(found, axis=0)
        scatter += centred.T @ centred
        pairs += len(found)
    return scatter / (2 * pairs)


def test_moments_are_those_of_numpy() -> None:
    values = holed()
    valid = np.isfinite(values).all(axis=2)
    made = Moments.measure(Cube.of_array(values))
    pixels = values[valid].astype(np.float64)
    assert made.n == len(pixels)
    np.testing.assert_allclose(made.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(made.covariance, np.cov(pixels.T), rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(made.minimum, pixels.min(axis=0))
    np.testing.assert_array_equal(made.maximum, pixels.max(axis=0))
    np.testing.assert_allclose(made.noise, noise_by_hand(values, valid), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("read_bytes", [1, 3000, 8000, 1 << 24])
def test_how_much_is_read_at_once_changes_nothing(read_bytes: int) -> None:
    values = holed(rows=61, cols=40)
    whole = Moments.measure(Cube.of_array(values))
    made = Moments.measure(Cube.of_array(values), read_bytes=read_bytes)
    assert (made.n, made.pairs) == (whole.n, whole.pairs)
    for name in ("mean", "covariance", "noise", "minimum", "maximum"):
        np.testing.assert_allclose(
            getattr(made, name), getattr(whole, name), rtol=1e-10, atol=1e-13, err_msg=name
        )


def test_only_the_pixels_to_learn_from_count() -> None:
    values = holed(seed=3)
    where = np.random.default_rng(1).random(values.shape[:2]) < 0.6
    made = Moments.measure(Cube.of_array(values), where)
    hidden = np.where(where[..., None], values, np.nan)
    alone = Moments.measure(Cube.of_array(hidden))
    assert made.n == alone.n == int((where & np.isfinite(values).all(axis=2)).sum())
    for name in ("mean", "covariance", "noise", "minimum", "maximum"):
        np.testing.assert_allclose(getattr(made, name), getattr(alone, name), rtol=1e-12)


def test_a_small_spread_on_a_large_offset_is_kept() -> None:
    values = holed(seed=5).astype(np.float64)
    values = np.round(values * 1000) + 4_000_000  # exact in float32
    made = Moments.measure(Cube.of_array(values.astype(np.float32)), read_bytes=1)
    pixels = values[np.isfinite(values).all(axis=2)]
    np.testing.assert_allclose(made.covariance, np.cov(pixels.T), rtol=1e-9, atol=1e-9)


def test_eight_bit_cubes_are_measured_in_double_precision() -> None:
    values = np.random.default_rng(0).integers(0, 256, (30, 20, 5), dtype=np.uint8)
    made = Moments.measure(Cube.of_array(values))
    pixels = values.reshape(-1, 5).astype(np.float64)
    np.testing.assert_allclose(made.mean, pixels.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(made.covariance, np.cov(pixels.T), rtol=1e-12, atol=1e-10)


def test_the_scale_of_a_band_that_does_not_vary_where_it_counts_is_zero() -> None:
    values = holed(seed=2)
    where = np.zeros(values.shape[:2], bool)
    where[:12] = True
    values[:12, :, 3] = np.where(np.isnan(values[:12, :, 3]), np.nan, np.float32(0.1))
    scale = Moments.measure(Cube.of_array(values), where).scale
    assert scale[3] == 0
    assert (scale[[0, 1, 2, 4, 5]] > 0).all()


def test_no_pixel_to_learn_from_is_refused() -> None:
    cube = Cube.of_array(holed())
    with pytest.raises(FeatureError, match="no valid pixel among those to learn from"):
        Moments.measure(cube, np.zeros(cube.shape, bool))
    with pytest.raises(FeatureError, match=r"mask .* has 5 x 5 pixels but array has 23 x 17"):
        Moments.measure(cube, np.ones((5, 5), bool))


def test_progress_counts_all_pixels() -> None:
    said: list[tuple[str, int, int]] = []
    cube = Cube.of_array(holed())
    Moments.measure(cube, progress=lambda *one: said.append(one), read_bytes=1)
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)
    assert said[-1] == ("measure", 23 * 17, 23 * 17)
    assert len(said) > 1
