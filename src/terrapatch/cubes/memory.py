"""Arrays in memory as cubes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from terrapatch.cubes import waves as wavelengths_of
from terrapatch.cubes.arrays import ROWS, ArrayStore, Layout
from terrapatch.cubes.bands import CubeBand
from terrapatch.cubes.raw import RawCube
from terrapatch.errors import CubeError

Numbers = Sequence[float] | npt.NDArray[Any]


def raw_from_values(
    values: npt.NDArray[Any],
    geobox: GeoBox | None,
    wavelengths: Numbers | None,
    fwhm: Numbers | None,
    nodata: float | None,
    name: str,
    band_names: Sequence[str] | None,
) -> RawCube:
    """Take an array ``(rows, cols, bands)`` as a cube; see ``Cube.of_array``."""
    if isinstance(values, np.ma.MaskedArray):
        raise CubeError(
            f"{name} is a masked array; give {name}.filled(value) and nodata=value instead"
        )
    values = np.asarray(values)
    _check(values, wavelengths, name)
    rows, cols, count = values.shape
    if geobox is not None and tuple(geobox.shape) != (rows, cols):
        raise CubeError(
            f"{name} has {rows} x {cols} pixels but its grid {geobox.shape[0]} x "
            f"{geobox.shape[1]}; give the grid of these pixels"
        )
    centres = None if wavelengths is None else wavelengths_of.to_nanometres(wavelengths, "nm")
    layout = Layout("yxb", values.shape)
    return RawCube(
        name=name,
        source="array",
        store=ArrayStore(values, layout),
        kind="array",
        geobox=geobox or unplaced(rows, cols),
        dtype=values.dtype.name,
        bands=make_bands(count, name, band_names, centres, fwhm),
        good=(True,) * count,
        nodata=(nodata,) * count,
        scale=(1.0,) * count,
        offset=(0.0,) * count,
        block_shape=(min(ROWS, rows), cols),
        axes="yxb",
    )


def unplaced(rows: int, cols: int) -> GeoBox:
    """Return the grid of a cube without georeference."""
    return GeoBox((rows, cols), Affine.identity(), None)


def _check(values: npt.NDArray[Any], wavelengths: Numbers | None, name: str) -> None:
    if values.ndim != 3:
        raise CubeError(
            f"{name} has {values.ndim} axes, but a cube has three: rows, columns and bands"
        )
    if values.dtype.kind not in "iuf":
        raise CubeError(f"{name} holds {values.dtype}; a cube holds whole or real numbers")
    if 0 in values.shape:
        raise CubeError(f"{name} is empty: its shape is {values.shape}")
    if wavelengths is None or len(wavelengths) == values.shape[2]:
        return
    axes = [i for i, n in enumerate(values.shape) if n == len(wavelengths)]
    swapped = "; its axes look swapped: give (rows, columns, bands)" if axes else ""
    raise CubeError(
        f"{len(wavelengths)} wavelengths do not fit {name} of {values.shape[2]} bands "
        f"(shape {values.shape}){swapped}"
    )


def make_bands(
    count: int,
    where: str,
    names: Sequence[str] | None = None,
    centres: npt.NDArray[np.float64] | None = None,
    widths: Numbers | None = None,
) -> tuple[CubeBand, ...]:
    """Describe the bands of an array.

    Args:
        count: Number of bands.
        where: The cube's name, for messages.
        names: Name of every band.
        centres: Centre of every band in nm, NaN where unknown.
        widths: Width of every band in nm, NaN where unknown.

    Raises:
        CubeError: If a list has another length.
    """
    for what, given in (("names", names), ("wavelengths", centres), ("widths", widths)):
        if given is not None and len(given) != count:
            raise CubeError(f"{len(given)} {what} are given for the {count} bands of {where}")
    return tuple(
        CubeBand(
            i + 1,
            (names[i] if names is not None else "") or f"band {i + 1}",
            None if centres is None else _known(centres[i]),
            None if widths is None else _known(widths[i]),
        )
        for i in range(count)
    )


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) and value > 0 else None
