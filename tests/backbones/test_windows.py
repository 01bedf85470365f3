"""Pooling over overlapping windows gives what pooling every window by itself gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from terrapatch.backbones.windows import Window, WindowPool

WORDS = ("mean", "std", "max", "gem")


def by_hand(
    fmap: np.ndarray, rows: Window, cols: Window, weight: np.ndarray | None, word: str
) -> np.ndarray:
    """Pool every window by itself, a position counting as much as lies inside."""
    out = np.empty((rows.count, cols.count, fmap.shape[2]))
    for i in range(rows.count):
        for j in range(cols.count):
            shares = []
            for window, n, k in ((rows, fmap.shape[0], i), (cols, fmap.shape[1], j)):
                start = window.start + k * window.step
                at = np.arange(n)
                held = np.minimum(at + 1, start + window.length) - np.maximum(at, start)
                shares.append(np.clip(held, 0, 1))
            share = shares[0][:, None] * shares[1][None]
            share = share if weight is None else share * weight
            flat, w = fmap.reshape(-1, fmap.shape[2]).astype(np.float64), share.ravel()
            mean = (flat * w[:, None]).sum(0) / w.sum()
            if word == "mean":
                out[i, j] = mean
            elif word == "std":
                out[i, j] = np.sqrt(((flat - mean) ** 2 * w[:, None]).sum(0) / w.sum())
            elif word == "max":
                out[i, j] = flat[w > 0].max(0)
            else:
                raised = (np.clip(flat, 1e-6, None) ** 3 * w[:, None]).sum(0) / w.sum()
                out[i, j] = raised ** (1 / 3)
    return out


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 5),
    step=st.integers(1, 9),
    extra=st.integers(0, 9),
    count=st.integers(1, 4),
    rest=st.integers(0, 6),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_windows_on_whole_positions(
    start: int, step: int, extra: int, count: int, rest: int, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = Window(start, step, count, step + extra)
    cols = Window(1, 2, 3, 4)
    n = start + (count - 1) * step + step + extra + rest
    fmap = rng.normal(3, 2, (n, 11, 5)).astype(np.float32)
    weight = rng.uniform(0.1, 1, fmap.shape[:2]).astype(np.float32) if weighted else None
    given_weight = None if weight is None else torch.from_numpy(weight)
    made = WindowPool(rows, cols).pool(torch.from_numpy(fmap), WORDS, given_weight)
    for word, got in zip(WORDS, np.split(made.numpy(), 4, axis=2), strict=True):
        ours = None if word == "max" else weight
        wanted = by_hand(fmap, rows, cols, ours, word)
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5, err_msg=word)


@pytest.mark.parametrize("step", [0.75, 1.5, 3.25])
@pytest.mark.parametrize("weighted", [False, True])
def test_small_windows_between_positions(step: float, weighted: bool) -> None:
    rng = np.random.default_rng(1)
    fmap = rng.normal(0, 1, (20, 18, 3)).astype(np.float32)
    rows, cols = Window(1.3, step, 4, 5.0), Window(0.5, step, 3, 4.0)
    weight = rng.uniform(0.1, 1, fmap.shape[:2]).astype(np.float32) if weighted else None
    given_weight = None if weight is None else torch.from_numpy(weight)
    made = WindowPool(rows, cols).pool(torch.from_numpy(fmap), ("mean", "std"), given_weight)
    for word, got in zip(("mean", "std"), np.split(made.numpy(), 2, axis=2), strict=True):
        wanted = by_hand(fmap, rows, cols, weight, word)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_large_windows_between_positions_are_taken_in_fine_steps() -> None:
    """A smooth map is pooled nearly as by hand, a constant one exactly, at any place."""
    y, x = np.mgrid[:120, :90] / 40.0
    fmap = np.stack([np.sin(y + x), np.cos(2 * y), np.full_like(x, 7.0)], 2).astype(np.float32)
    rows, cols = Window(2.4, 17.07, 4, 60.0), Window(1.7, 17.07, 3, 50.0)
    assert rows.block == 4
    made = WindowPool(rows, cols).pool(torch.from_numpy(fmap), ("mean", "std")).numpy()
    for word, got in zip(("mean", "std"), np.split(made, 2, axis=2), strict=True):
        np.testing.assert_allclose(got, by_hand(fmap, rows, cols, None, word), atol=0.02)
    assert np.array_equal(made[..., 2], np.full((4, 3), 7.0, np.float32))
    assert made[..., 5].max() == 0.0


def test_a_small_spread_on_a_large_mean_survives() -> None:
    rng = np.random.default_rng(0)
    fmap = (1000 + rng.normal(0, 0.1, (64, 64, 2))).astype(np.float32)
    rows = cols = Window(0, 8, 4, 32)
    got = WindowPool(rows, cols).pool(torch.from_numpy(fmap), ("std",)).numpy()
    np.testing.assert_allclose(got, by_hand(fmap, rows, cols, None, "std"), rtol=1e-3)
