"""More bands than channels: mixings equal adapted first convolutions, and are seeded by nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from plain_lite0 import relative_error
from terrapatch.backbones import mixing
from terrapatch.errors import BackboneError


def adapted(conv: nn.Conv2d, bands: int, kind: str) -> nn.Conv2d:
    """Adapt a first convolution to more bands, filter by filter."""
    wide = nn.Conv2d(bands, conv.out_channels, 3, padding=1)
    weight = torch.zeros(conv.out_channels, bands, 3, 3)
    for band in range(bands):
        if kind == "repeat":
            copies = sum(b % 3 == band % 3 for b in range(bands))
            weight[:, band] = conv.weight[:, band % 3] / copies
        else:
            weight[:, band] = conv.weight.sum(1) / bands
    wide.load_state_dict({"weight": weight, "bias": conv.bias})
    return wide


@settings(max_examples=15, deadline=None)
@given(st.integers(3, 12), st.sampled_from(["repeat", "mean"]), st.integers(0, 2**16))
def test_mixing_is_an_adapted_first_convolution(bands: int, kind: str, seed: int) -> None:
    """The same numbers, zeros at the border included, where bands are scaled alike."""
    torch.manual_seed(seed)
    conv = nn.Conv2d(3, 5, 3, padding=1)
    pixels = torch.rand(2, bands, 9, 8) * 255
    mix = (mixing.repeat if kind == "repeat" else mixing.mean)(bands)
    with torch.no_grad():
        ours = conv((mix.on(torch.device("cpu"))(pixels) - 127) / 128)
        theirs = adapted(conv, bands, kind)((pixels - 127) / 128)
    assert relative_error(ours.flatten(1).numpy(), theirs.flatten(1).numpy()) <= 1e-5


@given(st.integers(1, 30))
def test_constant_in_constant_out(bands: int) -> None:
    pixels = np.full((bands, 2, 2), 77.0)
    for mix in (mixing.repeat(bands), mixing.mean(bands)):
        np.testing.assert_allclose(mix.apply(pixels), 77, rtol=1e-6)


def test_numpy_and_torch_mix_alike() -> None:
    random = np.random.default_rng(0)
    pixels = random.uniform(0, 255, (3, 7, 5, 4))
    mix = mixing.principal(random.uniform(0, 255, (7, 500)), "s.tif")
    ours = mix.apply(pixels)
    theirs = mix.on(torch.device("cpu"))(torch.from_numpy(pixels).float()).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-2)
    assert ours.min() >= 0
    assert ours.max() <= 255


def test_principal_components_find_the_directions_of_spread() -> None:
    random = np.random.default_rng(1)
    hidden = random.normal(0, [[30], [10], [3]], (3, 5000))
    axes, _ = np.linalg.qr(random.normal(size=(6, 6)))
    sample = 120 + axes[:, :3] @ hidden + random.normal(0, 0.1, (6, 5000))
    mix = mixing.principal(sample, "s.tif")
    rows = np.asarray(mix.matrix)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs((rows * axes[:, :3].T).sum(1)), 1, atol=0.01)
    shown = mix.apply(sample[:, None])[:, 0]
    for low, high in np.percentile(shown, [2, 98], axis=1).T:
        assert (low, high) == pytest.approx((0, 255), abs=0.5)
    assert (np.asarray(mix.matrix).sum(1) >= 0).all()
    assert mixing.Mixing.from_dict(mix.as_dict()) == mix


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (np.ones((2, 50)), "three principal components need three bands"),
        (np.ones((4, 2)), "need three bands and some valid pixels, but 4 bands and 2 pixels"),
        (np.ones((5, 50)), "do not vary in three directions"),
        (np.outer(np.ones(5), np.arange(50.0)), "do not vary in three directions"),
    ],
)
def test_bands_without_three_components(sample: Any, sentence: str) -> None:
    with pytest.raises(BackboneError, match=sentence):
        mixing.principal(sample, "s.tif")
