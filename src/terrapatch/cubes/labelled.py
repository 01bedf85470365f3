"""An ``xarray.DataArray`` as a cube: its dimensions are named, its coordinates beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.cubes.arrays import ArrayStore, Layout
from terrapatch.cubes.containers import Variable
from terrapatch.cubes.npz import described
from terrapatch.cubes.raw import Store
from terrapatch.errors import CubeError


@dataclass(frozen=True, eq=False)
class LabelledArray:
    """A data array seen as a file of one cube and its coordinates."""

    array: Any = field(repr=False)
    source: str = "array"
    kind: str = "xarray"

    @property
    def name(self) -> str:
        """The array's name."""
        return str(self.array.name or "array")

    def variables(self) -> list[Variable]:
        """List the array and its coordinates, the array first.

        Raises:
            CubeError: If it is a data set of several arrays.
        """
        if hasattr(self.array, "data_vars"):
            raise CubeError(
                "an xarray.Dataset is not one cube; pass one of its variables: dataset[name]"
            )
        own = replace(self._variable(self.name, self.array), sole=True)
        return [own, *(self._variable(str(k), v) for k, v in self.array.coords.items())]

    def _variable(self, name: str, item: Any) -> Variable:
        found = described(name, tuple(item.shape), item.dtype)
        chunks = item.chunks and tuple(sizes[0] for sizes in item.chunks)
        return Variable(
            name,
            found.shape,
            found.dtype,
            tuple(map(str, item.dims)),
            dict(item.attrs),
            chunks or None,
            found.holds,
        )

    def small(self, name: str) -> npt.NDArray[Any]:
        """Return a coordinate."""
        return np.asarray(self.array.coords[name].values)

    def store(self, variable: Variable, layout: Layout) -> Store:  # noqa: ARG002
        """Return the array itself; a lazy one is computed part by part."""
        return ArrayStore(self.array, layout)

    def attrs(self) -> Mapping[str, Any]:
        """All of its attributes are those of the array."""
        return {}
