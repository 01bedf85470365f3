"""Device and precision: chosen by a measured trial, refused where they do not agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plain_lite0 import photos, relative_error
from terrapatch.backbones import get_backbone
from terrapatch.backbones.precision import (
    AGREEMENT,
    choose_device,
    choose_precision,
    default_batch,
    least_cosine,
)
from terrapatch.errors import BackboneError

LITE0 = get_backbone("efficientnet_lite0")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def test_a_precision_that_disagrees_is_never_chosen() -> None:
    choice = choose_precision(LITE0, LITE0.default, 64, "cpu", photos(8, seed=1))
    assert choice.agreements["bf16"] < AGREEMENT
    assert choice.precision == "fp32"
    assert choice.agreement == pytest.approx(1.0)
    assert set(choice.rates) == {"fp32", "bf16"}
    assert f"cosine to fp32 {choice.agreements['bf16']:.4f}" in choice.describe()
    assert choice.describe().startswith("fp32 (short trial: fp32 ")


def test_a_precision_asked_for_is_used_and_its_agreement_measured() -> None:
    patches = photos(3, seed=1)
    choice = choose_precision(LITE0, LITE0.default, 64, "cpu", patches, "bf16")
    assert choice.precision == "bf16"
    assert choice.agreement < AGREEMENT
    exact = LITE0.load(LITE0.default, 64).features(patches)
    made = choice.embedder.features(patches)
    assert made.dtype == np.float32
    assert 1e-4 < relative_error(made, exact) < 0.2
    low = least_cosine(exact, made, choice.embedder.groups)
    assert low == pytest.approx(choice.agreement, abs=1e-6)


def test_fp32_asked_for_tries_nothing_else() -> None:
    choice = choose_precision(LITE0, LITE0.describe("stem"), 32, "cpu", photos(2), "fp32")
    assert set(choice.rates) == {"fp32"}
    assert choice.precision == "fp32"


def test_unknown_precision() -> None:
    with pytest.raises(BackboneError, match="precision 'half' is not known"):
        choose_precision(LITE0, LITE0.describe("stem"), 32, "cpu", photos(1), "half")


def test_least_cosine_looks_at_every_layer_of_every_row() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=(4, 10))
    b = a.copy()
    groups = (("one", 0, 4), ("two", 4, 10))
    assert least_cosine(a, b, groups) == pytest.approx(1.0)
    b[2, 4:] = -a[2, 4:]
    assert least_cosine(a, b, groups) == pytest.approx(-1.0)
    assert least_cosine(a[:2], 3 * b[:2], groups) == pytest.approx(1.0)


def test_least_cosine_of_zeros_and_of_what_overflowed() -> None:
    groups = (("one", 0, 3),)
    ones, zeros = np.ones((1, 3)), np.zeros((1, 3))
    assert least_cosine(zeros, zeros, groups) == 1.0
    assert least_cosine(zeros, ones, groups) == 0.0
    for bad in (np.nan, np.inf):
        spoilt = ones.copy()
        spoilt[0, 1] = bad
        assert least_cosine(ones, spoilt, groups) == -1.0


@no_gpu
def test_a_gpu_that_is_not_there() -> None:
    assert choose_device() == "cpu"
    assert choose_device("cpu") == "cpu"
    for device in ("cuda", "cuda:1"):
        with pytest.raises(BackboneError, match="torch sees no GPU; pass --device cpu"):
            choose_device(device)


def test_batches() -> None:
    assert default_batch("cpu") < default_batch("cuda")


@gpu
@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_cpu_and_gpu_agree(precision: str) -> None:
    patches = photos(8)
    cpu = LITE0.load(LITE0.describe("all"), 64)
    cuda = LITE0.load(LITE0.describe("all"), 64, "cuda", precision)
    low = least_cosine(cpu.features(patches), cuda.features(patches), cpu.groups)
    assert low >= (AGREEMENT if precision != "bf16" else 0.98)


@gpu
@needs_gpu
def test_the_gpu_is_found_and_a_precision_that_agrees_is_chosen() -> None:
    assert choose_device() == "cuda"
    choice = choose_precision(LITE0, LITE0.default, 64, "cuda", photos(8))
    assert choice.agreement >= AGREEMENT
    assert set(choice.rates) == {"fp32", "bf16", "fp16"}
