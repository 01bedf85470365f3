"""Writing the Zarr store of a feature raster, block by block and safe to kill.

While it is being written the store lies beside its final place, as
``NAME.zarr.part``. A block is marked as done only after its chunks are on the
disk; a run that was killed starts again at the first block without a mark, and
what an unfinished block left behind is removed first. When the last block is
done the marks go in one step and the folder is renamed, so a store that has its
final name is whole.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from odc.geo.geobox import GeoBox

from terrapatch.errors import OutputError, RecipeError, StoreError, writing
from terrapatch.features._files import flush, lock, make_folder, remove
from terrapatch.features.layout import (
    FINISHED,
    MARKS,
    PARTS,
    create_layout,
    is_store,
    part_of,
    read_recipe,
)
from terrapatch.features.recipe import Recipe
from terrapatch.grid import CellBlock


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
        self.path, self.part = path, part_of(path)
        self._recipe, self._geobox, self._groups = recipe, geobox, list(groups)
        self._side, self._dtype, self._overwrite = side, dtype, overwrite
        self._lock: int | None = None

    def __enter__(self) -> StoreWriter:
        """Begin the store, or go on with one begun by the same recipe.

        Raises:
            OutputError: If it exists, another run writes it, or it cannot be written.
            RecipeError: If it was begun by another recipe.
        """
        with writing(self.path):
            refuse_taken(self.path, self._overwrite)
            make_folder(self.part, self.path)
            self._lock = lock(self.part, self.path)
            try:
                _put_back(self.path)
                refuse_taken(self.path, self._overwrite)
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
        return self._all_done or self._mark(block).exists()

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
        with np.errstate(over="ignore"):
            stored = values.astype(self._dtype)
        if np.isinf(stored).any():
            raise StoreError(
                f"features of {self.path.name} are too large for {self._dtype}; "
                "pass --dtype float32"
            )
        with writing(self.path):
            self._features[block.rows, block.cols, :] = stored
            self._valid[block.rows, block.cols] = valid
            for chunk in self._chunks(block):
                if chunk.exists():  # a chunk of empty cells is not stored
                    flush(chunk)
            self._mark(block).touch()

    def finish(self, blocks: Sequence[CellBlock]) -> None:
        """Give the store its final name, once every block is done.

        Raises:
            StoreError: If a block is missing.
            OutputError: If another run has taken the name meanwhile.
        """
        missing = sum(not self.is_done(b) for b in blocks)
        if missing:
            raise StoreError(f"{self.path} lacks {missing} of {len(blocks)} blocks; run it again")
        with writing(self.path):
            refuse_taken(self.path, self._overwrite)
            if not self._all_done:
                os.replace(self.part / MARKS, self.part / FINISHED)
            remove(self.part / FINISHED)
            with warnings.catch_warnings():
                # The v3 specification has yet to adopt what xarray already reads.
                warnings.simplefilter("ignore")
                zarr.consolidate_metadata(self.part)
            flush(self.part)
            aside = _aside(self.path)
            if self.path.exists():
                remove(aside)
                os.replace(self.path, aside)
            os.replace(self.part, self.path)
            remove(aside)

    def _begin(self) -> None:
        begun = read_recipe(self.part)
        if begun is not None and begun.fingerprint != self._recipe.fingerprint:
            raise RecipeError(
                f"{self.part} was begun with another recipe "
                f"({'; '.join(self._recipe.differences(begun)[:3])}); go on with the old options, "
                "or pass --restart to begin again"
            )
        if begun is None:
            _refuse_foreign_part(self.part)
            for stale in self.part.iterdir():
                remove(stale)
            (self.part / MARKS).mkdir()
            create_layout(
                self.part, self._recipe, self._geobox, self._groups, self._side, self._dtype
            )
        # The marks are made before the recipe and go in one step when all is done.
        self._all_done = not (self.part / MARKS).exists()
        group = zarr.open_group(self.part, mode="r+", use_consolidated=False)
        self._features: Any = group["features"]
        self._valid: Any = group["valid"]

    def _sweep(self) -> None:
        """Remove what unfinished blocks and interrupted writes have left behind."""
        for stray in list(self.part.rglob("*.partial")):
            stray.unlink()
        if self._all_done:
            return
        done = {mark.name for mark in (self.part / MARKS).iterdir()}
        for name in ("features", "valid"):
            chunks = self.part / name / "c"
            for file in list(chunks.rglob("*")):
                row, col = (*file.relative_to(chunks).parts, "", "")[:2]
                if file.is_file() and f"{row}.{col}" not in done:
                    file.unlink()

    def _mark(self, block: CellBlock) -> Path:
        return self.part / MARKS / f"{block.index[0]}.{block.index[1]}"

    def _chunks(self, block: CellBlock) -> list[Path]:
        row, col = map(str, block.index)
        return [
            self.part / "features" / "c" / row / col / "0",
            self.part / "valid" / "c" / row / col,
        ]

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def refuse_taken(path: Path, overwrite: bool) -> None:
    """Refuse a path that holds something else, or a store that may not be replaced.

    Raises:
        OutputError: If so.
    """
    if path.is_symlink() and not path.exists():
        raise OutputError(f"{path} is a link to nothing; remove it, or choose another name")
    if not path.exists():
        return
    if not is_store(path):
        raise OutputError(
            f"{path} is not a feature store of Terrapatch, so it is left alone; choose another name"
        )
    if not overwrite:
        raise OutputError(
            f"{path} exists already; pass --overwrite to replace it, or choose another name"
        )


def unfinished_recipe(path: Path) -> Recipe | None:
    """Return the recipe an unfinished run began a store with, if there is one.

    Raises:
        OutputError: If the place cannot be looked into.
        RecipeError: If it was begun in another version of the layout.
    """
    with writing(path):
        return read_recipe(part_of(path))


def discard_part(path: Path) -> None:
    """Remove what an unfinished run has left, so that it begins again.

    Raises:
        OutputError: If another run is writing there, or it cannot be removed.
    """
    part = part_of(path)
    with writing(path):
        if not part.exists():
            return
        held = lock(part, path)
        try:
            _refuse_foreign_part(part)
            # Without its recipe, what a kill on the way leaves is not gone on with.
            (part / "zarr.json").unlink(missing_ok=True)
            shutil.rmtree(part)
        finally:
            os.close(held)


def _refuse_foreign_part(part: Path) -> None:
    """Leave a folder alone that happens to bear the name of an unfinished store."""
    names = {p.name for p in part.iterdir() if p.suffix != ".partial"}
    if not names <= PARTS:
        raise OutputError(
            f"{part} is in the way and holds files that are not Terrapatch's; "
            "move it, or choose another name"
        )


def _aside(path: Path) -> Path:
    """Return where a store lies while another takes its place."""
    return path.with_name(f".{path.name}.replaced")


def _put_back(path: Path) -> None:
    """Give an old store its name back where a run was killed just before replacing it."""
    if _aside(path).exists() and not path.exists():
        os.replace(_aside(path), path)
