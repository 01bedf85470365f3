"""A scene: a raster, plus what its file alone does not say.

A ``Scene`` holds paths and numbers, never an open handle, so it is cheap to
copy, to compare and to send to another process. Whoever wants pixels opens a
``SceneReader`` (see ``terrapatch.reading``) in the thread that reads.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioIOError

from terrapatch.bands import TRIPLETS, BandChoice, choose_bands, listing, role
from terrapatch.errors import BandError, SceneError, SceneNotFoundError, UnitsError
from terrapatch.units import Sample, Units, eight_bit, parse_units, suggest

if TYPE_CHECKING:
    import xarray as xr

_COLOURS = {colour for triplet in TRIPLETS.values() for colour in triplet}
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

    def __post_init__(self) -> None:
        """Keep one NaN object, so that scenes whose nodata is NaN compare equal."""
        plain = tuple(math.nan if v is not None and math.isnan(v) else v for v in self.band_nodata)
        object.__setattr__(self, "band_nodata", plain)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled scene."""
        self.__dict__.update(state)
        self.__post_init__()

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
            nodata: Value that means nodata in every band, whatever the file says.

        Returns:
            The scene. Its ``units`` are ``None`` when they have yet to be declared.

        Raises:
            SceneError: If it cannot be read, or is rotated, south-up, or
                located by control points only.
            BandError: If a band does not exist.
            UnitsError: If the units are not understood or do not fit.
        """
        if isinstance(source, Scene):
            return source.reopened(bands, units, nodata)
        if hasattr(source, "dims"):
            scene = _from_array(source, nodata)
        else:
            scene = _from_file(os.fspath(source), nodata)
        if bands is not None:
            scene = scene.with_bands(bands)
        return scene.with_units(units)

    def reopened(
        self, bands: BandChoice | None, units: str | None, nodata: float | None = None
    ) -> Scene:
        """Return the same raster read with other bands, units or nodata; ``None`` keeps them."""
        if bands is None and units is None and nodata is None:
            return self
        scene = self
        if nodata is not None:
            scene = replace(scene, band_nodata=(float(nodata),) * len(self.band_nodata))
        if bands is not None:
            scene = scene.with_bands(bands)
        return scene.with_units(units or (self.units.text if self.units else None))

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
        if text.strip().lower() == "uint8" and self.dtype != "uint8":
            raise UnitsError(
                f"{self.name} holds {self.dtype}, so its units cannot be uint8; "
                "write 0:255 if its values go from 0 to 255"
            )
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
            f"no bands of {self.name} ({len(self.band_names)} in all) are named red, green and "
            f"blue, but the backbone takes {channels}; choose them with --bands, for example "
            f"{hint} (bands: {listing(self.band_names)})"
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
        (or a thinned sample of an array, a remote file or a VRT), not its path or age.
        """
        digest = hashlib.sha256(repr((self.shape, self.dtype, self.geobox.affine)).encode())
        # A VRT is a page of XML that names the files its pixels come from.
        own_pixels = isinstance(self.source, str) and self.driver != "VRT"
        path = Path(str(self.source)) if own_pixels else None
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
    """Write NaN and infinities, which JSON does not know, as words."""
    return value if value is None or math.isfinite(value) else str(value)


def open_raster(path: str) -> rasterio.DatasetReader:
    """Open a raster with rasterio, turning its failures into one sentence.

    Raises:
        SceneNotFoundError: If there is no such file.
        SceneError: If the file is not a raster.
    """
    try:
        return rasterio.open(path)
    except RasterioIOError as fault:
        # Asked only now: names such as NETCDF:file.nc:band are no files but open.
        if not path.startswith(_REMOTE) and not Path(path).exists():
            raise SceneNotFoundError(f"there is no file {path}; check the path") from fault
        if Path(path).is_dir():
            raise SceneError(f"{path} is a folder, not a raster; give a file's path") from fault
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
        alpha = next((b for b in src.indexes if _is_alpha(src, b)), None)
        bands = tuple(b for b in src.indexes if b != alpha) or (1,)
        dtype = _common_dtype(src, bands, path)
        declared = src.nodatavals if nodata is None else (nodata,) * src.count
        flags = src.mask_flag_enums[bands[0] - 1]
        return Scene(
            source=path,
            geobox=GeoBox(src.shape, src.transform, src.crs),
            dtype=dtype,
            band_names=tuple(_band_name(src, b) for b in src.indexes),
            bands=bands,
            chosen=False,
            band_nodata=tuple(declared),
            alpha=alpha,
            has_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
            any_invalid=dtype != "uint8",
            block_shape=src.block_shapes[0],
            driver=src.driver,
            datetime=_acquired(src),
        )


def _is_alpha(src: rasterio.DatasetReader, band: int) -> bool:
    """Whether a band is alpha; GDAL also tags the fourth of four eight-bit bands so unasked."""
    named = role(src.descriptions[band - 1] or "")
    return src.colorinterp[band - 1] is ColorInterp.alpha and named not in _COLOURS


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
    if t.is_identity and src.crs:
        raise SceneError(
            f"{name} states a CRS but no position: give it its corners first: "
            f"gdal_translate -a_ullr LEFT TOP RIGHT BOTTOM {name} placed.tif"
        )
    if t.e > 0 and not t.is_identity:
        raise SceneError(
            f"{name} is stored south-up: its first row is the southernmost; "
            f"turn it first: gdalwarp {name} north_up.tif"
        )
    if t.a < 0:
        raise SceneError(
            f"{name} runs from east to west; turn it first: gdalwarp {name} north_up.tif"
        )


def _common_dtype(src: rasterio.DatasetReader, bands: tuple[int, ...], path: str) -> str:
    """Return the type that holds the values of all bands, or refuse what is no brightness."""
    name = Path(path).name
    if src.colorinterp[bands[0] - 1] is ColorInterp.palette:
        raise SceneError(
            f"{name} is a palette image: its values are indices into a colour table, not "
            f"brightness; expand it first: gdal_translate -expand rgb {name} rgb.tif"
        )
    dtypes = [str(src.dtypes[b - 1]) for b in bands]
    if any(d.startswith("complex") for d in dtypes):
        raise SceneError(
            f"{name} holds complex numbers; derive amplitude or phase first, for example "
            "with gdal_calc.py"
        )
    return np.result_type(*dtypes).name


def _acquired(src: rasterio.DatasetReader) -> str | None:
    """Return the acquisition time as RFC 3339 where the TIFF states one."""
    text = src.tags().get("TIFFTAG_DATETIME", "")[:19].replace("-", ":")
    try:
        return f"{dt.datetime.strptime(text, '%Y:%m:%d %H:%M:%S').isoformat()}Z"
    except ValueError:
        return None


def _from_array(array: Any, nodata: float | None) -> Scene:
    if hasattr(array, "data_vars"):
        raise SceneError(
            "an xarray.Dataset is not one raster; pass one of its variables, or several as bands "
            "with dataset[names].to_dataarray('band')"
        )
    name = str(array.name or "array")
    down = [d for d in array.dims if str(d).lower() in ("y", "lat", "latitude", "northing")]
    across = [d for d in array.dims if str(d).lower() in ("x", "lon", "longitude", "easting")]
    extra = [d for d in array.dims if d not in (*down, *across)]
    if len(down) != 1 or len(across) != 1 or len(extra) > 1:
        raise SceneError(
            f"the dimensions of {name} are {tuple(array.dims)}; a scene has y and x (or latitude "
            "and longitude) and at most one band dimension; select or rename them first"
        )
    if array.dtype.kind not in "iuf":
        raise SceneError(
            f"{name} holds {array.dtype}, which is not brightness; convert it to whole or real "
            "numbers first, for example with .astype('float32')"
        )
    if not extra:
        array, extra = array.expand_dims("band"), ["band"]
    array = array.transpose(*extra, *down, *across)
    count, chunks = int(array.shape[0]), array.chunks
    stated = {"nodata": array.attrs.get("nodata")} | array.encoding | array.attrs
    value = nodata if nodata is not None else stated.get("_FillValue", stated["nodata"])
    return Scene(
        source=ArraySource(array, name),
        geobox=_array_grid(array, name),
        dtype=array.dtype.name,
        band_names=_array_bands(array, count),
        bands=tuple(range(1, count + 1)),
        chosen=False,
        band_nodata=(None if value is None else float(value),) * count,
        alpha=None,
        has_mask=False,
        any_invalid=array.dtype != np.uint8,
        block_shape=(chunks[1][0], chunks[2][0]) if chunks else (512, int(array.shape[2])),
        driver="array",
    )


def _array_bands(array: Any, count: int) -> tuple[str, ...]:
    """Name the bands by their coordinate, or by ``long_name`` as rioxarray reads it."""
    labels = array.coords[array.dims[0]].values if array.dims[0] in array.coords else ()
    names = tuple(str(v) if isinstance(v, str) else "" for v in labels) or ("",) * count
    written = array.attrs.get("long_name")
    if not any(names) and isinstance(written, tuple | list) and len(written) == count:
        return tuple(map(str, written))
    return names


def _array_grid(array: Any, name: str) -> GeoBox:
    """Find the grid from the coordinates of the pixel centres, and the CRS beside them."""
    import rioxarray  # noqa: F401  (registers the accessor that finds the CRS)

    steps = [_step(array, dim) for dim in array.dims[1:]]
    if None in steps or array.sizes[array.dims[1]] == array.sizes[array.dims[2]] == 1:
        raise SceneError(
            f"{name} has no regular coordinates, so its grid is not known; give it evenly spaced "
            "y and x coordinates of its pixel centres (and a CRS with .rio.write_crs)"
        )
    # A single row is as high as a column is wide, and the other way round.
    dy, dx = steps[0] or -abs(steps[1] or 1.0), steps[1] or abs(steps[0] or 1.0)
    if dy > 0 or dx < 0:
        raise SceneError(
            f"{name} is not north-up (its first row is not the northernmost); "
            "sort it first: array.sortby('y', ascending=False).sortby('x')"
        )
    top, left = (float(array.coords[dim][0]) for dim in array.dims[1:])
    grid = Affine(dx, 0.0, left - dx / 2, 0.0, dy, top - dy / 2)
    return GeoBox(array.shape[1:], grid, array.rio.crs)


def _step(array: Any, dim: Any) -> float | None:
    """Return the spacing along a dimension: 0 for one pixel, ``None`` if it is not even."""
    if dim not in array.coords or array.coords[dim].dtype.kind not in "iuf":
        return None
    places = array.coords[dim].values.astype(np.float64)
    if len(places) == 1:
        return 0.0
    step = float(places[-1] - places[0]) / (len(places) - 1)
    even = np.abs(places - places[0] - step * np.arange(len(places))).max() < 0.1 * abs(step)
    return step if even else None
