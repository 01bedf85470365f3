"""Predictions, the number of readers, and memory that is kept and given back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plain_lite0 import photos
from terrapatch.features import _memory, costs, engine, estimate, prepare

Make = Callable[..., Path]


def store_bytes(store: Path) -> int:
    """Size of all files of a store."""
    return sum(f.stat().st_size for f in store.rglob("*") if f.is_file())


@pytest.mark.parametrize("mode", ["exact", "dense"])
def test_bytes_are_predicted(make_raster: Make, tmp_path: Path, mode: str) -> None:
    picture = np.clip(photos(1, 640, "float32")[0], 1, 255).astype(np.uint8)
    scene = make_raster(height=640, width=640, values=lambda *_: picture)
    how: dict[str, Any] = {"size": 64, "stride": 32, "backbone": "resnet18:random", "mode": mode}
    plan = prepare(scene, tmp_path / "f.zarr", **how)
    guess = estimate(plan)
    engine.run(plan, tmp_path / "f.zarr")
    assert guess.store_bytes == pytest.approx(store_bytes(tmp_path / "f.zarr"), rel=0.3)
    assert guess.cells == guess.patches == 400
    assert guess.rate == pytest.approx(400 / guess.seconds)


def test_a_larger_tile_is_predicted_to_take_more(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=900, width=900)
    how: dict[str, Any] = {"size": 32, "stride": 4, "backbone": "lenet5:random", "layers": "conv1"}
    plan = prepare(scene, tmp_path / "f.zarr", mode="dense", **how)
    small, large = (
        estimate(dataclasses.replace(plan, side=64, tile=tile)) for tile in ((1, 1), (4, 4))
    )
    assert small.memory_bytes < large.memory_bytes


def test_readers_are_as_many_as_it_takes(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = prepare(make_raster(), tmp_path / "f.zarr", size=8, backbone="lenet5:random")
    monkeypatch.setattr(costs.os, "sched_getaffinity", lambda _: range(6), raising=False)
    monkeypatch.setattr(costs, "_reading_seconds", lambda *_: 10.0)
    for seconds, wanted in ((1000.0, 1), (10.0, 2), (5.0, 4), (0.1, 6), (float("nan"), 6)):
        slow = dataclasses.replace(plan, rate=plan.n_cells / seconds)
        assert costs.suited_readers(slow) == wanted


def test_memory_is_kept_inside_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(_memory, "_set", calls.append)
    monkeypatch.setattr(_memory, "trim", lambda: calls.append("trimmed"))
    with _memory.kept_memory(), _memory.kept_memory():
        assert calls == [_memory._KEEPING]
    assert calls == [_memory._KEEPING, _memory._USUAL, "trimmed"]


def test_the_c_library_takes_what_it_is_told() -> None:
    mallopt = _memory._glibc("mallopt")
    if mallopt is None:
        pytest.skip("the C library here is not glibc")
    assert all(mallopt(p, v) == 1 for p, v in _memory._KEEPING.items())
    assert all(mallopt(p, v) == 1 for p, v in _memory._USUAL.items())
