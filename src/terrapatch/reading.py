"""Reading pixels of a scene, window by window, with one answer to "is this pixel valid?"."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from terrapatch.errors import CorruptBlockError
from terrapatch.opening import open_raster
from terrapatch.scene import ArraySource, Scene
from terrapatch.units import Sample

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

SAMPLE_SIDE = 1024
# GDAL keeps decoded blocks of an open file in a cache that grows with the machine;
# a file is closed and opened again after this many bytes, which empties it.
RECYCLE_BYTES = 16 << 20
CACHE_BYTES = 64 << 20


class SceneReader:
    """An open scene: raw pixels of the chosen bands, and where they are valid.

    Use one reader in one thread at a time; GDAL handles are not shared.
    """

    def __init__(self, scene: Scene) -> None:
        """Open the scene's file (an array is used as it is)."""
        self.scene = scene
        self.bytes_read = 0
        self._src: rasterio.DatasetReader | None = None
        if isinstance(scene.source, str):
            self._src = open_raster(scene.source)

    def __enter__(self) -> SceneReader:
        """Return the reader itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._src is not None:
            self._src.close()

    def read(self, rows: slice, cols: slice) -> tuple[Pixels, Mask | None]:
        """Read a window that lies inside the scene.

        Args:
            rows: Rows of pixels, from the top.
            cols: Columns of pixels, from the left.

        Returns:
            Raw pixels of shape ``(bands, height, width)`` and the validity of
            shape ``(height, width)``, or ``None`` when every pixel is valid.

        Raises:
            CorruptBlockError: If a block of the file cannot be decoded.
        """
        if self._src is None:
            return self._read_array(rows, cols)
        window = Window.from_slices(rows, cols)
        scene = self.scene
        try:
            pixels = _read_bands(self._src, scene, window=window)
            mask = _file_mask(self._src, scene, window=window)
        except RasterioIOError as fault:
            raise _corrupt(self._src, scene, rows, cols, fault) from fault
        self.bytes_read += pixels.nbytes
        return pixels, _combine(mask, _value_mask(pixels, scene))

    def _read_array(self, rows: slice, cols: slice) -> tuple[Pixels, Mask | None]:
        source = self.scene.source
        if not isinstance(source, ArraySource):
            raise TypeError("a scene without a file must hold an array")
        picked = source.array[[b - 1 for b in self.scene.bands], rows, cols]
        pixels = np.ascontiguousarray(picked.values, dtype=self.scene.dtype)
        return pixels, _value_mask(pixels, self.scene)


def _corrupt(
    src: rasterio.DatasetReader, scene: Scene, rows: slice, cols: slice, fault: RasterioIOError
) -> CorruptBlockError:
    """Find the block behind a failed read and say so in one sentence."""
    height, width = scene.block_shape
    bad = _first_bad_block(src, scene, rows, cols)
    where = "an overview"
    if bad is not None:
        where = f"block {bad[0] // height},{bad[1] // width} (pixels from row {bad[0]}, column "
        where += f"{bad[1]})"
    return CorruptBlockError(
        f"{scene.name} is damaged: {where} cannot be decoded ({_reason(fault)}); "
        "fetch the file again or restore it from a copy"
    )


def _first_bad_block(
    src: rasterio.DatasetReader, scene: Scene, rows: slice, cols: slice
) -> tuple[int, int] | None:
    height, width = scene.block_shape
    for top in range(rows.start // height * height, rows.stop, height):
        for left in range(cols.start // width * width, cols.stop, width):
            block = Window(left, top, min(width, src.width - left), min(height, src.height - top))
            try:
                _read_bands(src, scene, window=block)
                _file_mask(src, scene, window=block)
            except RasterioIOError:
                return top, left
    return None


def _reason(fault: BaseException) -> str:
    """Return what GDAL said first, which rasterio hides behind "Read failed"."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return str(fault).strip().splitlines()[-1]


def _read_bands(src: rasterio.DatasetReader, scene: Scene, **options: Any) -> Pixels:
    """Read the chosen bands; rasterio reads bands of unlike types one by one only."""
    if len({src.dtypes[b - 1] for b in scene.bands}) == 1:
        pixels: Pixels = src.read(list(scene.bands), **options)
    else:
        pixels = np.stack([src.read(b, **options).astype(scene.dtype) for b in scene.bands])
    return pixels.astype(scene.dtype, copy=False)


def _file_mask(src: rasterio.DatasetReader, scene: Scene, **options: Any) -> Mask | None:
    """Answer validity from the file's own mask and alpha (unless alpha is chosen as data)."""
    mask: Mask | None = None
    if scene.has_mask:
        mask = src.read_masks(scene.bands[0], **options) != 0
    if scene.alpha is not None and scene.alpha not in scene.bands:
        mask = _combine(mask, src.read(scene.alpha, **options) != 0)
    return mask


def _combine(first: Mask | None, second: Mask | None) -> Mask | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


def _value_mask(pixels: Pixels, scene: Scene) -> Mask | None:
    """Answer validity from the values: NaN and infinities in any band, nodata by the rule."""
    mask: Mask | None = None
    if pixels.dtype.kind == "f":
        mask = np.asarray(np.isfinite(pixels).all(axis=0))
    is_nodata = [
        _equal(band, value)
        for band, value in zip(pixels, scene.nodata, strict=True)
        if value is not None and np.isfinite(value)
    ]
    if is_nodata:
        rule = np.logical_or if scene.any_invalid else np.logical_and
        mask = _combine(mask, np.logical_not(rule.reduce(np.stack(is_nodata))))
    return None if mask is None or mask.all() else mask


def _equal(band: Pixels, value: float) -> Mask:
    """Compare in the band's own type, so that -3.4e38 finds its nearest float32."""
    if band.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.asarray(band == band.dtype.type(value))
    limits = np.iinfo(band.dtype)
    if not float(value).is_integer() or not limits.min <= value <= limits.max:
        return np.zeros(band.shape, bool)
    return np.asarray(band == int(value))


def read_sample(scene: Scene) -> Sample:
    """Read a thinned sample of a scene's valid values, spread evenly over it.

    Args:
        scene: The scene; its chosen bands are read.

    Returns:
        Up to 1,024 x 1,024 values of every chosen band, nearest neighbours.
    """
    pixels, mask = read_thinned(scene, SAMPLE_SIDE)
    scales, offsets = (1.0,) * len(scene.bands), (0.0,) * len(scene.bands)
    if isinstance(scene.source, str):
        with open_raster(scene.source) as src:
            scales = tuple(float(src.scales[b - 1]) for b in scene.bands)
            offsets = tuple(float(src.offsets[b - 1]) for b in scene.bands)
    return Sample(_valid_values(pixels, mask), scales, offsets)


def find_valid(scene: Scene) -> tuple[int, int] | None:
    """Return row and column of a valid pixel near the scene's centre, from a thinned sample."""
    height, width = scene.shape
    pixels, mask = read_thinned(scene, SAMPLE_SIDE)
    if mask is None:
        return height // 2, width // 2
    places = np.argwhere(mask)
    if len(places) == 0:
        return None
    thin = pixels.shape[1:]
    row, col = places[np.square(places - np.asarray(thin) / 2).sum(axis=1).argmin()]
    return (
        min(int((row + 0.5) * height / thin[0]), height - 1),
        min(int((col + 0.5) * width / thin[1]), width - 1),
    )


def read_thinned(scene: Scene, side: int) -> tuple[Pixels, Mask | None]:
    """Read a scene at a lower resolution, nearest neighbours, in little memory.

    Args:
        scene: The scene; its chosen bands are read.
        side: Most pixels along each side of the result.

    Returns:
        Raw pixels ``(bands, height, width)`` and their validity, or ``None`` where
        every pixel is valid.

    Raises:
        CorruptBlockError: If a block of the file cannot be decoded.
    """
    height, width = scene.shape
    if isinstance(scene.source, ArraySource):
        step = max(1, -(-max(height, width) // side))
        picked = scene.source.array[[b - 1 for b in scene.bands], ::step, ::step]
        pixels: Pixels = np.asarray(picked.values)
        return pixels, _value_mask(pixels, scene)
    shrink = max(1.0, max(height, width) / side)
    out = (max(1, round(height / shrink)), max(1, round(width / shrink)))
    # Without overviews every block is decoded, and GDAL would keep a share of the machine's memory.
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), open_raster(scene.source) as src:
        return _thinned(src, scene, out)


def _thinned(
    src: rasterio.DatasetReader, scene: Scene, out: tuple[int, int]
) -> tuple[Pixels, Mask | None]:
    try:
        pixels = _read_bands(src, scene, out_shape=out)
        mask = _file_mask(src, scene, out_shape=out)
    except RasterioIOError as fault:
        rows, cols = (slice(0, n) for n in scene.shape)
        raise _corrupt(src, scene, rows, cols, fault) from fault
    return pixels, _combine(mask, _value_mask(pixels, scene))


def _valid_values(pixels: Pixels, mask: Mask | None) -> tuple[npt.NDArray[np.float64], ...]:
    keep = np.ones(pixels.shape[1:], bool) if mask is None else mask
    return tuple(band[keep].astype(np.float64) for band in pixels)


class ReaderPool:
    """One open reader for each thread that asks, renewed now and then, closed together."""

    def __init__(self, scene: Scene, recycle: bool = True) -> None:
        """Remember the scene; files are opened on first use in each thread.

        Args:
            scene: The scene to read.
            recycle: Whether files may be closed and opened again on the way; not
                for formats that can only be decoded from the top.
        """
        self._scene, self._recycle = scene, recycle
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[SceneReader] = []

    def reader(self) -> SceneReader:
        """Return this thread's reader."""
        reader: SceneReader | None = getattr(self._local, "reader", None)
        if reader is not None and self._recycle and reader.bytes_read > RECYCLE_BYTES:
            reader.close()
            with self._lock:
                self._open.remove(reader)
            reader = None
        if reader is None:
            reader = SceneReader(self._scene)
            self._local.reader = reader
            with self._lock:
                self._open.append(reader)
        return reader

    def close(self) -> None:
        """Close every reader; call it when no thread reads any more."""
        with self._lock:
            for reader in self._open:
                reader.close()
            self._open.clear()
