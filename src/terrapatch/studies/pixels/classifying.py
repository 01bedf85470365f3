"""The map of a cube: classes in the legend's colours, with confidence and margin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import OutputError, RecipeError, SamplesError
from terrapatch.learn.pixels.model import PixelModel
from terrapatch.maps import ClassMap, ValueMap
from terrapatch.studies._classify_maps import COMPANIONS, refuse_taken
from terrapatch.studies._staging import refuse_unwritable
from terrapatch.studies.pixels._map_files import together
from terrapatch.studies.pixels.asked import NO_SMOOTHING

if TYPE_CHECKING:
    from terrapatch.cubes import Cube
    from terrapatch.features import FeatureRaster
    from terrapatch.learn.pixels.base import Progress
    from terrapatch.learn.pixels.mapping import MappedPixels
    from terrapatch.studies.pixels.asked import CubeSource

MODEL_SMOOTHING = "model"
_COMPANIONS = ("confidence", "margin")


@dataclass(frozen=True, eq=False)
class PixelMap:
    """What ``classify`` made.

    Attributes:
        class_map: The map.
        files: Every file it wrote, the map first.
        counts: Pixels of each id ``(classes + 1,)``, 0 first.
        notes: Sentences a person should know.
    """

    class_map: ClassMap
    files: tuple[Path, ...]
    counts: NDArray[np.int64]
    notes: tuple[str, ...]


def classify(
    cube: CubeSource | FeatureRaster,
    model: PixelModel | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    smooth: str = MODEL_SMOOTHING,
    min_confidence: float = 0.0,
    companions: bool = True,
    polygons: bool = True,
    reading: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PixelMap:
    """Give every pixel of a cube a class, and write the map.

    Args:
        cube: A cube with the bands of the model; or features that ``pixels features`` stored.
        model: The model, or its folder.
        out: The map, a GeoTIFF; companions lie beside it as ``NAME_confidence.tif`` and
            ``NAME_margin.tif``.
        smooth: ``model`` for the smoothing that the model was judged with, ``none``, or a text
            such as ``gaussian:sigma=2``.
        min_confidence: Pixels below this probability are left empty.
        companions: Whether to write confidence and margin.
        polygons: Whether to write the classes as polygons too.
        reading: Options of ``Cube.open``.
        overwrite: Whether an older map gives way.
        progress: Called as ``progress(stage, done, in all)``.

    Raises:
        RecipeError: If the cube has other bands than the model, or the model is damaged.
        SamplesError: If the smoothing or the confidence make no sense.
        OutputError: If the map exists, or cannot be written.
    """
    from terrapatch.learn.pixels.mapping import map_pixels

    path = Path(out)
    if path.suffix.lower() != ".tif":
        raise OutputError(f"the map {path} must end in .tif; give it another name")
    if not 0 <= min_confidence < 1:
        raise SamplesError(f"the confidence {min_confidence:g} must lie from 0 to below 1")
    refuse_unwritable(path)
    refuse_taken((path, *_beside(path).values()), overwrite)
    loaded = model if isinstance(model, PixelModel) else PixelModel.load(Path(model))
    source = _source(cube, path, reading or {})
    chosen = loaded.description["smooth"] if smooth == MODEL_SMOOTHING else smooth
    smoothing = None if chosen in (None, NO_SMOOTHING) else chosen
    found = map_pixels(source, loaded, smooth=smoothing, scratch=_scratch(path), progress=progress)
    return _written(found, loaded, path, min_confidence, companions, polygons, overwrite)


def _source(cube: Any, path: Path, reading: Mapping[str, Any]) -> Cube | FeatureRaster:
    from terrapatch.cubes import Cube
    from terrapatch.features import FeatureRaster
    from terrapatch.features.layout import is_store

    if isinstance(cube, FeatureRaster):
        return cube
    if isinstance(cube, str | os.PathLike):
        for file in (path, *_beside(path).values()):
            if Path(cube).resolve() == file.resolve():
                raise OutputError(f"{file} is the cube itself; choose another name for the map")
        if is_store(Path(cube)):
            _refuse_reading(cube, reading)
            return FeatureRaster.open(cube)
    return Cube.open(cube, **reading)


def _refuse_reading(store: str | os.PathLike[str], reading: Mapping[str, Any]) -> None:
    """Refuse options that say how a cube is read where its features are stored already."""
    usual = {"drop": "", "keep_bad": False, "water_vapour": True}
    given = [key for key, value in reading.items() if value != usual.get(key)]
    if given:
        raise RecipeError(
            f"{Path(store).name} holds features of a cube that was read already, so "
            f"{', '.join(given)} would change nothing; leave it out, or give the cube itself"
        )


def _scratch(path: Path) -> Path | None:
    """Keep large arrays where the map will lie: there is room for them, or none for it."""
    return path.parent if path.parent.is_dir() else None


def _beside(path: Path) -> dict[str, Path]:
    return {name: path.with_name(f"{path.stem}_{name}.tif") for name in _COMPANIONS}


def _written(
    found: MappedPixels,
    model: PixelModel,
    path: Path,
    least: float,
    companions: bool,
    polygons: bool,
    overwrite: bool,
) -> PixelMap:
    ids, notes = found.ids, [*found.notes]
    if least > 0:
        doubtful = (ids > 0) & (found.confidence < least)
        ids = np.where(doubtful, 0, ids).astype(ids.dtype)
        total = int((found.ids > 0).sum())
        notes.append(
            f"{int(doubtful.sum()):,} of {total:,} pixels are less than {least:.0%} certain and "
            "were left empty"
        )
    taken = found.provenance.get("features", {}).get("scene", {}).get("datetime")
    provenance = {
        **found.provenance,
        "map": {"min_confidence": least},
        **({"datetime": taken} if taken else {}),
    }
    class_map = ClassMap(ids, found.geobox, model.legend, provenance, title="Classes")
    names = _beside(path) if companions else {}
    paths = (path, *_beside(path).values())
    refuse_taken(paths, overwrite)  # again: the map took its time
    with together(paths) as stage:
        saved = [class_map.save(stage / path.name, polygons=polygons)]
        for name, place in names.items():
            values = ValueMap(
                getattr(found, name), found.geobox, COMPANIONS[name], "", provenance,
                range=(0.0, 1.0), title=name,
            )  # fmt: skip
            saved.append(values.save(stage / place.name))
    files = [path.with_name(file.name) for one in saved for file in one.files]
    notes += [note for one in saved for note in one.notes]
    return PixelMap(class_map, tuple(files), class_map.counts(), tuple(dict.fromkeys(notes)))
