"""Random convolutional features: seeds, the features recomputed, whitening, and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors.numpy import save_file

from terrapatch.backbones import get_backbone, rcf
from terrapatch.backbones.base import Descriptor
from terrapatch.errors import BackboneError, WeightsError


def photos(bands: int = 3, side: int = 20, n: int = 4) -> NDArray[np.uint8]:
    """Make patches with some structure and some noise."""
    rng = np.random.default_rng(bands * side + n)
    ramp = np.linspace(0, 160, side)[None, None, None, :] + np.zeros((n, bands, side, 1))
    return (ramp + rng.uniform(0, 90, (n, bands, side, side))).astype(np.uint8)


def recomputed(filters: NDArray[np.float32], batch: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Slide the filters over the patches in numpy, rectify both ways and average."""
    windows = sliding_window_view(batch / 255.0, (rcf.KERNEL, rcf.KERNEL), axis=(2, 3))
    made = np.einsum("nbhwij,fbij->nfhw", windows, filters.astype(np.float64)) + rcf.BIAS
    return np.concatenate(
        [np.maximum(made, 0).mean((2, 3)), np.maximum(-made, 0).mean((2, 3))], axis=1
    )


def whitened(patches: NDArray[np.float32]) -> NDArray[np.float64]:
    """Whiten patches as MOSAIKS does, with the eigenvectors of a symmetric matrix."""
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1)
    flat /= np.where(lengths < 1e-8, 1.0, lengths)[:, None]
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    turned: NDArray[np.float64] = flat @ vectors @ np.diag(1 / (values + 0.001)) @ vectors.T
    return turned.reshape(patches.shape)


def test_features_are_those_of_the_filters_slid_over_the_patch() -> None:
    batch = photos()
    made = get_backbone("rcf").load().features(batch)
    expected = recomputed(rcf.gaussian(3, 0), batch)
    assert made.shape == (4, rcf.FEATURES)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bands", [1, 4, 13])
def test_any_number_of_bands_is_taken(bands: int) -> None:
    embedder = get_backbone("rcf:gaussian3").load()
    batch = photos(bands)
    expected = recomputed(rcf.gaussian(bands, 3), batch)
    np.testing.assert_allclose(embedder.features(batch), expected, rtol=1e-4, atol=1e-5)
    assert get_backbone("rcf").channels is None
    assert get_backbone("rcf").input_size((17, 30)) is None


def test_a_seed_draws_the_same_filters_every_time_and_another_seed_others() -> None:
    drawn = {seed: rcf.gaussian(3, seed) for seed in (0, 1, 7)}
    for seed, filters in drawn.items():
        assert filters.shape == (rcf.FEATURES // 2, 3, rcf.KERNEL, rcf.KERNEL)
        np.testing.assert_array_equal(filters, rcf.gaussian(3, seed))
    assert not np.allclose(drawn[0], drawn[1])
    assert not np.allclose(drawn[1], drawn[7])
    # Standard normal: 256 x 27 numbers.
    assert abs(drawn[0].mean()) < 0.05
    assert abs(drawn[0].std() - 1) < 0.05


def test_names_say_kind_and_seed() -> None:
    seven = get_backbone("rcf:gaussian7")
    assert (seven.name, seven.seed, seven.fits) == ("rcf:gaussian7", 7, False)
    assert get_backbone("rcf:gaussian") == get_backbone("rcf") == get_backbone("rcf:gaussian0")
    assert get_backbone("rcf:empirical").fits
    batch = photos()
    np.testing.assert_array_equal(seven.load().features(batch), seven.load().features(batch))
    assert not np.allclose(seven.load().features(batch), get_backbone("rcf").load().features(batch))
    with pytest.raises(BackboneError, match="no backbone"):
        get_backbone("rcf:uniform")


def test_a_patch_is_described_alike_alone_and_in_a_batch() -> None:
    embedder, batch = get_backbone("rcf").load(), photos(n=5)
    alone = np.concatenate([embedder.features(one[None]) for one in batch])
    np.testing.assert_allclose(embedder.features(batch), alone, rtol=1e-5, atol=1e-6)
    as_float = embedder.features(batch.astype(np.float32))
    np.testing.assert_array_equal(embedder.features(batch), as_float)


def test_poolings_and_unit_length() -> None:
    batch = photos()
    both = get_backbone("rcf").load(Descriptor((rcf.LAYER,), ("mean", "std")))
    made = both.features(batch)
    assert both.groups == ((rcf.LAYER, 0, 2 * rcf.FEATURES),)
    expected = recomputed(rcf.gaussian(3, 0), batch)
    np.testing.assert_allclose(made[:, : rcf.FEATURES], expected, rtol=1e-4, atol=1e-5)
    unit = get_backbone("rcf").load(Descriptor((rcf.LAYER,), ("mean",), l2=True)).features(batch)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)


def test_empirical_filters_are_whitened_pieces_of_the_windows() -> None:
    windows = np.random.default_rng(5).integers(0, 256, (40, 2, 12, 12)).astype(np.float32)
    filters = rcf.empirical(windows, 0)
    assert filters.shape == (rcf.FEATURES // 2, 2, rcf.KERNEL, rcf.KERNEL)
    assert filters.dtype == np.float32
    np.testing.assert_array_equal(filters, rcf.empirical(windows, 0))
    assert not np.allclose(filters, rcf.empirical(windows, 1))

    # Every filter is one of the whitened pieces: the places come back from the random numbers
    # that torchgeo draws after those of the normal filters.
    import torch

    count = rcf.FEATURES // 2
    generator = torch.Generator().manual_seed(1)
    torch.randn(count, 2, rcf.KERNEL, rcf.KERNEL, generator=generator)
    most = (len(windows), 12 - rcf.KERNEL, 12 - rcf.KERNEL)
    where = [torch.randint(0, m, (count,), generator=generator).tolist() for m in most]
    pieces = np.stack(
        [
            windows[i, :, y : y + rcf.KERNEL, x : x + rcf.KERNEL] / 255
            for i, y, x in zip(*where, strict=True)
        ]
    )
    expected = whitened(pieces)
    assert np.abs(filters - expected).max() < 1e-3 * np.abs(expected).max()


def test_empirical_filters_do_not_depend_on_the_brightness_of_the_scene() -> None:
    windows = np.random.default_rng(6).integers(0, 100, (30, 3, 10, 10)).astype(np.float32)
    np.testing.assert_allclose(
        rcf.empirical(windows, 2), rcf.empirical(windows * 2 + 40, 2), rtol=0.02, atol=0.02
    )


def test_constant_windows_give_finite_filters() -> None:
    assert np.isfinite(rcf.empirical(np.full((4, 3, 8, 8), 128.0), 0)).all()


def test_empirical_features_need_their_filters(tmp_path: Path) -> None:
    bare = get_backbone("rcf:empirical")
    with pytest.raises(BackboneError, match="cut out of a scene") as told:
        bare.load()
    assert "\n" not in str(told.value)

    filters = rcf.empirical(photos(2, 16, 30), 0)
    path = tmp_path / "filters.safetensors"
    save_file({rcf.TENSOR: filters}, path)
    batch = photos(2)
    given = bare.ready(path).load().features(batch)
    drawn = replace(bare, tensors={rcf.TENSOR: filters}).load().features(batch)
    np.testing.assert_array_equal(given, drawn)
    np.testing.assert_allclose(given, recomputed(filters, batch), rtol=1e-3, atol=1e-4)

    path.write_bytes(b"no filters")
    with pytest.raises(WeightsError, match="draw them with"):
        bare.ready(path)


def test_a_scene_with_other_bands_than_the_filters_is_refused() -> None:
    filters = rcf.empirical(photos(3, 16, 30), 0)
    embedder = replace(get_backbone("rcf:empirical"), tensors={rcf.TENSOR: filters}).load()
    with pytest.raises(BackboneError, match=r"3 bands but the scene gives 4"):
        embedder.features(photos(4))


@pytest.mark.parametrize("shape", [(2, 9), (9, 2), (1, 1)])
def test_patches_smaller_than_a_filter_are_refused(shape: tuple[int, int]) -> None:
    batch = np.zeros((1, 3, *shape), np.uint8)
    with pytest.raises(BackboneError, match=f"{shape[0]} x {shape[1]} pixels are smaller"):
        get_backbone("rcf").load().features(batch)


def test_a_patch_as_large_as_a_filter_is_described() -> None:
    batch = photos(3, rcf.KERNEL)
    expected = recomputed(rcf.gaussian(3, 0), batch)
    made = get_backbone("rcf").load().features(batch)
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


def test_the_fingerprint_tells_filters_apart() -> None:
    one, other = ({rcf.TENSOR: rcf.gaussian(3, seed)} for seed in (0, 1))
    assert rcf.fingerprint(one) == rcf.fingerprint({rcf.TENSOR: rcf.gaussian(3, 0)})
    assert rcf.fingerprint(one) != rcf.fingerprint(other)
