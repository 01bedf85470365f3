"""Cubes larger than memory: little is read to open them, and little is held while reading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio

import cube_files as files
from terrapatch.cubes import Cube, loading
from terrapatch.errors import CubeError

GIB = 1 << 30

# The peak of this process alone, in MiB, beside what the imports took.
MEASURED = """
import sys
from terrapatch.cubes import Cube

def peak():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024

import h5py, rasterio, scipy.io
before = peak()
for path in sys.argv[1:]:
    cube = Cube.open(path, axes="yxb" if path.endswith(".h5") else None)
    rows, cols = cube.shape
    seen = 0
    with cube.reader() as reader:
        for top in range(0, rows, rows // 40):
            block = reader.read(slice(top, min(top + 8, rows)), slice(0, 600))
            seen += int(block.valid.sum())
    print(cube.n_bands, seen, 2 * rows * cols * cube.n_bands, peak() - before)
"""


def paint(path: Path, rows: int, cols: int, bands: int) -> None:
    """Make a sparse BIP file of int16 zeros in which a few lines are painted."""
    line = np.random.default_rng(0).integers(1, 9000, (cols, bands)).astype("<i2")
    with path.open("wb") as out:
        for row in range(0, rows, 750):
            out.seek(row * line.nbytes)
            out.write(line.tobytes())
        out.truncate(rows * line.nbytes)


def big_envi(tmp_path: Path) -> Path:
    rows, cols, bands = 30_000, 1_200, 220
    paint(tmp_path / "big.dat", rows, cols, bands)
    text = files.envi_header(
        interleave="bip",
        samples=cols,
        lines=rows,
        bands=bands,
        wavelength=None,
        fwhm=None,
        bbl=None,
    )
    (tmp_path / "big.hdr").write_text(text)
    return tmp_path / "big.dat"


def big_tif(tmp_path: Path) -> Path:
    place = {"crs": files.CRS, "transform": files.TRANSFORM, "height": 20_000, "width": 1_200}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "interleave": "pixel"}
    storing = tiles | {"SPARSE_OK": True, "BIGTIFF": "YES", "compress": "deflate"}
    path = tmp_path / "big.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=200, dtype="int16", nodata=-1, **place, **storing
    ) as out:
        noise = np.random.default_rng(0).integers(1, 9000, (200, 4, 1200)).astype("int16")
        for top in range(0, 20_000, 5_000):
            out.write(noise, window=rasterio.windows.Window(0, top, 1200, 4))
    return path


def big_h5(tmp_path: Path) -> Path:
    path = tmp_path / "big.h5"
    with h5py.File(path, "w") as out:
        item = out.create_dataset("cube", (20_000, 1_200, 200), "int16", chunks=(16, 64, 200))
        noise = np.random.default_rng(0).integers(1, 9000, (16, 1200, 200)).astype("int16")
        for top in range(0, 20_000, 4_000):
            item[top : top + 16] = noise
    return path


def test_cubes_of_gigabytes_are_opened_and_read_in_little_memory(tmp_path: Path) -> None:
    paths = [big_envi(tmp_path), big_tif(tmp_path), big_h5(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    assert [row[0] for row in rows] == [220, 200, 200]
    for path, (_, seen, size, grown) in zip(paths, rows, strict=True):
        assert seen > 0, path.name
        assert size > 8 * GIB, path.name
        assert grown < 250, path.name


def test_an_array_that_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files.write_npz(tmp_path / "c.npz")
    mat = files.write_mat5(tmp_path / "c.mat")
    monkeypatch.setattr(loading, "HEADROOM", 1e12)
    with pytest.raises(CubeError, match=r"c\.npz:cube has to be held in memory .* numpy\.save"):
        Cube.open(path)
    with pytest.raises(CubeError, match=r"c\.mat:cube has to be held in memory .* v7\.3"):
        Cube.open(mat)


def test_reading_a_part_reads_no_more(tmp_path: Path) -> None:
    cube = Cube.open(files.write_tif(tmp_path / "c.tif"))
    with cube.reader() as reader:
        reader.read(slice(0, 2), slice(3, 6))
        assert reader.bytes_read == 2 * 3 * cube.n_bands * 2


def test_an_array_in_memory_is_loaded_once(tmp_path: Path) -> None:
    path = files.write_npz(tmp_path / "c.npz")
    cube = Cube.open(path)
    with cube.reader() as one, cube.reader() as two:
        assert one._handle.array is two._handle.array
    np.savez(path, cube=files.values() // 2, wavelength_nm=files.WAVES)
    with Cube.open(path).reader() as reader:
        assert np.nanmax(reader.read(slice(0, 5), slice(0, 5)).values) <= 5000
