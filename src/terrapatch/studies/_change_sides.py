"""The two maps of a comparison: found, brought to one legend and one grid."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from terrapatch.errors import LegendError, MapError, RecipeError, SceneError
from terrapatch.features import FeatureRaster
from terrapatch.features.recipe import Recipe
from terrapatch.learn.unlike import Unlike
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.scene import Scene
from terrapatch.studies._embedded_scene import as_embedded, scene_of
from terrapatch.studies._named_map import named_map
from terrapatch.studies._unlike_class import COLOUR, UNLIKE, add_unlike, named_of, read_unlike
from terrapatch.studies.names import Names
from terrapatch.studies.result_folder import ClusterFolder

__all__ = ["Maker", "Side", "find_side", "on_grid", "one_legend"]

Progress = Callable[[str, int, int], None]
Given = ClassMap | FeatureRaster | str | os.PathLike[str]

# How far, in cells, rounding alone may bring two grids apart.
_SLACK = 0.01


@dataclass(frozen=True, eq=False)
class Maker:
    """What a class map was made with, to make another like it.

    Attributes:
        home: Folder of the model and its names.
        recipe: How the features were made.
        store: The features.
        scene: The scene they were made from; ``None`` where it is not known.
        unlike: Thresholds of what is unlike anything seen, if the map has that class.
        named: Whether the map shows names, or raw clusters.
    """

    home: ClusterFolder
    recipe: Recipe
    store: Path
    scene: Scene | None
    unlike: Unlike | None
    named: bool

    def classes(
        self, raster: FeatureRaster, legend: Legend, progress: Progress | None = None
    ) -> NDArray[np.uint16]:
        """Classify features as the map was, by the names of a legend.

        Raises:
            MapError: If the legend lacks a name.
            RecipeError: If the features are of another space.
        """
        clusters = self.home.model.predict(raster, progress)
        values = self.lookup(legend).astype(np.uint16)[clusters.labels]
        if self.unlike is not None and UNLIKE in legend.names:
            ratio = self.unlike.ratio(raster, clusters, progress)
            values[np.nan_to_num(ratio, nan=0.0) > 1] = legend.names.index(UNLIKE) + 1
        return values

    def lookup(self, legend: Legend) -> NDArray[np.int64]:
        """Return the class of each raw cluster ``(k + 1,)``."""
        k = self.home.model.k
        names = self.home.names if self.named else Names.of(self.home.class_map.legend)
        return named_of(legend, names, k)


@dataclass(frozen=True, eq=False)
class Side:
    """One date.

    Attributes:
        class_map: Its classes.
        name: What to call it.
        maker: What it was made with; ``None`` where that is not known.
    """

    class_map: ClassMap
    name: str
    maker: Maker | None


def find_side(
    given: Given,
    model: ClusterFolder | None,
    unlike: Unlike | None,
    scene: str | os.PathLike[str] | None,
    progress: Progress | None = None,
) -> Side:
    """Find the class map of one date.

    Args:
        given: A folder of clusters, a GeoTIFF of classes, or features that ``model`` is applied to.
        model: Folder of a named model.
        unlike: Its thresholds.
        scene: The scene of the date, if a person named it.
        progress: Called as ``progress(stage, cells done, cells in all)``.

    Raises:
        MapError: If there is no class map.
        RecipeError: If features are given without a model, or of another space.
    """
    if isinstance(given, ClassMap):
        return Side(given, given.title or "a map", None)
    if isinstance(given, FeatureRaster):
        return _applied(given, model, unlike, scene, progress)
    path = Path(given)
    if path.is_dir() and not (path / "clusters.tif").is_file():
        return _applied(FeatureRaster.open(path), model, unlike, scene, progress)
    if path.is_dir():
        named = path / "named.tif"
        path = named if named.is_file() else path / "clusters.tif"
    class_map = ClassMap.open(path)
    return Side(class_map, str(given), _maker(path, class_map, scene))


def _maker(path: Path, class_map: ClassMap, scene: str | os.PathLike[str] | None) -> Maker | None:
    """Return what the map of a folder of clusters was made with."""
    known = path.name in ("named.tif", "clusters.tif")
    if not known or not (path.parent / "clusters.tif").is_file():
        return None
    home = ClusterFolder.open(path.parent)
    if scene is not None:
        opened: Scene | None = as_embedded(scene, home.recipe)
    else:
        try:
            opened = home.scene()
        except SceneError:  # it has gone or is another by now; only the noise needs it
            opened = None
    store = Path(os.path.normpath(home.path.resolve() / (home.source.get("features") or "")))
    unlike = read_unlike(home.path) if UNLIKE in class_map.legend.names else None
    return Maker(home, home.recipe, store, opened, unlike, path.name == "named.tif")


def _applied(
    raster: FeatureRaster,
    model: ClusterFolder | None,
    unlike: Unlike | None,
    scene: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> Side:
    """Apply a named model to features, in memory."""
    if model is None:
        raise RecipeError(
            f"{raster.path} holds features and no classes; name the folder of clusters whose model "
            "is to be applied to them (--model DIR)"
        )
    where, _ = scene_of(None, None, raster, None if scene is None else str(scene))
    found = scene if scene is not None else where
    opened = None if found is None else as_embedded(found, raster.recipe)
    maker = Maker(model, raster.recipe, raster.path, opened, unlike, named=True)
    home = named_map(model.class_map, model.names)
    if unlike is not None:
        home = add_unlike(home, np.zeros(home.values.shape, bool))
    values = maker.classes(raster, home.legend, progress)
    told = {"model": model.model.description, "features": raster.recipe.as_dict()}
    return Side(ClassMap(values, raster.geobox, home.legend, told), str(raster.path), maker)


def one_legend(before: Side, after: Side) -> tuple[Side, Side, list[str]]:
    """Number the classes of the second map as the first does, by their names.

    Returns:
        Both, and sentences a person should know.

    Raises:
        LegendError: If one has a class that the other lacks, or clusters of two models go by the
            same numbers.
    """
    notes = _refuse_other_models(before, after)
    first, second = (side.class_map.legend for side in (before, after))
    names = [name for name in first.names if name != UNLIKE]
    colours = [entry.colour for entry in first if entry.name != UNLIKE]
    other = [name for name in second.names if name != UNLIKE]
    if set(names) != set(other):
        lacking = next((n for n in other if n not in names), None)
        one, two = (before, after) if lacking is not None else (after, before)
        lacking = lacking or next(n for n in names if n not in other)
        raise LegendError(
            f"{two.name} has the class {lacking!r} and {one.name} has not, so what changed cannot "
            "be told from what is called otherwise; give both dates the same classes: terrapatch "
            "apply, or terrapatch name"
        )
    either = [UNLIKE in legend.names for legend in (first, second)]
    if any(either):
        names.append(UNLIKE)
        colours.append(COLOUR)
    if any(either) and not all(either):
        lacks = after if either[0] else before
        notes.append(
            f"{lacks.name} was made without the class {UNLIKE!r}, so nothing can come from or go "
            "to it truly; make both with terrapatch apply"
        )
    legend = Legend.of(names, colours)
    return _renumbered(before, legend), _renumbered(after, legend), notes


def _refuse_other_models(before: Side, after: Side) -> list[str]:
    models = [side.class_map.provenance.get("model") for side in (before, after)]
    if None in models or models[0] == models[1]:
        return []
    legends = (before.class_map.legend, after.class_map.legend)
    numbered = [n for legend in legends for n in legend.names if n.startswith("Cluster ")]
    if numbered:
        raise LegendError(
            f"{before.name} and {after.name} were made with two models, and {numbered[0]!r} of the "
            "one is not that of the other; give both dates one model: terrapatch apply DIR FEATURES"
        )
    return [
        "the two maps were made with two models, so a part of the change is how these differ; "
        "better apply one model to both dates"
    ]


def _renumbered(side: Side, legend: Legend) -> Side:
    own = side.class_map
    lookup = np.array([0, *(legend.names.index(n) + 1 for n in own.legend.names)], np.uint16)
    return replace(side, class_map=replace(own, values=lookup[own.values], legend=legend))


def on_grid(after: Side, before: Side) -> tuple[NDArray[Any], list[str]]:
    """Bring the second map to the grid of the first, each cell taking the class it lies in.

    Returns:
        Class ids on the grid of the first, 0 beyond the second, and sentences to know.

    Raises:
        MapError: If CRS or cell size differ, or the maps do not overlap.
    """
    one, two = before.class_map.geobox, after.class_map.geobox
    _refuse_other_grid(before, after)
    across = (two.affine.c - one.affine.c) / one.affine.a
    down = (two.affine.f - one.affine.f) / one.affine.e
    values = after.class_map.values
    rows, inside_rows = _places(one.shape[0], values.shape[0], down)
    cols, inside_cols = _places(one.shape[1], values.shape[1], across)
    if not (inside_rows.any() and inside_cols.any()):
        raise MapError(f"{before.name} and {after.name} do not overlap; compare maps of one place")
    out = np.where(inside_rows[:, None] & inside_cols, values[np.ix_(rows, cols)], 0)
    parts = [abs(shift - round(shift)) for shift in (down, across)]
    if max(parts) <= _SLACK:
        return out.astype(values.dtype), []
    return out.astype(values.dtype), [
        f"the cells of {after.name} lie {parts[0]:.2f} of a cell down and {parts[1]:.2f} across "
        f"from those of {before.name}; each was given the class of the cell its centre lies in"
    ]


def _places(n: int, there: int, shift: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return for ``n`` cells the cell of another axis each centre lies in, and whether in any."""
    at = np.floor(np.arange(n) + 0.5 - shift + 1e-9).astype(np.int64)
    inside = (at >= 0) & (at < there)
    return np.clip(at, 0, there - 1), inside


def _refuse_other_grid(before: Side, after: Side) -> None:
    one, two = before.class_map.geobox, after.class_map.geobox
    if one.crs != two.crs:
        raise MapError(
            f"{before.name} is in {_said(one)} and {after.name} in {_said(two)}; bring the second "
            "scene into the first one's system with gdalwarp before it is embedded"
        )
    if any((box.affine.b, box.affine.d) != (0, 0) for box in (one, two)):
        raise MapError("one of the maps is turned against its CRS; bring it upright with gdalwarp")
    sizes = [(box.affine.a, box.affine.e) for box in (one, two)]
    longest = max(*one.shape, *two.shape)
    same = all(math.isclose(a, b, rel_tol=_SLACK / longest) for a, b in zip(*sizes, strict=True))
    if not same:
        (x, y), (u, v) = sizes
        raise MapError(
            f"the cells of {before.name} measure {x:.8g} x {-y:.8g} map units and those of "
            f"{after.name} {u:.8g} x {-v:.8g}; embed both scenes with cells of one size"
        )


def _said(geobox: GeoBox) -> str:
    if geobox.crs is None:
        return "no CRS"
    code = geobox.crs.to_epsg()
    return f"EPSG:{code}" if code else "a CRS without a code"
