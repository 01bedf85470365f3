"""Reading whole images as eight-bit pixels."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from terrapatch.bands import BandChoice
from terrapatch.errors import BandError, TerrapatchError
from terrapatch.features.image_files import check_whole, strictly
from terrapatch.learn._image_list import ImageList
from terrapatch.reading import Mask, SceneReader
from terrapatch.scene import Scene

_CHANNELS = 3


def read_image(
    path: str | os.PathLike[str],
    *,
    bands: BandChoice | None = None,
    units: str | None = None,
    grey: bool = False,
) -> tuple[NDArray[np.uint8], Mask | None]:
    """Read a whole image.

    Args:
        path: GeoTIFF, PNG, JPEG or whatever else GDAL reads, of any size.
        bands: Bands as ``Scene.open`` takes them; red, green and blue if left out.
        units: What black and white are (see ``Scene.open``); needed unless it is eight-bit.
        grey: Whether to repeat an only band three times.

    Returns:
        Pixels ``(bands, height, width)``, eight-bit ones as they are and others rounded; and
        their validity ``(height, width)``, or ``None`` where every pixel is valid.

    Raises:
        SceneError: If the file is missing, damaged, or is no raster that can be read.
        BandError: If its bands are not red, green and blue and none are chosen, or it has one
            band and ``grey`` is not set.
        UnitsError: If its units have to be declared.
    """
    with strictly():
        scene = _with_bands(Scene.open(path), bands, grey).with_units(units)
        stretch = scene.require_units()
        height, width = scene.shape
        check_whole(path)
        with SceneReader(scene) as reader:
            pixels, valid = reader.read(slice(0, height), slice(0, width))
    return np.rint(stretch.to_eight_bit(pixels)).astype(np.uint8), valid


def _with_bands(scene: Scene, bands: BandChoice | None, grey: bool) -> Scene:
    if bands is not None:
        return scene.with_bands(bands)
    if len(scene.bands) > 1:
        return scene.for_channels(_CHANNELS)
    if grey:
        return scene.with_bands((scene.bands[0],) * _CHANNELS)
    raise BandError(
        f"{scene.name} has one band, but images of red, green and blue are expected; allow grey "
        "images if they are meant, or choose bands"
    )


def check_images(
    images: ImageList,
    *,
    bands: BandChoice | None = None,
    units: str | None = None,
    grey: bool = False,
) -> list[str]:
    """Read every image once and say which cannot be used.

    Args:
        images: The images.
        bands: As for ``read_image``.
        units: As for ``read_image``.
        grey: As for ``read_image``.

    Returns:
        One sentence an image that cannot be read, with its path and why; none if all can.
    """
    faults = []
    for path in images.paths:
        try:
            read_image(path, bands=bands, units=units, grey=grey)
        except TerrapatchError as fault:
            known = str(path) in str(fault)
            faults.append(str(fault) if known else f"{path}: {fault}")
    return faults
