"""Pictures for the page: pixels of a scene in eight bits, as JPEG, or WebP with holes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Picture", "encoded"]

_QUALITY = 86


@dataclass(frozen=True)
class Picture:
    """An encoded picture.

    Attributes:
        data: The file.
        kind: Its media type.
    """

    data: bytes
    kind: str


def encoded(rgb: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_] | None = None) -> Picture:
    """Encode pixels; what is not valid becomes transparent.

    Args:
        rgb: ``(rows, cols, 3)``.
        valid: ``(rows, cols)``, or ``None`` where every pixel is.
    """
    from PIL import Image

    out = io.BytesIO()
    if valid is None or valid.all():
        Image.fromarray(rgb).save(out, "JPEG", quality=_QUALITY)
        return Picture(out.getvalue(), "image/jpeg")
    alpha = np.where(valid, 255, 0).astype(np.uint8)
    picture = Image.fromarray(np.dstack([rgb, alpha]))
    picture.save(out, "WEBP", quality=_QUALITY, method=2)
    return Picture(out.getvalue(), "image/webp")
