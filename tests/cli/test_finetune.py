"""``finetune`` stopped, killed and gone on with from the shell, and its network on a scene."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from terrapatch.studies.painted import paint, picture

# The command as it is, but resting after every checkpoint, so that there is a middle to stop in.
RESTING = """
import sys, time
from terrapatch.learn.tuning.loop import Loop
save = Loop._save
def rest(self, optimiser):
    save(self, optimiser)
    time.sleep({pause})
Loop._save = rest
sys.argv = ["terrapatch", *sys.argv[1:]]
from terrapatch.cli import main
main()
"""
ARGS = ("finetune", "images", "--input-size", "48", "--epochs", "5", "--batch", "8",
        "--device", "cpu", "--offline", "-o")  # fmt: skip
SIDE, EACH = 24, 12
# Seconds until a process counts as stuck: far more than any takes on a busy machine.
PATIENCE = 300
KINDS = {"built": (1, 2, 3), "green": (4,)}


def write_images(folder: Path) -> None:
    """Cut squares of one kind of land out of a painted picture."""
    pixels, truth = picture(seed=3, size=(768, 768))
    squares = truth.reshape(32, SIDE, 32, SIDE).transpose(0, 2, 1, 3).reshape(32, 32, -1)
    for name, ids in KINDS.items():
        places = np.argwhere(np.isin(squares, ids).all(axis=-1))
        chosen = np.random.default_rng(0).permutation(places)[:EACH]
        assert len(chosen) == EACH
        (folder / name).mkdir(parents=True)
        for i, (row, col) in enumerate(chosen * SIDE):
            path = folder / name / f"{i:02d}.png"
            with rasterio.open(
                path, "w", driver="PNG", width=SIDE, height=SIDE, count=3, dtype="uint8"
            ) as dst:
                dst.write(pixels[:, row : row + SIDE, col : col + SIDE])


def start(folder: Path, out: str, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RESTING.format(pause=pause), *ARGS, out],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def epochs(folder: Path) -> int:
    """Return how many epochs the learning curves hold."""
    path = folder / "history.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def results(folder: Path) -> set[str]:
    """Return the names of what a run is for; the checkpoint is only a means."""
    return {p.name for p in folder.iterdir() if p.is_file() and p.name != "checkpoint.pt"}


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_interrupted_killed_and_gone_on_with(cli, tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    out, whole = tmp_path / "net", tmp_path / "whole"

    uninterrupted = start(tmp_path, "whole", 0)
    process = start(tmp_path, "net", 2 * PATIENCE)
    wait_for(lambda: epochs(out) == 1, process)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == (
        "interrupted: the epochs done are in net; give the same command to go on"
    )
    assert "Traceback" not in said + err
    assert not (out / "model.json").exists()

    process = start(tmp_path, "net", 2 * PATIENCE)
    wait_for(lambda: epochs(out) == 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "model.json").exists()

    for process in (start(tmp_path, "net", 0), uninterrupted):
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
    assert epochs(out) == 5
    names = results(whole)
    assert {"model.json", "head.safetensors", "history.csv", "metrics.json"} <= names
    assert results(out) == names
    differing = [n for n in names if (out / n).read_bytes() != (whole / n).read_bytes()]
    assert not differing

    scene = paint(tmp_path / "scene.tif", seed=5, size=(480, 480))
    run = cli("classify", "scene.tif", "--model", "net", "-o", "map.tif")
    assert run.code == 2
    assert "say how large a patch is with --size" in run.err
    run = cli(
        "classify", "scene.tif", "--model", "net", "-o", "map.tif", "--size", "12m",
        "--device", "cpu", "--offline",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert "patches are 12m; both are brought to 48 px" in run.err
    with rasterio.open("map.tif") as made, rasterio.open(scene.truth_path) as src:
        ids, truth = made.read(1), src.read(1)
    squares = truth.reshape(20, SIDE, 20, SIDE).transpose(0, 2, 1, 3).reshape(20, 20, -1)
    np.testing.assert_array_equal(ids == 0, (squares == 0).all(axis=-1))
    for k, kinds in enumerate(KINDS.values(), 1):
        pure = np.isin(squares, kinds).all(axis=-1)
        assert pure.sum() >= 10
        assert (ids[pure] == k).mean() > 0.7
