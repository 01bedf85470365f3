"""From the blocks of a file to blocks of patches: bounded, threaded, each block decoded once.

The cells of a scene are worked through in blocks. The pixels a block needs come
from chunks, which are whole blocks of the file (several, where those are small).
A chunk that later blocks need too is kept until the last of them, so overlapping
patches never decode a block of the file twice; only when what is kept outgrows a
budget is the chunk needed latest let go and read again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.errors import GridError
from terrapatch.grid import CellBlock, PatchGrid
from terrapatch.reading import Mask, Pixels, ReaderPool
from terrapatch.scene import Scene

# Formats that can only be decoded from the top: one reader, kept open.
SEQUENTIAL_DRIVERS = frozenset({"JPEG", "PNG", "GIF", "BMP", "WEBP"})
CHUNK_SIDE = 512
CHUNK_BYTES = 16 << 20
KEEP_BYTES = 256 << 20
BLOCK_BYTES = 16 << 20
BLOCK_SIDES = (64, 32, 16, 8, 4, 2, 1)

Key = tuple[int, int]
Chunk = tuple[Pixels, Mask | None]


@dataclass(frozen=True)
class PixelBlock:
    """The pixels that all patches of one block of cells need.

    Attributes:
        grid: The grid the block belongs to.
        block: Which cells.
        pixels: ``(bands, height, width)`` in 0–255, uint8 or float32, filled beyond
            the scene by the grid's edge rule; 0 where invalid.
        valid: ``(height, width)``, or ``None`` where every pixel is valid.
        share: ``(rows, cols)`` float32: valid pixels each cell owns, as a share of
            a full cell; 0 for cells without a patch.
    """

    grid: PatchGrid
    block: CellBlock
    pixels: Pixels
    valid: Mask | None
    share: npt.NDArray[np.float32]

    def patches(self, cells: Sequence[Key]) -> tuple[Pixels, Mask | None]:
        """Cut patches out of the block.

        Invalid pixels take the mean of the patch's valid pixels, band by band, so
        that they neither add an edge nor shift the patch's mean.

        Args:
            cells: Row and column of each cell within the block.

        Returns:
            Patches ``(n, bands, height, width)``, and their validity ``(n, height,
            width)`` or ``None`` where every pixel of every patch is valid.
        """
        height, width = self.grid.size
        down, across = self.grid.stride
        out = np.empty((len(cells), self.pixels.shape[0], height, width), self.pixels.dtype)
        mask = None if self.valid is None else np.empty((len(cells), height, width), bool)
        for i, (row, col) in enumerate(cells):
            rows = slice(row * down, row * down + height)
            cols = slice(col * across, col * across + width)
            out[i] = self.pixels[:, rows, cols]
            if mask is not None and self.valid is not None:
                mask[i] = self.valid[rows, cols]
        if mask is None or mask.all():
            return out, None
        for patch, good in zip(out, mask, strict=True):
            fill_invalid(patch, good)
        return out, mask


def fill_invalid(patch: Pixels, good: Mask) -> None:
    """Give the invalid pixels of a patch ``(bands, h, w)`` the mean of its valid ones."""
    if good.all() or not good.any():
        return
    mean = patch[:, good].mean(axis=1, dtype=np.float64)
    if patch.dtype.kind == "u":
        mean = np.floor(mean + 0.5)
    patch[:, ~good] = mean[:, None].astype(patch.dtype)


def block_side(grid: PatchGrid, bands: int, itemsize: int, features: int) -> int:
    """Choose how many cells a block has along each side.

    Depends on the grid and the sizes alone, so that every machine cuts alike.

    Args:
        grid: The grid.
        bands: Number of chosen bands.
        itemsize: Bytes of one value of the pixels.
        features: Length of a cell's descriptor.

    Returns:
        The largest power of two for which neither the pixels nor the features of
        a block outgrow 16 MiB.
    """
    for side in BLOCK_SIDES:
        height = side * grid.stride[0] + grid.size[0]
        width = side * grid.stride[1] + grid.size[1]
        pixels = height * width * bands * itemsize
        if max(pixels, side * side * features * 2) <= BLOCK_BYTES:
            return side
    return 1


def reflect(indices: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """Mirror indices into ``0 … n - 1`` without repeating the edge, as often as it takes."""
    if n == 1:
        return np.zeros_like(indices)
    folded = np.mod(indices, 2 * (n - 1))
    mirrored: npt.NDArray[np.int64] = np.minimum(folded, 2 * (n - 1) - folded)
    return mirrored


class PatchStream:
    """Blocks of patches in order, read ahead by threads.

    Attributes:
        chunk_reads: How many chunks have been read so far.
        chunk_count: How many chunks the blocks touch.
    """

    def __init__(
        self,
        scene: Scene,
        grid: PatchGrid,
        blocks: Sequence[CellBlock],
        *,
        readers: int = 2,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        """Plan which chunk is needed by which block.

        Args:
            scene: The scene, with its units declared.
            grid: The grid over it.
            blocks: The blocks to go through, in this order.
            readers: Reader threads.
            keep_bytes: Memory for chunks that later blocks need again.

        Raises:
            UnitsError: If the scene's units are not declared.
            GridError: If one block does not fit into memory.
        """
        self._scene, self._grid, self._blocks = scene, grid, list(blocks)
        self._units = scene.require_units()
        self._sequential = scene.driver in SEQUENTIAL_DRIVERS
        self._readers = 1 if self._sequential else max(1, readers)
        self._keep_bytes = keep_bytes
        self._refuse_if_too_large()
        self._chunk = chunk_shape(scene)
        self._uses: dict[Key, list[int]] = defaultdict(list)
        for i, block in enumerate(self._blocks):
            for key in self._keys(block):
                self._uses[key].append(i)
        self._kept: dict[Key, Chunk] = {}
        self.chunk_reads = 0
        self.chunk_count = len(self._uses)

    def __iter__(self) -> Iterator[PixelBlock]:
        """Yield the blocks in order; the next one is read while one is used."""
        pool = ReaderPool(self._scene, recycle=not self._sequential)
        readers = ThreadPoolExecutor(self._readers, "terrapatch-read")
        feeder = ThreadPoolExecutor(1, "terrapatch-feed")
        try:
            ahead: Future[PixelBlock] | None = None
            for i in range(len(self._blocks)):
                current = ahead or feeder.submit(self._assemble, i, pool, readers)
                ready = current.result()
                has_next = i + 1 < len(self._blocks)
                ahead = feeder.submit(self._assemble, i + 1, pool, readers) if has_next else None
                del current
                yield ready
                del ready
        finally:
            feeder.shutdown(wait=True, cancel_futures=True)
            readers.shutdown(wait=True, cancel_futures=True)
            pool.close()
            self._kept.clear()

    def _span(self, block: CellBlock) -> tuple[Key, Key, list[npt.NDArray[np.int64]]]:
        """Return the rows and columns of the scene a block needs, and where each goes."""
        window = self._grid.block_window(block)
        spans, indices = [], []
        for side, n in zip(window, self._scene.shape, strict=True):
            wanted = np.arange(side.start, side.stop)
            if self._grid.edge == "reflect":
                wanted = reflect(wanted, n)
            else:
                wanted = np.where((wanted < 0) | (wanted >= n), -1, wanted)
            inside = wanted[wanted >= 0]
            spans.append((int(inside.min()), int(inside.max()) + 1))
            indices.append(wanted)
        return spans[0], spans[1], indices

    def _keys(self, block: CellBlock) -> list[Key]:
        rows, cols, _ = self._span(block)
        height, width = self._chunk
        return [
            (i, j)
            for i in range(rows[0] // height, (rows[1] - 1) // height + 1)
            for j in range(cols[0] // width, (cols[1] - 1) // width + 1)
        ]

    def _read(self, key: Key, pool: ReaderPool) -> Chunk:
        height, width = self._chunk
        rows = slice(key[0] * height, min((key[0] + 1) * height, self._scene.shape[0]))
        cols = slice(key[1] * width, min((key[1] + 1) * width, self._scene.shape[1]))
        pixels, valid = pool.reader().read(rows, cols)
        pixels = self._units.to_eight_bit(pixels)
        if valid is not None and not valid.any():  # a hole takes no memory
            pixels = np.broadcast_to(pixels.dtype.type(0), pixels.shape)
            valid = np.broadcast_to(np.False_, valid.shape)
        return pixels, valid

    def _assemble(self, i: int, pool: ReaderPool, readers: ThreadPoolExecutor) -> PixelBlock:
        block = self._blocks[i]
        rows, cols, indices = self._span(block)
        canvas = _Canvas(rows, cols, len(self._scene.bands), self._units.is_eight_bit)
        keys = self._keys(block)
        missing = deque(key for key in keys if key not in self._kept)
        coming: deque[Future[Chunk]] = deque()
        for key in keys:
            # A few reads ahead are enough, and bound what waits to be used.
            while missing and len(coming) < 2 * self._readers:
                coming.append(readers.submit(self._read, missing.popleft(), pool))
                self.chunk_reads += 1
            chunk = self._kept.pop(key, None) or coming.popleft().result()
            canvas.paste(chunk, key[0] * self._chunk[0], key[1] * self._chunk[1])
            self._keep(key, chunk, i)
        return self._finish(block, canvas, indices)

    def _keep(self, key: Key, chunk: Chunk, i: int) -> None:
        """Keep a chunk that a later block needs; over budget, let those needed latest go.

        No chunk that block ``i`` still waits for is let go: it is needed sooner than
        the one that came last.
        """
        if self._uses[key][-1] == i:
            return
        self._kept[key] = chunk
        size = sum(_bytes(c) for c in self._kept.values())
        while size > self._keep_bytes:
            latest = max(self._kept, key=lambda k: (self._next_use(k, i, key), k))
            size -= _bytes(self._kept.pop(latest))

    def _next_use(self, key: Key, i: int, done: Key) -> int:
        """Return the block that needs a chunk next, once block ``i`` has used ``done``."""
        uses = self._uses[key]
        return uses[bisect_right(uses, i) if key <= done else bisect_left(uses, i)]

    def _finish(
        self, block: CellBlock, canvas: _Canvas, indices: list[npt.NDArray[np.int64]]
    ) -> PixelBlock:
        share = self._share(block, canvas)
        pixels, valid = canvas.pixels, canvas.valid
        local = [index - start for index, start in zip(indices, canvas.origin, strict=True)]
        outside = [index < 0 for index in indices]
        for axis, index in enumerate(local):
            if not np.array_equal(index, np.arange(pixels.shape[axis + 1])):
                pixels = np.take(pixels, np.maximum(index, 0), axis=axis + 1)
                valid = None if valid is None else np.take(valid, np.maximum(index, 0), axis=axis)
        if any(o.any() for o in outside):
            beyond = outside[0][:, None] | outside[1][None, :]
            valid = ~beyond if valid is None else valid & ~beyond
        if valid is not None:
            np.copyto(pixels, 0, where=~valid)
        return PixelBlock(self._grid, block, pixels, valid, share)

    def _share(self, block: CellBlock, canvas: _Canvas) -> npt.NDArray[np.float32]:
        """Count the valid pixels each cell owns, as a share of a full cell."""
        grid, (top, left) = self._grid, canvas.origin
        down, across = grid.stride
        rows, cols = grid.cell_window(block.rows.start, block.cols.start)
        last = grid.cell_window(block.rows.stop - 1, block.cols.stop - 1)
        owned = np.zeros((block.shape[0] * down, block.shape[1] * across), bool)
        height, width = last[0].stop - rows.start, last[1].stop - cols.start
        if canvas.valid is None:
            owned[:height, :width] = True
        else:
            y, x = rows.start - top, cols.start - left
            owned[:height, :width] = canvas.valid[y : y + height, x : x + width]
        cells = owned.reshape(block.shape[0], down, block.shape[1], across)
        counts = cells.sum(axis=(1, 3))
        share: npt.NDArray[np.float32] = (counts / (down * across)).astype(np.float32)
        if grid.edge == "drop":
            for row in range(block.shape[0]):
                for col in range(block.shape[1]):
                    if not grid.inside(block.rows.start + row, block.cols.start + col):
                        share[row, col] = 0.0
        return share

    def _refuse_if_too_large(self) -> None:
        import psutil

        if not self._blocks:
            return
        window = self._grid.block_window(self._blocks[0])
        area = (window[0].stop - window[0].start) * (window[1].stop - window[1].start)
        itemsize = 1 if self._units.is_eight_bit else 4
        need = 3 * area * (len(self._scene.bands) * itemsize + 1)
        free = psutil.virtual_memory().available
        if need > free:
            size = " x ".join(map(str, self._grid.size))
            raise GridError(
                f"patches of {size} px need {need / 1e9:.1f} GB of memory but "
                f"{free / 1e9:.1f} GB are free; choose a smaller --size"
            )


class _Canvas:
    """The rectangle of the scene a block needs, filled chunk by chunk."""

    def __init__(self, rows: Key, cols: Key, bands: int, eight_bit: bool) -> None:
        self.origin = (rows[0], cols[0])
        self.shape = (rows[1] - rows[0], cols[1] - cols[0])
        self.pixels: Pixels = np.empty((bands, *self.shape), np.uint8 if eight_bit else np.float32)
        self.valid: Mask | None = None

    def paste(self, chunk: Chunk, top: int, left: int) -> None:
        pixels, valid = chunk
        here, there = [], []
        for start, n, origin, length in zip(
            (top, left), pixels.shape[1:], self.origin, self.shape, strict=True
        ):
            first, last = max(start, origin), min(start + n, origin + length)
            here.append(slice(first - origin, last - origin))
            there.append(slice(first - start, last - start))
        self.pixels[:, here[0], here[1]] = pixels[:, there[0], there[1]]
        if valid is not None:
            if self.valid is None:
                self.valid = np.ones(self.shape, bool)
            self.valid[here[0], here[1]] = valid[there[0], there[1]]


def _bytes(chunk: Chunk) -> int:
    return sum(a.nbytes for a in chunk if a is not None and any(a.strides))


def chunk_shape(scene: Scene) -> Key:
    """Group whole blocks of the file into chunks worth one read."""
    (height, width), (n_rows, n_cols) = scene.block_shape, scene.shape
    pixel = len(scene.bands) * np.dtype(scene.dtype).itemsize
    across = width if width >= CHUNK_SIDE else width * max(1, CHUNK_SIDE // width)
    across = min(across, n_cols)
    fitting = max(1, CHUNK_BYTES // max(1, across * height * pixel))
    down = height * max(1, min(fitting, CHUNK_SIDE // height)) if height < CHUNK_SIDE else height
    return min(down, n_rows), across


def read_blocks(scene: Scene, grid: PatchGrid, side: int, **options: Any) -> Iterator[PixelBlock]:
    """Go through a whole scene block by block (see ``PatchStream``)."""
    return iter(PatchStream(scene, grid, list(grid.blocks(side)), **options))
