"""MATLAB's files before 7.3, which are held in memory; 7.3 is HDF5."""

from __future__ import annotations

from collections.abc import Mapping
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

# MATLAB's names of its types; what is not here is not opened.
_TYPES = {
    "double": "float64",
    "single": "float32",
    "logical": "uint8",
    **{f"{u}int{n}": f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)},
}
_WORDS = {
    "cell": "cells",
    "struct": "a structure",
    "char": "text",
    "function": "a function",
    "object": "an object",
    "opaque": "an object",
    "sparse": "a sparse matrix",
}


@dataclass(frozen=True)
class MatFile:
    """A MATLAB file of version 4 to 7."""

    source: str
    kind: str = "MATLAB 5"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.source).name

    def variables(self) -> list[Variable]:
        """List the variables without loading them.

        Raises:
            CubeError: If the file is damaged.
        """
        from scipy.io import whosmat
        from scipy.io.matlab import MatReadError

        try:
            return [_variable(*row) for row in whosmat(self.source, appendmat=False)]
        except (MatReadError, ValueError, TypeError, OSError, NotImplementedError) as fault:
            raise CubeError(
                f"{self.name} is no whole MATLAB file ({fault}); save it again, best as v7.3"
            ) from fault

    def small(self, name: str) -> npt.NDArray[Any]:
        """Read a small array."""
        from scipy.io import loadmat

        loaded = loadmat(self.source, variable_names=[name], appendmat=False)
        return np.asarray(loaded[name])

    def store(self, variable: Variable, layout: Layout) -> Store:
        """Hold the array in memory when it is read."""
        size = int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
        where = f"{self.name}:{variable.name}"
        check_room(size, where, "save it as v7.3 (save(..., '-v7.3')), which is read part by part")
        return LoadedStore(self.source, variable.name, "mat", layout)

    def attrs(self) -> Mapping[str, Any]:
        """Such a file has none."""
        return {}


def _variable(name: str, shape: tuple[int, ...], kind: str) -> Variable:
    dtype = _TYPES.get(kind)
    holds = "" if dtype else _WORDS.get(kind, kind)
    return Variable(name, tuple(shape), np.dtype(dtype) if dtype else None, holds=holds)
