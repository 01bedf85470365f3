"""Features for other programs: tables, rasters, arrays and a picture.

Every export is written beside its final name and moved there when it is whole,
block by block, and the same features give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terrapatch.bands import BandChoice
from terrapatch.errors import OutputError
from terrapatch.features.engine import Progress
from terrapatch.features.exports.arrays import to_npy, to_npz
from terrapatch.features.exports.geoparquet import to_geoparquet
from terrapatch.features.exports.geotiff import to_geotiff
from terrapatch.features.exports.picture import to_pca_picture
from terrapatch.features.raster import FeatureRaster

__all__ = [
    "KINDS",
    "export",
    "to_geoparquet",
    "to_geotiff",
    "to_npy",
    "to_npz",
    "to_pca_picture",
]

_WRITERS: dict[str, Callable[..., Path]] = {
    "geoparquet": to_geoparquet,
    "geotiff": to_geotiff,
    "npz": to_npz,
    "npy": to_npy,
    "picture": to_pca_picture,
}
_OPTIONS = {
    "geoparquet": {"dtype"},
    "geotiff": {"bands"},
    "npz": {"dtype"},
    "npy": {"dtype"},
    "picture": set[str](),
}
_SUFFIXES = {
    ".parquet": "geoparquet",
    ".geoparquet": "geoparquet",
    ".tif": "geotiff",
    ".tiff": "geotiff",
    ".npz": "npz",
    ".npy": "npy",
    ".png": "picture",
}
KINDS = tuple(_WRITERS)
"""What ``export`` can write."""


def export(
    features: FeatureRaster,
    path: str | os.PathLike[str],
    kind: str | None = None,
    *,
    bands: BandChoice | None = None,
    dtype: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write features in the format that the name of the file asks for.

    Args:
        features: A finished feature raster.
        path: The file to write: ``.parquet`` or ``.geoparquet``, ``.tif``, ``.npz``,
            ``.npy`` or ``.png``.
        kind: One of ``KINDS``, where the name does not tell: ``.tif`` is all
            features as bands, unless ``kind="picture"``.
        bands: Which features (GeoTIFF only; see ``to_geotiff``).
        dtype: ``float32`` (the default) or ``float16`` (tables and arrays only).
        overwrite: Whether an older file gives way.
        progress: Told what is being done and how many cells are done.

    Returns:
        The path of the file.

    Raises:
        OutputError: If the format or an option does not fit, the file exists, or
            the place is full or not writable.
        BandError: If a feature asked for does not exist.
        StoreError: If the store is damaged.
    """
    path = Path(path)
    chosen = kind or _SUFFIXES.get(path.suffix.lower())
    if chosen is None:
        raise OutputError(
            f"cannot tell from the name what to write to {path}; end it in {', '.join(_SUFFIXES)}"
        )
    if chosen not in _WRITERS:
        raise OutputError(f"cannot export to {chosen!r}; choose {', '.join(KINDS)}")
    options: dict[str, Any] = {
        name: value for name, value in (("bands", bands), ("dtype", dtype)) if value is not None
    }
    for name in options.keys() - _OPTIONS[chosen]:
        fitting = " or ".join(k for k in KINDS if name in _OPTIONS[k])
        raise OutputError(
            f"{name} cannot be chosen for a {chosen}; leave it out, or export to {fitting}"
        )
    return _WRITERS[chosen](features, path, overwrite=overwrite, progress=progress, **options)
