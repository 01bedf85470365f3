"""Random filters cut out of one scene and kept, so that other scenes are described by the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from terrapatch.bands import BandChoice
from terrapatch.errors import OutputError, writing
from terrapatch.features.fitting import draw_filters
from terrapatch.scene import Scene

if TYPE_CHECKING:
    import xarray as xr


def draw(
    scene: str | os.PathLike[str] | xr.DataArray | Scene,
    out: str | os.PathLike[str],
    *,
    bands: BandChoice | None = None,
    units: str | None = None,
    nodata: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Cut the filters of ``rcf:empirical`` out of a scene and keep them in a file.

    ``embed(..., backbone="rcf:empirical", weights=FILE)`` describes any scene of as many
    bands by them.

    Args:
        scene: Anything GDAL reads, an ``xarray.DataArray`` or a ``Scene``.
        out: The safetensors file to write.
        bands: Band names, numbers from 1, or ``rgb``; every band but alpha by default.
        units: ``LOW:HIGH``, ``percentile:2,98``, ``reflectance[:N]`` or ``uint8``.
        nodata: Nodata value, where the file states none.
        seed: Seed of the places the filters are cut at.
        overwrite: Whether an older file may be replaced.

    Returns:
        The file.

    Raises:
        OutputError: If the file exists already, or cannot be written.
        SceneError: If the scene has too few valid pixels.
        UnitsError: If its units have to be declared.
    """
    from safetensors.numpy import save

    path = Path(out)
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists already; pass --overwrite to replace it, or choose another name"
        )
    opened = Scene.open(scene, bands=bands, units=units, nodata=nodata)
    data = save(draw_filters(opened, seed))
    with writing(path):
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(data)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    return path
