"""A scene: a raster, plus what its file alone does not say.

A ``Scene`` holds paths and numbers, never an open handle, so it is cheap to
copy, to compare and to send to another process. Whoever wants pixels opens a
``SceneReader`` (see ``terrapatch.reading``) in the thread that reads.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odc.geo.geobox import GeoBox

from terrapatch.bands import TRIPLETS, BandChoice, choose_bands, listing, role
from terrapatch.errors import BandError, UnitsError
from terrapatch.units import Sample, Units, eight_bit, parse_units, suggest

if TYPE_CHECKING:
    import xarray as xr

REMOTE = ("http://", "https://", "s3://", "gs://", "az://", "/vsi", "zip://", "tar://")


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
            from terrapatch.arrays import scene_from_array

            scene = scene_from_array(source, nodata)
        else:
            from terrapatch.opening import scene_from_file

            scene = scene_from_file(os.fspath(source), nodata)
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

    def for_channels(self, channels: int | None, names: Sequence[str] = TRIPLETS["rgb"]) -> Scene:
        """Return the scene with as many bands as a network takes.

        Bands a person chose are kept, or refused if their number does not fit.
        Otherwise the bands are taken that have the names of the network's (red, green
        and blue for most), else all of them where their number fits.

        Args:
            channels: Number of channels, or ``None`` when any number does.
            names: What the network takes them for, in order.

        Raises:
            BandError: If they cannot be told by their names.
        """
        if channels is None or (self.chosen and len(self.bands) == channels):
            return self
        if self.chosen:
            raise BandError(
                f"{len(self.bands)} bands are chosen from {self.name} but the backbone takes "
                f"{channels}; choose {channels} (one may be repeated, as in --bands 1,1,1)"
            )
        roles = [role(n) for n in self.band_names]
        if channels == len(names) and all(roles.count(r) == 1 for r in names):
            if self.roles == tuple(names):
                return self
            picked = replace(self.with_bands(names), chosen=False)
            if self.units is None:
                return picked
            return replace(picked, units=self.units.pick(map(self.bands.index, picked.bands)))
        if len(self.bands) == channels:
            return self
        if tuple(names) != TRIPLETS["rgb"]:
            raise BandError(
                f"the backbone takes {channels} bands, in this order: {', '.join(names)}; choose "
                f"them from {self.name} with --bands (bands: {listing(self.band_names)})"
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
        return self.source if self.source.startswith(REMOTE) else Path(self.source).name

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

    @property
    def may_have_holes(self) -> bool:
        """Whether a pixel can be invalid at all: by nodata, mask, alpha, or not being a number."""
        alpha = self.alpha is not None and self.alpha not in self.bands
        stated = any(value is not None for value in self.nodata)
        return stated or self.has_mask or alpha or self.dtype.startswith("float")

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
