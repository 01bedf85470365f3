"""The Zarr store of a feature raster, written block by block and safe to kill.

While it is being written the store lies beside its final place, as
``NAME.zarr.part``. A block is marked as done only after its chunks are on the
disk; a run that was killed starts again at the first block without a mark, and
what an unfinished block left behind is removed first. When the last block is
done the marks go and the folder is renamed, so a store that has its final name
is whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from odc.geo.geobox import GeoBox
from zarr.codecs import ZstdCodec

from terrapatch.errors import OutputError, RecipeError, StoreError, writing
from terrapatch.features.recipe import Recipe
from terrapatch.grid import CellBlock

MARKS = ".done"
DTYPES = ("float16", "float32")


class StoreWriter:
    """Writes one feature raster; use it as a context manager.

    Attributes:
        path: Where the store will be.
        part: Where it is while it is being written.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        geobox: GeoBox,
        groups: Sequence[tuple[str, int, int]],
        side: int,
        dtype: str,
        overwrite: bool,
    ) -> None:
        """Remember what to write; nothing is touched before ``with``.

        Args:
            path: Final path of the store.
            recipe: All that decides the numbers.
            geobox: Coarse GeoBox, one pixel a cell.
            groups: Name, start and stop of each layer's numbers.
            side: Cells along each side of a block.
            dtype: ``float16`` or ``float32``.
            overwrite: Whether a finished store may be replaced at the end.
        """
        self.path, self.part = path, path.with_name(path.name + ".part")
        self._recipe, self._geobox, self._groups = recipe, geobox, list(groups)
        self._side, self._dtype, self._overwrite = side, dtype, overwrite
        self._lock: int | None = None

    def __enter__(self) -> StoreWriter:
        """Begin the store, or go on with one begun by the same recipe.

        Raises:
            OutputError: If it exists, another run writes it, or it cannot be written.
            RecipeError: If it was begun by another recipe.
        """
        if self.path.exists() and not self._overwrite:
            raise OutputError(
                f"{self.path} exists already; pass --overwrite to replace it, or another name"
            )
        refuse_foreign(self.path)
        with writing(self.path):
            self.part.parent.mkdir(parents=True, exist_ok=True)
            self.part.mkdir(exist_ok=True)
            self._lock = _lock(self.part, self.path)
            try:
                self._begin()
                self._sweep()
            except BaseException:
                self._unlock()
                raise
        return self

    def __exit__(self, *fault: object) -> None:
        """Let go of the store; what is done stays for a later run."""
        self._unlock()

    def is_done(self, block: CellBlock) -> bool:
        """Whether a block was finished, by this run or an earlier one."""
        return self._mark(block).exists()

    def write(
        self,
        block: CellBlock,
        values: npt.NDArray[np.float32],
        valid: npt.NDArray[np.float32],
    ) -> None:
        """Write one block and mark it as done.

        Args:
            block: Which cells.
            values: ``(rows, cols, features)``, NaN in empty cells.
            valid: ``(rows, cols)``, share of valid pixels.

        Raises:
            OutputError: If the disk is full.
            StoreError: If a number does not fit the stored type.
        """
        stored = values.astype(self._dtype)
        if np.isinf(stored).any():
            raise StoreError(
                f"features of {self.path.name} are too large for {self._dtype}; pass --dtype float32"
            )
        with writing(self.path):
            self._features[block.rows, block.cols, :] = stored
            self._valid[block.rows, block.cols] = valid
            for name in ("features", "valid"):
                for file in self._chunk_folder(name, block).glob("*"):
                    _flush(file)
            self._mark(block).touch()

    def finish(self, blocks: Sequence[CellBlock]) -> None:
        """Give the store its final name, once every block is done.

        Raises:
            StoreError: If a block is missing.
        """
        missing = sum(not self.is_done(b) for b in blocks)
        if missing:
            raise StoreError(f"{self.path} lacks {missing} of {len(blocks)} blocks; run it again")
        with writing(self.path):
            shutil.rmtree(self.part / MARKS)
            with warnings.catch_warnings():
                # The v3 specification has yet to adopt what xarray already reads.
                warnings.simplefilter("ignore")
                zarr.consolidate_metadata(self.part)
            _flush(self.part)
            old = self.path.with_name(self.path.name + ".old")
            if self.path.exists():
                os.replace(self.path, old)
            os.replace(self.part, self.path)
            if old.exists():
                shutil.rmtree(old)

    def _begin(self) -> None:
        begun = _read_recipe(self.part)
        if begun is not None and begun.fingerprint != self._recipe.fingerprint:
            raise RecipeError(
                f"{self.part} was begun with another recipe "
                f"({'; '.join(self._recipe.differences(begun)[:3])}); go on with the old options, "
                "or pass --restart to begin again"
            )
        if begun is None:
            for stale in self.part.iterdir():
                shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
            self._create()
        group = zarr.open_group(self.part, mode="r+")
        self._features: Any = group["features"]
        self._valid: Any = group["valid"]

    def _create(self) -> None:
        """Lay out the arrays; the recipe goes in last, so its presence means all is there."""
        (self.part / MARKS).mkdir()
        group = zarr.open_group(self.part, mode="w-", zarr_format=3)
        rows, cols = (int(n) for n in self._geobox.shape)
        n_features = self._groups[-1][2]
        side = min(self._side, max(rows, cols))
        shared: dict[str, Any] = {"compressors": ZstdCodec(level=3), "fill_value": float("nan")}
        located = {"grid_mapping": "spatial_ref", "coordinates": "spatial_ref"}
        group.create_array(
            "features",
            shape=(rows, cols, n_features),
            chunks=(side, side, n_features),
            dtype=self._dtype,
            dimension_names=("y", "x", "feature"),
            attributes={**located, "long_name": "embedding"},
            **shared,
        )
        group.create_array(
            "valid",
            shape=(rows, cols),
            chunks=(side, side),
            dtype="float32",
            dimension_names=("y", "x"),
            attributes={**located, "long_name": "share of valid pixels in the cell", "units": "1"},
            **shared,
        )
        self._create_coordinates(group)
        layers = [{"layer": n, "start": a, "stop": b} for n, a, b in self._groups]
        group.attrs.update(
            {"Conventions": "CF-1.11", "terrapatch": self._recipe.as_dict(), "layers": layers}
        )

    def _create_coordinates(self, group: Any) -> None:
        affine, shape = self._geobox.affine, self._geobox.shape
        geographic = self._geobox.crs is not None and self._geobox.crs.geographic
        for axis, name in enumerate(("y", "x")):
            step, start = (affine.e, affine.f) if name == "y" else (affine.a, affine.c)
            centres = start + step * (np.arange(int(shape[axis])) + 0.5)
            plain = {"y": "latitude", "x": "longitude"} if geographic else {}
            kind = plain.get(name, f"projection_{name}_coordinate")
            array = group.create_array(
                name,
                shape=centres.shape,
                chunks=centres.shape,
                dtype="float64",
                dimension_names=(name,),
                attributes={"standard_name": kind, "axis": name.upper()},
            )
            array[:] = centres
        mapping: dict[str, Any] = {
            "GeoTransform": " ".join(repr(float(v)) for v in affine.to_gdal())
        }
        if self._geobox.crs is not None:
            wkt = self._geobox.crs.to_wkt()
            mapping |= {"crs_wkt": wkt, "spatial_ref": wkt}
        reference = group.create_array(
            "spatial_ref", shape=(), dtype="int32", dimension_names=(), attributes=mapping
        )
        reference[...] = 0

    def _sweep(self) -> None:
        """Remove what unfinished blocks and interrupted writes have left behind."""
        done = {tuple(map(int, m.name.split("."))) for m in (self.part / MARKS).iterdir()}
        for name in ("features", "valid"):
            for file in list((self.part / name / "c").rglob("*")):
                if not file.is_file():
                    continue
                place = file.relative_to(self.part / name / "c").parts
                digits = [p for p in place if p.isdigit()]
                whole = len(digits) == len(place) == (3 if name == "features" else 2)
                if not whole or (int(place[0]), int(place[1])) not in done:
                    file.unlink()

    def _mark(self, block: CellBlock) -> Path:
        return self.part / MARKS / f"{block.index[0]}.{block.index[1]}"

    def _chunk_folder(self, name: str, block: CellBlock) -> Path:
        folder = self.part / name / "c" / str(block.index[0])
        return folder / str(block.index[1]) if name == "features" else folder

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def refuse_foreign(path: Path) -> None:
    """Refuse to write over something that is not a feature store of ours.

    Raises:
        OutputError: If ``path`` is a file, or a folder of another kind.
    """
    if path.exists() and _read_recipe(path) is None:
        raise OutputError(
            f"{path} is not a feature store of Terrapatch, so it is left alone; choose another name"
        )


def unfinished_recipe(path: Path) -> Recipe | None:
    """Return the recipe an unfinished run began a store with, if there is one."""
    return _read_recipe(path.with_name(path.name + ".part"))


def discard_part(path: Path) -> None:
    """Remove what an unfinished run has left, so that it begins again."""
    with suppress(FileNotFoundError), writing(path):
        shutil.rmtree(path.with_name(path.name + ".part"))


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a finished store's Zarr group for reading.

    Raises:
        StoreError: If there is none, it is unfinished, or it is not ours.
        RecipeError: If it has another version of the layout.
    """
    part = path.with_name(path.name + ".part")
    if not path.exists() and part.exists():
        done = len(list((part / MARKS).glob("*"))) if (part / MARKS).exists() else 0
        raise StoreError(
            f"{path} is not finished ({done} blocks are done); "
            "run the same embed command again to go on"
        )
    if not path.exists():
        raise StoreError(f"there is no feature store {path}; make one with: terrapatch embed")
    recipe_in(path)
    yield zarr.open_group(path, mode="r")


def recipe_in(path: Path) -> Recipe:
    """Read the recipe of a store.

    Raises:
        StoreError: If it is not a store of ours.
        RecipeError: If it has another version of the layout.
    """
    recipe = _read_recipe(path)
    if recipe is None:
        raise StoreError(
            f"{path} is not a feature store of Terrapatch; give a folder made by terrapatch embed"
        )
    return recipe


def _read_recipe(path: Path) -> Recipe | None:
    from terrapatch.features.recipe import FORMAT

    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
        data = attributes["terrapatch"]
        version = data["format"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if version != FORMAT:
        raise RecipeError(
            f"{path} was written in version {version} of the store's layout but this Terrapatch "
            f"reads version {FORMAT}; embed the scene again"
        )
    return Recipe.from_dict(data)


def _lock(folder: Path, path: Path) -> int:
    """Hold a lock on the folder that the system lets go of when the process ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise OutputError(
            f"another run is writing {path}; wait for it, or choose another name"
        ) from None
    return handle


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
