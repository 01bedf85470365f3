"""Arrays that are held in memory as a whole, loaded once and only if there is room."""

from __future__ import annotations

import threading
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.arrays import ArrayHandle, Layout
from terrapatch.cubes.raw import file_digest
from terrapatch.errors import CorruptBlockError, CubeError

Format = Literal["npz", "npy", "mat"]
# Unpacking holds the packed bytes and the array for a while.
HEADROOM = 1.5

_Key = tuple[str, str, str, int, int]
_lock = threading.Lock()
_in_use: WeakValueDictionary[_Key, npt.NDArray[Any]] = WeakValueDictionary()
_latest: list[npt.NDArray[Any]] = []


@dataclass(frozen=True)
class LoadedStore:
    """An array of a file; loaded when first read.

    It is kept while a reader uses it, and the latest one until another is loaded.
    """

    path: str
    variable: str
    format: Format
    layout: Layout

    def open(self) -> ArrayHandle:
        """Load the array, or use the one that is loaded already."""
        stat = Path(self.path).stat()
        key = (self.path, self.variable, self.format, stat.st_mtime_ns, stat.st_size)
        with _lock:
            array = _in_use.get(key)
            if array is None:
                array = self._load()
                _in_use[key] = array
            _latest[:] = [array]
        return ArrayHandle(array, self.layout)

    def _load(self) -> npt.NDArray[Any]:
        try:
            array = _load(self.path, self.variable, self.format)
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError) as fault:
            raise CorruptBlockError(
                f"{self.variable} in {Path(self.path).name} cannot be decoded ({fault}); fetch the "
                "file again or restore it from a copy"
            ) from fault
        if array.dtype.kind == "c":  # MATLAB's list of variables calls them double
            raise CubeError(
                f"{self.variable} in {Path(self.path).name} holds complex numbers; save its "
                "amplitude or its real part, abs(...) or real(...)"
            )
        return array

    def digest(self) -> str:
        """Hash pieces of the file."""
        return file_digest([self.path], (self.variable, self.layout))


def _load(path: str, variable: str, form: Format) -> npt.NDArray[Any]:
    if form == "npz":
        with np.load(path, allow_pickle=False) as box:
            return np.asarray(box[variable])
    if form == "npy":
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped
    from scipy.io import loadmat

    loaded = loadmat(path, variable_names=[variable], appendmat=False)
    return np.asarray(loaded[variable])


def check_room(n_bytes: int, where: str, instead: str) -> None:
    """Refuse an array that would not fit into the memory that is free.

    Args:
        n_bytes: Bytes of the array.
        where: Its name, for messages.
        instead: How to save it so that it can be read part by part.

    Raises:
        CubeError: If it does not fit.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    if n_bytes * HEADROOM > free:
        raise CubeError(
            f"{where} has to be held in memory and needs about {n_bytes * HEADROOM / 1e9:.1f} GB, "
            f"but {free / 1e9:.1f} GB are free; {instead}"
        )
