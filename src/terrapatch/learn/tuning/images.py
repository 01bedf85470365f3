"""The labelled images of a run: read one at a time, square, eight-bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from terrapatch.errors import SamplesError, SceneError

Image = NDArray[np.uint8]
Ids = NDArray[np.int64]
Read = Callable[[Path], Image]
Given = Sequence[Path | str] | NDArray[np.uint8]


class Images:
    """Images as an array, or as paths with something that reads one.

    An image that is not square is cut to its largest centred square, as
    ``embed_images`` does.

    Args:
        given: ``(n, bands, h, w)`` uint8 (a memory map will do), or paths.
        read: Reads a path to ``(bands, h, w)`` uint8; ``read_image`` if ``None``.
        what: What the images are called in messages.

    Raises:
        SamplesError: If there is no image, or the array is of another kind.
    """

    def __init__(self, given: Given, read: Read | None = None, what: str = "training") -> None:
        """Look at the array; paths are opened when they are needed."""
        self._given, self._read, self._what = given, read or read_image, what
        if len(given) == 0:
            raise SamplesError(f"there is no {what} image; give at least one")
        if isinstance(given, np.ndarray):
            self._checked(given[0])

    def __len__(self) -> int:
        return len(self._given)

    def __getitem__(self, i: int) -> Image:
        """Return an image ``(bands, side, side)``.

        Raises:
            SamplesError: If it cannot be read, or is not eight-bit.
        """
        if isinstance(self._given, np.ndarray):
            return _square(self._checked(self._given[i]))
        path = Path(self._given[i])
        try:
            image = self._read(path)
        except (OSError, ValueError, SceneError) as fault:
            raise SamplesError(
                f"the {self._what} image {path} cannot be read ({fault}); mend it or leave it out"
            ) from fault
        return _square(self._checked(np.asarray(image), f" {path}"))

    def key(self) -> str:
        """Return a hash of the array, or of the names, sizes and times of the files."""
        digest = hashlib.sha256()
        if isinstance(self._given, np.ndarray):
            digest.update(f"{self._given.shape}".encode())
            for image in self._given:
                digest.update(np.ascontiguousarray(image).tobytes())
            return digest.hexdigest()
        for one in self._given:
            path = Path(one)
            told = path.stat() if path.exists() else None
            facts = (path.name, told and told.st_size, told and told.st_mtime_ns)
            digest.update(f"{facts}\n".encode())
        return digest.hexdigest()

    def _checked(self, image: NDArray[Any], name: str = "") -> Image:
        if image.ndim != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise SamplesError(
                f"the {self._what} image{name} is {image.dtype} of shape {image.shape}, not "
                "(bands, height, width) of uint8; scale it to 0–255 first"
            )
        return image


def read_image(path: Path) -> Image:
    """Read red, green and blue of an image that GDAL reads, in 0–255.

    Returns:
        ``(3, h, w)`` uint8; pixels without data hold the mean of the others.

    Raises:
        SceneError: If it cannot be read, breaks off, or has no valid pixel.
    """
    import rasterio

    from terrapatch.backbones.contract import RGB
    from terrapatch.features.image_files import check_whole
    from terrapatch.reading import SceneReader
    from terrapatch.scene import Scene
    from terrapatch.stream import fill_invalid

    check_whole(path)
    scene = Scene.open(path).for_channels(len(RGB), RGB)
    units = scene.require_units()
    # A reading thread has an environment of its own.
    with rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING=True), SceneReader(scene) as reader:
        pixels, valid = reader.read(slice(0, scene.shape[0]), slice(0, scene.shape[1]))
    if valid is not None and not valid.any():
        raise SceneError(f"{scene.name} holds no valid pixel; leave it out of the samples")
    eight = units.to_eight_bit(pixels)
    if valid is not None:
        fill_invalid(eight, valid)
    return np.asarray(np.clip(np.rint(eight), 0, 255), np.uint8)


def checked_ids(ids: ArrayLike, count: int, classes: Sequence[str], what: str) -> Ids:
    """Return class ids as an array, one for each image.

    Args:
        ids: Class ids from 1.
        count: Images.
        classes: Names of the classes 1, 2, ….
        what: What the images are called in messages.

    Raises:
        SamplesError: If their number does not fit, or one is no class.
    """
    found = np.asarray(ids)
    if found.shape != (count,) or found.dtype.kind not in "iu":
        raise SamplesError(
            f"{count} {what} images need as many whole class ids, not {found.dtype} of shape "
            f"{found.shape}; give one id from 1 to {len(classes)} for each"
        )
    bad = np.flatnonzero((found < 1) | (found > len(classes)))
    if len(bad):
        raise SamplesError(
            f"{what} image {int(bad[0]) + 1} has the class id {int(found[bad[0]])}, which is not "
            f"from 1 to {len(classes)}; leave it out, or name more classes"
        )
    return found.astype(np.int64)


def _square(image: Image) -> Image:
    side = min(image.shape[1:])
    top, left = ((n - side) // 2 for n in image.shape[1:])
    return image[:, top : top + side, left : left + side]
