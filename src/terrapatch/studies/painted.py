"""A painted settlement scene with known truth: a demonstration without any file.

The layout is a Voronoi tessellation of jittered sites under a smooth warp, crossed
by a river; each region is painted as one of six kinds of land (``textures``), main
roads run between the built-up regions, and light, blur and sensor noise come last.
Everything follows from the seed: the same call writes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terrapatch.errors import GridError, OutputError, writing
from terrapatch.legend import Legend
from terrapatch.studies import textures
from terrapatch.studies.textures import Mask, Painter, Picture, Shape, float32, noise

PIXEL = 0.5
"""Side of a pixel in metres (units of the CRS)."""

UPPER_LEFT = (284_000.0, 2_109_000.0)
"""Easting and northing of the scene's upper-left corner."""

SMALLEST = 256
"""Fewest rows and columns that hold every kind of land."""

_SPACING = 290  # pixels between the sites of two regions
_KINDS: tuple[tuple[str, str, Painter, float], ...] = (
    # Name, colour (after Okabe and Ito 2008), painter, share of the regions.
    ("planned housing", "#e69f00", textures.planned, 0.26),
    ("informal settlement", "#d55e00", textures.informal, 0.22),
    ("industry", "#cc79a7", textures.industry, 0.18),
    ("vegetation", "#009e73", textures.vegetation, 0.20),
    ("water", "#0072b2", textures.water, 0.0),
    ("bare soil", "#f0e442", textures.bare, 0.14),
)
_WATER = 5
_BUILT = (1, 2, 3)


@dataclass(frozen=True)
class PaintedScene:
    """Where a painted scene lies, and what is in it.

    Attributes:
        rgb_path: RGB GeoTIFF, uint8, nodata 0.
        truth_path: Class ids on the same grid, uint8, nodata 0.
        legend: Names and colours of the ids.
        seed: Seed that it was painted from.
    """

    rgb_path: Path
    truth_path: Path
    legend: Legend
    seed: int


def paint(
    path: Path | str,
    *,
    seed: int = 0,
    size: tuple[int, int] = (1536, 2048),
    crs: str = "EPSG:32643",
    overwrite: bool = False,
) -> PaintedScene:
    """Paint a settlement scene and its truth as two GeoTIFFs.

    Args:
        path: RGB file to write, for instance ``scene.tif``; the truth becomes
            ``scene_truth.tif`` beside it.
        seed: Seed of everything random.
        size: Rows and columns, pixels of 0.5 m.
        crs: A projected CRS in metres.
        overwrite: Replace files that are there.

    Returns:
        The two paths and the legend of the truth.

    Raises:
        GridError: If the size is too small to hold every kind of land.
        OutputError: If a file exists already or cannot be written.
    """
    rgb_path = Path(path)
    truth_path = rgb_path.with_name(f"{rgb_path.stem}_truth.tif")
    for taken in (rgb_path, truth_path):
        if taken.exists() and not overwrite:
            raise OutputError(f"{taken} exists already; pass overwrite, or choose another path")
    legend = Legend.of([kind[0] for kind in _KINDS], [kind[1] for kind in _KINDS])
    rgb, truth = picture(seed=seed, size=size)
    _write(rgb_path, rgb, crs, legend=None)
    _write(truth_path, truth[None], crs, legend=legend)
    return PaintedScene(rgb_path, truth_path, legend, seed)


def picture(
    *, seed: int = 0, size: tuple[int, int] = (1536, 2048)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paint the arrays behind ``paint``.

    Args:
        seed: Seed of everything random.
        size: Rows and columns in pixels.

    Returns:
        RGB (3, rows, columns) and class ids (rows, columns); 0 is nodata in both.

    Raises:
        GridError: If the size is too small to hold every kind of land.
    """
    if min(size) < SMALLEST:
        raise GridError(
            f"a painted scene of {size[0]} x {size[1]} pixels cannot hold every kind of land; "
            f"ask for at least {SMALLEST} x {SMALLEST}"
        )
    rng = np.random.default_rng([seed, 0])
    region, classes = _layout(size, rng)
    canvas = np.zeros((*size, 3), dtype=np.float32)
    for number, window in enumerate(ndimage.find_objects(region + 1)):
        if window is None:
            continue
        inside = region[window] == number
        drawn = _region(
            inside.shape, int(classes[number]), np.random.default_rng([seed, 1, number])
        )
        canvas[window][inside] = drawn[inside]
    truth = classes[region].astype(np.uint8)
    _roads_and_banks(canvas, region, truth, rng)
    rgb = _sensor(canvas, rng)
    empty = _empty_corner(size)
    rgb[empty] = 0
    truth[empty] = 0
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)), truth


def _layout(size: Shape, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the region of every pixel and the class id of every region."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    y += 28 * noise(size, 150, rng) + 5 * noise(size, 30, rng)
    x += 28 * noise(size, 150, rng) + 5 * noise(size, 30, rng)
    across = [max(2, round(side / _SPACING)) for side in size]
    steps = [side / count for side, count in zip(size, across, strict=True)]
    lattice = np.stack(np.meshgrid(*map(np.arange, across), indexing="ij"), -1).reshape(-1, 2)
    sites = (lattice + rng.uniform(0.12, 0.88, lattice.shape)) * steps
    nearest = np.full(size, np.inf, dtype=np.float32)
    region = np.zeros(size, dtype=np.intp)
    for number, (row, col) in enumerate(sites.astype(np.float32)):
        far = (y - row) ** 2 + (x - col) ** 2
        region[far < nearest] = number
        nearest = np.minimum(nearest, far)
    river = _river(size, rng)
    region[river] = len(sites)
    return region, np.append(_deal(len(sites), rng), _WATER)


def _deal(regions: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal the kinds of land to the regions by their shares, in random order."""
    shares = np.array([kind[3] for kind in _KINDS])
    # Each next region goes to the kind that is furthest behind its share.
    counts = np.zeros(len(shares))
    dealt = np.zeros(regions, dtype=np.intp)
    for turn in range(regions):
        dealt[turn] = int(np.argmax(shares * (turn + 1) - counts))
        counts[dealt[turn]] += 1
    return rng.permutation(dealt) + 1


def _river(size: Shape, rng: np.random.Generator) -> Mask:
    """Return the pixels of a river that winds from the upper to the lower edge."""
    rows = np.arange(size[0], dtype=np.float32)
    winding = noise((size[0], 8), 260, rng)[:, 4] + 0.25 * noise((size[0], 8), 90, rng)[:, 4]
    start, slant = rng.uniform(0.35, 0.6), rng.uniform(-0.15, 0.15)
    middle = (start + slant * (rows / size[0] - 0.5)) * size[1] + 0.035 * size[1] * winding
    width = 0.045 * size[1] * (1 + 0.22 * noise((size[0], 8), 200, rng)[:, 4:5])
    cols = np.arange(size[1], dtype=np.float32)[None] + 1.5 * noise(size, 12, rng)
    return np.asarray(np.abs(cols - middle[:, None]) < np.maximum(width, 0.02 * size[1]))


def _region(shape: Shape, kind: int, rng: np.random.Generator) -> Picture:
    """Paint one region: its texture under a tint, a haze and a contrast of its own."""
    drawn = _KINDS[kind - 1][2](shape, rng)
    if kind == _WATER:
        return drawn
    tint = rng.normal(1, 0.035, 3) * rng.uniform(0.88, 1.1)
    haze = rng.uniform(0, 12)
    return np.asarray(drawn * tint + haze, dtype=np.float32)


def _roads_and_banks(
    canvas: Picture, region: NDArray[np.intp], truth: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    """Draw main roads between built-up regions and the banks of the river, in place."""
    border = np.zeros(region.shape, dtype=bool)
    border[:, 1:] |= region[:, 1:] != region[:, :-1]
    border[1:] |= region[1:] != region[:-1]
    wet = truth == _WATER
    far = ndimage.distance_transform_edt(~(border & ~ndimage.binary_dilation(wet, iterations=3)))
    built = ndimage.binary_dilation(np.isin(truth, _BUILT), iterations=4)
    road = (far < 8) & built & ~wet
    grain = 3 * noise(region.shape, 3, rng)[..., None]
    canvas[road] = (float32(textures.ASPHALT) + grain)[road]
    line = (far < 0.8) & road
    canvas[line] = canvas[line] * 0.5 + 90
    shore = ndimage.distance_transform_edt(~wet) + 2 * noise(region.shape, 10, rng)
    bank = (shore < 9) & ~wet
    canvas[bank] = (float32((124, 108, 82)) + 3 * grain)[bank]


def _sensor(canvas: Picture, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add what light and camera do: a gradient, blur and noise; 1 is the darkest."""
    rows, cols = canvas.shape[:2]
    ramp = np.linspace(-1, 1, rows)[:, None] * 0.035 + np.linspace(-1, 1, cols)[None] * 0.045
    light = 1 + ramp + 0.025 * noise((rows, cols), 500, rng)
    lit = canvas * light[..., None].astype(np.float32)
    blurred = ndimage.gaussian_filter(lit, sigma=(0.65, 0.65, 0))
    blurred += rng.normal(0, 2.6, canvas.shape).astype(np.float32)
    return np.asarray(np.clip(np.rint(blurred), 1, 255), dtype=np.uint8)


def _empty_corner(size: Shape) -> Mask:
    """Return the lower-right corner that the camera did not see."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.asarray((size[1] - x) / 0.14 + (size[0] - y) / 0.5 < min(size))


def _write(path: Path, bands: NDArray[np.uint8], crs: str, legend: Legend | None) -> None:
    """Write a tiled GeoTIFF under a temporary name, then move it into place."""
    import rasterio
    from affine import Affine

    count, height, width = bands.shape
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": count, "nodata": 0}
    profile |= {"height": height, "width": width, "crs": crs, "compress": "deflate"}
    profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
    profile["transform"] = Affine(PIXEL, 0, UPPER_LEFT[0], 0, -PIXEL, UPPER_LEFT[1])
    profile |= {"photometric": "RGB", "predictor": 2} if legend is None else {}
    unfinished = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with rasterio.open(unfinished, "w", **profile) as raster:
                raster.write(bands)
                if legend is not None:
                    table = dict(zip(legend.ids, legend.rgb, strict=True))
                    raster.write_colormap(1, {0: (0, 0, 0, 0)} | table)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
