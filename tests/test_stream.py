"""Streamed patches are the patches cut by hand, whatever the file, blocks and threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window

from rasters import make_raster
from terrapatch.errors import CorruptBlockError, GridError, UnitsError
from terrapatch.grid import CellBlock, PatchGrid
from terrapatch.reading import SceneReader
from terrapatch.scene import Scene
from terrapatch.stream import (
    BLOCK_BYTES,
    PatchStream,
    PixelBlock,
    block_side,
    read_blocks,
    reflect,
)

MakeRaster = Callable[..., Path]
RANGES = {"uint8": "uint8", "int16": "0:4000", "uint16": "0:4000", "float32": "0:1"}
count = itertools.count()


@dataclass(frozen=True)
class Case:
    """A raster on disk with its known validity, and a grid to lay over it."""

    options: dict[str, Any]
    valid: NDArray[np.bool_]
    size: tuple[int, int]
    stride: tuple[int, int]
    edge: str
    side: int

    def open(self, folder: Path) -> Scene:
        path = make_raster(folder / f"{next(count)}.tif", **self.options)
        return Scene.open(path, units=RANGES[self.options["dtype"]])

    def grid(self, scene: Scene) -> PatchGrid:
        return PatchGrid.over(scene.geobox, self.size, self.stride, self.edge)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    dtype = draw(st.sampled_from(list(RANGES)))
    height, width = draw(st.integers(1, 45)), draw(st.integers(1, 45))
    kinds: list[Any] = [None, 0, "mask"]
    kinds += ["nan", -9999] if dtype == "float32" else ["alpha"] if dtype[0] == "u" else [-7]
    nodata = draw(st.sampled_from(kinds))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    hole = (
        slice(top, draw(st.integers(top + 1, height))),
        slice(left, draw(st.integers(left + 1, width))),
    )
    valid = np.ones((height, width), bool)
    if nodata is not None:
        valid[hole] = False
    layout = draw(st.sampled_from(["strips", "tiles"]))
    options = {
        "dtype": dtype,
        "bands": draw(st.sampled_from([1, 2, 3, 5])),
        "height": height,
        "width": width,
        "nodata": nodata,
        "hole": hole,
        "layout": layout,
        "block": draw(st.sampled_from([16, 32, 48] if layout == "tiles" else [1, 3, 7, 45])),
        "compress": draw(st.sampled_from([None, "deflate", "lzw", "packbits", "zstd"])),
        "interleave": draw(st.sampled_from(["pixel", "band"])),
        "seed": draw(st.integers(0, 99)),
    }
    stride = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    size = stride[0] + draw(st.integers(0, 40)), stride[1] + draw(st.integers(0, 40))
    edge = draw(st.sampled_from(["reflect", "nodata", "drop"]))
    return Case(options, valid, size, stride, edge, draw(st.sampled_from([1, 2, 3, 8])))


def in_eight_bits(scene: Scene) -> NDArray[Any]:
    """Read the whole scene with rasterio alone and stretch it as declared."""
    with rasterio.open(scene.source) as src:
        pixels = src.read(list(scene.bands))
    if scene.dtype == "uint8":
        return pixels
    low, high = (float(v) for v in RANGES[scene.dtype].split(":"))
    scaled = (pixels.astype(np.float64) - low) * 255 / (high - low)
    return np.clip(np.nan_to_num(scaled, nan=0), 0, 255).astype(np.float32)


def by_hand(
    pixels: NDArray[Any], valid: NDArray[np.bool_], grid: PatchGrid, row: int, col: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pad the whole scene with numpy and cut one patch."""
    tops = grid.margin
    ends = [
        (n - 1) * stride - margin + size - pixel
        for n, stride, margin, size, pixel in zip(
            grid.shape, grid.stride, tops, grid.size, valid.shape, strict=True
        )
    ]
    pad = [(a, max(0, b)) for a, b in zip(tops, ends, strict=True)]
    how: dict[str, Any] = {"mode": "reflect"} if grid.edge == "reflect" else {"mode": "constant"}
    whole = np.pad(pixels, [(0, 0), *pad], **how)
    good = np.pad(valid, pad, **how)
    rows = slice(row * grid.stride[0], row * grid.stride[0] + grid.size[0])
    cols = slice(col * grid.stride[1], col * grid.stride[1] + grid.size[1])
    patch, mask = whole[:, rows, cols].copy(), good[rows, cols]
    mean = patch[:, mask].mean(axis=1, dtype=np.float64) if mask.any() else np.zeros(len(patch))
    if patch.dtype == np.uint8:
        mean = np.floor(mean + 0.5)
    patch[:, ~mask] = mean[:, None]
    return patch, mask


def all_patches(block: PixelBlock) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    cells = list(itertools.product(*map(range, block.block.shape)))
    patches, mask = block.patches(cells)
    return patches, np.ones(patches[:, 0].shape, bool) if mask is None else mask


def mosaic(blocks: Iterator[PixelBlock], grid: PatchGrid) -> dict[tuple[int, int], bytes]:
    """Collect what a stream says of every cell, byte for byte."""
    found = {}
    for block in blocks:
        patches, mask = all_patches(block)
        cells = itertools.product(*map(range, block.block.shape))
        for (row, col), patch, good in zip(cells, patches, mask, strict=True):
            key = block.block.rows.start + row, block.block.cols.start + col
            found[key] = patch.tobytes() + good.tobytes() + block.share[row, col].tobytes()
    return found


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_patches_are_those_cut_by_hand(
    case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scene = case.open(tmp_path_factory.getbasetemp())
    grid = case.grid(scene)
    pixels = in_eight_bits(scene)
    stream = PatchStream(scene, grid, list(grid.blocks(case.side)))
    share = np.zeros(grid.shape, np.float32)
    for block in stream:
        patches, mask = all_patches(block)
        cells = itertools.product(*map(range, block.block.shape))
        for (row, col), patch, good in zip(cells, patches, mask, strict=True):
            at = block.block.rows.start + row, block.block.cols.start + col
            expected, valid = by_hand(pixels, case.valid, grid, *at)
            assert np.array_equal(good, valid)
            if patch.dtype == np.uint8:
                assert np.array_equal(patch, expected)
            else:
                assert np.allclose(patch, expected, rtol=1e-5, atol=1e-4)
        share[block.block.rows, block.block.cols] = block.share
    assert stream.chunk_reads == stream.chunk_count
    counted = np.zeros(grid.shape)
    for row, col in np.ndindex(grid.shape):
        owned = case.valid[grid.cell_window(row, col)].sum()
        counted[row, col] = owned if grid.edge != "drop" or grid.inside(row, col) else 0
    area = grid.stride[0] * grid.stride[1]
    assert np.allclose(share, counted / area)
    if grid.edge != "drop":
        assert round(float(share.sum(dtype=np.float64)) * area) == case.valid.sum()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(), other=st.integers(1, 9), keep=st.integers(0, 9000), data=st.data())
def test_blocks_readers_and_memory_change_no_byte(
    case: Case,
    other: int,
    keep: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    scene = case.open(tmp_path_factory.getbasetemp())
    grid = case.grid(scene)
    whole = mosaic(read_blocks(scene, grid, case.side), grid)
    assert len(whole) == grid.shape[0] * grid.shape[1]
    assert mosaic(read_blocks(scene, grid, other), grid) == whole
    assert mosaic(read_blocks(scene, grid, case.side, readers=4, keep_bytes=keep), grid) == whole
    assert mosaic(read_blocks(scene, grid, case.side, readers=1, keep_bytes=0), grid) == whole
    blocks = list(grid.blocks(case.side))
    some = data.draw(st.lists(st.sampled_from(blocks), unique_by=lambda b: b.index))
    part = mosaic(iter(PatchStream(scene, grid, some)), grid)
    assert part == {key: whole[key] for key in part}
    assert len(part) == sum(b.shape[0] * b.shape[1] for b in some)


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 60))
def test_reflect_is_numpys(n: int, before: int, after: int) -> None:
    indices = np.arange(-before, n + after)
    assert np.array_equal(reflect(indices, n), np.pad(np.arange(n), (before, after), "reflect"))


class Recorder:
    """Notes every window a reader is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.windows: list[tuple[slice, slice]] = []
        true_read = SceneReader.read

        def read(reader: SceneReader, rows: slice, cols: slice) -> Any:
            self.windows.append((rows, cols))
            return true_read(reader, rows, cols)

        monkeypatch.setattr(SceneReader, "read", read)


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "strips", "block": 1},
        {"layout": "strips", "block": 37},
        {"layout": "strips", "block": 1400},
        {"layout": "tiles", "block": 64},
        {"layout": "tiles", "block": 256},
        {"layout": "tiles", "block": 1024},
        {"layout": "tiles", "block": 528},
    ],
)
@pytest.mark.parametrize(("size", "stride"), [(224, 224), (224, 100), (500, 60)])
def test_each_block_of_the_file_is_decoded_once(
    make_raster: MakeRaster,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    size: int,
    stride: int,
) -> None:
    path = make_raster(height=1400, width=1100, bands=1, values="constant", **options)
    scene = Scene.open(path)
    grid = PatchGrid.over(scene.geobox, size, stride)
    seen = Recorder(monkeypatch)
    stream = PatchStream(scene, grid, list(grid.blocks(4)))
    for _ in stream:
        pass
    read = np.zeros(scene.shape, np.int8)
    for rows, cols in seen.windows:
        read[rows, cols] += 1
        for side, block, n in zip((rows, cols), scene.block_shape, scene.shape, strict=True):
            assert side.start % block == 0
            assert side.stop % block == 0 or side.stop == n
    assert (read == 1).all()
    assert stream.chunk_reads == stream.chunk_count == len(seen.windows)


@pytest.mark.parametrize("budget", [0, 40_000, 600_000, 2_000_000])
def test_kept_chunks_stay_within_their_budget(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    path = make_raster(height=1500, width=700, bands=1, layout="strips", block=20)
    scene = Scene.open(path)
    grid = PatchGrid.over(scene.geobox, 64, 32)
    stream = PatchStream(scene, grid, list(grid.blocks(4)), keep_bytes=budget)
    most, true_keep = 0, PatchStream._keep

    def keep(self: PatchStream, *args: Any) -> None:
        nonlocal most
        true_keep(self, *args)
        most = max(most, sum(chunk[0].nbytes for chunk in self._kept.values()))

    monkeypatch.setattr(PatchStream, "_keep", keep)
    for _ in stream:
        pass
    assert most <= budget
    enough = budget >= 1500 * 700
    assert (stream.chunk_reads == stream.chunk_count) == enough
    assert not stream._kept


def test_what_is_read_ahead_does_not_grow_with_the_scene(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks that wait to be used are a few for each reader, even if a block needs hundreds."""
    scene = Scene.open(make_raster(height=4096, width=512, bands=1, values="constant", block=512))
    grid = PatchGrid.over(scene.geobox, 64)
    stream = PatchStream(scene, grid, [CellBlock((0, 0), slice(0, 64), slice(0, 8))], readers=1)
    waiting, used, most = 0, threading.Event(), 0
    true_read, true_keep = SceneReader.read, PatchStream._keep

    def read(reader: SceneReader, rows: slice, cols: slice) -> Any:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        return true_read(reader, rows, cols)

    def keep(self: PatchStream, *args: Any) -> None:
        nonlocal waiting
        used.wait(0.02)  # a slow user of chunks: the reader runs ahead as far as it may
        true_keep(self, *args)
        waiting -= 1

    monkeypatch.setattr(SceneReader, "read", read)
    monkeypatch.setattr(PatchStream, "_keep", keep)
    for _ in stream:
        pass
    assert stream.chunk_reads == 8
    assert most <= 3


def running() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("terrapatch-")]


def test_leaving_early_leaves_no_thread(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster(height=600, width=600))
    stream = iter(PatchStream(scene, PatchGrid.over(scene.geobox, 30), list(grid_blocks(scene))))
    next(stream)
    assert running()
    stream.close()  # type: ignore[attr-defined]
    assert not running()


def grid_blocks(scene: Scene) -> Iterator[CellBlock]:
    return PatchGrid.over(scene.geobox, 30).blocks(2)


def test_a_readers_fault_reaches_the_user(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene.open(make_raster(height=1200, width=1200, values="constant"))
    grid = PatchGrid.over(scene.geobox, 100)
    true_read = SceneReader.read

    def read(reader: SceneReader, rows: slice, cols: slice) -> Any:
        if rows.start >= 512:
            raise CorruptBlockError("broken below")
        return true_read(reader, rows, cols)

    monkeypatch.setattr(SceneReader, "read", read)
    got: list[PixelBlock] = []
    with pytest.raises(CorruptBlockError, match="broken below"):
        got.extend(PatchStream(scene, grid, list(grid.blocks(2)), readers=3))
    assert len(got) == 2 * 6
    assert not running()


def test_a_stream_can_be_gone_through_twice(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster(nodata="mask"))
    grid = PatchGrid.over(scene.geobox, 20, 7)
    stream = PatchStream(scene, grid, list(grid.blocks(3)))
    assert mosaic(iter(stream), grid) == mosaic(iter(stream), grid)


@pytest.mark.parametrize("edge", ["reflect", "nodata"])
@pytest.mark.parametrize(("dtype", "level"), [("uint8", 97), ("uint16", 1234), ("float32", 0.1)])
@pytest.mark.parametrize("nodata", [None, 0, "mask"])
@pytest.mark.parametrize("shape", [(50, 41), (1, 1), (1, 30), (30, 1), (5, 4)])
def test_constant_in_constant_out(
    make_raster: MakeRaster,
    edge: str,
    dtype: str,
    level: float,
    nodata: Any,
    shape: tuple[int, int],
) -> None:
    hole = (slice(0, shape[0] // 2), slice(0, max(1, shape[1] // 2)))
    path = make_raster(
        height=shape[0],
        width=shape[1],
        dtype=dtype,
        values="constant",
        level=level,
        nodata=nodata,
        hole=hole,
    )
    scene = Scene.open(path, units=RANGES[dtype])
    grid = PatchGrid.over(scene.geobox, 16, 9, edge)
    seen = set()
    for block in read_blocks(scene, grid, 2):
        for patch, good in zip(*all_patches(block), strict=True):
            seen |= set(np.unique(patch)) if good.any() else {patch.dtype.type(0)}
            assert good.any() or not patch.any()
    assert len(seen - {0}) == 1
    assert max(seen) == pytest.approx(in_eight_bits(scene)[0, -1, -1], rel=1e-6)


def test_dropped_cells_are_those_whose_patch_leaves_the_scene(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster(height=64, width=64))
    grid = PatchGrid.over(scene.geobox, 20, 10, "drop")
    (block,) = read_blocks(scene, grid, 64)
    inside = np.zeros(grid.shape, bool)
    inside[1:5, 1:5] = True
    assert np.array_equal(block.share == 1, inside)
    assert np.array_equal(block.share == 0, ~inside)


def test_undeclared_units_are_refused_before_anything_is_read(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster(dtype="uint16"))
    with pytest.raises(UnitsError, match="declare them with --units, for example 0:3000"):
        PatchStream(scene, PatchGrid.over(scene.geobox, 8), [])


def test_a_patch_larger_than_memory_is_refused(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster())
    grid = PatchGrid.over(scene.geobox, 10**9)
    with pytest.raises(GridError, match=r"need .* GB of memory but .*; choose a smaller --size"):
        PatchStream(scene, grid, list(grid.blocks(1)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("driver", "options"),
    [("PNG", {}), ("JPEG", {"QUALITY": 100}), ("JP2OpenJPEG", {}), ("WEBP", {"LOSSLESS": "YES"})],
)
def test_formats_read_from_the_top_or_by_wavelet(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch, driver: str, options: dict[str, Any]
) -> None:
    with rasterio.Env() as env:
        if driver not in env.drivers():
            pytest.skip(f"this GDAL has no {driver}")
    path = make_raster(
        "scene.img", driver=driver, height=700, width=300, crs=None, transform=None, **options
    )
    scene = Scene.open(path)
    assert scene.driver == driver
    grid = PatchGrid.over(scene.geobox, 96, 50)
    seen = Recorder(monkeypatch)
    pixels = in_eight_bits(scene)
    valid = np.ones(scene.shape, bool)
    for block in read_blocks(scene, grid, 2, readers=3):
        patch = block.patches([(0, 0)])[0][0]
        at = block.block.rows.start, block.block.cols.start
        assert np.array_equal(patch, by_hand(pixels, valid, grid, *at)[0])
    if driver in ("PNG", "JPEG", "WEBP"):
        tops = [rows.start for rows, _ in seen.windows]
        assert tops == sorted(tops)  # one reader that never goes back


@pytest.mark.parametrize("block", [(16, 16), (256, 256), (512, 512)])
def test_the_broken_block_is_named_through_larger_chunks(
    make_raster: MakeRaster, block: tuple[int, int]
) -> None:
    """Chunks group several blocks; the first one that fails is what the message names."""
    path = make_raster(height=1024, width=1024, layout="tiles", block=block[0], bands=1)
    broken = [(700, 300), (700, 900), (1000, 20)]
    with rasterio.open(path) as src:
        places = []
        for row, col in broken:
            tag = f"BLOCK_OFFSET_{col // block[1]}_{row // block[0]}"
            places.append(int(src.tags(1, ns="TIFF").get(tag) or src.get_tag_item(tag, "TIFF", 1)))
    content = bytearray(path.read_bytes())
    for place in places:
        content[place : place + 12] = b"\xff" * 12
    path.write_bytes(content)
    scene = Scene.open(path)
    grid = PatchGrid.over(scene.geobox, 128, 64)
    first = (700 // block[0], 300 // block[1])
    with pytest.raises(CorruptBlockError) as fault:
        list(read_blocks(scene, grid, 4, readers=3))
    message = str(fault.value)
    assert message.startswith(f"scene.tif is damaged: block {first[0]},{first[1]} (pixels from row")
    assert f"row {first[0] * block[0]}, column {first[1] * block[1]})" in message
    assert "fetch the file again" in message
    with rasterio.open(path) as src, pytest.raises(rasterio.errors.RasterioIOError):
        src.read(window=Window(first[1] * block[1], first[0] * block[0], *block))


@pytest.mark.data
def test_the_broken_tile_of_a_real_cog_is_named(data_dir: Callable[..., Path]) -> None:
    path = data_dir("tricky", "jpeg_cog_corrupt_tiles.tif")
    scene = Scene.open(path)
    height, width = scene.block_shape
    bad = []
    with rasterio.open(path) as src:
        for (row, col), window in src.block_windows(1):
            try:
                src.read(window=window)
                src.read_masks(1, window=window)
            except rasterio.errors.RasterioIOError:
                bad.append((row, col))
    grid = PatchGrid.over(scene.geobox, 224, 112)
    with pytest.raises(CorruptBlockError) as fault:
        list(read_blocks(scene, grid, 4))
    assert f"{path.name} is damaged: block {bad[0][0]},{bad[0][1]} " in str(fault.value)
    assert f"(pixels from row {bad[0][0] * height}, column {bad[0][1] * width})" in str(fault.value)


@given(
    st.integers(1, 600),
    st.integers(0, 600),
    st.integers(1, 30),
    st.sampled_from([1, 4]),
    st.integers(2, 5000),
)
def test_blocks_are_as_large_as_memory_allows(
    stride: int, more: int, bands: int, itemsize: int, features: int
) -> None:
    from odc.geo.geobox import GeoBox

    box = GeoBox((10, 10), rasterio.Affine(1, 0, 0, 0, -1, 0), None)
    grid = PatchGrid.over(box, stride + more, stride)
    side = block_side(grid, bands, itemsize, features)

    def need(n: int) -> int:
        return max((n * stride + stride + more) ** 2 * bands * itemsize, n * n * features * 2)

    assert side == 1 or need(side) <= BLOCK_BYTES
    assert side == 64 or need(side * 2) > BLOCK_BYTES
