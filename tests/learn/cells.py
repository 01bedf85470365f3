"""A feature raster in memory, with the attributes the learners use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox


@dataclass(frozen=True)
class FakeRecipe:
    space: dict[str, Any] = field(default_factory=lambda: {"backbone": "fake", "patch": "60m"})

    @property
    def space_fingerprint(self) -> str:
        return repr(sorted(self.space.items()))

    def space_differences(self, other: dict[str, Any]) -> list[str]:
        return [
            f"{key}: {self.space.get(key)}, model was made with {other.get(key)}"
            for key in sorted({*self.space, *other})
            if self.space.get(key) != other.get(key)
        ]

    def as_dict(self) -> dict[str, Any]:
        return {"space": self.space, "scene": "fake.tif"}


@dataclass(frozen=True)
class FakeBlock:
    rows: slice
    cols: slice
    values: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class FakeFeatures:
    """Features made by ``make(rows, cols)`` block by block."""

    make: Callable[[slice, slice], np.ndarray]
    share: np.ndarray
    n_features: int
    groups: tuple[tuple[str, int, int], ...]
    block: tuple[int, int] = (4, 5)
    order_seed: int | None = None
    recipe: FakeRecipe = field(default_factory=FakeRecipe)

    @classmethod
    def of(cls, values: np.ndarray, empty: np.ndarray | None = None, **more: Any) -> FakeFeatures:
        values = np.array(values, np.float32)
        share = np.ones(values.shape[:2], np.float32)
        if empty is not None:
            values[empty] = np.nan
            share[empty] = 0
        n = values.shape[2]
        groups = (("a", 0, n // 2), ("b", n // 2, n)) if n > 1 else (("a", 0, 1),)
        return cls(lambda r, c: values[r, c], share, n, more.pop("groups", groups), **more)

    @property
    def shape(self) -> tuple[int, int]:
        return (self.share.shape[0], self.share.shape[1])

    @property
    def geobox(self) -> GeoBox:
        return GeoBox(self.shape, Affine(60, 0, 300000, 0, -60, 2100000), "EPSG:32643")

    def cut(self, block: tuple[int, int], order_seed: int | None = None) -> FakeFeatures:
        return replace(self, block=block, order_seed=order_seed)

    def valid(self) -> np.ndarray:
        return self.share

    def blocks(self) -> Iterator[FakeBlock]:
        places = [
            (
                slice(r, min(r + self.block[0], self.shape[0])),
                slice(c, min(c + self.block[1], self.shape[1])),
            )
            for r in range(0, self.shape[0], self.block[0])
            for c in range(0, self.shape[1], self.block[1])
        ]
        if self.order_seed is not None:
            np.random.default_rng(self.order_seed).shuffle(places)
        for rows, cols in places:
            yield FakeBlock(rows, cols, self.make(rows, cols), self.share[rows, cols])


def blobs(
    rows: int = 24, cols: int = 30, n: int = 16, k: int = 5, seed: int = 0, spread: float = 0.15
) -> tuple[FakeFeatures, np.ndarray]:
    """Well separated clusters of unequal size, with empty cells; and their truth (0 = empty)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, n))
    share = 1.0 / np.arange(1, k + 1)
    truth = rng.choice(k, size=(rows, cols), p=share / share.sum())
    values = centres[truth] + spread * rng.normal(size=(rows, cols, n))
    empty = rng.random((rows, cols)) < 0.1
    return FakeFeatures.of(values, empty), np.where(empty, 0, truth + 1)
