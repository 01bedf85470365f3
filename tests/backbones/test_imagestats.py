"""The baseline equals numpy, with and without invalid pixels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrapatch.backbones import get_backbone
from terrapatch.backbones.base import Embedder

STATS = get_backbone("imagestats")


def embedder(pooling: str = "mean,std", l2: bool | None = None) -> Embedder:
    return STATS.load(STATS.describe(pooling=pooling, l2=l2))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(["uint8", "float32"]),
    st.integers(0, 2**32 - 1),
)
def test_equals_numpy(n: int, bands: int, h: int, w: int, dtype: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    batch = random.uniform(0, 255, (n, bands, h, w)).astype(dtype)
    valid = random.random((n, h, w)) < 0.6
    valid[:, 0, 0] = True
    stats = embedder()
    for mask in (None, valid):
        got = stats.features(batch, mask)
        for patch, row, good in zip(batch, got, valid, strict=True):
            values = patch[:, good] if mask is not None else patch.reshape(bands, -1)
            values = values.astype(np.float64)
            expected = np.concatenate([values.mean(axis=1), values.std(axis=1)])
            np.testing.assert_allclose(row, expected, rtol=1e-6, atol=1e-5)
    assert stats.groups == (("bands", 0, 2 * bands),)


def test_a_mask_without_holes_changes_no_bit() -> None:
    batch = np.random.default_rng(1).integers(0, 256, (6, 3, 11, 13), dtype=np.uint8)
    stats = embedder()
    whole = stats.features(batch)
    np.testing.assert_array_equal(stats.features(batch, np.ones((6, 11, 13), bool)), whole)
    np.testing.assert_array_equal(np.concatenate([stats.features(b[None]) for b in batch]), whole)


def test_what_invalid_pixels_hold_does_not_matter() -> None:
    random = np.random.default_rng(2)
    batch, valid = random.uniform(0, 255, (3, 2, 8, 8)), random.random((3, 8, 8)) < 0.5
    other = np.where(valid[:, None], batch, 3.0)
    stats = embedder()
    np.testing.assert_array_equal(stats.features(batch, valid), stats.features(other, valid))


@pytest.mark.parametrize("pooling", ["mean", "std"])
def test_one_pooling(pooling: str) -> None:
    batch = np.random.default_rng(3).uniform(0, 255, (2, 3, 4, 4))
    both = embedder().features(batch)
    half = slice(0, 3) if pooling == "mean" else slice(3, 6)
    np.testing.assert_array_equal(embedder(pooling).features(batch), both[:, half])


def test_l2_and_constant_patches() -> None:
    batch = np.stack([np.full((3, 4, 4), 9.0), np.zeros((3, 4, 4))])
    plain, scaled = embedder().features(batch), embedder(l2=True).features(batch)
    np.testing.assert_array_equal(plain, [[9, 9, 9, 0, 0, 0], [0] * 6])
    assert np.linalg.norm(scaled[0]) == pytest.approx(1)
    np.testing.assert_array_equal(scaled[1], np.zeros(6))


def test_needs_no_torch() -> None:
    program = (
        "import sys, numpy as np\n"
        "from terrapatch.backbones import get_backbone\n"
        "get_backbone('imagestats').load().features(np.ones((1, 2, 3, 3)))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
