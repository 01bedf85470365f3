"""Counting the pixels of a label raster in each cell, with the names its file gives them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from terrapatch.errors import MapError, OutsideError, SamplesError
from terrapatch.learn._vector_shapes import check_georeference, extent_text, scene_extent
from terrapatch.learn._vector_source import sorted_names
from terrapatch.learn.metrics import truth_on_cells
from terrapatch.maps.pam import legend_from_pam
from terrapatch.opening import open_raster

_PAIR = re.compile(r"\s*(-?\d+)\s*[ :=]\s*(\S.*?)\s*\Z")
# Pixels of a label raster that are read at a time to learn which values it holds.
_READ_PIXELS = 1 << 22
_MOST_VALUES = 1000
# How far, in its own pixels, a corner may lie from where the scene says it is.
_NEAR = 0.1


@dataclass(frozen=True)
class CountedRaster:
    """Pixels of each class in each cell.

    Attributes:
        counts: ``(rows, cols, classes)``.
        pixels: Pixels of the file in each cell ``(rows, cols)``, with a class or without.
        classes: Names in the order of the last axis.
        name: Name of the file.
    """

    counts: NDArray[np.int32]
    pixels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str


def count_raster(
    geobox: GeoBox,
    path: str | os.PathLike[str],
    classes: Mapping[int, str] | Sequence[str] | None,
    ignore: tuple[int, ...],
) -> CountedRaster:
    """Count the classes of a label raster in the cells; see ``label_cells_by_raster``.

    Raises:
        SceneError: If the file is missing or is no raster.
        SamplesError: If it does not fit the scene, or is no label raster.
    """
    check_georeference(geobox)
    name = Path(path).name
    with open_raster(os.fspath(path)) as src:
        if src.count != 1:
            raise SamplesError(
                f"{name} has {src.count} bands, but a label raster has one; extract it with "
                f"gdal_translate -b 1 {name} labels.tif"
            )
        stride = _stride(src, geobox, name)
        left_out = {*ignore, *_nodata(src)}
        values = sorted(_values(src, name) - left_out)
        names = _names(src, values, classes, Path(path), name)
        names = {value: text for value, text in names.items() if value not in left_out}
        order = sorted_names(names.values())
        ids = {value: order.index(text) + 1 for value, text in names.items()}
        grid = int(geobox.shape[0]), int(geobox.shape[1])
        counts = truth_on_cells(_AsIds(src, ids), stride, grid, len(order))
        tall, wide = (
            np.minimum(step, n - np.arange(0, n, step))
            for n, step in zip(src.shape, stride, strict=True)
        )
    return CountedRaster(counts, tall[:, None] * wide, order, name)


class _AsIds:
    """A label raster as an array of class ids, read when rows are cut from it."""

    def __init__(self, src: rasterio.DatasetReader, ids: Mapping[int, int]) -> None:
        self.shape = src.shape
        self._src = src
        self._values = np.array(sorted(ids), np.int64)
        self._ids = np.array([ids[v] for v in sorted(ids)], np.int32)

    def __getitem__(self, rows: slice) -> NDArray[np.int32]:
        pixels = _whole(_read(self._src, rows.start, min(rows.stop, self.shape[0])))
        place = np.minimum(np.searchsorted(self._values, pixels), len(self._values) - 1)
        return np.where(self._values[place] == pixels, self._ids[place], 0).astype(np.int32)


def _read(src: rasterio.DatasetReader, top: int, bottom: int) -> NDArray[Any]:
    try:
        return np.asarray(src.read(1, window=Window(0, top, src.width, bottom - top)))
    except RasterioIOError as fault:
        raise SamplesError(
            f"{Path(src.name).name} is damaged between rows {top} and {bottom - 1}; fetch the file "
            "again or restore it from a copy"
        ) from fault


def _whole(pixels: NDArray[Any]) -> NDArray[np.int64]:
    """Return whole numbers; what is not finite becomes a value no class can have."""
    if pixels.dtype.kind != "f":
        return pixels.astype(np.int64)
    return np.where(np.isfinite(pixels), pixels, -(2**53)).astype(np.int64)


def _nodata(src: rasterio.DatasetReader) -> set[int]:
    value = src.nodata
    known = value is not None and np.isfinite(value) and float(value).is_integer()
    return {-(2**53), int(value)} if known else {-(2**53)}


def _values(src: rasterio.DatasetReader, name: str) -> set[int]:
    """Return the different values of the file, or refuse what is no label raster."""
    found: set[int] = set()
    for pixels in _strips(src):
        if pixels.dtype.kind not in "iuf" or (
            pixels.dtype.kind == "f" and (pixels[np.isfinite(pixels)] % 1 != 0).any()
        ):
            raise SamplesError(
                f"{name} holds {pixels.dtype} values that are not whole numbers, so it is no "
                "label raster; give one whose pixels are class numbers"
            )
        found |= set(np.unique(_whole(pixels)).tolist())
        if len(found) > _MOST_VALUES:
            raise SamplesError(
                f"{name} holds more than {_MOST_VALUES} different values, so it is no label "
                "raster; give one whose pixels are class numbers"
            )
    return found


def _strips(src: rasterio.DatasetReader) -> Iterator[NDArray[Any]]:
    step = max(1, _READ_PIXELS // src.width)
    for top in range(0, src.height, step):
        yield _read(src, top, min(top + step, src.height))


def _names(
    src: rasterio.DatasetReader,
    values: Collection[int],
    classes: Mapping[int, str] | Sequence[str] | None,
    path: Path,
    name: str,
) -> dict[int, str]:
    """Return the name of each value that occurs (and of each that was given one)."""
    if not values:
        raise SamplesError(f"{name} holds no class, only ignored values; give another label raster")
    if classes is None:
        stated = stated_names(src, path)
        return {value: stated.get(value, str(value)) for value in values}
    given = dict(classes) if isinstance(classes, Mapping) else dict(enumerate(classes, start=1))
    unknown = [str(value) for value in values if value not in given]
    if unknown:
        raise SamplesError(
            f"{name} holds the values {', '.join(unknown[:5])}{' and more' * (len(unknown) > 5)}, "
            "which have no name; name them in classes, or ignore them"
        )
    return {int(value): str(text) for value, text in given.items()}


def stated_names(src: rasterio.DatasetReader, path: Path) -> dict[int, str]:
    """Return the names the file gives to values, from its sidecar or its ``classes`` tag."""
    sidecar = path.with_name(path.name + ".aux.xml")
    if sidecar.is_file():
        try:
            return {entry.id: entry.name for entry in legend_from_pam(sidecar)}
        except MapError:
            names = _category_names(sidecar)
            if names:
                return names
    pairs = [_PAIR.match(part) for part in src.tags().get("classes", "").split(",")]
    return {int(pair[1]): pair[2] for pair in pairs if pair}


def _category_names(sidecar: Path) -> dict[int, str]:
    try:
        root = ET.parse(sidecar).getroot()
    except ET.ParseError:
        return {}
    texts = [(entry.text or "").strip() for entry in root.iter("Category")]
    return {value: text for value, text in enumerate(texts) if text}


def _stride(src: rasterio.DatasetReader, geobox: GeoBox, name: str) -> tuple[int, int]:
    """Return the pixels of the file in a cell, down and across, or refuse another grid."""
    if (src.crs is None) != (geobox.crs is None):
        which = (name, "the scene") if src.crs is None else ("the scene", name)
        raise SamplesError(
            f"{which[0]} states no CRS but {which[1]} has one; assign it with gdal_edit.py -a_srs"
        )
    theirs, ours = src.transform, geobox.affine
    rows, cols = (int(n) for n in geobox.shape)
    down = round(ours.e / theirs.e) if theirs.e else 0
    across = round(ours.a / theirs.a) if theirs.a else 0
    fits = down >= 1 and across >= 1 and theirs.b == 0 and theirs.d == 0
    fits = fits and (-(-src.height // down), -(-src.width // across)) == (rows, cols)
    if not fits or not same_corners(src, geobox, (down, across)):
        raise OutsideError(
            f"{name} ({src.height} x {src.width} pixels, {extent_text(tuple(src.bounds))}) is not "
            f"on the scene's own pixels ({rows} x {cols} cells, "
            f"{extent_text(scene_extent(geobox))}); warp it to the scene's grid first, nearest "
            "neighbours: gdalwarp -r near"
        )
    return down, across


def same_corners(src: rasterio.DatasetReader, geobox: GeoBox, stride: tuple[int, int]) -> bool:
    """Whether the corners of the file lie where the scene has them, whatever the CRS is called."""
    t = src.transform
    x = np.array([t.c, t.c + t.a * src.width])
    y = np.array([t.f, t.f + t.e * src.height])
    if src.crs is not None and geobox.crs is not None:
        from pyproj import CRS, Transformer
        from pyproj.exceptions import ProjError

        source, target = CRS.from_wkt(src.crs.to_wkt()), CRS.from_wkt(geobox.crs.to_wkt())
        try:
            if source != target:
                x, y = Transformer.from_crs(source, target, always_xy=True).transform(x, y)
        except ProjError:
            return False
    ours = geobox.affine
    column, row = (x - ours.c) / ours.a * stride[1], (y - ours.f) / ours.e * stride[0]
    off = [*(column - (0, src.width)), *(row - (0, src.height))]
    return bool(np.isfinite(off).all() and np.abs(off).max() < _NEAR)
