"""Samples whose classes are blobs in a small feature space."""

from __future__ import annotations

from typing import Any

import numpy as np

from cells import FakeRecipe
from terrapatch.learn.samples import Samples


def blobs(
    n: int = 30, k: int = 3, apart: float = 4.0, seed: int = 0, features: int = 40, **more: Any
) -> Samples:
    """Return ``n`` samples of each of ``k`` classes."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(k, features)) * apart / np.sqrt(features)
    ids = np.repeat(np.arange(1, k + 1), n).astype(np.int32)
    values = (centres[ids - 1] + random.normal(size=(n * k, features))).astype(np.float32)
    half = features // 2
    return Samples(
        values=values,
        ids=ids,
        classes=tuple("abcdefgh"[:k]),
        names=tuple(f"sample {i}" for i in range(n * k)),
        groups=(("one", 0, half), ("two", half, features)),
        recipe=FakeRecipe(),
        **more,
    )
