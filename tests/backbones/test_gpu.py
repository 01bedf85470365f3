"""On a GPU the numbers are those of the CPU; copies run beside the computation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import terrapatch
from plain_lite0 import photos
from terrapatch.backbones import get_backbone
from terrapatch.backbones.flight import Flight
from terrapatch.backbones.precision import least_cosine

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
NETWORKS = ("efficientnet_lite0", "resnet18:random")


@gpu
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_features_agree_with_the_cpu(name: str, precision: str) -> None:
    backbone, patches = get_backbone(name).ready(), photos(16, 96, "uint8")
    plain = backbone.load(None, 96, "cpu", "fp32")
    there = backbone.load(None, 96, "cuda", precision)
    made = there.features(patches)
    wanted = 0.99 if precision == "bf16" else 0.999
    assert least_cosine(plain.features(patches), made, plain.groups) >= wanted


@gpu
@pytest.mark.parametrize("mode", ["exact", "dense"])
def test_a_scene_agrees_with_the_cpu(make_raster: Any, tmp_path: Path, mode: str) -> None:
    picture = np.clip(photos(1, 256, "float32")[0], 1, 255).astype(np.uint8)
    scene = make_raster(height=256, width=256, values=lambda *_: picture)
    how: dict[str, Any] = {"size": 64, "stride": 32, "mode": mode, "precision": "fp32"}
    made = [
        terrapatch.embed(scene, tmp_path / f"{device}.zarr", device=device, **how)
        for device in ("cpu", "cuda")
    ]
    a, b = (f.read(slice(None), slice(None)).reshape(-1, f.n_features) for f in made)
    assert least_cosine(a, b, made[0].groups) >= 0.999


@gpu
def test_many_batches_under_way_land_in_order() -> None:
    embedder: Any = get_backbone("resnet18:random").load(None, 64, "cuda", "fp32")
    patches = photos(40, 64, "uint8")
    flights = [embedder.begin(patches[i : i + 8]) for i in range(0, 40, 8)]
    made = np.concatenate([flight.result() for flight in flights])
    np.testing.assert_allclose(made, embedder.features(patches), rtol=1e-3, atol=1e-4)


def test_a_flight_on_the_cpu_has_landed() -> None:
    made = torch.arange(12.0).view(4, 3)
    np.testing.assert_array_equal(Flight(made, 3).result(), made[:3].numpy())
