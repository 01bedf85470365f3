"""HDF5, and what is kept in it: NetCDF 4 and MATLAB 7.3; read part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.arrays import ArrayHandle, Layout
from terrapatch.cubes.containers import Variable
from terrapatch.cubes.raw import Mask, Pixels, Store, file_digest
from terrapatch.errors import CorruptBlockError, CubeError


@dataclass(frozen=True)
class HdfStore:
    """A data set of an HDF5 file."""

    path: str
    variable: str
    layout: Layout

    def open(self) -> HdfHandle:
        """Open the file."""
        import h5py

        file = h5py.File(self.path, "r")
        return HdfHandle(file[self.variable], self.layout, file)

    def digest(self) -> str:
        """Hash pieces of the file."""
        return file_digest([self.path], (self.variable, self.layout))


class HdfHandle(ArrayHandle):
    """An open data set."""

    def read(self, numbers: Any, rows: slice, cols: slice) -> tuple[Pixels, Mask | None]:
        """Return raw values ``(rows, cols, bands)``.

        Raises:
            CorruptBlockError: If a part of the file cannot be decoded.
        """
        try:
            return super().read(numbers, rows, cols)
        except OSError as fault:
            name = Path(str(self.file.filename)).name
            raise CorruptBlockError(
                f"{name} is damaged: rows {rows.start} to {rows.stop} cannot be decoded "
                f"({fault}); fetch the file again or restore it from a copy"
            ) from fault


@dataclass(frozen=True)
class HdfFile:
    """An HDF5 file.

    Attributes:
        source: Its path.
        kind: ``HDF5``, ``NetCDF 4`` or ``MATLAB 7.3``.
    """

    source: str
    kind: str = "HDF5"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.source).name

    def _open(self) -> Any:
        import h5py

        try:
            return h5py.File(self.source, "r")
        except OSError as fault:
            raise CubeError(
                f"{self.name} is no whole {self.kind} file ({str(fault).splitlines()[0]}); fetch "
                "it again or restore it from a copy"
            ) from fault

    def variables(self) -> list[Variable]:
        """List the data sets of all groups.

        Raises:
            CubeError: If the file is damaged.
        """
        import h5py

        found: list[Variable] = []

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and not name.startswith("#"):
                if _only_a_dimension(item):
                    return
                found.append(self._variable(name, item))
            elif self._is_struct(item) and not name.startswith("#"):
                holds = "an object" if "MATLAB_object_decode" in item.attrs else "a structure"
                found.append(Variable(name, (), None, holds=holds))

        with self._open() as file:
            file.visititems(visit)
        return found

    def _is_struct(self, item: Any) -> bool:
        return self.kind == "MATLAB 7.3" and "MATLAB_class" in item.attrs

    def _variable(self, name: str, item: Any) -> Variable:
        attrs = {k: _plain(item.attrs, k) for k in item.attrs if k not in _LINKS}
        dims = tuple(_dim(item, i) for i in range(len(item.shape or ())))
        matlab = _text(attrs.get("MATLAB_class"))
        words = {"cell": "cells", "char": "text", "function_handle": "a function"}
        holds = words.get(matlab, "")
        if "MATLAB_object_decode" in attrs or matlab == "function_handle":
            holds = holds or "an object"
        if item.dtype.kind not in "iuf":
            holds = holds or "texts, references or records"
        # MATLAB writes the last axis first; it is shown as MATLAB shows it.
        way = slice(None, None, -1 if matlab else 1)
        return Variable(
            name,
            tuple(item.shape or ())[way],
            None if holds else item.dtype,
            dims[way] if any(dims) else (),
            attrs,
            item.chunks[way] if item.chunks else None,
            holds,
        )

    def small(self, name: str) -> npt.NDArray[Any]:
        """Read a small data set."""
        with self._open() as file:
            return np.asarray(file[name][()])

    def store(self, variable: Variable, layout: Layout) -> Store:
        """Return the data set, which is read part by part."""
        if "MATLAB_class" in variable.attrs:
            layout = replace(layout, axes=layout.axes[::-1], shape=layout.shape[::-1])
        return HdfStore(self.source, variable.name, layout)

    def attrs(self) -> Mapping[str, Any]:
        """Return the attributes of the file."""
        with self._open() as file:
            return {k: _plain(file.attrs, k) for k in file.attrs}


_LINKS = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid")


def _plain(attrs: Any, key: str) -> Any:
    """Return an attribute; one that cannot be read counts as empty."""
    import h5py

    value = attrs[key]
    return "" if isinstance(value, h5py.Empty) else value


def _only_a_dimension(item: Any) -> bool:
    """Whether a data set stands for a dimension of NetCDF that has no coordinate."""
    return _text(item.attrs.get("NAME")).startswith("This is a netCDF dimension but not")


def _dim(item: Any, axis: int) -> str:
    """Return the name of an axis: its label, or that of the scale attached to it."""
    labelled = item.dims[axis]
    if labelled.label:
        return str(labelled.label)
    scales = labelled.values()
    return str(scales[0].name).strip("/") if scales else ""


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
