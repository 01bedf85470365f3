"""Looking at a raster: what it is, what we would assume, what stands in the way of embedding it."""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError

from terrapatch.errors import BandError, CorruptBlockError, SceneError
from terrapatch.grid import Ground, ground_resolution
from terrapatch.scene import Scene, open_raster
from terrapatch.units import Sample, suggest

# A patch of 60 m shows a few houses and the street between them; where pixels are too
# large for that, 32 of them make a patch.
PATCH_METRES = 60.0
PATCH_PIXELS = 32


@dataclass(frozen=True)
class BandFacts:
    """What is known of one band.

    Attributes:
        number: Counted from 1.
        name: Its description, or its colour.
        dtype: Type of its values.
        nodata: Its nodata value, ``None`` where there is none.
        low: 2nd percentile of a thinned sample of valid values.
        high: 98th percentile, likewise.
    """

    number: int
    name: str
    dtype: str
    nodata: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Look:
    """What is seen in a raster.

    Attributes:
        path: As it was given.
        driver: GDAL driver.
        height: Rows of pixels.
        width: Columns of pixels.
        crs: Name of the coordinate system, with its code; ``None`` without one.
        pixel: Height and width of a pixel in units of the coordinate system.
        pixel_unit: That unit; ``None`` without a coordinate system.
        ground: Height and width of a pixel in metres at the centre, if known.
        bands: The bands.
        mask: Where validity comes from, in words.
        blocks: Height and width of the blocks of the file.
        compression: How the file is compressed, in words.
        overviews: Factors of the overviews.
        taken: When the image was taken, if the file says so.
        valid: Share of valid pixels in a thinned sample; ``None`` if it cannot be told.
        units: Units that are known; ``None`` if they have to be declared.
        suggestions: Units that would fit.
        shown: Bands a network of three channels would be given; ``None`` if they have
            to be chosen.
        obstacle: The sentence of what stands in the way, ``None`` if nothing does.
        command: The command that embeds it, ``None`` if none can.
    """

    path: str
    driver: str
    height: int
    width: int
    crs: str | None
    pixel: tuple[float, float]
    pixel_unit: str | None
    ground: tuple[float, float] | None
    bands: tuple[BandFacts, ...]
    mask: str
    blocks: tuple[int, int]
    compression: str
    overviews: tuple[int, ...]
    taken: str | None = None
    valid: float | None = None
    units: str | None = None
    suggestions: tuple[str, ...] = ()
    shown: tuple[int, ...] | None = None
    obstacle: str | None = None
    command: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values for people, in order."""
        from terrapatch.studies._look_words import rows

        return rows(self)


def look(source: str | os.PathLike[str], *, nodata: float | None = None) -> Look:
    """Look at a raster, also at one that would be refused.

    Args:
        source: Anything GDAL reads.
        nodata: Nodata value, where the file states none.

    Returns:
        What is seen. A thinned sample of at most 1,024 x 1,024 pixels is read.

    Raises:
        SceneNotFoundError: If there is no such file.
        SceneError: If it is not a raster, or has no bands.
    """
    path = os.fspath(source)
    with open_raster(path) as src:
        if src.count == 0:
            Scene.open(path)
        facts = _file_facts(src, path)
        grid = GeoBox(src.shape, src.transform, src.crs)
        facts["ground"] = _ground(src, grid)
    try:
        scene = Scene.open(path, nodata=nodata)
        return _with_scene(facts, scene, _pair(facts["ground"]), nodata)
    except SceneError as fault:
        return Look(**facts, valid=_valid_share(path), obstacle=str(fault))


def _file_facts(src: rasterio.DatasetReader, path: str) -> dict[str, Any]:
    crs = src.crs
    transform = src.transform
    bands = tuple(
        BandFacts(i, src.descriptions[i - 1] or src.colorinterp[i - 1].name, dtype, nodata)
        for i, dtype, nodata in zip(src.indexes, src.dtypes, src.nodatavals, strict=True)
    )
    compression = src.compression.value.lower() if src.compression else "not compressed"
    return {
        "path": path,
        "driver": src.driver,
        "height": src.height,
        "width": src.width,
        "crs": None if crs is None else _crs_name(crs),
        "pixel": (
            math.hypot(transform.b, transform.e),
            math.hypot(transform.a, transform.d),
        ),
        "pixel_unit": None if crs is None else _unit(crs),
        "bands": bands,
        "mask": _mask(src),
        "blocks": tuple(src.block_shapes[0]),
        "compression": compression,
        "overviews": tuple(src.overviews(1)),
    }


def _crs_name(crs: Any) -> str:
    import pyproj
    from pyproj.exceptions import CRSError

    try:
        name = pyproj.CRS.from_wkt(crs.to_wkt()).name
    except CRSError:
        name = "a CRS PROJ does not know"
    code = crs.to_epsg()
    return f"EPSG:{code} ({name})" if code else f"{name} (no EPSG code)"


def _unit(crs: Any) -> str:
    if crs.is_geographic:
        return "degrees"
    return {"metre": "m", "meter": "m"}.get(str(crs.linear_units), str(crs.linear_units))


def _mask(src: rasterio.DatasetReader) -> str:
    flags = src.mask_flag_enums[0]
    names = {flag.name for flag in flags}
    if "alpha" in names:
        return "an alpha band"
    if "per_dataset" in names:
        return "a mask of its own"
    if "nodata" in names:
        return "nodata values"
    floats = any(np.dtype(d).kind == "f" for d in src.dtypes)
    return "every finite value is valid" if floats else "every pixel is valid"


def _ground(src: rasterio.DatasetReader, grid: GeoBox) -> tuple[float, float] | None:
    from pyproj.exceptions import ProjError

    if src.crs is None or src.transform.is_identity:
        return None
    try:
        ground = ground_resolution(grid)
    except ProjError:
        return None
    return None if ground is None else (ground.y, ground.x)


def _pair(ground: tuple[float, float] | None) -> Ground | None:
    return None if ground is None else Ground(*ground)


def _with_scene(
    facts: dict[str, Any], scene: Scene, ground: Ground | None, nodata: float | None
) -> Look:
    """Add what only the pixels of a scene that can be used tell."""
    facts = {**facts, "taken": scene.datetime}
    if facts["mask"].startswith("every") and any(v is not None for v in scene.band_nodata):
        facts["mask"] = "nodata values"
    try:
        sample = scene.sample()
    except CorruptBlockError as fault:
        return Look(**facts, obstacle=str(fault))
    size = min(sample_side(scene.shape)[0], scene.shape[0]) * sample_side(scene.shape)[1]
    valid = sample.values[0].size / size
    ranges = dict(zip(scene.bands, map(_range, sample.values), strict=True))
    facts["bands"] = tuple(
        BandFacts(b.number, b.name, b.dtype, scene.band_nodata[b.number - 1], *ranges[b.number])
        if b.number in ranges
        else b
        for b in facts["bands"]
    )
    if valid == 0:
        text = (
            f"{scene.name} shows no valid pixel: all of its sample is nodata, masked or not a "
            "number; check its nodata value"
        )
        return Look(**facts, valid=0.0, obstacle=text)
    try:
        shown: tuple[int, ...] | None = scene.for_channels(3).bands
    except BandError:
        shown = None
    units = None if scene.units is None else scene.units.text
    suggestions = () if units else tuple(suggest(scene.dtype, _of(sample, scene, shown)))
    command = _command(facts["path"], scene, shown, suggestions, ground, nodata)
    return Look(
        **facts, valid=valid, units=units, suggestions=suggestions, shown=shown, command=command
    )


def sample_side(shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the thinned sample of a scene of this shape."""
    from terrapatch.reading import SAMPLE_SIDE

    shrink = max(1.0, max(shape) / SAMPLE_SIDE)
    return max(1, round(shape[0] / shrink)), max(1, round(shape[1] / shrink))


def _range(values: Any) -> tuple[float | None, float | None]:
    if not values.size:
        return None, None
    low, high = np.percentile(values, [2, 98])
    return float(low), float(high)


def _of(sample: Sample, scene: Scene, shown: tuple[int, ...] | None) -> Sample:
    """Return the sample of the bands that would be shown, or of the first three."""
    wanted = [scene.bands.index(b) for b in shown or _guess(scene) if b in scene.bands]
    return Sample(
        tuple(sample.values[i] for i in wanted),
        tuple(sample.scales[i] for i in wanted),
        tuple(sample.offsets[i] for i in wanted),
    )


def _guess(scene: Scene) -> tuple[int, ...]:
    return scene.bands[:3] if len(scene.bands) >= 3 else (scene.bands[0],) * 3


def _valid_share(path: str) -> float | None:
    """Measure how much of a raster that is refused would be valid."""
    try:
        with open_raster(path) as src:
            mask = src.dataset_mask(out_shape=sample_side(src.shape))
    except (RasterioIOError, SceneError):
        return None
    return float((mask != 0).mean())


def _command(
    path: str,
    scene: Scene,
    shown: tuple[int, ...] | None,
    suggestions: tuple[str, ...],
    ground: Ground | None,
    nodata: float | None,
) -> str:
    size = patch_size(scene.shape, ground)
    stem = Path(path.rstrip("/")).stem or "features"
    words = ["terrapatch", "embed", path, "-o", f"{stem}.zarr", "--size", size, "--stride", size]
    if shown is None:
        words += ["--bands", ",".join(map(str, _guess(scene)))]
    if suggestions:
        low = suggestions[0].startswith("-")
        words += [f"--units={suggestions[0]}"] if low else ["--units", suggestions[0]]
    if nodata is not None:
        words += [f"--nodata={nodata:g}"]
    return shlex.join(words)


def patch_size(shape: tuple[int, int], ground: Ground | None) -> str:
    """Choose a patch size to begin with.

    Args:
        shape: Rows and columns of the scene.
        ground: A pixel on the ground, ``None`` where that is not known.

    Returns:
        60 m, or the length of 32 pixels rounded up to one or two digits where pixels
        are larger than about 2 m; 32 pixels where metres are not known.
    """
    if ground is None:
        return str(min(PATCH_PIXELS, *shape))
    metres = max(PATCH_METRES, PATCH_PIXELS * max(ground.y, ground.x))
    step = 10 ** math.floor(math.log10(metres))
    return f"{math.ceil(round(metres / step, 6) * 2) / 2 * step:g}m"
