"""Fixtures that every test may use; the factory itself is in ``rasters.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rasters

# Files that take longest, longest first: two workers that begin with them end together.
LONGEST = (
    "test_readme.py",
    "test_torchgeo.py",
    "test_registry.py",
    "test_notebooks.py",
    "test_resume.py",
    "test_offline.py",
    "test_browser.py",
    "test_acceptance.py",
    "test_looking.py",
    "test_pixels_qgis.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files to the front; all else stays as it was."""
    items.sort(key=lambda item: LONGEST.index(n) if (n := item.path.name) in LONGEST else 99)


@pytest.fixture
def make_raster(tmp_path: Path) -> Callable[..., Path]:
    """Return ``rasters.make_raster``; a relative path lands in the test's own folder."""

    def make(path: Path | str = "scene.tif", **options: Any) -> Path:
        return rasters.make_raster(tmp_path / path, **options)

    return make


@pytest.fixture
def data_dir() -> Callable[..., Path]:
    """Return ``rasters.data_dir``: a path in the real data, or a skipped test."""
    return rasters.data_dir
