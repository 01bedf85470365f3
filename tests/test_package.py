"""The package imports quickly and without torch, and names what it promises."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import terrapatch


def test_import_is_light() -> None:
    code = (
        "import sys, terrapatch; "
        "print([m for m in ('torch', 'numpy', 'rasterio', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in terrapatch.__all__:
        assert getattr(terrapatch, name) is not None
    assert set(terrapatch.__all__) <= set(dir(terrapatch))


def test_unknown_name_is_refused() -> None:
    assert not hasattr(terrapatch, "no_such_name")


def test_version_is_the_installed_one() -> None:
    assert terrapatch.__version__ == version("terrapatch")


def test_scenes_and_maps_need_no_torch() -> None:
    code = (
        "import sys, terrapatch.scene, terrapatch.stream, terrapatch.maps, terrapatch.legend; "
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
