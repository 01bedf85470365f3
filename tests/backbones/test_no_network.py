"""A machine without a network, really: a network namespace with nothing in it, no loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from terrapatch.studies.painted import paint

Run = Callable[..., subprocess.CompletedProcess[str]]


def cut_off() -> list[str]:
    """Return what runs a program without a network, or skip the test."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare (util-linux) is not here")
    for way in (["unshare", "-n"], ["unshare", "-rn"]):
        if subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    pytest.skip("this machine lets nobody make a network namespace")


@pytest.fixture
def alone(tmp_path: Path) -> Run:
    """Run terrapatch cut off, with homes of its own, so that nothing is found by chance."""
    way = cut_off()
    homes = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TERRAPATCH_", "TORCH_HOME"))}

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [*way, sys.executable, "-m", "terrapatch", *map(str, args)]
        return subprocess.run(
            command, cwd=tmp_path, env=env | homes, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.slow
def test_a_bundle_is_unpacked_and_a_scene_embedded_and_clustered(
    alone: Run, tmp_path: Path
) -> None:
    from terrapatch.backbones.bundle import pack

    pack(["efficientnet_lite1"], tmp_path / "bundle.tar")
    paint(tmp_path / "scene.tif", seed=0, size=(256, 384))
    steps = (
        ("backbones", "unpack", "bundle.tar"),
        ("backbones", "get", "efficientnet_lite1", "--offline"),
        ("embed", "scene.tif", "-o", "f.zarr", "--size", "60m", "--backbone",
         "efficientnet_lite1", "--layers", "stage3", "--offline"),
        ("cluster", "f.zarr", "-k", "2", "-o", "clusters"),
    )  # fmt: skip
    said = []
    for step in steps:
        done = alone(*step)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "the folder of bundles" in said[1]
    assert (tmp_path / "clusters" / "clusters.tif").exists()


def test_absent_weights_are_said_at_once(alone: Run, tmp_path: Path) -> None:
    """File, size, source, hash and both ways out."""
    paint(tmp_path / "scene.tif", seed=0, size=(256, 256))
    for options in ((), ("--offline",)):
        done = alone(
            "embed", "scene.tif", "-o", "f.zarr", "--size", "60m", "--backbone", "vgg16", *options
        )
        assert done.returncode == 2
        for part in (
            "vgg16-397923af.pth", "553 MB", "torchvision", "sha256 397923af",
            "terrapatch backbones pack vgg16", "terrapatch backbones unpack", "downloaded from",
        ):  # fmt: skip
            assert part in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.glob("f.zarr*"))
        assert not any(tmp_path.glob("home/**/*.pth"))


def test_what_says_so_loads_no_torch() -> None:
    """The one-second answer is not timed here; that nothing slow is loaded is looked at instead."""
    program = (
        "import sys; sys.argv = ['terrapatch', 'embed', 's.tif', '-o', 'f.zarr', '--size', '60m',"
        " '--backbone', 'resnet50', '--offline']\n"
        "from terrapatch.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'xarray', 'rasterio', 'zarr') if m in sys.modules])"
    )
    env = os.environ | dict.fromkeys(
        ("TERRAPATCH_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"), "/nonexistent"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=env
    )
    assert "are not on this machine" in done.stderr
    assert done.stdout.strip() == "[]"
