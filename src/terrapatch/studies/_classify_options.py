"""The options of ``classify``, for those who check types."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from terrapatch.grid import Length


class Options(TypedDict, total=False):
    """Keywords of ``classify``; each is described there."""

    size: Length | None
    stride: Length | None
    store: str | os.PathLike[str] | None
    average: str | None
    embedding: Mapping[str, Any] | None
    min_confidence: float
    smooth: int
    companions: bool
    polygons: bool
    overwrite: bool
    progress: Callable[[str, int, int], None] | None
