"""Making small stores, and comparing them file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import terrapatch
from terrapatch.features import FeatureRaster, prepare
from terrapatch.features.plan import Plan
from terrapatch.features.store import StoreWriter

Make = Callable[..., Path]


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its relative path."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if not f.is_dir()}


def stats(scene: Any, out: Any, **options: Any) -> FeatureRaster:
    """Embed with the baseline."""
    return terrapatch.embed(scene, out, **({"backbone": "imagestats", "size": 8} | options))


def plan_for(scene: Any, out: Path, **options: Any) -> Plan:
    """Settle a run of the baseline."""
    return prepare(scene, out, **({"backbone": "imagestats", "size": 8} | options))


def writer_for(plan: Plan, out: Path, overwrite: bool = False) -> StoreWriter:
    """Return a writer of a settled run."""
    return StoreWriter(
        out,
        plan.recipe,
        plan.grid.geobox,
        plan.embedder.groups,
        plan.side,
        plan.recipe.execution["dtype"],
        overwrite,
    )
