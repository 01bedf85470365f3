"""Images that break off: GDAL fills them up and says nothing, so they are found here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from terrapatch.errors import SceneError

_PNG = b"\x89PNG\r\n\x1a\n"


@contextmanager
def strictly() -> Iterator[None]:
    """Refuse a JPEG that breaks off, which GDAL would fill up with grey.

    Images need no georeference, so its absence is not warned of.
    """
    with warnings.catch_warnings(), rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING=True):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def check_whole(path: str | os.PathLike[str]) -> None:
    """Refuse a PNG that breaks off before its last chunk, which GDAL would read as noise.

    Chunks are a length, a type, the data and a checksum (PNG specification, section 5).

    Raises:
        SceneError: If it breaks off.
    """
    if not Path(path).is_file():
        return
    with Path(path).open("rb") as stream:
        if stream.read(len(_PNG)) != _PNG:
            return
        end = stream.seek(0, os.SEEK_END)
        place = len(_PNG)
        while place + 12 <= end:
            stream.seek(place)
            length, kind = int.from_bytes(stream.read(4)), stream.read(4)
            place += 12 + length
            if kind == b"IEND":
                return
    raise SceneError(
        f"{path} is damaged: the file breaks off before the end of the image; fetch it again or "
        "restore it from a copy"
    )
