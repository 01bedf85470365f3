"""Looking at a raster: what it is, what we would assume, what stands in the way of embedding it."""

from __future__ import annotations

import math
import os
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from terrapatch.errors import BandError, CorruptBlockError, SceneError
from terrapatch.grid import Ground
from terrapatch.opening import open_raster
from terrapatch.scene import Scene
from terrapatch.studies._look_file import BandFacts, file_facts
from terrapatch.units import Sample, suggest

__all__ = ["BandFacts", "Look", "info", "patch_size"]

# A patch of 60 m shows a few houses and the street between them; where pixels are too
# large for that, 32 of them make a patch.
PATCH_METRES = 60.0
PATCH_PIXELS = 32
MOST_RANGES = 16


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


def info(source: str | os.PathLike[str], *, nodata: float | None = None) -> Look:
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
        facts = file_facts(src, path)
    try:
        scene = Scene.open(path, nodata=nodata)
        return _usable(facts, scene, nodata)
    except SceneError as fault:
        return _refused(facts, str(fault), nodata)


def _usable(facts: dict[str, Any], scene: Scene, nodata: float | None) -> Look:
    """Add what the pixels of a scene that can be used tell."""
    facts["taken"] = scene.datetime
    if facts["mask"].startswith("every") and any(v is not None for v in scene.band_nodata):
        facts["mask"] = "nodata values"
    shown = _shown(scene)
    picture = scene.with_bands(shown or _guess(scene))
    try:
        sample = picture.sample()
    except CorruptBlockError as fault:
        return Look(**facts, obstacle=str(fault))
    valid = sample.values[0].size / math.prod(sample_shape(scene.shape))
    facts["bands"] = _with_ranges(facts["path"], facts["bands"], nodata)
    if valid == 0:
        text = (
            f"{scene.name} shows no valid pixel in bands {', '.join(map(str, picture.bands))}: all "
            "of a thinned sample is nodata, masked or not a number; check its nodata value, or "
            "choose other bands"
        )
        return Look(**facts, valid=0.0, obstacle=text)
    units = None if scene.units is None else scene.units.text
    suggestions = () if units else tuple(suggest(scene.dtype, sample))
    command = _command(facts, scene, shown, suggestions, nodata)
    return Look(
        **facts, valid=valid, units=units, suggestions=suggestions, shown=shown, command=command
    )


def _refused(facts: dict[str, Any], obstacle: str, nodata: float | None) -> Look:
    """Add what the pixels of a raster that is refused tell, as far as they can be read."""
    first, path = facts["bands"][0], facts["path"]
    if first.name == "palette" or np.dtype(first.dtype).kind not in "iuf":
        return Look(**facts, obstacle=obstacle)
    try:
        with open_raster(path) as src:
            shape = sample_shape(src.shape)
            valid = float((src.dataset_mask(out_shape=shape) != 0).mean())
            values = _band_values(src, 1, nodata)
            sample = Sample((values,), (float(src.scales[0]),), (float(src.offsets[0]),))
    except (RasterioIOError, SceneError):
        return Look(**facts, obstacle=obstacle)
    facts["bands"] = _with_ranges(path, facts["bands"], nodata)
    known = first.dtype == "uint8"
    return Look(
        **facts,
        valid=valid,
        units="uint8" if known else None,
        suggestions=tuple(suggest(first.dtype, sample)) if values.size and not known else (),
        obstacle=obstacle,
    )


def _with_ranges(
    path: str, bands: tuple[BandFacts, ...], nodata: float | None
) -> tuple[BandFacts, ...]:
    """Add to the first bands where most of their values lie, each by its own validity."""
    found = []
    with open_raster(path) as src:
        for band in bands:
            known = band if nodata is None else replace(band, nodata=nodata)
            if band.number <= MOST_RANGES and np.dtype(band.dtype).kind in "iuf":
                values = _band_values(src, band.number, nodata)
                if values.size:
                    low, high = (float(v) for v in np.percentile(values, [2, 98]))
                    known = replace(known, low=low, high=high)
            found.append(known)
    return tuple(found)


def _band_values(
    src: rasterio.DatasetReader, band: int, nodata: float | None
) -> NDArray[np.float64]:
    """Read a thinned sample of the valid values of one band; nothing where it is damaged."""
    shape = sample_shape(src.shape)
    try:
        values = src.read(band, out_shape=shape).astype(np.float64)
        valid = src.read_masks(band, out_shape=shape) != 0
    except RasterioIOError:
        return np.empty(0)
    kept: NDArray[np.float64] = values[valid & np.isfinite(values)]
    return kept if nodata is None else kept[kept != nodata]


def _shown(scene: Scene) -> tuple[int, ...] | None:
    try:
        return scene.for_channels(3).bands
    except BandError:
        return None


def sample_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the thinned sample of a scene of this shape."""
    from terrapatch.reading import SAMPLE_SIDE

    shrink = max(1.0, max(shape) / SAMPLE_SIDE)
    return max(1, round(shape[0] / shrink)), max(1, round(shape[1] / shrink))


def _guess(scene: Scene) -> tuple[int, ...]:
    return scene.bands[:3] if len(scene.bands) >= 3 else (scene.bands[0],) * 3


def _command(
    facts: dict[str, Any],
    scene: Scene,
    shown: tuple[int, ...] | None,
    suggestions: tuple[str, ...],
    nodata: float | None,
) -> str:
    path, ground = facts["path"], facts["ground"]
    size = patch_size(scene.shape, None if ground is None else Ground(*ground))
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
    length = math.ceil(round(metres / step, 6) * 2) / 2 * step
    return f"{length / 1000:.0f}km" if length >= 10_000 else f"{length:.0f}m"
