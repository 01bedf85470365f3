"""The files of a search: the map of scores, the best places as points, the contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrapatch.errors import OutputError, SceneError, TerrapatchError
from terrapatch.features import FeatureRaster
from terrapatch.maps.bundle import BundleNames
from terrapatch.maps.points import point_qml, write_points
from terrapatch.scene import Scene
from terrapatch.studies import _similar_sheet as sheets
from terrapatch.studies._embedded_scene import as_embedded, for_looking, is_embedded
from terrapatch.studies._similar_images import image_options, open_image
from terrapatch.studies._similar_query import LIKE
from terrapatch.studies._similar_sheet import Tile
from terrapatch.studies._staging import publish, staging
from terrapatch.writing import gdal_writing

if TYPE_CHECKING:
    from terrapatch.studies.similar import SimilarResult

MOST_TILES = 120
"""Hits a sheet shows at most."""

_LIKE, _UNLIKE, _HIT = "#009e73", "#d55e00", "#e69f00"
_KINDS = {
    "hit": ("place found", _HIT, "circle"),
    "example": ("example", _LIKE, "star"),
    "counterexample": ("counterexample", _UNLIKE, "cross2"),
}
_COLUMNS = {
    "rank": int, "kind": str, LIKE: bool, "score": float, "x": float, "y": float, "row": int,
    "col": int,
}  # fmt: skip
_LABEL = "CASE WHEN \"kind\" = 'hit' THEN \"rank\" ELSE '' END"


def hits_of(path: Path) -> Path:
    """Return where the places of a map of scores stand."""
    return path.with_name(f"{path.stem}_hits.gpkg")


def sheet_of(path: Path) -> Path:
    """Return where the contact sheet of a map of scores stands."""
    return path.with_name(f"{path.stem}_sheet.png")


def refuse_taken(path: Path, overwrite: bool) -> None:
    """Refuse to write where there are results already.

    Raises:
        OutputError: If there are and they are not to give way, or the name is no GeoTIFF's.
    """
    if path.suffix.lower() != ".tif":
        raise OutputError(f"{path} must end in .tif, since the map of scores is a GeoTIFF")
    taken = [file for file in _all(path) if file.exists()]
    if taken and not overwrite:
        raise OutputError(
            f"{taken[0]} exists already; pass --overwrite to replace it, or another name"
        )


def find_scene(
    raster: FeatureRaster, scene: Any, model: Any = None
) -> tuple[Scene | None, list[str]]:
    """Find the scene that features were made from, ready to be looked at.

    Args:
        raster: The features.
        scene: The scene a person names; ``None`` to look for it beside the store, in the
            working folder, and where the folder ``model`` says it is.
        model: A folder of clusters, perhaps.

    Returns:
        The scene, or ``None`` and a sentence that says so.

    Raises:
        SceneError: If the scene that is named is another one.
    """
    if scene is not None:
        opened = as_embedded(scene, raster.recipe)
        if not is_embedded(opened, raster.recipe):
            raise SceneError(
                f"{opened.name} is not the scene that {raster.path} was made from "
                f"({raster.recipe.scene['name']}); give that one, or leave out --scene"
            )
        return for_looking(opened), []
    for path in _likely(raster, model):
        try:
            opened = as_embedded(path, raster.recipe)
        except TerrapatchError:  # another raster of that name
            continue
        if is_embedded(opened, raster.recipe):
            return for_looking(opened), []
    name = raster.recipe.scene["name"]
    return None, [f"no contact sheet: it is not known where {name} lies; name it with --scene"]


def write(
    result: SimilarResult, path: Path, raster: FeatureRaster, scene: Scene | None
) -> SimilarResult:
    """Write all files, or none; the map comes into place last.

    Raises:
        OutputError: If the place is full or not writable.
    """
    folder, names = path.parent, [file.name for file in reversed(_all(path))]
    with gdal_writing(path), staging(folder) as stage:
        saved = result.value_map.save(stage / path.name)
        _write_hits(result, hits_of(stage / path.name), raster)
        notes = (*result.notes, *saved.notes)
        if scene is not None:
            _write_sheet(result, sheet_of(stage / path.name), raster, scene)
            if len(result.hits) > MOST_TILES:
                notes += (f"the contact sheet shows the {MOST_TILES} best places",)
        written = publish(stage, folder, names)
    return replace(result, files=tuple(reversed(written)), notes=tuple(dict.fromkeys(notes)))


def _all(path: Path) -> list[Path]:
    """Return every file there can be, the map first."""
    bundle = BundleNames(path)
    return [path, bundle.sidecar, bundle.style, bundle.item, hits_of(path), sheet_of(path)]


def _likely(raster: FeatureRaster, model: Any) -> list[str]:
    """Return where the scene may lie."""
    name = Path(str(raster.recipe.scene["name"])).name
    places = [str(folder / name) for folder in (raster.path.resolve().parent, Path())]
    if isinstance(model, str | os.PathLike) and (Path(model) / "clusters.tif").exists():
        from terrapatch.studies.result_folder import ClusterFolder

        places += [told for told in (ClusterFolder.open(model).scene_path,) if told]
    return [place for place in places if Path(place).is_file()]


def _write_hits(result: SimilarResult, path: Path, raster: FeatureRaster) -> None:
    """Write the places found, and the examples with rank 0."""
    rows: list[tuple[Any, ...]] = [
        (hit.rank, "hit", None, hit.score, hit.x, hit.y, hit.row, hit.col) for hit in result.hits
    ]
    for cell in result.examples:
        kind = "example" if cell.like else "counterexample"
        rows.append((0, kind, cell.like, cell.score, cell.x, cell.y, cell.row, cell.col))
    columns = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in _COLUMNS]
    fields = {name: (of, c) for (name, of), c in zip(_COLUMNS.items(), columns, strict=True)}
    places = list(zip(fields["x"][1], fields["y"][1], strict=True))
    style = point_qml("kind", _KINDS, _LABEL)
    write_points(path, "hits", places, fields, raster.geobox, style)


def _write_sheet(result: SimilarResult, path: Path, raster: FeatureRaster, scene: Scene) -> None:
    """Draw the patches, those of the query first."""
    hits = result.hits[:MOST_TILES]
    cells = [(cell.row, cell.col) for cell in result.examples]
    cells += [(hit.row, hit.col) for hit in hits]
    pictures = sheets.cut_patches(scene, raster.recipe, cells)
    of_query, of_hits = pictures[: len(result.examples)], pictures[len(result.examples) :]
    query = [
        Tile(
            picture,
            (f"{'like' if cell.like else 'not'}  {cell.score:.2f}", _place(raster, cell.x, cell.y)),
            _LIKE if cell.like else _UNLIKE,
        )
        for cell, picture in zip(result.examples, of_query, strict=True)
    ]
    query += _image_tiles(result.images, raster)
    found = [
        Tile(picture, (f"{hit.rank}   {hit.score:.2f}", _place(raster, hit.x, hit.y)), "#444444")
        for hit, picture in zip(hits, of_hits, strict=True)
    ]
    sheets.write_sheet(path, [("Query", query), ("Found: rank, score, place", found)])


def _image_tiles(images: Sequence[tuple[Path, bool]], raster: FeatureRaster) -> list[Tile]:
    tiles = []
    for image, like in images:
        opened = for_looking(open_image(image, **image_options(raster, image)))
        word = "like" if like else "not"
        lines = (word, image.name[:24])
        tiles.append(Tile(sheets.square_of(opened), lines, _LIKE if like else _UNLIKE))
    return tiles


def _place(raster: FeatureRaster, x: float, y: float) -> str:
    crs = raster.geobox.crs
    return f"{x:.5f}, {y:.5f}" if crs is not None and crs.geographic else f"{x:.0f}, {y:.0f}"
