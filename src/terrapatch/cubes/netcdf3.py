"""NetCDF 3, mapped into memory and read part by part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.arrays import ArrayHandle, Layout
from terrapatch.cubes.containers import Variable
from terrapatch.cubes.npz import described
from terrapatch.cubes.raw import Mask, Pixels, Store, file_digest
from terrapatch.errors import CubeError


@dataclass(frozen=True)
class Netcdf3Store:
    """A variable of a NetCDF 3 file."""

    path: str
    variable: str
    layout: Layout

    def open(self) -> Netcdf3Handle:
        """Map the file."""
        file = _open(self.path)
        return Netcdf3Handle(file.variables[self.variable].data, self.layout, file)

    def digest(self) -> str:
        """Hash pieces of the file."""
        return file_digest([self.path], (self.variable, self.layout))


class Netcdf3Handle(ArrayHandle):
    """A mapped variable; what is read of it is copied, in the byte order of this machine."""

    def read(self, numbers: Any, rows: slice, cols: slice) -> tuple[Pixels, Mask | None]:
        """Return raw values ``(rows, cols, bands)``."""
        part, mask = super().read(numbers, rows, cols)
        return part.astype(part.dtype.newbyteorder("=")), mask

    def close(self) -> None:
        """Let go of the map, then close the file."""
        self.array = None
        super().close()


@dataclass(frozen=True)
class Netcdf3File:
    """A NetCDF file of the classic format."""

    source: str
    kind: str = "NetCDF 3"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.source).name

    def variables(self) -> list[Variable]:
        """List the variables.

        Raises:
            CubeError: If the file is damaged.
        """
        with closing(_open(self.source)) as file:
            return [_variable(name, item) for name, item in file.variables.items()]

    def small(self, name: str) -> npt.NDArray[Any]:
        """Read a small variable."""
        with closing(_open(self.source)) as file:
            return np.array(file.variables[name].data)

    def store(self, variable: Variable, layout: Layout) -> Store:
        """Return the variable, which is read part by part."""
        return Netcdf3Store(self.source, variable.name, layout)

    def attrs(self) -> Mapping[str, Any]:
        """Return the attributes of the file."""
        with closing(_open(self.source)) as file:
            return dict(file._attributes)


def _open(path: str) -> Any:
    from scipy.io import netcdf_file

    try:
        return netcdf_file(path, "r", mmap=True, maskandscale=False)
    except (TypeError, ValueError, EOFError, OSError) as fault:
        raise CubeError(
            f"{Path(path).name} is no whole NetCDF 3 file ({fault}); fetch it again, or convert it "
            "to NetCDF 4 with nccopy -k nc4"
        ) from fault


def _variable(name: str, item: Any) -> Variable:
    found = described(name, tuple(item.shape), item.data.dtype.newbyteorder("="))
    return Variable(
        found.name,
        found.shape,
        found.dtype,
        tuple(item.dimensions),
        dict(item._attributes),
        holds=found.holds,
    )
