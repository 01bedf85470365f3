"""One small cube, written as a file of every format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.io import savemat

ROWS, COLS, BANDS = 13, 11, 7
WAVES = np.array([450.0, 550.0, 650.0, 850.0, 1650.0, 2100.0, 2200.0])
WIDTHS = np.array([10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0])
GOOD = np.array([1, 1, 0, 1, 1, 1, 1])
KEPT = (1, 2, 4, 6, 7)
NODATA, SCALE = -9999, 0.0001
TRANSFORM = from_origin(364_095, 5_809_965, 30, 30)
CRS = "EPSG:32633"
LEFT = 364_095 + 30 * (np.arange(COLS) + 0.5)
TOP = 5_809_965 - 30 * (np.arange(ROWS) + 0.5)


def values(dtype: str = "int16") -> NDArray[Any]:
    """Return raw values: band 3 bad, band 5 empty, one pixel empty, one half empty."""
    cube = np.random.default_rng(3).integers(1, 10_000, (ROWS, COLS, BANDS))
    cube[..., 4] = NODATA
    cube[0, 0] = NODATA
    cube[5, 6, 1] = NODATA
    return cube.astype(dtype)


def truth() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return physical values of the kept bands, NaN where invalid, and the validity."""
    raw = values()[..., [n - 1 for n in KEPT]]
    valid = (raw != NODATA).all(axis=2)
    physical = np.where(valid[..., None], raw * np.float64(SCALE), np.nan)
    return physical.astype(np.float32), valid


def write_tif(path: Path) -> Path:
    """Write a GeoTIFF whose bands carry tags."""
    shape = {"height": ROWS, "width": COLS, "count": BANDS, "dtype": "int16"}
    place = {"crs": CRS, "transform": TRANSFORM, "nodata": NODATA}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place) as out:
        out.write(values().transpose(2, 0, 1))
        out.scales = (SCALE,) * BANDS
        for i in range(BANDS):
            out.update_tags(
                i + 1,
                wavelength=WAVES[i],
                wavelength_units="Nanometers",
                fwhm=WIDTHS[i],
                bbl=GOOD[i],
            )
    return path


def envi_header(**entries: str) -> str:
    """Return the text of a header of the cube; entries replace or add lines, None removes."""
    lines = {
        "samples": COLS,
        "lines": ROWS,
        "bands": BANDS,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": 2,
        "interleave": "bsq",
        "byte order": 0,
        "map info": "{UTM, 1, 1, 364095, 5809965, 30, 30, 33, North, WGS-84, units=Meters}",
        "data ignore value": NODATA,
        "reflectance scale factor": 10000,
        "wavelength units": "Micrometers",
        "wavelength": "{\n " + ",\n ".join(f"{w / 1000:.4f}" for w in WAVES) + "}",
        "fwhm": "{" + ", ".join(f"{w / 1000:.4f}" for w in WIDTHS) + "}",
        "bbl": "{" + ", ".join(map(str, GOOD)) + "}",
    } | {k.replace("_", " "): v for k, v in entries.items()}
    return "ENVI\n" + "".join(f"{k} = {v}\n" for k, v in lines.items() if v is not None)


def write_envi(
    path: Path, interleave: str = "bsq", order: int = 0, dtype: str = "int16", **entries: Any
) -> Path:
    """Write an ENVI pair and return the path of its pixels."""
    codes = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "uint16": 12}
    axes = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}[interleave]
    cube = values(dtype).transpose(axes).astype(np.dtype(dtype).newbyteorder("<>"[order]))
    path.write_bytes(cube.tobytes())
    told = {"interleave": interleave, "byte order": order, "data type": codes[dtype]} | entries
    path.with_suffix(".hdr").write_text(envi_header(**told))
    return path


def write_mat5(path: Path) -> Path:
    """Write a MATLAB 5 file; labels beside the cube tell its axes."""
    savemat(path, {"cube": values(), "wavelength": WAVES, "gt": np.ones((ROWS, COLS))})
    return path


def write_mat73(path: Path) -> Path:
    """Write an HDF5 file as MATLAB 7.3 does: last axis first, after 512 bytes of its own."""
    with h5py.File(path, "w", userblock_size=512) as out:
        held = {
            "cube": values(),
            "wavelength": WAVES[None],
            "fwhm": WIDTHS[None],
            "bbl": GOOD[None].astype("float64"),
        }
        for name, array in held.items():
            item = out.create_dataset(name, data=array.T, chunks=True)
            item.attrs["MATLAB_class"] = np.bytes_("int16" if name == "cube" else "double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def write_npz(path: Path) -> Path:
    """Write an archive with lists beside the cube."""
    lists = {"wavelength_nm": WAVES, "fwhm_nm": WIDTHS, "bbl": GOOD}
    np.savez_compressed(path, cube=values(), **lists)
    return path


def data_set() -> xr.Dataset:
    """Return the cube with bands first, coordinates and CF attributes."""
    array = xr.DataArray(
        values().transpose(2, 0, 1),
        dims=("wavelength", "y", "x"),
        coords={"wavelength": WAVES, "y": TOP, "x": LEFT, "fwhm": ("wavelength", WIDTHS)},
        attrs={"_FillValue": np.int16(NODATA), "scale_factor": SCALE, "grid_mapping": "crs"},
    ).assign_coords(good_wavelengths=("wavelength", GOOD))
    array.wavelength.attrs["units"] = "nm"
    array.fwhm.attrs["units"] = "nm"
    box = array.to_dataset(name="reflectance").reset_coords(["fwhm", "good_wavelengths"])
    wkt = rasterio.crs.CRS.from_string(CRS).to_wkt()
    return box.assign(crs=((), np.int32(0), {"crs_wkt": wkt}))


def write_nc3(path: Path) -> Path:
    """Write a classic NetCDF file."""
    data_set().to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")
    return path


def write_nc4(path: Path) -> Path:
    """Write a NetCDF 4 file."""
    data_set().to_netcdf(path, engine="h5netcdf")
    return path


def write_h5(path: Path) -> Path:
    """Write a plain HDF5 file, bands last, in groups."""
    with h5py.File(path, "w") as out:
        item = out.create_dataset("flight/cube", data=values(), chunks=(4, 4, 7))
        item.attrs.update(_FillValue=NODATA, scale_factor=SCALE, crs=CRS)
        for name, array in {"wavelength": WAVES, "fwhm": WIDTHS, "bbl": GOOD}.items():
            out[f"flight/{name}"] = array
        out["flight/wavelength"].attrs["units"] = "Nanometers"
        out["flight/y"], out["flight/x"] = TOP, LEFT
    return path


def write_lan(path: Path) -> Path:
    """Write an ERDAS 7.4 file of 16-bit numbers, without a place."""
    head = bytearray(128)
    head[:6] = b"HEAD74"
    head[6:10] = np.array([2, BANDS], "<i2").tobytes()
    head[16:24] = np.array([COLS, ROWS], "<i4").tobytes()
    path.write_bytes(bytes(head) + values().transpose(0, 2, 1).astype("<i2").tobytes())
    return path


Writer = Callable[[Path], Path]

# How each format is written, and what it cannot say of its own.
FORMATS: dict[str, tuple[str, Writer, dict[str, Any]]] = {
    "GeoTIFF": ("c.tif", write_tif, {}),
    **{
        f"ENVI {way} {'<>'[order]} {dtype}": (
            "c.dat",
            lambda p, w=way, o=order, d=dtype: write_envi(p, w, o, d),
            {},
        )
        for way, order, dtype in [
            ("bsq", 0, "int16"),
            ("bsq", 1, "int16"),
            ("bil", 0, "int16"),
            ("bil", 1, "float32"),
            ("bip", 0, "float64"),
            ("bip", 1, "int32"),
        ]
    },
    "MATLAB 5": ("c.mat", write_mat5, {"drop": "3", "nodata": NODATA, "scale": SCALE}),
    "MATLAB 7.3": ("c.mat", write_mat73, {"nodata": NODATA, "scale": SCALE}),
    "npz": ("c.npz", write_npz, {"nodata": NODATA, "scale": SCALE}),
    "NetCDF 3": ("c.nc", write_nc3, {}),
    "NetCDF 4": ("c.nc", write_nc4, {}),
    "HDF5": ("c.h5", write_h5, {}),
    "LAN": (
        "c.lan",
        write_lan,
        {"drop": "3", "nodata": NODATA, "scale": SCALE, "wavelengths": WAVES},
    ),
}
PLACED = ("GeoTIFF", "ENVI", "NetCDF", "HDF5")
WIDE = ("GeoTIFF", "ENVI", "NetCDF", "HDF5", "npz", "MATLAB 7.3")
