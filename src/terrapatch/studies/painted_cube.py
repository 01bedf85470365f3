"""A painted hyperspectral scene with known truth: a demonstration without any file.

Parcels of crops, grass, trees and bare soil lie in strips under a smooth warp, crossed by roads
and a river. What makes real cubes hard is in it: parcels of one crop differ in cover and
chlorophyll, pixels at borders are mixed, light and haze drift over the scene (so that ground
far from the labels is harder than the pixel next door), noise rises towards 2.4 µm, water
vapour leaves some bands without light, and some pixels are missing. Everything follows from
the seed: the same call writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import GridError, OutputError, writing
from terrapatch.legend import Legend
from terrapatch.studies.textures import noise

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]
Mask = NDArray[np.bool_]
Shape = tuple[int, int]

PIXEL = 5.0
"""Side of a pixel in metres (units of the CRS)."""

UPPER_LEFT = (364_000.0, 5_810_000.0)
"""Easting and northing of the scene's upper-left corner."""

NODATA, SCALE = -32768, 0.0001
"""Stored value of missing pixels, and factor from stored values to reflectance."""

SMALLEST, FEWEST = 48, 12
"""Fewest rows and columns, and fewest bands."""

_SHORTEST, _LONGEST = 420.0, 2450.0
_FWHM = 9.0
_VAPOUR = ((1350.0, 1420.0), (1800.0, 1950.0))
_NOISE = 0.004  # of reflectance, in the blue
_BLUR = 0.55  # what a pixel sees of its neighbours: deviation in pixels


@dataclass(frozen=True)
class PaintedCube:
    """Where a painted cube lies, and what is in it.

    Attributes:
        cube_path: GeoTIFF, int16 reflectance times 10,000, nodata -32768, with wavelengths.
        truth_path: Class ids on the same grid, uint8, nodata 0.
        legend: Names and colours of the ids.
        seed: Seed that it was painted from.
    """

    cube_path: Path
    truth_path: Path
    legend: Legend
    seed: int


def paint_cube(
    path: Path | str,
    *,
    seed: int = 0,
    size: Shape = (140, 160),
    bands: int = 100,
    crs: str = "EPSG:32633",
    overwrite: bool = False,
) -> PaintedCube:
    """Paint a hyperspectral scene and its truth as two GeoTIFFs.

    Args:
        path: The cube to write, for instance ``cube.tif``; the truth becomes
            ``cube_truth.tif`` beside it.
        seed: Seed of everything random.
        size: Rows and columns, pixels of 5 m.
        bands: Bands from 420 to 2450 nm.
        crs: A projected CRS in metres.
        overwrite: Replace files that are there.

    Returns:
        The two paths and the legend of the truth.

    Raises:
        GridError: If the size or the bands are too few to show anything.
        OutputError: If a file exists already or cannot be written.
    """
    cube_path = Path(path)
    truth_path = cube_path.with_name(f"{cube_path.stem}_truth.tif")
    for taken in (cube_path, truth_path):
        if taken.exists() and not overwrite:
            raise OutputError(f"{taken} exists already; pass overwrite, or choose another path")
    reflectance, truth, wavelengths = cube_picture(seed=seed, size=size, bands=bands)
    stored = np.full(reflectance.shape, NODATA, np.int16)
    seen = np.isfinite(reflectance)
    stored[seen] = np.rint(reflectance[seen] / SCALE)
    _write_cube(cube_path, stored, wavelengths, crs)
    _write_truth(truth_path, truth, crs)
    return PaintedCube(cube_path, truth_path, LEGEND, seed)


def cube_picture(
    *, seed: int = 0, size: Shape = (140, 160), bands: int = 100
) -> tuple[Floats, NDArray[np.uint8], Floats]:
    """Paint the arrays behind ``paint_cube``.

    Args:
        seed: Seed of everything random.
        size: Rows and columns in pixels.
        bands: Number of bands.

    Returns:
        Reflectance ``(rows, cols, bands)``, NaN in missing pixels; class ids ``(rows, cols)``,
        0 in missing pixels; wavelengths ``(bands,)`` in nm.

    Raises:
        GridError: If the size or the bands are too few to show anything.
    """
    if min(size) < SMALLEST or bands < FEWEST:
        raise GridError(
            f"a painted cube of {size[0]} x {size[1]} pixels and {bands} bands shows nothing; ask "
            f"for at least {SMALLEST} x {SMALLEST} pixels and {FEWEST} bands"
        )
    rng = np.random.default_rng([seed, 4])
    wavelengths = np.linspace(_SHORTEST, _LONGEST, bands)
    parcels, classes = _layout(size, rng)
    spectra = np.stack([_KINDS[kind - 1].spectrum(wavelengths, rng) for kind in classes])
    reflectance = _sensor(spectra[parcels], wavelengths, rng)
    truth = classes[parcels].astype(np.uint8)
    missing = _missing(size, rng)
    reflectance[missing], truth[missing] = np.nan, 0
    return reflectance, truth, wavelengths


# --- what grows and lies there ---------------------------------------------------------------


def _dip(wavelengths: Floats, centre: float, width: float) -> Floats:
    return np.asarray(np.exp(-(((wavelengths - centre) / width) ** 2)))


def _leaves(wavelengths: Floats, chlorophyll: float, plateau: float, water: float) -> Floats:
    """Return the reflectance of a closed canopy: green peak, red edge, bands of leaf water."""
    edge = 1 / (1 + np.exp(-(wavelengths - 705 - 12 * chlorophyll) / 16))
    visible = 0.03 + 0.09 / (1 + chlorophyll) * (1 + 1.2 * _dip(wavelengths, 553, 40))
    falling = 1 - 0.3 * np.clip((wavelengths - 1300) / 1100, 0, 1)
    wet = sum(
        depth * _dip(wavelengths, centre, width)
        for centre, width, depth in (
            *((970, 40, 0.15), (1200, 60, 0.3), (1450, 90, 1.3)),
            *((1940, 110, 1.8), (2500, 260, 1.2)),
        )
    )
    return np.asarray(visible + (plateau - visible) * edge * falling * np.exp(-water * wet))


def _ground(wavelengths: Floats, brightness: float, clay: float) -> Floats:
    """Return the reflectance of bare soil: rising, with the band of clay at 2200 nm."""
    rising = brightness * (1 - np.exp(-(wavelengths - 280) / 520))
    return np.asarray(rising * (1 - clay * _dip(wavelengths, 2205, 28)))


@dataclass(frozen=True)
class _Plants:
    """Plants of some kind over soil; each parcel has its own cover, green and water."""

    chlorophyll: float
    plateau: float
    water: float
    cover: float

    def __call__(self, wavelengths: Floats, rng: np.random.Generator) -> Floats:
        chlorophyll = self.chlorophyll * rng.uniform(0.85, 1.15)
        leaves = _leaves(
            wavelengths, chlorophyll, self.plateau * rng.uniform(0.93, 1.07), self.water
        )
        cover = min(1.0, self.cover * rng.uniform(0.85, 1.15))
        soil = _ground(wavelengths, rng.uniform(0.26, 0.34), 0.1)
        return np.asarray(cover * leaves + (1 - cover) * soil)


def _soil(wavelengths: Floats, rng: np.random.Generator) -> Floats:
    return _ground(wavelengths, rng.uniform(0.26, 0.38), rng.uniform(0.06, 0.16))


def _asphalt(wavelengths: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(rng.uniform(0.09, 0.13) + 0.05 * (wavelengths - 400) / 2000)


def _water(wavelengths: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(rng.uniform(0.05, 0.08) * np.exp(-(wavelengths - 400) / 260) + 0.008)


@dataclass(frozen=True)
class _Kind:
    """A class: name, colour, share of the parcels, and the spectrum of a parcel."""

    name: str
    colour: str
    share: float
    spectrum: Callable[[Floats, np.random.Generator], Floats]


# Colours after Okabe and Ito (2008).
_KINDS = (
    _Kind("maize", "#e69f00", 0.24, _Plants(2.6, 0.46, 0.85, 0.72)),
    _Kind("wheat", "#f0e442", 0.22, _Plants(2.0, 0.42, 0.7, 0.76)),
    _Kind("grass", "#009e73", 0.2, _Plants(1.7, 0.38, 0.75, 0.86)),
    _Kind("trees", "#56b4e9", 0.18, _Plants(3.4, 0.36, 1.1, 0.97)),
    _Kind("bare soil", "#d55e00", 0.16, _soil),
    _Kind("road", "#cc79a7", 0.0, _asphalt),
    _Kind("water", "#0072b2", 0.0, _water),
)
_ROAD, _WATER = 6, 7
LEGEND = Legend.of([kind.name for kind in _KINDS], [kind.colour for kind in _KINDS])
"""Names and colours of the classes."""


# --- where it lies ---------------------------------------------------------------------------


def _layout(size: Shape, rng: np.random.Generator) -> tuple[Ids, NDArray[np.intp]]:
    """Return the parcel of every pixel and the class id of every parcel; road and river last."""
    down, across = np.mgrid[: size[0], : size[1]].astype(np.float64)
    down += 3.0 * noise(size, 60, rng)
    across += 3.0 * noise(size, 60, rng)
    strips = _cuts(-12.0, size[0] + 12.0, (11.0, 19.0), rng)
    strip = np.searchsorted(strips, down) - 1
    parcels, count = np.zeros(size, np.int32), 0
    for number in range(len(strips) - 1):
        sides = _cuts(-12.0, size[1] + 12.0, (12.0, 26.0), rng)
        own = strip == number
        parcels[own] = count + np.searchsorted(sides, across[own]) - 1
        count += len(sides) - 1
    lanes = strips[2:-1:3]
    near = np.abs(down[..., None] - lanes).min(axis=2) if len(lanes) else np.full(size, np.inf)
    parcels[near < 1.2] = count
    parcels[_river(size, rng)] = count + 1
    return parcels, np.append(_dealt(count, rng), [_ROAD, _WATER])


def _cuts(low: float, high: float, steps: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Return rising places from below ``low`` to above ``high``, at random distances."""
    places = [low]
    while places[-1] < high:
        places.append(places[-1] + rng.uniform(*steps))
    return np.array(places)


def _dealt(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal the classes to parcels by their shares, in random order."""
    shares = np.array([kind.share for kind in _KINDS])
    counts, dealt = np.zeros(len(shares)), np.zeros(count, np.intp)
    for turn in range(count):  # each next parcel goes to the class furthest behind its share
        dealt[turn] = int(np.argmax(shares * (turn + 1) - counts))
        counts[dealt[turn]] += 1
    return rng.permutation(dealt) + 1


def _river(size: Shape, rng: np.random.Generator) -> Mask:
    """Return the pixels of a river that winds from the upper to the lower edge."""
    winding = noise((size[0], 8), 45, rng)[:, 4]
    middle = size[1] * rng.uniform(0.3, 0.7) + 0.06 * size[1] * winding
    return np.asarray(np.abs(np.arange(size[1]) - middle[:, None]) < 0.02 * size[1] + 1.5)


# --- what the sensor makes of it -------------------------------------------------------------


def _sensor(scene: Floats, wavelengths: Floats, rng: np.random.Generator) -> Floats:
    """Mix neighbours, let light and haze drift, put out the vapour bands, and add noise."""
    from scipy import ndimage

    rows, cols = scene.shape[:2]
    seen = ndimage.gaussian_filter(scene, sigma=(_BLUR, _BLUR, 0), mode="nearest")
    slope = np.linspace(-1, 1, rows)[:, None] - np.linspace(-1, 1, cols)[None]
    light = 1 + 0.07 * slope + 0.05 * noise((rows, cols), 50, rng)
    haze = 0.012 * (1 + 0.5 * slope + 0.5 * noise((rows, cols), 70, rng))
    seen *= light[..., None]
    seen += haze[..., None] * (wavelengths / wavelengths[0]) ** -2.5
    dark = np.zeros(len(wavelengths), bool)
    for low, high in _VAPOUR:
        dark |= (wavelengths >= low) & (wavelengths <= high)
    seen[..., dark] *= 0.02
    rising = _NOISE * (1 + 3 * ((wavelengths - _SHORTEST) / (_LONGEST - _SHORTEST)) ** 2)
    seen += rng.standard_normal(scene.shape, dtype=np.float32) * rising
    return np.asarray(np.maximum(seen, -0.01))


def _missing(size: Shape, rng: np.random.Generator) -> Mask:
    """Return the corner that the swath does not reach, and a few pixels that were lost."""
    down, across = np.mgrid[: size[0], : size[1]]
    corner = (size[1] - across) / 0.2 + (size[0] - down) / 0.5 < min(size)
    return np.asarray(corner | (rng.random(size) < 0.001))


# --- files -----------------------------------------------------------------------------------


def _write_cube(path: Path, stored: NDArray[np.int16], wavelengths: Floats, crs: str) -> None:
    """Write the cube, each band with its wavelength, under a temporary name first."""
    import rasterio

    profile = _profile(stored.shape[:2], crs) | {
        "dtype": "int16", "count": stored.shape[2], "nodata": NODATA, "predictor": 2
    }  # fmt: skip
    unfinished = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with rasterio.open(unfinished, "w", **profile) as raster:
                raster.write(stored.transpose(2, 0, 1))
                raster.scales = (SCALE,) * len(wavelengths)
                for number, nm in enumerate(wavelengths, start=1):
                    raster.set_band_description(number, f"band {number} ({nm:.1f} Nanometers)")
                    raster.update_tags(
                        number, wavelength=f"{nm:.3f}", wavelength_units="Nanometers",
                        fwhm=f"{_FWHM:g}", bbl="1",
                    )  # fmt: skip
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _write_truth(path: Path, truth: NDArray[np.uint8], crs: str) -> None:
    """Write the truth in its colours, under a temporary name first."""
    import rasterio

    unfinished = path.with_name(f".{path.name}.part")
    profile = _profile(truth.shape, crs) | {"dtype": "uint8", "count": 1, "nodata": 0}
    with writing(path):
        try:
            with rasterio.open(unfinished, "w", **profile) as raster:
                raster.write(truth, 1)
                table = dict(zip(LEGEND.ids, LEGEND.rgb, strict=True))
                raster.write_colormap(1, {0: (0, 0, 0, 0)} | table)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _profile(shape: tuple[int, ...], crs: str) -> dict[str, Any]:
    from affine import Affine

    place = Affine(PIXEL, 0, UPPER_LEFT[0], 0, -PIXEL, UPPER_LEFT[1])
    return {
        "driver": "GTiff", "height": shape[0], "width": shape[1], "crs": crs, "transform": place,
        "compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64,
    }  # fmt: skip
