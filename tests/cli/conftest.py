"""Running the command line inside the test's own process, which spares the imports."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from terrapatch.cli import main


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Every line of stdout as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> dict[str, Any]:
        last = self.objects[-1]
        assert last["type"] == "result"
        return last


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    """Return a function that runs ``terrapatch ARGS`` in the test's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TERRAPATCH_DEBUG", raising=False)

    def run(*args: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["terrapatch", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Run(code, said.out, said.err)

    return run


@pytest.fixture
def embedded(cli: Callable[..., Run], make_raster: Callable[..., Path]) -> Path:
    """Return a small feature store made by the command line: 8 x 8 cells of 6 features."""
    make_raster("scene.tif")
    run = cli("embed", "scene.tif", "-o", "f.zarr", "--size", "8", "--backbone", "imagestats")
    assert run.code == 0, run.err
    return Path("f.zarr")
