"""A cube: a raster of many bands in physical values, without the bands that hold nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from terrapatch.bands import BandChoice, role
from terrapatch.cubes.adjusting import adjusted
from terrapatch.cubes.bands import CubeBand, DropChoice, DroppedBand, nearest
from terrapatch.cubes.choosing import choose
from terrapatch.cubes.raw import RawCube
from terrapatch.cubes.reader import CubeReader
from terrapatch.errors import CubeError
from terrapatch.scene import Scene

if TYPE_CHECKING:
    import xarray as xr

NEAR_NM = 20.0


@dataclass(frozen=True)
class Cube:
    """A raster of many bands and the reading of it; made by ``open`` or ``of_array``.

    It holds no open file, so it is cheap to copy and can be sent to another process; a
    cube of an array holds the array. Whoever wants pixels opens a ``reader``.

    Attributes:
        name: Short name, for messages.
        source: Path, or ``array``.
        geobox: Shape, transform and CRS. Without georeference the transform is the
            identity and there is no CRS.
        dtype: Type of the raw values.
        bands: The bands that are kept, in order.
        dropped: The bands that are left out, and why.
        notes: What was assumed, and what to know about the values.
        block_shape: Rows and columns of the blocks it is stored in.
        datetime: When the image was taken, where the file says so.
        scale: Factor of each kept band.
        offset: Added to each kept band after the factor.
        nodata: Raw nodata value of each kept band.
        valid_share: Share of valid pixels in a sample.
        raw: The cube as its file describes it, with every band.
    """

    name: str
    source: str
    geobox: GeoBox
    dtype: str
    bands: tuple[CubeBand, ...]
    dropped: tuple[DroppedBand, ...]
    notes: tuple[str, ...]
    block_shape: tuple[int, int]
    datetime: str | None
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    nodata: tuple[float | None, ...]
    valid_share: float
    raw: RawCube = field(repr=False)
    places: tuple[int, ...] = field(repr=False)

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str] | xr.DataArray | Scene | Cube,
        *,
        variable: str | None = None,
        bands: BandChoice | None = None,
        drop: DropChoice = (),
        keep_bad: bool = False,
        water_vapour: bool = True,
        wavelengths: Sequence[float] | npt.NDArray[Any] | str | Path | None = None,
        scale: float | None = None,
        nodata: float | None = None,
        axes: str | None = None,
    ) -> Cube:
        """Look at a cube and decide which of its bands are kept; no pixel is kept.

        GeoTIFF, ENVI, ERDAS LAN and GIS and whatever GDAL reads; NetCDF, HDF5, MATLAB
        (5 and 7.3), ``.npy`` and ``.npz``. Nothing in a file is executed.

        Args:
            source: Path (``file.npz:cube`` names a variable), ``xarray.DataArray``,
                ``Scene`` or ``Cube``.
            variable: Name of the variable, where a file holds several.
            bands: Bands to take, as for a scene; all by default.
            drop: Bands to leave out: ``"1-5,130-135,900-970nm"``.
            keep_bad: Keep the bands that the file's list calls bad, and constant ones.
                Bands without any data are always left out.
            water_vapour: Leave out narrow bands at 1350–1420 and 1800–1950 nm.
            wavelengths: One for every band of the file, in nm, or a text file of them.
            scale: Factor that makes physical values, whatever the file says.
            nodata: Raw value that means nodata, whatever the file says. Without it, a usual
                nodata value (such as -9999 or -32768) that is frequent in a band and far
                from all its other values counts as nodata too, and the notes say so.
            axes: Order of the axes of an array, such as ``yxb`` (rows, columns, bands).

        Returns:
            The cube.

        Raises:
            SceneNotFoundError: If there is no such file.
            CubeError: If it cannot be read as a cube, needs to be told more, or no band
                is left.
            SceneError: If a raster is rotated, south-up, or located by points only.
            BandError: If a band that is asked for does not exist.
        """
        from terrapatch.cubes.sources import raw_cube

        given = (variable, bands, wavelengths, scale, nodata, axes)
        if isinstance(source, Cube):
            usual = all(v is None for v in given) and drop == () and not keep_bad
            if usual and water_vapour:
                return source
            if variable is not None or axes is not None:
                raise CubeError(
                    f"{source.name} is open already; give variable and axes when opening its file"
                )
            raw = source.raw
        else:
            raw = raw_cube(source, variable, nodata, axes, wavelengths)
        raw = adjusted(raw, wavelengths, scale, nodata)
        return of_raw(raw, bands, drop, keep_bad, water_vapour, nodata is None)

    @classmethod
    def of_array(
        cls,
        values: npt.NDArray[Any],
        *,
        geobox: GeoBox | None = None,
        wavelengths: Sequence[float] | npt.NDArray[Any] | None = None,
        fwhm: Sequence[float] | npt.NDArray[Any] | None = None,
        nodata: float | None = None,
        name: str = "array",
        band_names: Sequence[str] | None = None,
        water_vapour: bool = True,
    ) -> Cube:
        """Take an array as a cube.

        Args:
            values: ``(rows, cols, bands)`` of whole or real numbers; kept, not copied.
            geobox: Its grid; none by default.
            wavelengths: Centre of every band, nm.
            fwhm: Width of every band, nm.
            nodata: Value that means nodata.
            name: Name for messages.
            band_names: Name of every band.
            water_vapour: Leave out narrow bands at 1350–1420 and 1800–1950 nm.

        Raises:
            CubeError: If the array, the grid and the lists do not fit each other.
        """
        from terrapatch.cubes.memory import raw_from_values

        raw = raw_from_values(values, geobox, wavelengths, fwhm, nodata, name, band_names)
        return of_raw(raw, None, (), False, water_vapour, nodata is None)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.raw.shape

    @property
    def n_bands(self) -> int:
        """Number of bands kept."""
        return len(self.bands)

    @property
    def georeferenced(self) -> bool:
        """Whether the pixels have a place: a CRS, or at least a transform."""
        return self.geobox.crs is not None or not self.geobox.affine.is_identity

    @property
    def wavelengths(self) -> npt.NDArray[np.float64] | None:
        """Centre of every band kept, nm; ``None`` if that of any is not known."""
        known = [b.wavelength for b in self.bands if b.wavelength is not None]
        return np.array(known, np.float64) if len(known) == len(self.bands) else None

    @property
    def roles(self) -> tuple[str, ...]:
        """Plain name of every band kept, such as ``red``."""
        return tuple(role(b.name) for b in self.bands)

    @cached_property
    def signature(self) -> str:
        """A cheap hash that tells this cube's content from another's, not its path or age."""
        return self.raw.store.digest()

    def nearest_band(self, nm: float, within: float = NEAR_NM) -> int:
        """Return the place in ``bands`` of the band nearest to a wavelength.

        Args:
            nm: The wavelength, nm.
            within: How far the band's centre may lie from it, nm.

        Raises:
            CubeError: If wavelengths are missing, or no band is that near.
        """
        return nearest(self.bands, nm, within, self.name)

    def reader(self) -> CubeReader:
        """Open the cube for reading; use one reader in one thread at a time."""
        return CubeReader(self)

    def describe(self) -> str:
        """Say which bands were left out and why, and what else to know, a line each."""
        from terrapatch.cubes.describing import sentences

        return "\n".join(sentences(self))

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the pixels of this cube, for a recipe."""
        return {
            "name": self.name,
            "signature": self.signature,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "crs": None if self.geobox.crs is None else self.geobox.crs.to_wkt(),
            "transform": [float(v) for v in self.geobox.affine[:6]],
            "variable": self.raw.variable,
            "axes": self.raw.axes,
            "bands": [b.number for b in self.bands],
            "band_names": [b.name for b in self.bands],
            "wavelengths": [b.wavelength for b in self.bands],
            "fwhm": [b.fwhm for b in self.bands],
            "scale": list(self.scale),
            "offset": list(self.offset),
            "nodata": [_plain(v) for v in self.nodata],
            "fills": [_plain(self.raw.fills[p - 1]) for p in self.places if self.raw.fills],
            "nodata_rule": "any band",
            "datetime": self.datetime,
        }


def of_raw(
    raw: RawCube,
    bands: BandChoice | None,
    drop: DropChoice,
    keep_bad: bool,
    water_vapour: bool,
    find_fills: bool,
) -> Cube:
    """Choose bands of a cube; see ``Cube.open``."""
    choice = choose(raw, bands, drop, keep_bad, water_vapour, find_fills)
    raw = choice.raw
    at = [n - 1 for n in choice.kept]
    return Cube(
        name=raw.name,
        source=raw.source,
        geobox=raw.geobox,
        dtype=raw.dtype,
        bands=tuple(raw.bands[i] for i in at),
        dropped=choice.dropped,
        notes=(*raw.notes, *choice.notes),
        block_shape=raw.block_shape,
        datetime=raw.datetime,
        scale=tuple(raw.scale[i] for i in at),
        offset=tuple(raw.offset[i] for i in at),
        nodata=tuple(raw.nodata[i] for i in at),
        valid_share=choice.valid,
        raw=raw,
        places=choice.kept,
    )


def _plain(value: float | None) -> float | str | None:
    """Write NaN and infinities, which JSON does not know, as words."""
    return value if value is None or math.isfinite(value) else str(value)
