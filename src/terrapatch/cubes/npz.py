"""numpy's own files: ``.npz`` in memory, ``.npy`` mapped into it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.arrays import Layout
from terrapatch.cubes.containers import Variable
from terrapatch.cubes.loading import LoadedStore, check_room
from terrapatch.cubes.raw import Store
from terrapatch.errors import CubeError


@dataclass(frozen=True)
class NpzFile:
    """An archive of arrays."""

    source: str
    kind: str = "npz"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.source).name

    def variables(self) -> list[Variable]:
        """List the arrays by their headers; none is loaded.

        Raises:
            CubeError: If the file is no such archive, or damaged.
        """
        try:
            with zipfile.ZipFile(self.source) as box:
                names = [n for n in box.namelist() if n.endswith(".npy")]
                return [self._variable(box, n) for n in names]
        except (zipfile.BadZipFile, ValueError, EOFError) as fault:
            raise CubeError(
                f"{self.name} is no whole .npz file ({fault}); write it again with numpy.savez"
            ) from fault

    def _variable(self, box: zipfile.ZipFile, member: str) -> Variable:
        with box.open(member) as stream:
            shape, dtype = _header(stream)
        return described(member.removesuffix(".npy"), shape, dtype)

    def small(self, name: str) -> npt.NDArray[Any]:
        """Read a small array."""
        with np.load(self.source, allow_pickle=False) as box:
            return np.asarray(box[name])

    def store(self, variable: Variable, layout: Layout) -> Store:
        """Hold the array in memory when it is read."""
        where = f"{self.name}:{variable.name}"
        size = int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
        check_room(size, where, "save it with numpy.save as .npy, which is read part by part")
        return LoadedStore(self.source, variable.name, "npz", layout)

    def attrs(self) -> Mapping[str, Any]:
        """Such a file has none."""
        return {}


@dataclass(frozen=True)
class NpyFile:
    """A single array, which is read part by part."""

    source: str
    kind: str = "npy"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.source).name

    def variables(self) -> Sequence[Variable]:
        """Describe the array.

        Raises:
            CubeError: If the file is damaged.
        """
        try:
            with Path(self.source).open("rb") as stream:
                shape, dtype = _header(stream)
        except (ValueError, EOFError) as fault:
            raise CubeError(
                f"{self.name} is no whole .npy file ({fault}); write it again with numpy.save"
            ) from fault
        return [described(self.name, shape, dtype)]

    def small(self, name: str) -> npt.NDArray[Any]:  # noqa: ARG002
        """Read the array."""
        return np.asarray(np.load(self.source, allow_pickle=False))

    def store(self, variable: Variable, layout: Layout) -> Store:
        """Map the file into memory when it is read.

        Raises:
            CubeError: If the file is shorter than its header says.
        """
        try:
            np.load(self.source, mmap_mode="r", allow_pickle=False)
        except ValueError as fault:
            raise CubeError(
                f"{self.name} is shorter than its header says; fetch or write it again"
            ) from fault
        return LoadedStore(self.source, variable.name, "npy", layout)

    def attrs(self) -> Mapping[str, Any]:
        """Such a file has none."""
        return {}


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not known")
    shape, _, dtype = read[version](stream)
    return shape, dtype


def described(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Variable:
    """Describe a numpy array, and what it holds where that is no plain numbers."""
    words = {
        "O": "Python objects",
        "c": "complex numbers",
        "U": "texts",
        "S": "texts",
        "V": "records",
    }
    holds = words.get(dtype.kind, str(dtype))
    return Variable(name, tuple(shape), dtype, holds="" if dtype.kind in "iuf" else holds)
