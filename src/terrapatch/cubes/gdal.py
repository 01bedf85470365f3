"""Cubes that GDAL reads: GeoTIFF, ENVI, ERDAS LAN and GIS, and whatever else is a raster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from terrapatch.cubes import waves as wavelengths
from terrapatch.cubes.bands import CubeBand
from terrapatch.cubes.raw import Mask, Pixels, RawCube
from terrapatch.errors import CorruptBlockError
from terrapatch.opening import open_raster, scene_from_file
from terrapatch.reading import CACHE_BYTES, SceneReader
from terrapatch.scene import Scene

_TIMES = ("start_time", "acquisition_time", "acquisition time", "time_coverage_start")


@dataclass(frozen=True)
class GdalStore:
    """A raster file, read by the numbers of its bands."""

    scene: Scene

    def open(self) -> GdalHandle:
        """Open the file."""
        return GdalHandle(self.scene)

    def digest(self) -> str:
        """Hash pieces of the file, as for a scene."""
        return self.scene.signature


class GdalHandle:
    """An open raster file; its bands come last in what it reads."""

    def __init__(self, scene: Scene) -> None:
        """Open the scene's file."""
        self._scene = scene
        self._src: rasterio.DatasetReader = open_raster(str(scene.source))
        self._alike = len(set(self._src.dtypes)) == 1
        # Where bands lie side by side, a block is decoded for all of them at once.
        block = int(np.prod(self._src.block_shapes[0])) * np.dtype(scene.dtype).itemsize
        self._cache = max(CACHE_BYTES, 2 * block * self._src.count)

    def read(self, numbers: Sequence[int], rows: slice, cols: slice) -> tuple[Pixels, Mask | None]:
        """Return raw values ``(rows, cols, bands)`` and the mask of the file, if it has one.

        Raises:
            CorruptBlockError: If a block of the file cannot be decoded.
        """
        window = Window.from_slices(rows, cols)
        try:
            with rasterio.Env(GDAL_CACHEMAX=self._cache):
                pixels = self._pixels(list(numbers), window)
                mask = self._mask(window)
        except RasterioIOError as fault:
            raise self._located(rows, cols, fault) from fault
        return pixels.transpose(1, 2, 0), mask

    def _pixels(self, numbers: list[int], window: Window) -> Pixels:
        if self._alike:
            return np.asarray(self._src.read(numbers, window=window))
        parts = [self._src.read(n, window=window).astype(self._scene.dtype) for n in numbers]
        return np.stack(parts)

    def _mask(self, window: Window) -> Mask | None:
        if self._scene.has_mask:
            return np.asarray(self._src.read_masks(self._scene.bands[0], window=window) != 0)
        if self._scene.alpha is not None:
            return np.asarray(self._src.read(self._scene.alpha, window=window) != 0)
        return None

    def _located(self, rows: slice, cols: slice, fault: RasterioIOError) -> CorruptBlockError:
        """Say which block is damaged, in the words of the scene's own reader."""
        try:
            with SceneReader(self._scene) as reader:
                reader.read(rows, cols)
        except CorruptBlockError as named:
            return named
        return CorruptBlockError(f"{self._scene.name} cannot be read: {fault}; fetch it again")

    def close(self) -> None:
        """Close the file."""
        self._src.close()


def raw_from_gdal(path: str, nodata: float | None) -> RawCube:
    """Take a file that GDAL reads as a cube.

    Args:
        path: Anything GDAL reads.
        nodata: Value that means nodata in every band, whatever the file says.

    Raises:
        SceneError: As ``Scene.open``: no raster, rotated, south-up, control points only.
    """
    scene = _unplaced_lan(path, nodata) or scene_from_file(path, nodata)
    return raw_from_scene(scene)


def _unplaced_lan(path: str, nodata: float | None) -> Scene | None:
    """Take an ERDAS file without a transform as one without a CRS.

    The format has no way to say "none", so GDAL reads the zeros of its header as degrees.
    """
    with open_raster(path) as src:
        if src.driver != "LAN" or not src.transform.is_identity:
            return None
        return Scene(
            source=path,
            geobox=GeoBox(src.shape, Affine.identity(), None),
            dtype=np.result_type(*src.dtypes).name,
            band_names=tuple(text or "" for text in src.descriptions),
            bands=tuple(src.indexes),
            chosen=False,
            band_nodata=tuple(src.nodatavals) if nodata is None else (nodata,) * src.count,
            alpha=None,
            has_mask=False,
            any_invalid=True,
            block_shape=src.block_shapes[0],
            driver=src.driver,
        )


def raw_from_scene(scene: Scene) -> RawCube:
    """Take the bands of a scene, in its order, as a cube; its units do not matter here."""
    with open_raster(str(scene.source)) as src:
        told = Tags(src, scene.name)
        numbers = tuple(dict.fromkeys(scene.bands))
        bands = tuple(told.band(b) for b in numbers)
        return RawCube(
            name=scene.name,
            source=str(scene.source),
            store=GdalStore(scene),
            kind=scene.driver,
            geobox=scene.geobox,
            dtype=scene.dtype,
            bands=bands,
            good=tuple(told.good(b) for b in numbers),
            nodata=tuple(scene.band_nodata[b - 1] for b in numbers),
            scale=tuple(float(src.scales[b - 1]) for b in numbers),
            offset=tuple(float(src.offsets[b - 1]) for b in numbers),
            block_shape=scene.block_shape,
            datetime=scene.datetime or when(told.own),
        )


class Tags:
    """What the tags of a raster say about its bands."""

    def __init__(self, src: rasterio.DatasetReader, where: str) -> None:
        """Read the tags of the file; those of the bands are read when asked for."""
        self._src, self._where = src, where
        own = {k.lower(): v for k, v in src.tags().items()}
        self.own = own | {k.lower(): v for k, v in src.tags(ns="ENVI").items()}

    def band(self, number: int) -> CubeBand:
        """Describe a band."""
        tags = self._tags(number)
        text = self._src.descriptions[number - 1] or ""
        centre, width = self._waves(number, tags, text)
        return CubeBand(number, text or f"band {number}", centre, width)

    def _tags(self, number: int) -> dict[str, str]:
        return {k.lower(): v for k, v in self._src.tags(number).items()}

    def _waves(
        self, number: int, tags: dict[str, str], text: str
    ) -> tuple[float | None, float | None]:
        imagery = self._src.tags(number, ns="IMAGERY")
        if "CENTRAL_WAVELENGTH_UM" in imagery:
            centre = _number(imagery["CENTRAL_WAVELENGTH_UM"])
            width = _number(imagery.get("FWHM_UM"))
            return _times(centre, 1000), _times(width, 1000)
        value = _number(tags.get("wavelength", self._listed("wavelength", number)))
        if value is None:
            return wavelengths.in_text(text), None
        stated = tags.get("wavelength_units") or self.own.get("wavelength_units")
        unit = wavelengths.unit_of(stated, self._where) or wavelengths.guess(np.array([value]))
        centre = float(wavelengths.to_nanometres([value], unit)[0])
        width = _number(tags.get("fwhm", self._listed("fwhm", number)))
        if width is None:
            return centre, None
        nm = wavelengths.widths_to_nanometres([width], np.array([centre]), unit)
        return centre, float(nm[0])

    def good(self, number: int) -> bool:
        """Whether the bad-band list lets a band pass."""
        value = _number(self._tags(number).get("bbl", self._listed("bbl", number)))
        return value is None or value != 0

    def _listed(self, key: str, number: int) -> str | None:
        """Take a band's entry from a list ``{a, b, ...}`` for the whole file."""
        words = re.findall(r"[^\s,{}]+", self.own.get(key, ""))
        return words[number - 1] if len(words) == self._src.count else None


def when(stated: Mapping[str, Any]) -> str | None:
    """Return when an image was taken as RFC 3339.

    Args:
        stated: Tags or attributes, their names in lower case.
    """
    for key in _TIMES:
        text = str(stated.get(key, "")).strip("{} \n")[:19]
        try:
            return f"{datetime.fromisoformat(text).isoformat()}Z"
        except ValueError:
            continue
    return None


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 6)
