"""``--offline`` opens no socket: watched from inside Python, and by the system itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("offline_audit.py")
CAUGHT = 99
EMBED = ("embed", "scene.tif", "-o", "f.zarr", "--size", "8", "--device", "cpu")


@dataclass(frozen=True)
class Run:
    code: int
    seen: list[str]
    err: str


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment with empty caches and without what could interfere."""
    out = re.compile(r"(TERRAPATCH|TORCH|XDG)_.*|.*_PROXY")
    kept = {k: v for k, v in os.environ.items() if not out.fullmatch(k.upper())}
    return kept | {"HOME": str(folder), "COLUMNS": "200"} | more


def audit(folder: Path, *args: str, **more: str) -> Run:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *args],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    return Run(done.returncode, json.loads(lines[-1]), done.stderr)


@pytest.mark.parametrize(
    "what", ["connect", "bind", "lookup", "old lookup", "address", "send", "url"]
)
def test_the_hook_sees_what_reaches_out(tmp_path: Path, what: str) -> None:
    run = audit(tmp_path, "--control", what)
    assert run.code == CAUGHT
    assert run.seen


@pytest.mark.parametrize("what", ["pair", "quiet requests"])
def test_the_hook_lets_through_what_stays_inside(tmp_path: Path, what: str) -> None:
    run = audit(tmp_path, "--control", what)
    assert (run.code, run.seen) == (0, [])


def test_the_hook_sees_a_download(tmp_path: Path) -> None:
    """The same command without ``--offline`` is caught."""
    run = audit(tmp_path, "backbones", "get", "resnet18")
    assert run.code == CAUGHT
    assert any("download.pytorch.org" in one for one in run.seen)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "imagestats", "resnet18:random", "rcf"])
def test_embed_opens_no_socket(
    tmp_path: Path, make_raster: Callable[..., Path], backbone: str
) -> None:
    make_raster("scene.tif", height=16, width=16)
    run = audit(tmp_path, *EMBED, "--backbone", backbone, "--offline")
    assert (run.code, run.seen) == (0, []), run.err
    assert (tmp_path / "f.zarr").is_dir()


def test_torchgeos_weights_open_no_socket_either(
    tmp_path: Path, make_raster: Callable[..., Path]
) -> None:
    make_raster("scene.tif", height=16, width=16)
    run = audit(tmp_path, *EMBED, "--backbone", "resnet50:fmow_rgb_gassl", "--offline")
    assert (run.code, run.seen) == (2, []), run.err
    assert "resnet50_fmow_rgb_gassl-da43d987.pth" in run.err


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_missing_file_is_one_message_and_no_socket(
    tmp_path: Path, make_raster: Callable[..., Path], by: str
) -> None:
    make_raster("scene.tif", height=16, width=16)
    option = ("--offline",) if by == "option" else ()
    more = {} if by == "option" else {"TERRAPATCH_OFFLINE": "1"}
    run = audit(tmp_path, *EMBED, "--backbone", "resnet18", *option, **more)
    assert (run.code, run.seen) == (2, []), run.err
    (said,) = run.err.splitlines()
    assert said.startswith("error: the weights resnet18-f37072fd.pth (about 47 MB, from ")
    assert "sha256 f37072fd" in said
    assert "it is downloaded from https://download.pytorch.org/models/resnet18-f37072fd.pth" in said
    assert "terrapatch backbones pack resnet18 -o bundle.tar" in said
    assert "terrapatch backbones unpack bundle.tar" in said
    assert not (tmp_path / "f.zarr").exists()


@pytest.mark.slow
def test_a_bundle_makes_the_round_without_a_socket(
    tmp_path: Path, make_raster: Callable[..., Path]
) -> None:
    """What one machine packs, another unpacks and embeds with."""
    make_raster("scene.tif", height=16, width=16)
    packed = audit(tmp_path, "backbones", "pack", "efficientnet_lite0", "-o", "b.tar", "--offline")
    assert (packed.code, packed.seen) == (0, []), packed.err
    unpacked = audit(tmp_path, "backbones", "unpack", "b.tar")
    assert (unpacked.code, unpacked.seen) == (0, []), unpacked.err
    (file,) = (tmp_path / ".local/share/terrapatch/weights").iterdir()
    assert file.name == "efficientnet-lite0-57934424.pth"
    got = audit(tmp_path, "backbones", "get", "efficientnet_lite0", "--offline")
    assert (got.code, got.seen) == (0, []), got.err
    run = audit(tmp_path, *EMBED, "--offline")
    assert (run.code, run.seen) == (0, []), run.err


def traced(folder: Path, *command: str) -> list[str]:
    """Run a command under strace; return the sockets that are not of the file system."""
    trace = folder / "trace"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=socket,connect,bind,sendto", "-o", trace, *command],
        cwd=folder,
        env=environment(folder, TERRAPATCH_OFFLINE="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if "ptrace" in done.stderr:
        pytest.skip("tracing is not allowed here")
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    return [line for line in lines if re.search(r"\b(AF|PF)_(?!UNIX|UNSPEC)", line)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_library_opens_a_socket_behind_python(
    tmp_path: Path, make_raster: Callable[..., Path]
) -> None:
    """GDAL and others could, in C, where no hook of Python sees it."""
    make_raster("scene.tif", height=16, width=16)
    reach_out = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    assert len(traced(tmp_path, sys.executable, "-c", reach_out)) == 2
    embed = (sys.executable, "-m", "terrapatch", *EMBED, "--offline")
    assert traced(tmp_path, *embed) == []
