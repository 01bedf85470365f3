"""Painted ground: what six kinds of land look like from above at half a metre.

Each painter takes a shape (rows, columns) and a random generator and returns an
RGB picture, float32 (rows, columns, 3) on the scale 0-255. Light falls from the
upper left. The colours of the kinds overlap on purpose: rust, grey and brown occur
in roofs, yards and soil alike, so that it takes texture to tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

Picture = NDArray[np.float32]
Mask = NDArray[np.bool_]
Shape = tuple[int, int]
Dtype = TypeVar("Dtype", bound=np.generic)
Painter = Callable[[Shape, np.random.Generator], Picture]

ASPHALT = (98, 97, 98)
CONCRETE = (152, 147, 140)
DUST = (158, 136, 108)
GRASS = (104, 116, 72)
TILES = ((158, 92, 66), (142, 78, 60), (150, 142, 134), (118, 108, 100), (190, 182, 170))
SHEETS = ((146, 98, 70), (122, 84, 64), (150, 146, 142), (116, 112, 108), (182, 176, 166))
TARPS = ((82, 112, 152), (104, 138, 166), (198, 196, 190))
METALS = ((204, 206, 206), (168, 170, 172), (138, 142, 146), (150, 164, 182), (176, 140, 116))
GOODS = ((170, 84, 60), (60, 96, 150), (200, 190, 90), (220, 220, 218), (70, 72, 76))


def float32(values: ArrayLike) -> Picture:
    """Return numbers (a colour, a table of colours) as a float32 array."""
    return np.asarray(values, dtype=np.float32)


def noise(shape: Shape, scale: float, rng: np.random.Generator) -> Picture:
    """Return smooth noise of zero mean and unit deviation.

    Args:
        shape: Rows and columns.
        scale: Size of its features in pixels.
        rng: Source of the randomness.

    Returns:
        float32 (rows, columns).
    """
    coarse = [int(side / scale) + 5 for side in shape]
    field = rng.standard_normal(coarse, dtype=np.float32)
    smooth = _stretched(_stretched(field, shape[0], scale).T, shape[1], scale).T
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 1e-9), dtype=np.float32)


def _stretched(field: Picture, count: int, scale: float) -> Picture:
    """Interpolate the rows of a field by cubic B-splines to ``count`` rows."""
    places = np.arange(count) / scale
    first = places.astype(np.intp)
    t = (places - first).astype(np.float32)[:, None]
    weights = (
        (1 - t) ** 3,
        3 * t**3 - 6 * t**2 + 4,
        -3 * t**3 + 3 * t**2 + 3 * t + 1,
        t**3,
    )
    total = np.zeros((count, field.shape[1]), dtype=np.float32)
    for tap, weight in enumerate(weights):
        total += weight * field[first + tap]
    return total


def _flat(shape: Shape, colour: tuple[int, int, int]) -> Picture:
    """Return a picture of one colour."""
    return np.broadcast_to(float32(colour), (*shape, 3)).copy()


def _mottled(
    shape: Shape, colour: tuple[int, int, int], rng: np.random.Generator, strength: float = 6.0
) -> Picture:
    """Return a picture of one colour with grain on three scales."""
    grain = noise(shape, 40, rng) + noise(shape, 9, rng) + 0.8 * noise(shape, 2.5, rng)
    return float32(_flat(shape, colour) + strength * grain[..., None])


def _turned(shape: Shape, angle: float) -> tuple[Picture, Picture]:
    """Return pixel coordinates along two axes turned by an angle in radians."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    sine, cosine = float(np.sin(angle)), float(np.cos(angle))
    return x * cosine + y * sine + 2048, y * cosine - x * sine + 2048


def _shifted(values: NDArray[Dtype], step: int) -> NDArray[Dtype]:
    """Return an array moved down and to the right, its first rows and columns repeated."""
    padded = np.pad(values, ((step, 0), (step, 0)), mode="edge")
    return padded[: values.shape[0], : values.shape[1]]


def _pick(lot: Picture, colours: tuple[tuple[int, int, int], ...]) -> Picture:
    """Return one of the colours for every random number in [0, 1)."""
    return float32(colours)[(lot * len(colours)).astype(np.intp) % len(colours)]


def _lots(
    u: Picture, v: Picture, pitch: tuple[float, float], rng: np.random.Generator, draws: int
) -> tuple[Picture, Picture, Picture]:
    """Cut the plane into lots.

    Returns:
        Both coordinates measured from the lot's centre in pixels, and ``draws``
        random numbers a lot on the last axis.
    """
    i, j = np.floor(u / pitch[0]), np.floor(v / pitch[1])
    table = rng.random((128, 128, draws), dtype=np.float32)
    drawn = table[i.astype(np.intp) % 128, j.astype(np.intp) % 128]
    return float32(u - (i + 0.5) * pitch[0]), float32(v - (j + 0.5) * pitch[1]), drawn


def _blobs(
    shape: Shape, pitch: float, radius: tuple[float, float], share: float, rng: np.random.Generator
) -> tuple[Picture, Picture, Picture]:
    """Scatter round crowns: a jittered lattice, the nearest crown wins.

    Returns:
        Height in [0, 1] (0 outside every crown), light in [-1, 1] and a random
        number a crown.
    """
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    table = rng.random((128, 128, 5), dtype=np.float32)
    row, col = np.floor(y / pitch).astype(np.intp), np.floor(x / pitch).astype(np.intp)
    height, light, tone = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    for dr in (-1, 0, 1):
        for dc in (-1, 0, 1):
            drawn = table[(row + dr) % 128, (col + dc) % 128]
            size = radius[0] + (radius[1] - radius[0]) * drawn[..., 2]
            off_y = (y - (row + dr + drawn[..., 0]) * pitch) / size
            off_x = (x - (col + dc + drawn[..., 1]) * pitch) / size
            dome = np.sqrt(np.clip(1 - off_y**2 - off_x**2, 0, 1)) * (drawn[..., 3] < share)
            higher = dome > height
            height = np.where(higher, dome, height)
            light = np.where(higher, -(off_y + off_x) / float32(np.sqrt(2)), light)
            tone = np.where(higher, drawn[..., 4], tone)
    return height, light, tone


def _plant(
    picture: Picture,
    pitch: float,
    radius: tuple[float, float],
    share: float,
    rng: np.random.Generator,
    where: Mask | None = None,
) -> None:
    """Draw trees with their shadows into a picture, in place."""
    shape = picture.shape[0], picture.shape[1]
    height, light, tone = _blobs(shape, pitch, radius, share, rng)
    crown = height > 0.15 if where is None else (height > 0.15) & where
    shade = _shifted(crown, 3) & ~crown
    picture[shade] *= 0.62
    leaf = _flat(shape, (62, 84, 46)) + (tone[..., None] - 0.5) * float32((30, 24, 14))
    leaf *= (0.72 + 0.30 * light + 0.22 * height)[..., None]
    leaf += 5 * noise(shape, 2, rng)[..., None]
    picture[crown] = leaf[crown]


def planned(shape: Shape, rng: np.random.Generator) -> Picture:
    """Paint planned housing: a regular street grid, detached roofs, gardens."""
    u, v = _turned(shape, rng.uniform(0, np.pi))
    lot = rng.uniform(27, 33), rng.uniform(36, 42)
    # Two rows of lots back to back, then a street; a cross street after every sixth lot.
    street = 13.0
    block_u, block_v = 6 * lot[0] + street, 2 * lot[1] + street
    in_u, in_v = u % block_u, v % block_v
    road = (in_u > 6 * lot[0]) | (in_v > 2 * lot[1])
    lot_u = np.floor(u / block_u) * 6 * lot[0] + np.minimum(in_u, 6 * lot[0] - 0.01)
    lot_v = np.floor(v / block_v) * 2 * lot[1] + np.minimum(in_v, 2 * lot[1] - 0.01)
    du, dv, drawn = _lots(lot_u, lot_v, lot, rng, 6)
    picture = _mottled(shape, GRASS, rng, 7)
    yard = drawn[..., 4] < 0.35
    picture[yard] = _mottled(shape, DUST, rng, 5)[yard]
    _plant(picture, 17, (4, 7.5), 0.42, rng, ~road)
    half_u = (0.29 + 0.11 * drawn[..., 0]) * lot[0]
    half_v = (0.24 + 0.12 * drawn[..., 1]) * lot[1]
    off_u, off_v = du - 3 * (drawn[..., 2] - 0.5), dv - 6 * (drawn[..., 3] - 0.5)
    roof = (np.abs(off_u) < half_u) & (np.abs(off_v) < half_v) & ~road & (drawn[..., 5] < 0.94)
    shade = _shifted(roof, 4) & ~roof
    picture[road] = _mottled(shape, ASPHALT, rng, 2.5)[road]
    kerb = road & ~ndimage.binary_erosion(road, iterations=2)
    picture[kerb] = picture[kerb] * 0.4 + float32(CONCRETE) * 0.6
    picture[shade] *= 0.5
    colour = _pick(drawn[..., 5], TILES) * (0.9 + 0.2 * drawn[..., 4])[..., None]
    slope = np.where(np.abs(half_u) > np.abs(half_v), off_v, off_u) < 0
    colour = colour * np.where(slope, 1.12, 0.84)[..., None]
    picture[roof] = colour[roof]
    return picture


def informal(shape: Shape, rng: np.random.Generator) -> Picture:
    """Paint a dense informal settlement: tiny touching roofs, crooked lanes."""
    u, v = _turned(shape, rng.uniform(0, np.pi))
    u = u + 11 * noise(shape, 80, rng) + 0.8 * noise(shape, 18, rng)
    v = v + 11 * noise(shape, 80, rng) + 0.8 * noise(shape, 18, rng)
    edge, drawn = _shacks(u, v, rng.uniform(8.5, 10.5), rng)
    picture = _pick(drawn[..., 0], SHEETS)
    tarp = drawn[..., 1] < 0.09
    picture[tarp] = _pick(drawn[..., 0], TARPS)[tarp]
    picture *= (0.80 + 0.38 * drawn[..., 2])[..., None]
    ribs = np.sin(np.where(drawn[..., 3] < 0.5, u, v) * 2.1) * 5
    picture += ribs[..., None] + 6 * noise(shape, 2, rng)[..., None]
    height = np.where(drawn[..., 4] < 0.10, 0, 0.3 + drawn[..., 3])
    lane = np.abs(noise(shape, 40, rng)) < 0.085
    lane |= np.abs(noise(shape, 70, rng)) < 0.07
    court = (drawn[..., 4] < 0.10) | lane
    picture[court] = (_mottled(shape, DUST, rng, 6) * 0.80)[court]
    height[lane] = 0
    shade = _shifted(height, 2) > height + 0.22
    picture[shade] *= 0.56
    picture[(edge < 0.7) & ~court] *= 0.70
    _plant(picture, 26, (4, 7), 0.12, rng)
    return picture


def _shacks(
    u: Picture, v: Picture, pitch: float, rng: np.random.Generator
) -> tuple[Picture, Picture]:
    """Cut the plane into small crooked boxes around a jittered lattice.

    Returns:
        Each pixel's distance to the next box in pixels, and five random numbers a box.
    """
    table = rng.random((256, 256, 8), dtype=np.float32)
    row, col = np.floor(v / pitch).astype(np.intp), np.floor(u / pitch).astype(np.intp)
    first = np.full(u.shape, np.inf, dtype=np.float32)
    second = first.copy()
    owner = np.zeros(u.shape, dtype=np.intp)
    for dr in (-1, 0, 1):
        for dc in (-1, 0, 1):
            number = (row + dr) % 256 * 256 + (col + dc) % 256
            drawn = table.reshape(-1, 8)[number]
            off_v = v - (row + dr + 0.5 + 0.75 * (drawn[..., 5] - 0.5)) * pitch
            off_u = u - (col + dc + 0.5 + 0.75 * (drawn[..., 6] - 0.5)) * pitch
            aspect = np.exp(0.7 * (drawn[..., 7] - 0.5))
            far = np.maximum(np.abs(off_u) * aspect, np.abs(off_v) / aspect)
            nearer = far < first
            second = np.where(nearer, first, np.minimum(second, far))
            owner = np.where(nearer, number, owner)
            first = np.where(nearer, far, first)
    return second - first, table.reshape(-1, 8)[owner][..., :5]


def industry(shape: Shape, rng: np.random.Generator) -> Picture:
    """Paint industry: large metal roofs with seams, yards, stored goods."""
    u, v = _turned(shape, rng.uniform(0, np.pi))
    pitch = rng.uniform(120, 165), rng.uniform(84, 112)
    du, dv, drawn = _lots(u, v, pitch, rng, 6)
    picture = _mottled(shape, CONCRETE, rng, 5)
    dusty = noise(shape, 50, rng) > 0.5
    picture[dusty] = _mottled(shape, DUST, rng, 5)[dusty]
    road = np.abs(dv) > pitch[1] / 2 - 6
    picture[road] = _mottled(shape, ASPHALT, rng, 3)[road]
    goods_u, goods_v, goods = _lots(u, v, (15, 9), rng, 3)
    stored = (np.abs(goods_u) < 5.5) & (np.abs(goods_v) < 2.6) & (goods[..., 0] < 0.30) & ~road
    picture[_shifted(stored, 2) & ~stored] *= 0.62
    picture[stored] = _pick(goods[..., 1], GOODS)[stored]
    half_u = (0.30 + 0.13 * drawn[..., 0]) * pitch[0]
    half_v = (0.28 + 0.10 * drawn[..., 1]) * pitch[1]
    off_u = du - 12 * (drawn[..., 2] - 0.5)
    roof = (np.abs(off_u) < half_u) & (np.abs(dv) < half_v) & (drawn[..., 3] < 0.88)
    picture[_shifted(roof, 7) & ~roof] *= 0.48
    colour = _pick(drawn[..., 4], METALS) * (0.86 + 0.2 * drawn[..., 5])[..., None]
    seam = 0.95 + 0.05 * np.sign(np.sin(off_u * np.pi / 5))
    ridge = np.where((dv + 400) % 34 < 17, 1.05, 0.93)
    light = (np.abs(off_u % 20 - 10) < 2) & (np.abs(dv) < half_v * 0.7) & (drawn[..., 2] < 0.4)
    colour = colour * (seam * ridge)[..., None]
    colour[light] = colour[light] * 0.5 + 115
    picture[roof] = (colour + 3 * noise(shape, 25, rng)[..., None])[roof]
    return picture


def vegetation(shape: Shape, rng: np.random.Generator) -> Picture:
    """Paint trees of many sizes with meadows between them."""
    picture = _mottled(shape, GRASS, rng, 9)
    wood = noise(shape, 70, rng) > -0.75
    _plant(picture, 13, (5, 10), 0.92, rng, wood)
    _plant(picture, 23, (9, 15), 0.55, rng, wood)
    return picture


def water(shape: Shape, rng: np.random.Generator) -> Picture:
    """Paint a river: smooth, dark, slight waves."""
    picture = _flat(shape, (58, 78, 78))
    picture += 5 * noise(shape, 160, rng)[..., None] * float32((1.2, 1.0, 0.7))
    u, v = _turned(shape, rng.uniform(0, np.pi))
    ripple = np.sin(u * 0.55 + 2 * noise(shape, 30, rng)) + np.sin(v * 0.21 + u * 0.31)
    return np.asarray(picture + (0.9 * ripple + 1.4 * noise(shape, 4, rng))[..., None])


def bare(shape: Shape, rng: np.random.Generator) -> Picture:
    """Paint bare soil: patches of dust and gravel, tracks, a few shrubs."""
    picture = _mottled(shape, (150, 122, 94), rng, 5)
    picture += 11 * noise(shape, 60, rng)[..., None] * float32((1.0, 0.95, 0.85))
    track = np.abs(noise(shape, 120, rng)) < 0.035
    picture[track] = picture[track] * 0.6 + float32((184, 164, 138)) * 0.4
    gravel = noise(shape, 35, rng) > 1.1
    picture[gravel] += 9 * noise(shape, 1.5, rng)[gravel][:, None] - 10
    _plant(picture, 30, (2.5, 5), 0.25, rng)
    return picture
