"""A scene opened as it was when it was embedded, and as a person can look at it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from terrapatch.bands import TRIPLETS
from terrapatch.errors import ClusterError, SceneError
from terrapatch.features import FeatureRaster
from terrapatch.features.recipe import Recipe
from terrapatch.scene import REMOTE, Scene

if TYPE_CHECKING:
    import xarray as xr


def as_embedded(scene: str | os.PathLike[str] | xr.DataArray | Scene, recipe: Recipe) -> Scene:
    """Open a scene with the bands, units and nodata value it was embedded with.

    Raises:
        TerrapatchError: If it cannot be read, or does not have those bands.
    """
    of = recipe.scene
    opened = Scene.open(scene, bands=of["bands"], units=of["units"]["text"])
    value = _one_value(of["nodata"])
    if value is None or _one_value(opened.as_dict()["nodata"]) == value:
        return opened
    return Scene.open(scene, bands=of["bands"], units=of["units"]["text"], nodata=float(value))


def _one_value(nodata: list[float | str | None]) -> float | str | None:
    """Return the nodata value of all bands, ``None`` where they have none or several."""
    return nodata[0] if len(set(nodata)) == 1 else None


def is_embedded(scene: Scene, recipe: Recipe) -> bool:
    """Whether a scene opened by ``as_embedded`` is the one the features were made from."""
    return bool(scene.signature == recipe.scene["signature"])


def scene_of(
    given: str | os.PathLike[str] | xr.DataArray | Scene | None,
    opened: Scene | None,
    raster: FeatureRaster,
    earlier: str | None = None,
) -> tuple[str | None, tuple[str, ...]]:
    """Return where the scene of a feature raster lies, if that is known, and a note if need be.

    Args:
        given: What a person named as the scene; without it, the scene is looked for where it was
            earlier, beside the store and in the working folder.
        opened: The same, opened.
        raster: The features.
        earlier: Where an earlier result had it.
    """
    if given is None or opened is None:
        return _found(raster, earlier), ()
    if not isinstance(opened.source, str):
        return None, ()
    if _is_of(opened, raster.recipe):
        return opened.source, ()
    note = f"{opened.name} is not the scene the features were made from: only the picture shows it"
    return None, (note,)


def _found(raster: FeatureRaster, earlier: str | None) -> str | None:
    name = str(raster.recipe.scene["name"])
    if name.startswith(REMOTE):
        return name
    places = ([Path(earlier)] if earlier else []) + [raster.path.parent / name, Path(name)]
    return next((str(p) for p in places if p.is_file() and _is_of(p, raster.recipe)), None)


def _is_of(scene: Path | Scene, recipe: Recipe) -> bool:
    try:
        return is_embedded(as_embedded(scene, recipe), recipe)
    except SceneError:  # of other bands, or no raster at all
        return False


def for_looking(scene: Scene) -> Scene:
    """Return the scene with one band or three, for a picture.

    Of more bands that were chosen, those called red, green and blue are taken; where they have
    no such names the first three (or the first of two), in false colour.

    Raises:
        ClusterError: If one or three bands cannot be told from those of a scene nobody chose
            bands of.
    """
    if len(scene.bands) in (1, 3):
        return scene
    if not scene.chosen:
        shown = scene.for_channels(3)
        if len(shown.bands) not in (1, 3):
            raise ClusterError(f"{scene.name} cannot be shown; choose three bands of it")
        return shown
    roles = scene.roles
    if all(roles.count(name) == 1 for name in TRIPLETS["rgb"]):
        places = [roles.index(name) for name in TRIPLETS["rgb"]]
    else:
        places = [0, 1, 2] if len(roles) > 2 else [0]
    units = None if scene.units is None else scene.units.pick(places)
    return replace(scene, bands=tuple(scene.bands[i] for i in places), units=units)
