"""Tiles of a scene: the right pixels, at every zoom, with and without overviews."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from terrapatch.errors import CorruptBlockError, UnitsError
from terrapatch.scene import Scene
from terrapatch.viewer import copy, tiles
from terrapatch.viewer.copy import SmallCopy
from terrapatch.viewer.errors import MissingError
from terrapatch.viewer.pictures import Picture
from terrapatch.viewer.tiles import Pyramid


def pixels(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGBA"))


def blobs(bands: int, rows: int, cols: int) -> NDArray[np.float64]:
    """A smooth picture that JPEG keeps nearly as it is, another in every band."""
    y, x = np.mgrid[:rows, :cols]
    one = 128 + 60 * np.sin(y / 90) + 50 * np.cos(x / 70)
    return np.stack([np.roll(one, 40 * b, 1) for b in range(bands)])


def test_the_last_zoom_shows_pixels_as_they_are(make_raster: Callable[..., Path]) -> None:
    path = make_raster(height=600, width=900, values=blobs)
    with rasterio.open(path) as src:
        whole = np.moveaxis(src.read(), 0, -1).astype(int)
    pyramid = Pyramid(Scene.open(path))
    assert pyramid.top == 2
    assert pyramid.copy is None
    edge = pixels(pyramid.tile(2, 3, 2))
    assert edge.shape == (600 - 512, 900 - 768, 4)
    assert np.abs(edge[..., :3] - whole[512:, 768:]).max() <= 8
    assert (edge[..., 3] == 255).all()
    full = pixels(pyramid.tile(0, 0, 0))
    assert full.shape == (150, 225, 4)
    mean = whole.reshape(150, 4, 225, 4, 3).mean(axis=(1, 3))
    assert np.abs(full[..., :3] - mean).max() <= 10


def test_what_has_no_data_is_transparent(make_raster: Callable[..., Path]) -> None:
    path = make_raster(height=512, width=512, values=blobs, nodata=0)
    tile = pixels(Pyramid(Scene.open(path)).tile(0, 0, 0))
    assert (tile[:126, :126, 3] == 0).all()
    assert (tile[130:, 130:, 3] == 255).all()


def test_units_and_bands_are_those_of_the_embedding(make_raster: Callable[..., Path]) -> None:
    path = make_raster(
        dtype="uint16", bands=1, height=300, width=300, values="constant", level=1500
    )
    scene = Scene.open(path)
    with pytest.raises(UnitsError, match="declare them with --units"):
        Pyramid(scene)
    tile = pixels(Pyramid(Scene.open(path, units="0:3000")).tile(1, 0, 0))
    assert np.abs(tile[..., :3].astype(int) - 128).max() <= 2


def test_tiles_that_do_not_exist_are_refused(make_raster: Callable[..., Path]) -> None:
    pyramid = Pyramid(Scene.open(make_raster(height=600, width=900)))
    for zoom, x, y in ((3, 0, 0), (-1, 0, 0), (2, 4, 0), (2, 0, 3), (2, -1, 0)):
        with pytest.raises(MissingError, match="there is no"):
            pyramid.tile(zoom, x, y)


def test_a_large_scene_without_overviews_is_read_whole_once(
    make_raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_COPY_SIDE", 256)
    monkeypatch.setattr(copy, "_PIECE_PIXELS", 400 * 400)
    path = make_raster(height=700, width=1100, values=blobs, block=64)
    scene = Scene.open(path)
    pyramid = Pyramid(scene)
    assert pyramid.copy is not None
    assert pyramid.copy.pieces_made == 0
    fine = pyramid.tile(pyramid.top, 0, 0)
    assert pyramid.copy.pieces_made == 0  # near tiles do not wait for it
    coarse = pixels(pyramid.tile(0, 0, 0))
    assert pyramid.copy.pieces_made == 2 * 3
    pyramid.tile(0, 0, 0)
    assert pyramid.copy.pieces_made == 2 * 3
    with rasterio.open(path, "r+") as src:
        src.build_overviews([2, 4, 8], Resampling.average)
    direct = Pyramid(Scene.open(path))
    assert direct.copy is None
    other = pixels(direct.tile(0, 0, 0))
    assert coarse.shape == other.shape
    assert np.abs(coarse[..., :3].astype(int) - other[..., :3]).mean() < 4
    assert np.abs(pixels(fine).astype(int) - pixels(direct.tile(direct.top, 0, 0))).max() <= 8


@pytest.mark.parametrize("layout", ["tiles", "strips"])
def test_the_small_copy_keeps_holes(
    make_raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setattr(copy, "_PIECE_PIXELS", 100 * 100)
    path = make_raster(height=300, width=420, nodata="alpha", values=blobs, layout=layout)
    small = SmallCopy(Scene.open(path), 100)
    rgb, valid = small.whole()
    assert rgb.shape == (60, 84, 3)
    assert small.pieces_made > 3
    assert not valid[:30, :42].any()
    assert valid[30:, 42:].all()
    whole = np.moveaxis(blobs(3, 300, 420), 0, -1)
    mean = whole.reshape(60, 5, 84, 5, 3).mean(axis=(1, 3))
    assert np.abs(rgb[30:, 42:] - mean[30:, 42:]).max() <= 2


def test_the_cache_stays_within_its_bounds(
    make_raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pyramid = Pyramid(Scene.open(make_raster(height=600, width=900)))
    first = pyramid.tile(2, 0, 0)
    assert pyramid.tile(2, 0, 0) is first
    monkeypatch.setattr(tiles, "CACHE_BYTES", 2 * len(first.data))
    for x in range(3):
        for y in range(2):
            pyramid.tile(2, x, y)
    assert sum(len(p.data) for p in pyramid._kept.values()) == pyramid._bytes
    assert pyramid._bytes <= 2 * len(first.data)
    assert pyramid.tile(2, 0, 0).data == first.data


def test_a_damaged_block_has_a_sentence(make_raster: Callable[..., Path]) -> None:
    path = make_raster(height=512, width=512, block=256)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    pyramid = Pyramid(Scene.open(path))
    with pytest.raises(CorruptBlockError, match="is damaged"):
        pyramid.tile(0, 0, 0)
