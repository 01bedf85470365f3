"""A clustered painted scene to look at, made once, and copied for tests that change it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from terrapatch.features import embed
from terrapatch.studies.painted import paint
from terrapatch.studies.settlements import cluster

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``scene.tif``, ``f.zarr`` and the clusters ``out``; do not change it."""
    home = tmp_path_factory.mktemp("viewer")
    paint(home / "scene.tif", seed=3, size=(512, 768))
    embed(home / "scene.tif", home / "f.zarr", size=48, stride=32, backbone="imagestats")
    cluster(home / "f.zarr", home / "out", 5, scene=home / "scene.tif", report=False)
    return home


@pytest.fixture
def study_dir(clustered: Path, tmp_path: Path) -> Path:
    """Return the folder of clusters in a copy of ``clustered`` that a test may change."""
    shutil.copytree(clustered, tmp_path / "study")
    return tmp_path / "study" / "out"


@pytest.fixture
def serving() -> Iterator[Callable[..., Any]]:
    """Return a function that serves a folder for real; its servers end with the test."""
    from terrapatch.viewer import PageServer

    running = []

    def serve(folder: Path, **options: Any) -> PageServer:
        server = PageServer(folder, **options)
        running.append(server)
        server.start()
        return server

    yield serve
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Return a real browser; skips without one, and fails under ``REQUIRE_BROWSER=1``."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    if not Path(CHROMIUM).exists():
        _missing(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def _missing(what: str) -> None:
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(what + ", but REQUIRE_BROWSER=1 asks for it")
    pytest.skip(what)
