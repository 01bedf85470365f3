"""A scene: a raster, plus what its file alone does not say.

A ``Scene`` holds paths and numbers, never an open handle, so it is cheap to
copy, to compare and to send to another process. Whoever wants pixels opens a
``SceneReader`` (see ``terrapatch.reading``) in the thread that reads.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioIOError

from terrapatch.bands import TRIPLETS, BandChoice, choose_bands, listing, role
from terrapatch.errors import BandError, SceneError, SceneNotFoundError, UnitsError
from terrapatch.units import Sample, Units, eight_bit, parse_units, suggest

if TYPE_CHECKING:
    import xarray as xr

_REMOTE = ("http://", "https://", "s3://", "gs://", "az://", "/vsi", "zip://", "tar://")


@dataclass(frozen=True, eq=False)
class ArraySource:
    """An ``xarray.DataArray`` used as a scene; equal only to itself."""

    array: xr.DataArray = field(repr=False)
    name: str = "array"


@dataclass(frozen=True)
class Scene:
    """A raster and the reading of it: which bands, in which units, where valid.

    Attributes:
        source: Path or URL of a GDAL source, or an array.
        geobox: Shape, affine transform and CRS (``crs`` may be ``None``).
        dtype: Data type of the raster.
        band_names: Name of every band of the raster, empty where it has none.
        bands: Numbers (from 1) of the chosen bands.
        chosen: Whether the bands were chosen by a person.
        band_nodata: Nodata value of every band, ``None`` where there is none.
        alpha: Number of the alpha band, if there is one.
        has_mask: Whether the file carries a validity mask of its own.
        any_invalid: Whether nodata in one chosen band makes a pixel invalid
            (else it takes all of them).
        block_shape: Height and width of the blocks the file is stored in.
        driver: GDAL driver, or ``array``.
        units: The declared units; ``None`` while they have to be declared.
        datetime: When the image was taken, where the file says so.
    """

    source: str | ArraySource
    geobox: GeoBox
    dtype: str
    band_names: tuple[str, ...]
    bands: tuple[int, ...]
    chosen: bool
    band_nodata: tuple[float | None, ...]
    alpha: int | None
    has_mask: bool
    any_invalid: bool
    block_shape: tuple[int, int]
    driver: str
    units: Units | None = None
    datetime: str | None = None

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str] | xr.DataArray | Scene,
        *,
        bands: BandChoice | None = None,
        units: str | None = None,
        nodata: float | None = None,
    ) -> Scene:
        """Look at a raster and decide how it is read; no pixel is kept.

        Args:
            source: Anything GDAL reads (file, COG, VRT, URL), or an
                ``xarray.DataArray`` with a ``y`` and an ``x`` dimension.
            bands: Names, numbers from 1 or a triplet (``rgb``, ``cir``). By
                default every band but alpha.
            units: ``LOW:HIGH``, ``percentile:2,98``, ``reflectance[:N]`` or
                ``uint8``; needed unless the raster is eight-bit.
            nodata: Value that means nodata, where the file does not say.

        Returns:
            The scene. Its ``units`` are ``None`` when they have yet to be declared.

        Raises:
            SceneError: If it cannot be read, or is rotated, south-up, or
                located by control points only.
            BandError: If a band does not exist.
            UnitsError: If the units are not understood or do not fit.
        """
        if isinstance(source, Scene):
            return source if bands is units is nodata is None else source.reopened(bands, units)
        if hasattr(source, "dims"):
            scene = _from_array(source, nodata)
        else:
            scene = _from_file(os.fspath(source), nodata)
        if bands is not None:
            scene = scene.with_bands(bands)
        return scene.with_units(units)

    def reopened(self, bands: BandChoice | None, units: str | None) -> Scene:
        """Return the same raster read with other bands or units."""
        text = units or (self.units.text if self.units else None)
        return (self.with_bands(bands) if bands is not None else self).with_units(text)

    def with_bands(self, choice: BandChoice) -> Scene:
        """Return the same raster with other bands chosen; units start anew."""
        bands = choose_bands(choice, self.band_names, self.name)
        units = eight_bit(len(bands)) if self.dtype == "uint8" else None
        return replace(self, bands=bands, chosen=True, units=units)

    def with_units(self, text: str | None) -> Scene:
        """Return the same raster with its units declared (or left as they are)."""
        if text is None:
            if self.dtype == "uint8" and self.units is None:
                return replace(self, units=eight_bit(len(self.bands)))
            return self
        needs_sample = text.strip().lower().startswith(("percentile", "reflectance"))
        sample = self.sample() if needs_sample else None
        return replace(self, units=parse_units(text, len(self.bands), sample, self.name))

    def for_channels(self, channels: int | None) -> Scene:
        """Return the scene with as many bands as a network takes.

        Bands a person chose are kept, or refused if their number does not fit.
        Otherwise all bands are taken where that fits, else the bands named
        red, green and blue.

        Args:
            channels: Number of channels, or ``None`` when any number does.

        Raises:
            BandError: If no three bands can be told to be red, green and blue.
        """
        if channels is None or len(self.bands) == channels:
            return self
        if self.chosen:
            raise BandError(
                f"{len(self.bands)} bands are chosen from {self.name} but the backbone takes "
                f"{channels}; choose {channels} (one may be repeated, as in --bands 1,1,1)"
            )
        roles = [role(n) for n in self.band_names]
        if channels == 3 and all(roles.count(r) == 1 for r in TRIPLETS["rgb"]):
            return replace(self.with_bands("rgb"), chosen=False).with_units(
                self.units.text if self.units else None
            )
        few = len(self.band_names) < 3
        hint = "1,1,1 to show one band as grey" if few else "3,2,1 where band 3 is red"
        raise BandError(
            f"no bands of {self.name} ({len(self.band_names)} in all) are named red, green and blue, "
            f"but the backbone takes {channels}; choose them with --bands, for example {hint} "
            f"(bands: {listing(self.band_names)})"
        )

    def require_units(self) -> Units:
        """Return the units, or refuse with the declarations that would fit.

        Raises:
            UnitsError: If they have not been declared.
        """
        if self.units is not None:
            return self.units
        options = self.suggestions()
        raise UnitsError(
            f"the units of {self.name} ({self.dtype}) are not known, so black and white cannot be "
            f"told; declare them with --units, for example {' or '.join(options)}"
        )

    def suggestions(self) -> list[str]:
        """List the units that would fit the scene's values, most likely first."""
        return suggest(self.dtype, self.sample())

    @property
    def name(self) -> str:
        """A short name for messages: the file's name, or the array's."""
        if isinstance(self.source, ArraySource):
            return self.source.name
        return self.source if self.source.startswith(_REMOTE) else Path(self.source).name

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (int(self.geobox.shape[0]), int(self.geobox.shape[1]))

    @property
    def nodata(self) -> tuple[float | None, ...]:
        """Nodata value of every chosen band, ``None`` where there is none."""
        return tuple(self.band_nodata[b - 1] for b in self.bands)

    @property
    def roles(self) -> tuple[str, ...]:
        """Name of every chosen band; ``band N`` where it has none."""
        names = self.band_names
        return tuple(role(names[b - 1]) if names[b - 1] else f"band {b}" for b in self.bands)

    def sample(self) -> Sample:
        """Read a thinned sample (at most 1,024 x 1,024 pixels) of the chosen bands."""
        from terrapatch.reading import read_sample

        return read_sample(self)

    @cached_property
    def signature(self) -> str:
        """A cheap hash that tells this raster's content from another's.

        It covers shape, type, grid and up to sixteen 64 KiB pieces of the file
        (or a thinned sample of an array or a remote file), not its path or age.
        """
        digest = hashlib.sha256(repr((self.shape, self.dtype, self.geobox.affine)).encode())
        path = Path(self.source) if isinstance(self.source, str) else None
        if path is not None and path.is_file():
            size = path.stat().st_size
            digest.update(str(size).encode())
            with path.open("rb") as stream:
                for start in sorted({int(size * i / 16) for i in range(16)}):
                    stream.seek(min(start, max(0, size - 65536)))
                    digest.update(stream.read(65536))
        else:
            for values in self.sample().values:
                digest.update(values.tobytes())
        return digest.hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the pixels of this scene, for a recipe."""
        return {
            "name": self.name,
            "signature": self.signature,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "crs": None if self.geobox.crs is None else self.geobox.crs.to_wkt(),
            "transform": [float(v) for v in self.geobox.affine[:6]],
            "bands": list(self.bands),
            "band_names": list(self.roles),
            "nodata": [_plain(v) for v in self.nodata],
            "nodata_rule": "any band" if self.any_invalid else "all bands",
            "units": None if self.units is None else self.units.as_dict(),
            "datetime": self.datetime,
        }


def _plain(value: float | None) -> float | str | None:
    return "nan" if value is not None and math.isnan(value) else value


def open_raster(path: str) -> rasterio.DatasetReader:
    """Open a raster with rasterio, turning its failures into one sentence.

    Raises:
        SceneNotFoundError: If there is no such file.
        SceneError: If the file is not a raster.
    """
    local = not path.startswith(_REMOTE)
    if local and not Path(path).exists():
        raise SceneNotFoundError(f"there is no file {path}; check the path")
    if local and Path(path).is_dir() and not any(Path(path).iterdir()):
        raise SceneError(f"{path} is an empty folder, not a raster; give the path of a file")
    try:
        return rasterio.open(path)
    except RasterioIOError as fault:
        raise SceneError(
            f"{path} cannot be opened as a raster ({_first_line(fault)}); "
            "check that it is a GeoTIFF or another format GDAL reads, and whole"
        ) from fault


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__


def _from_file(path: str, nodata: float | None) -> Scene:
    with open_raster(path) as src:
        if src.count == 0:
            raise SceneError(
                f"{path} holds no bands of its own; name one of its "
                f"{len(src.subdatasets)} sub-datasets instead"
                if src.subdatasets
                else f"{path} holds no bands; give a raster with pixels"
            )
        _refuse_awkward_grids(src, path)
        alpha = next((i for i, c in enumerate(src.colorinterp, 1) if c is ColorInterp.alpha), None)
        bands = tuple(b for b in src.indexes if b != alpha) or (1,)
        _refuse_awkward_values(src, bands, path)
        declared = src.nodatavals if nodata is None else (nodata,) * src.count
        flags = src.mask_flag_enums[bands[0] - 1]
        return Scene(
            source=path,
            geobox=GeoBox(src.shape, src.transform, src.crs),
            dtype=str(src.dtypes[bands[0] - 1]),
            band_names=tuple(_band_name(src, b) for b in src.indexes),
            bands=bands,
            chosen=False,
            band_nodata=tuple(declared),
            alpha=alpha,
            has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
            any_invalid=str(src.dtypes[0]) != "uint8",
            block_shape=src.block_shapes[0],
            driver=src.driver,
            datetime=_acquired(src),
        )


def _band_name(src: rasterio.DatasetReader, band: int) -> str:
    interp = src.colorinterp[band - 1]
    plain = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    return src.descriptions[band - 1] or (interp.name if interp in plain else "")


def _refuse_awkward_grids(src: rasterio.DatasetReader, path: str) -> None:
    t, name = src.transform, Path(path).name
    if t.is_identity and src.gcps[0]:
        raise SceneError(
            f"{name} is located only by {len(src.gcps[0])} ground control points; "
            f"warp it to a grid first: gdalwarp {name} warped.tif"
        )
    if t.is_identity and src.rpcs:
        raise SceneError(
            f"{name} is located only by rational polynomials (RPC); "
            f"orthorectify it first: gdalwarp -rpc {name} ortho.tif"
        )
    if t.b or t.d:
        fix = f"gdalwarp {name} north_up.tif" if src.crs else "assign its CRS, then gdalwarp"
        raise SceneError(
            f"{name} is rotated: its rows do not run east to west; warp it north up first: {fix}"
        )
    if t.e > 0 and not (t.is_identity and src.crs is None):
        raise SceneError(
            f"{name} is stored south-up: its first row is the southernmost; "
            f"turn it first: gdalwarp {name} north_up.tif"
        )
    if t.a < 0:
        raise SceneError(
            f"{name} runs from east to west; turn it first: gdalwarp {name} north_up.tif"
        )


def _refuse_awkward_values(
    src: rasterio.DatasetReader, bands: tuple[int, ...], path: str
) -> None:
    name = Path(path).name
    if src.colorinterp[bands[0] - 1] is ColorInterp.palette:
        raise SceneError(
            f"{name} is a palette image: its values are indices into a colour table, not "
            f"brightness; expand it first: gdal_translate -expand rgb {name} rgb.tif"
        )
    if np.dtype(src.dtypes[bands[0] - 1]).kind == "c":
        raise SceneError(
            f"{name} holds complex numbers; derive amplitude or phase first, for example "
            "with gdal_calc.py"
        )


def _acquired(src: rasterio.DatasetReader) -> str | None:
    """Return the acquisition time as RFC 3339 where the TIFF states one."""
    text = src.tags().get("TIFFTAG_DATETIME", "")
    parts = text.replace("-", ":").split(" ")
    if len(parts) == 2 and len(parts[0]) == 10 and parts[0][:4].isdigit():
        return f"{parts[0].replace(':', '-')}T{parts[1][:8]}Z"
    return None


def _from_array(array: Any, nodata: float | None) -> Scene:
    import odc.geo.xr  # noqa: F401  (registers the accessor that finds the grid)

    name = str(array.name or "array")
    spatial = [d for d in array.dims if str(d) in ("y", "x", "lat", "lon", "latitude", "longitude")]
    extra = [d for d in array.dims if d not in spatial]
    if len(spatial) != 2 or len(extra) > 1:
        raise SceneError(
            f"the dimensions of {name} are {tuple(array.dims)}; a scene has y and x (or latitude "
            "and longitude) and at most one band dimension; select or rename them first"
        )
    band_dim = extra[0] if extra else "band"
    array = array if extra else array.expand_dims("band")
    across = [d for d in spatial if str(d) in ("x", "lon", "longitude")]
    array = array.transpose(band_dim, *(d for d in spatial if d not in across), *across)
    geobox = array.odc.geobox
    if geobox is None:
        raise SceneError(
            f"{name} has no regular coordinates, so its grid is not known; give it evenly spaced "
            "y and x coordinates (and a CRS with .rio.write_crs or .odc.assign_crs)"
        )
    if geobox.affine.e > 0 or geobox.affine.a < 0 or geobox.affine.b or geobox.affine.d:
        raise SceneError(
            f"{name} is not north-up (its first row is not the northernmost); "
            "sort it first: array.sortby('y', ascending=False).sortby('x')"
        )
    count, chunks = int(array.shape[0]), array.chunks
    labels = array.coords[band_dim].values if band_dim in array.coords else [""] * count
    names = tuple(str(v) if isinstance(v, str) else "" for v in labels)
    fill = array.attrs.get("_FillValue", array.encoding.get("_FillValue", array.attrs.get("nodata")))
    value = nodata if nodata is not None else fill
    return Scene(
        source=ArraySource(array, name),
        geobox=geobox,
        dtype=str(array.dtype),
        band_names=names,
        bands=tuple(range(1, count + 1)),
        chosen=False,
        band_nodata=(None if value is None else float(value),) * count,
        alpha=None,
        has_mask=False,
        any_invalid=str(array.dtype) != "uint8",
        block_shape=(chunks[1][0], chunks[2][0]) if chunks else (512, int(array.shape[2])),
        driver="array",
    )



