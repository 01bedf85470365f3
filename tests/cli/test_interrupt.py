"""A run that is stopped says what it has kept, and goes on; a closed pipe stops nothing."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Blocks of 4 x 4 cells and a slow backbone, so that there is a middle to stop in.
SLOW = """
import sys, time
import terrapatch.features.plan as plan
from terrapatch.backbones.imagestats import ImageStats
plan.block_side = lambda *args: 4
fast = ImageStats.features
def features(self, batch, valid=None):
    time.sleep({pause})
    return fast(self, batch, valid)
ImageStats.features = features
sys.argv = ["terrapatch", *sys.argv[1:]]
from terrapatch.cli import main
main()
"""
ARGS = ("embed", "scene.tif", "-o", "f.zarr", "--size", "4", "--backbone", "imagestats")


def start(folder: Path, pause: float, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW.format(pause=pause), *ARGS, *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: object, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_interrupted_and_gone_on_with(tmp_path: Path, make_raster) -> None:
    make_raster("scene.tif", height=64, width=64)
    process = start(tmp_path, 0.2)
    marks = tmp_path / "f.zarr.part" / ".done"
    wait_for(lambda: marks.exists() and len(list(marks.iterdir())) >= 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    said = re.fullmatch(
        r"interrupted: (\d+) of 256 cells are kept in f\.zarr\.part; "
        r"run the same command again to go on",
        err.splitlines()[-1],
    )
    assert said
    kept = int(said[1])
    assert 32 <= kept < 256
    assert kept == 16 * len(list(marks.iterdir()))
    assert "Traceback" not in err
    assert not (tmp_path / "f.zarr").exists()

    again = start(tmp_path, 0)
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert f"{kept} of 256 cells are done" in err
    assert not (tmp_path / "f.zarr.part").exists()


@pytest.mark.slow
def test_interrupted_before_anything_is_kept(tmp_path: Path, make_raster) -> None:
    make_raster("scene.tif")
    process = start(tmp_path, 30, "--json")
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("interrupted: nothing is kept")
    assert '"exit_code": 130' in out.splitlines()[-1]


def test_interrupt_elsewhere(cli, monkeypatch) -> None:
    import terrapatch.studies.demo as study

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "demo", stop)
    run = cli("demo")
    assert (run.code, run.out) == (130, "")
    assert run.err == "interrupted: nothing was written\n"


def test_closed_pipe_is_quiet(tmp_path: Path, make_raster) -> None:
    make_raster("scene.tif")
    process = subprocess.Popen(
        [sys.executable, "-m", "terrapatch", *ARGS, "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert (tmp_path / "f.zarr").exists()
