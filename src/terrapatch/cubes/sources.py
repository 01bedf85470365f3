"""Telling what kind of cube a source is, and opening it as that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from terrapatch.cubes import envi, npz
from terrapatch.cubes.containers import Container
from terrapatch.cubes.gdal import raw_from_gdal, raw_from_scene
from terrapatch.cubes.hdf import HdfFile
from terrapatch.cubes.labelled import LabelledArray
from terrapatch.cubes.mat import MatFile
from terrapatch.cubes.named_arrays import raw_from_container
from terrapatch.cubes.netcdf3 import Netcdf3File
from terrapatch.cubes.raw import RawCube
from terrapatch.errors import CubeError, SceneNotFoundError
from terrapatch.scene import REMOTE, ArraySource, Scene

ARRAYS = (".npz", ".npy", ".mat", ".nc", ".nc4", ".cdf", ".h5", ".he5", ".hdf5")
HDF5 = b"\x89HDF\r\n\x1a\n"


def raw_cube(
    source: Any,
    variable: str | None,
    nodata: float | None,
    axes: str | None,
    wavelengths: Any,
) -> RawCube:
    """Open any source as a cube with all of its bands; see ``Cube.open``."""
    if isinstance(source, Scene):
        return _from_scene(source)
    if hasattr(source, "dims"):
        return raw_from_container(LabelledArray(source), variable, axes, wavelengths)
    path, named = split_name(os.fspath(source))
    box = container(path)
    if box is not None:
        return raw_from_container(box, variable or named, axes, wavelengths)
    if variable is not None:
        raise CubeError(
            f"{Path(path).name} is a raster, not a file of variables; leave variable out"
        )
    if axes is not None:
        raise CubeError(f"{Path(path).name} is a raster, whose axes are known; leave axes out")
    pair = None if path.startswith(REMOTE) else envi.find_pair(path)
    if pair is None:
        return raw_from_gdal(path, nodata)
    pixels, header = pair
    raw = raw_from_gdal(str(pixels), nodata)
    if raw.kind != "ENVI":
        return raw  # a raster of its own beside another's header
    envi.check_length(pixels, header)
    return envi.with_header(raw, header)


def _from_scene(scene: Scene) -> RawCube:
    """Take the chosen bands of a scene as a cube."""
    if isinstance(scene.source, ArraySource):
        array = scene.source.array[[b - 1 for b in scene.bands]]
        return raw_from_container(LabelledArray(array), None, None, None)
    raw = raw_from_scene(scene)
    pair = envi.find_pair(scene.source) if scene.driver == "ENVI" else None
    return raw if pair is None else envi.with_header(raw, pair[1])


def container(path: str) -> Container | None:
    """Open a file of named arrays, told by its first bytes; ``None`` for GDAL's files.

    Raises:
        SceneNotFoundError: If there is no such file.
    """
    file, suffix = Path(path), Path(path).suffix.lower()
    if path.startswith(REMOTE) or (suffix not in ARRAYS and not file.is_file()):
        return None
    if not file.is_file():
        raise SceneNotFoundError(f"there is no file {path}; check the path")
    with file.open("rb") as stream:
        head = stream.read(520)
    if head[:6] == b"\x93NUMPY":
        return npz.NpyFile(path)
    if head[:8] == HDF5 or head[512:520] == HDF5:
        return HdfFile(path, _hdf_kind(suffix))
    if head[:3] == b"CDF" and head[3:4] in (b"\x01", b"\x02", b"\x05"):
        return Netcdf3File(path)
    if suffix == ".mat":
        return MatFile(path)
    return npz.NpzFile(path) if suffix in (".npz", ".npy") else None


def _hdf_kind(suffix: str) -> str:
    if suffix == ".mat":
        return "MATLAB 7.3"
    return "NetCDF 4" if suffix in (".nc", ".nc4", ".cdf") else "HDF5"


def split_name(path: str) -> tuple[str, str | None]:
    """Split ``file.npz:cube`` into the file and the variable."""
    head, colon, tail = path.rpartition(":")
    named = colon and tail and not path.startswith(REMOTE)
    if named and not Path(path).exists() and Path(head).is_file():
        return head, tail
    return path, None
