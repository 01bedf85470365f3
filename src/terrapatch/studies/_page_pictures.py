"""Pictures as text that stands inside a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_QUALITY = 85
_SMALL = 64  # up to this side each pixel counts, and a PNG is no larger


def kind_of(data: bytes) -> str:
    """Return ``png``, ``jpeg`` or ``svg``.

    Raises:
        ValueError: If the bytes are none of these.
    """
    if data.startswith(_PNG):
        return "png"
    if data.startswith(_JPEG):
        return "jpeg"
    if b"<svg" in data[:2048]:
        return "svg"
    raise ValueError("the picture is neither SVG, PNG nor JPEG; draw it as one of these")


def as_link(data: bytes, kind: str) -> str:
    """Return a picture as a ``data:`` link."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height of a PNG or JPEG in pixels.

    Raises:
        ValueError: If it cannot be decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            return image.size
    except (UnidentifiedImageError, OSError, SyntaxError) as fault:
        raise ValueError("the picture is damaged: it cannot be decoded; draw it anew") from fault


def thumbnail_link(image: NDArray[Any], side: int) -> tuple[str, int, int]:
    """Return an image as a ``data:`` link of at most ``side`` pixels, with its width and height.

    Args:
        image: uint8 ``(height, width, 3)``; it is averaged down, never enlarged.
        side: The longest side.

    Returns:
        A JPEG, or a PNG up to 64 pixels.

    Raises:
        ValueError: If the image has another shape or type.
    """
    from PIL import Image

    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(
            f"an image of a gallery is {array.dtype} of shape {array.shape}; "
            "give uint8 (height, width, 3)"
        )
    picture = Image.fromarray(np.ascontiguousarray(array))
    if max(picture.size) > side:
        scale = side / max(picture.size)
        wide, high = (max(1, round(scale * length)) for length in picture.size)
        picture = picture.resize((wide, high), Image.Resampling.BOX, reducing_gap=None)
    kind = "png" if max(picture.size) <= _SMALL else "jpeg"
    stream = io.BytesIO()
    picture.save(stream, format=kind, **({"quality": _QUALITY} if kind == "jpeg" else {}))
    return as_link(stream.getvalue(), kind), *picture.size
