"""An embedding is a georeferenced raster: one pixel a cell, one band a number."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.errors import StoreError
from terrapatch.features.layout import opened, recipe_in
from terrapatch.features.recipe import Recipe

if TYPE_CHECKING:
    import xarray as xr

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureBlock:
    """The features of one block of cells.

    Attributes:
        rows: Rows of cells.
        cols: Columns of cells.
        values: ``(rows, cols, features)`` float32, NaN in empty cells.
        valid: ``(rows, cols)`` float32, share of valid pixels in each cell.
    """

    rows: slice
    cols: slice
    values: Floats
    valid: Floats


@dataclass(frozen=True)
class FeatureRaster:
    """A finished store of features, read lazily.

    Attributes:
        path: Folder of the Zarr store.
        geobox: Coarse GeoBox, one pixel a cell.
        groups: Name, start and stop of each layer's numbers.
        recipe: How it was made.
        side: Cells along each side of a block.
    """

    path: Path
    geobox: GeoBox
    groups: tuple[tuple[str, int, int], ...]
    recipe: Recipe
    side: int

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> FeatureRaster:
        """Open a store made by ``embed``.

        Raises:
            StoreError: If there is none, it is unfinished, damaged or not ours.
            RecipeError: If it was written in another version of the layout.
        """
        path = Path(path)
        group = opened(path)
        try:
            layers = group.attrs["layers"]
            mapping = dict(group["spatial_ref"].attrs)
            numbers = [float(v) for v in mapping["GeoTransform"].split()]
            rows, cols, _ = group["features"].shape
            side = int(group["features"].chunks[0])
        except (KeyError, ValueError) as fault:
            raise StoreError(
                f"{path} is damaged ({fault} is missing); embed the scene again with --overwrite"
            ) from fault
        return cls(
            path=path,
            geobox=GeoBox((rows, cols), Affine.from_gdal(*numbers), mapping.get("crs_wkt")),
            groups=tuple((d["layer"], int(d["start"]), int(d["stop"])) for d in layers),
            recipe=recipe_in(path),
            side=side,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return (int(self.geobox.shape[0]), int(self.geobox.shape[1]))

    @property
    def n_features(self) -> int:
        """Length of a cell's descriptor."""
        return self.groups[-1][2]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of every number, such as ``stage3.mean.17``; features of pixels have their own."""
        own = self.recipe.descriptor.get("names")
        if own is not None:
            return tuple(str(name) for name in own)
        pooling = self.recipe.descriptor["pooling"]
        return tuple(
            f"{layer}.{pool}.{i}"
            for layer, start, stop in self.groups
            for pool in pooling
            for i in range((stop - start) // len(pooling))
        )

    @property
    def data(self) -> xr.DataArray:
        """The features as a lazily opened array ``(y, x, feature)`` with CRS and names."""
        return self._dataset()["features"].assign_coords(feature=list(self.names))

    def _dataset(self) -> xr.Dataset:
        import xarray as xr

        dataset: xr.Dataset = xr.open_zarr(self.path, chunks=None)
        return dataset

    @cached_property
    def _arrays(self) -> tuple[Any, Any]:
        group = opened(self.path)
        return group["features"], group["valid"]

    def valid(self) -> Floats:
        """Return the share of valid pixels in every cell; 0 in empty cells.

        Raises:
            StoreError: If a chunk of the store is missing or cannot be decoded.
        """
        rows, cols = (slice(0, n) for n in self.shape)
        shares = self._read(self._arrays[1], rows, cols)
        if np.isnan(shares).any():
            raise self._damaged(rows, cols, "a chunk is missing")
        return shares

    def read(self, rows: slice, cols: slice) -> Floats:
        """Read the features of some cells as ``(rows, cols, features)`` float32.

        Raises:
            StoreError: If a chunk of the store cannot be decoded.
        """
        return self._read(self._arrays[0], rows, cols)

    def _read(self, array: Any, rows: slice, cols: slice) -> Floats:
        try:
            return np.asarray(array[rows, cols], np.float32)
        except (RuntimeError, ValueError, OSError) as fault:
            raise self._damaged(rows, cols, str(fault)) from fault

    def _damaged(self, rows: slice, cols: slice, why: str) -> StoreError:
        return StoreError(
            f"{self.path} is damaged near row {rows.start or 0}, column {cols.start or 0} of its "
            f"cells ({why}); embed the scene again with --overwrite"
        )

    def blocks(self) -> Iterator[FeatureBlock]:
        """Go through the cells block by block, row by row; the next is read while one is used.

        Raises:
            StoreError: If a chunk of the store is missing or cannot be decoded.
        """
        valid = self.valid()
        corners = deque(product(*(range(0, n, self.side) for n in self.shape)))
        with ThreadPoolExecutor(1, "terrapatch-features") as pool:
            ahead = pool.submit(self._block, valid, *corners.popleft()) if corners else None
            while ahead is not None:
                block = ahead.result()
                ahead = pool.submit(self._block, valid, *corners.popleft()) if corners else None
                yield block
                del block

    def _block(self, valid: Floats, top: int, left: int) -> FeatureBlock:
        rows = slice(top, min(top + self.side, self.shape[0]))
        cols = slice(left, min(left + self.side, self.shape[1]))
        values, share = self.read(rows, cols), valid[rows, cols]
        if np.isnan(values[..., 0][share > 0]).any():
            raise self._damaged(rows, cols, "a chunk is missing")
        return FeatureBlock(rows, cols, values, share)
