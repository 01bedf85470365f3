"""Features as plain NumPy files."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from terrapatch.features.engine import Progress
from terrapatch.features.exports import _common as common
from terrapatch.features.raster import FeatureRaster

_EPOCH = (1980, 1, 1, 0, 0, 0)


def to_npy(
    features: FeatureRaster,
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write one array ``(rows, cols, features)``, NaN in empty cells.

    ``np.load(path, mmap_mode="r")`` opens it without reading it.

    Args:
        features: A finished feature raster.
        path: The file; must end in ``.npy``.
        dtype: ``float32`` or ``float16``.
        overwrite: Whether an older file gives way.
        progress: Told how many cells are done.

    Returns:
        The path of the file.

    Raises:
        OutputError: If the file exists, the type does not fit, or the place is full
            or not writable.
        StoreError: If the store is damaged.
    """
    path = Path(path)
    common.check_dtype(dtype)
    everywhere = np.ones(features.shape, bool)
    with common.staged(path, (".npy",), overwrite) as part, part.open("wb") as file:
        shape = (*features.shape, features.n_features)
        _write_rows(file, features, everywhere, shape, dtype, progress)
    return path


def to_npz(
    features: FeatureRaster,
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the cells that are not empty as arrays, row by row of the raster.

    Arrays: ``features`` ``(cells, features)``; ``row``, ``col`` and ``valid`` of each
    cell ``(cells,)``; ``names`` of the features; ``transform`` of the cells (the six
    numbers a, b, c, d, e, f of the affine), ``crs`` (WKT, empty for none) and
    ``recipe`` (JSON). None of them needs pickle. A second copy of ``features`` lies
    on the disk while the file is being written.

    Args:
        features: A finished feature raster.
        path: The file; must end in ``.npz``.
        dtype: Type of ``features``: ``float32`` or ``float16``.
        overwrite: Whether an older file gives way.
        progress: Told how many cells are done.

    Returns:
        The path of the file.

    Raises:
        OutputError: If the file exists, the type does not fit, or the place is full
            or not writable.
        StoreError: If the store is damaged.
    """
    path = Path(path)
    common.check_dtype(dtype)
    valid = features.valid()
    held = valid > 0
    row, col = np.nonzero(held)
    crs = features.geobox.crs
    small: dict[str, npt.NDArray[Any]] = {
        "row": row.astype(np.int32),
        "col": col.astype(np.int32),
        "valid": valid[held],
        "names": np.array(features.names),
        "transform": np.array(features.geobox.affine[:6]),
        "crs": np.array("" if crs is None else crs.to_wkt()),
        "recipe": np.array(common.recipe_json(features)),
    }
    with common.staged(path, (".npz",), overwrite) as part:
        plain = part.with_name("features.npy")
        with plain.open("wb") as file:
            _write_rows(file, features, held, (len(row), features.n_features), dtype, progress)
        _pack(part, plain, small)
        plain.unlink()
    return path


def _write_rows(
    file: BinaryIO,
    features: FeatureRaster,
    wanted: npt.NDArray[np.bool_],
    shape: tuple[int, ...],
    dtype: str,
    progress: Progress | None,
) -> None:
    """Write the wanted cells as one array, each block to its places in it."""
    kind = np.dtype(dtype).newbyteorder("<")
    header = {"descr": kind.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    start, width = file.tell(), features.n_features * kind.itemsize
    place: npt.NDArray[np.int64] = np.cumsum(wanted.ravel()).reshape(wanted.shape) - wanted
    for block, _ in common.blocks(features, "export", progress):
        stored = common.cast(block.values, dtype, features).astype(kind, copy=False)
        chosen = wanted[block.rows, block.cols]
        for i in np.flatnonzero(chosen.any(axis=1)):
            file.seek(start + width * int(place[block.rows.start + i, block.cols.start]))
            file.write(stored[i, chosen[i]].tobytes())


def _pack(path: Path, plain: Path, small: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put arrays into an ``.npz``, whose members carry no time of day."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with (
            plain.open("rb") as source,
            archive.open(zipfile.ZipInfo("features.npy", _EPOCH), "w", force_zip64=True) as member,
        ):
            shutil.copyfileobj(source, member, 1 << 20)
        for name, array in small.items():
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
