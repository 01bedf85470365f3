"""Samples: features with class ids, wherever they came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn._features import Groups, Recipe, occupied, stream

if TYPE_CHECKING:
    from terrapatch.features import FeatureRaster
    from terrapatch.features.images import ImageFeatures
    from terrapatch.learn.image_folder import ImageList
    from terrapatch.learn.vector_labels import CellLabels

Progress = Callable[[str, int, int], None]

# How far apart scenes are set when samples of several are blocked, in units of their maps.
APART = 1e8


@dataclass(frozen=True, eq=False)
class Samples:
    """Features with class ids.

    Attributes:
        values: Features ``(n, F)`` float32.
        ids: Class ids ``(n,)`` from 1.
        classes: Names of the classes, id 1 first.
        names: What to call each sample: a path, or scene, row and column.
        groups: Layers ``(name, start, stop)`` of the features.
        recipe: How the features were made.
        positions: Map coordinates ``(n, 2)`` of the centres in the scenes' CRS; ``None``
            where samples lie nowhere.
        scenes: Number of the scene each sample comes from ``(n,)``.
        reach: Side of a patch in units of the map: samples nearer than it share pixels.
        splits: The part each sample belongs to (``train``, ``val``, ``test``), or ``None``.
        notes: What a person should know.
    """

    values: NDArray[np.float32]
    ids: NDArray[np.int32]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    groups: Groups
    recipe: Recipe
    positions: NDArray[np.float64] | None = None
    scenes: NDArray[np.int32] | None = None
    reach: float = 0.0
    splits: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.ids)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Samples of each class ``(classes,)``."""
        return np.bincount(self.ids, minlength=len(self.classes) + 1)[1:]

    def take(self, where: NDArray[Any]) -> Samples:
        """Return some of the samples, by index or mask; the classes stay."""
        places = np.flatnonzero(where) if np.asarray(where).dtype == bool else np.asarray(where)
        return replace(
            self,
            values=self.values[places],
            ids=self.ids[places],
            names=tuple(self.names[i] for i in places),
            positions=None if self.positions is None else self.positions[places],
            scenes=None if self.scenes is None else self.scenes[places],
            splits=None if self.splits is None else tuple(self.splits[i] for i in places),
        )

    def part(self, *names: str) -> Samples:
        """Return the samples of some parts of a fixed split.

        Raises:
            SamplesError: If there is no such part.
        """
        held = set(self.splits or ())
        if not held & set(names):
            known = ", ".join(sorted(held)) or "no split at all"
            raise SamplesError(
                f"the samples have no part {' or '.join(names)} (they have {known}); name the "
                "parts in a CSV with the columns path, class and split"
            )
        return self.take(np.array([split in names for split in self.splits or ()], bool))

    def spread(self) -> NDArray[np.float64] | None:
        """Return positions in which samples of different scenes are far apart."""
        if self.positions is None:
            return None
        if self.scenes is None:
            return self.positions
        return self.positions + np.stack([APART * self.scenes, np.zeros(len(self))], axis=1)

    def require_learnable(self, least: int = 2) -> Samples:
        """Return the samples if something can be learned from them.

        Args:
            least: Samples a class must have.

        Raises:
            SamplesError: If there is one class only, or a class with too few samples.
        """
        counts = self.counts
        if (counts > 0).sum() < 2:
            only = self.classes[int(np.argmax(counts))] if counts.any() else None
            raise SamplesError(
                "there is no labelled sample"
                if only is None
                else f"all {len(self):,} samples are of the class {only!r}; "
                "give samples of two classes or more"
            )
        few = [(c, int(n)) for c, n in zip(self.classes, counts, strict=True) if n < least]
        if few:
            told = ", ".join(f"{name!r} has {n}" for name, n in few[:5])
            raise SamplesError(
                f"every class needs at least {least} samples but {told}; "
                "label more of them, or leave the class out"
            )
        return self


def from_images(images: ImageList, features: ImageFeatures) -> Samples:
    """Make samples of images and their features, in the same order."""
    return Samples(
        values=features.values,
        ids=np.asarray(images.labels, np.int32),
        classes=tuple(images.classes),
        names=tuple(str(path) for path in images.paths),
        groups=features.groups,
        recipe=features.recipe,
        splits=None if images.splits is None else tuple(images.splits),
        notes=tuple(images.notes),
    )


def from_cells(
    rasters: Sequence[FeatureRaster],
    labels: Sequence[CellLabels],
    progress: Progress | None = None,
) -> Samples:
    """Make samples of the labelled, non-empty cells of feature rasters.

    A cell that several sources label keeps the class of the first.

    Args:
        rasters: Feature rasters of one feature space; one may stand there several times.
        labels: The classes of their cells, one for each raster.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Raises:
        RecipeError: If the rasters were made by different recipes.
        SamplesError: If no labelled cell holds features.
    """
    _require_one_space(rasters)
    classes = tuple(sorted({name for one in labels for name in one.classes}))
    parts: list[tuple[Any, ...]] = []
    taken: dict[str, NDArray[np.bool_]] = {}
    notes: list[str] = []
    for raster, told in zip(rasters, labels, strict=True):
        renumbered = np.array([0, *(classes.index(name) + 1 for name in told.classes)], np.int32)
        notes += [f"{raster.path.name}: {line}" for line in told.describe().splitlines()]
        place = str(raster.path)
        before = taken.get(place, np.zeros(raster.shape, bool))
        wanted = (told.labels > 0) & occupied(raster) & ~before
        twice = int(((told.labels > 0) & before).sum())
        if twice:
            notes.append(f"{raster.path.name}: {twice} cells had a class from an earlier source")
        taken[place] = before | wanted
        number = list(taken).index(place)
        for cells, values in stream(raster, wanted, "reading samples", progress):
            rows, cols = np.divmod(cells, raster.shape[1])
            to = raster.geobox.affine
            x, y = cols + 0.5, rows + 0.5
            x, y = to.a * x + to.b * y + to.c, to.d * x + to.e * y + to.f
            parts.append(
                (
                    values.astype(np.float32),
                    renumbered[told.labels[rows, cols]],
                    np.stack([x, y], axis=1),
                    np.full(len(cells), number, np.int32),
                    [f"{raster.path.name} row {r} column {c}"
                     for r, c in zip(rows, cols, strict=True)],
                )
            )  # fmt: skip
    if not parts:
        raise SamplesError(
            "no labelled cell holds features; check that the labels lie on the scene and name "
            "classes"
        )
    first = rasters[0]
    return Samples(
        values=np.concatenate([part[0] for part in parts]),
        ids=np.concatenate([part[1] for part in parts]),
        classes=classes,
        names=tuple(name for part in parts for name in part[4]),
        groups=first.groups,
        recipe=first.recipe,
        positions=np.concatenate([part[2] for part in parts]),
        scenes=np.concatenate([part[3] for part in parts]),
        reach=_reach(first),
        notes=tuple(dict.fromkeys(notes)),
    )


def _reach(raster: FeatureRaster) -> float:
    """Return the longer side of a patch in units of the map."""
    grid, affine = raster.recipe.grid, raster.geobox.affine
    patches = [
        size / stride for size, stride in zip(grid["size_px"], grid["stride_px"], strict=True)
    ]
    return float(max(abs(affine.e) * patches[0], abs(affine.a) * patches[1]))


def _require_one_space(rasters: Sequence[FeatureRaster]) -> None:
    first = rasters[0]
    for other in rasters[1:]:
        if other.recipe.space_fingerprint != first.recipe.space_fingerprint:
            told = "; ".join(other.recipe.space_differences(first.recipe.space))
            raise RecipeError(
                f"{other.path} and {first.path} were made by different recipes ({told}); embed "
                "the scenes with the same options"
            )
