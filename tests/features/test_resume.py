"""Killed at any moment and gone on with: the same bytes in the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import terrapatch
from plain_lite0 import photos
from storefiles import Make, files, plan_for, stats, writer_for
from terrapatch.errors import RecipeError, StoreError
from terrapatch.features import engine
from terrapatch.features.layout import MARKS
from terrapatch.features.store import StoreWriter

EVERY = int(os.environ.get("KILL_EVERY", "0"))  # 1 takes two minutes
PROGRAM = Path(__file__).with_name("killing.py")
BASELINE: dict[str, Any] = {"backbone": "imagestats", "size": 8, "stride": 4}


def start(order: str, folder: Path, **job: Any) -> subprocess.Popen[str]:
    """Start a program of ``killing.py`` and wait until all is imported."""
    (folder / "job.json").write_text(json.dumps(job, default=str))
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), order, str(folder / "job.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def kill_at_random(folder: Path, out: Path, longest: float, kills: int, **job: Any) -> list[int]:
    """Kill a run at random moments, go on until it is done; return blocks done at each kill."""
    moments = random.Random(len(str(out.name)))
    done = []
    for _ in range(kills):
        process = start("run", folder, out=out, **job)
        time.sleep(moments.uniform(0.02, longest))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if out.exists():
            break
        marks = out.with_name(out.name + ".part") / MARKS
        done.append(len(list(marks.glob("*"))) if marks.exists() else 0)
    return done


@pytest.mark.slow
def test_killed_at_random_moments(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=1500, width=2000, block=256, nodata="mask")
    began = time.perf_counter()
    whole = terrapatch.embed(scene, tmp_path / "whole.zarr", **BASELINE)
    took = time.perf_counter() - began
    assert len(list((whole.path / "valid" / "c").rglob("*"))) >= 30
    out = tmp_path / "killed.zarr"
    job = {"scene": scene, "options": BASELINE}
    done = kill_at_random(tmp_path, out, took / 3, kills=6, **job)
    assert done == sorted(done), "a run that goes on keeps what is done"
    assert any(0 < n < 48 for n in done)
    if not out.exists():
        terrapatch.embed(scene, out, **BASELINE)
    assert files(out) == files(whole.path)


@pytest.mark.slow
def test_the_network_killed_at_random_moments(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=16, width=5120)  # a row of 320 cells: five blocks
    options: dict[str, Any] = {
        "size": 16, "input_size": 32, "layers": "stem,stage1,stage2",
        "precision": "fp32", "device": "cpu", "batch": 64,
    }  # fmt: skip
    began = time.perf_counter()
    whole = terrapatch.embed(scene, tmp_path / "whole.zarr", **options)
    took = time.perf_counter() - began
    out = tmp_path / "killed.zarr"
    done = kill_at_random(tmp_path, out, took, kills=4, scene=scene, options=options)
    assert done, "at least the first run was killed"
    if not out.exists():
        terrapatch.embed(scene, out, **options)
    assert files(out) == files(whole.path)


def everywhere(folder: Path, **job: Any) -> dict[str, int]:
    """Kill a run at every step it takes on the store's files."""
    process = start("everywhere", folder, **job)
    said, faults = process.communicate()
    assert process.returncode == 0, faults
    counts: dict[str, int] = json.loads(said)
    return counts


@pytest.mark.slow
def test_killed_step_by_step(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=66, width=66, nodata="mask")
    options = {"backbone": "imagestats", "size": 1, "batch": 5000}
    stats(scene, tmp_path / "whole", **options)
    counts = everywhere(
        tmp_path,
        scene=scene,
        out=tmp_path / "killed.zarr",
        reference=tmp_path / "whole",
        options=options,
        every=EVERY or 4,
    )
    assert counts["kills"] > 15


@pytest.mark.slow
def test_killed_step_by_step_while_replacing(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster()
    options = {"backbone": "imagestats", "size": 16, "overwrite": True}
    stats(scene, tmp_path / "whole", size=16)
    stats(scene, tmp_path / "old", size=32)
    counts = everywhere(
        tmp_path,
        scene=scene,
        out=tmp_path / "killed.zarr",
        old=tmp_path / "old",
        reference=tmp_path / "whole",
        options=options,
        every=EVERY or 4,
    )
    assert counts["kills"] > 15
    assert counts["unnamed"] <= 1, "the name is without a store between two renames only"


def test_the_same_in_gives_the_same_bytes(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=280, width=300, nodata="mask")
    for i in range(2):
        stats(scene, tmp_path / f"stats{i}.zarr", stride=2, readers=1 + 3 * i)
    assert files(tmp_path / "stats0.zarr") == files(tmp_path / "stats1.zarr")
    small = make_raster("small.tif", values=lambda *_: photos(1)[0])
    for i in range(2):
        terrapatch.embed(
            small, tmp_path / f"cnn{i}.zarr", size=16, input_size=32, precision="fp32", device="cpu"
        )
    assert files(tmp_path / "cnn0.zarr") == files(tmp_path / "cnn1.zarr")


class StoppedError(Exception):
    """Stands for whatever ends a run early."""


def stopped_after(
    blocks: int, monkeypatch: pytest.MonkeyPatch, scene: Path, out: Path, **options: Any
) -> None:
    """Run until some blocks are written."""
    plan = plan_for(scene, out, **options)
    write, count = StoreWriter.write, 0

    def counted(*args: Any) -> None:
        nonlocal count
        if count == blocks:
            raise StoppedError
        count += 1
        write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write", counted)
        with pytest.raises(StoppedError):
            engine.run(plan, out)
    assert len(list((out.with_name(out.name + ".part") / MARKS).iterdir())) == blocks


@pytest.fixture
def wide(make_raster: Make) -> Path:
    """A scene whose grid of pixels has six blocks."""
    return make_raster("wide.tif", height=130, width=140)


def test_only_missing_blocks_are_embedded(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "f.zarr"
    stopped_after(4, monkeypatch, wide, out, size=1)
    caplog.set_level("INFO", "terrapatch")
    calls: list[int] = []
    stats(wide, out, size=1, progress=lambda _stage, done, _all: calls.append(done))
    left = 130 * 140 - (2 * 64 * 64 + 64 * 12 + 64 * 64)
    assert calls[0] > 130 * 140 - left
    assert f"{130 * 140 - left} of {130 * 140} cells are done" in caplog.text
    assert files(out) == files(stats(wide, tmp_path / "g.zarr", size=1).path)


def test_strays_are_swept(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, part = tmp_path / "f.zarr", tmp_path / "f.zarr.part"
    stopped_after(3, monkeypatch, wide, out, size=1)
    strays = [
        "zarr.0a1b.partial", "features/zarr.0a1b.partial", "features/c/0/0/0.0a1b.partial",
        "valid/c/0/1.0a1b.partial", "features/c/1/1/0", "valid/c/1/2",
        "features/c/1/2/0.ff.partial",
    ]  # fmt: skip
    for stray in strays:
        (part / stray).parent.mkdir(parents=True, exist_ok=True)
        (part / stray).write_bytes(b"left behind")
    stats(wide, out, size=1)
    assert files(out) == files(stats(wide, tmp_path / "g.zarr", size=1).path)


def test_killed_between_the_last_block_and_the_new_name(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = files(stats(wide, tmp_path / "g.zarr", size=1).path)
    out = tmp_path / "f.zarr"
    replace, calls = os.replace, 0

    def stopping(old: Any, new: Any) -> None:
        nonlocal calls
        if Path(new).name in (".finished", out.name):
            calls += 1
            if calls in (1, 3):
                raise StoppedError
        replace(old, new)

    monkeypatch.setattr(os, "replace", stopping)
    for _ in range(2):
        with pytest.raises(StoppedError):
            stats(wide, out, size=1)
        assert not out.exists()
    stats(wide, out, size=1)
    assert files(out) == reference
    assert not list(tmp_path.glob("*f.zarr?*"))


def test_a_store_that_lacks_blocks_is_not_finished(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.zarr"
    plan = plan_for(wide, out, size=1)
    with (
        writer_for(plan, out) as writer,
        pytest.raises(StoreError, match=r"f.zarr lacks 9 of 9 blocks; run it again"),
    ):
        writer.finish(plan.blocks)
    assert not out.exists()


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"size": 2, "stride": 1}, r"grid size: 1px, now 2px"),
    ({"pooling": "mean"}, r"descriptor pooling: mean, std, now mean"),
    ({"dtype": "float32"}, r"execution dtype: float16, now float32"),
    ({"edge": "nodata"}, r"grid edge: reflect, now nodata"),
    ({"bands": "1,2,1"}, r"backbone bands: red, green, blue, now red, green, red"),
]


@pytest.mark.parametrize(("change", "difference"), CHANGES)
def test_another_recipe_does_not_go_on(
    wide: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    difference: str,
) -> None:
    out = tmp_path / "f.zarr"
    stopped_after(2, monkeypatch, wide, out, size=1)
    before = files(tmp_path / "f.zarr.part")
    with pytest.raises(RecipeError, match=rf"begun with another recipe .*{difference}.*--restart"):
        stats(wide, out, **({"size": 1} | change))
    assert files(tmp_path / "f.zarr.part") == before
    stats(wide, out, restart=True, **({"size": 1} | change))
    assert not (tmp_path / "f.zarr.part").exists()


def test_a_run_goes_on_with_its_batch(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after(2, monkeypatch, wide, tmp_path / "f.zarr", size=1, batch=77)
    assert stats(wide, tmp_path / "f.zarr", size=1).recipe.execution["batch"] == 77


def test_a_run_begun_on_a_gpu_does_not_go_on_here(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, scene = tmp_path / "f.zarr", make_raster()
    options: dict[str, Any] = {"backbone": "efficientnet_lite0", "layers": "stem", "size": 32}
    stopped_after(0, monkeypatch, scene, out, device="cpu", precision="bf16", batch=5, **options)
    plan = plan_for(scene, out, device="cpu", **options)
    kept = plan.recipe.execution
    assert (kept["precision"], kept["batch"]) == ("bf16", 5), "what was begun is kept"
    root = tmp_path / "f.zarr.part" / "zarr.json"
    root.write_text(root.read_text().replace('"device": "cpu"', '"device": "cuda"'))
    with pytest.raises(RecipeError, match=r"begun on cuda but .*use cpu; pass --device cuda"):
        plan_for(scene, out, device="cpu", **options)


def test_an_interrupted_run_leaves_what_it_did(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "f.zarr"
    seen: list[int] = []

    def interrupt(_stage: str, done: int, _cells: int) -> None:
        seen.append(done)
        if done > 12_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stats(wide, out, size=1, progress=interrupt)
    assert not out.exists()
    assert list((tmp_path / "f.zarr.part" / MARKS).iterdir())
    stats(wide, out, size=1)
    assert files(out) == files(stats(wide, tmp_path / "g.zarr", size=1).path)
    assert np.isfinite(terrapatch.FeatureRaster.open(out).read(slice(None), slice(None))).all()
