"""Reading back how something of ours was made: maps, STAC items, feature stores, models."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrapatch.errors import MapError, RecipeError
from terrapatch.studies._explain_pixels import about_pixel_model
from terrapatch.studies._explain_words import about_features, about_legend, about_model, about_tuned

__all__ = ["Explanation", "explain"]

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Explanation:
    """How something was made.

    Attributes:
        path: What was asked about.
        kind: ``class map``, ``value map``, ``feature raster``, ``feature table``,
            ``STAC item``, ``feature store``, ``cluster folder``, ``cluster model``,
            ``scene model``, ``pixel model`` or ``tuned network``.
        what: One line that says what it is.
        rows: Names and values in words, in order.
        recipe: The recipe as plain data.
    """

    path: Path
    kind: str
    what: str
    rows: Rows
    recipe: dict[str, Any] = field(repr=False)


def explain(path: str | os.PathLike[str]) -> Explanation:
    """Say how a map, a STAC item, a feature store, a cluster folder or a model was made.

    Args:
        path: A ``.tif`` of ours, the ``.json`` beside it, a ``.zarr`` store or a table
            exported from it, a folder written by ``cluster``, or a model folder.

    Returns:
        The explanation.

    Raises:
        MapError: If a raster or STAC item was not made by Terrapatch.
        StoreError: If a store is unfinished, damaged or not ours.
        RecipeError: If it is missing, or nothing we make.
    """
    path = Path(path)
    if not path.exists() and not path.with_name(f"{path.name}.part").exists():
        raise RecipeError(f"there is no file or folder {path}; check the path")
    if path.is_dir() or not path.exists():
        return _folder(path)
    if path.suffix.lower() in (".tif", ".tiff"):
        return _raster(path)
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        return _table(path)
    if path.name == "model.json":
        return _model(path.parent)
    if path.suffix.lower() == ".json":
        return _item(path)
    raise RecipeError(
        f"{path} holds no recipe; give the .tif or .json of a map, a .zarr store of features, "
        "or a folder written by terrapatch cluster"
    )


def _folder(path: Path) -> Explanation:
    if (path / "clusters.tif").exists():
        inner = _raster(path / "clusters.tif")
        holds = ", ".join(sorted(p.name for p in path.iterdir() if not p.name.startswith(".")))
        what = f"a folder of clusters; its map is {inner.what}"
        return Explanation(
            path, "cluster folder", what, [*inner.rows, ("holds", holds)], inner.recipe
        )
    if (path / "model.json").exists():
        return _model(path)
    if (path / "zarr.json").exists() or not path.exists() or path.suffix == ".zarr":
        return _store(path)
    raise RecipeError(
        f"{path} is neither a feature store, nor a folder of clusters, nor a model of Terrapatch; "
        "give what terrapatch embed or cluster wrote"
    )


def _store(path: Path) -> Explanation:
    from terrapatch.features import FeatureRaster

    raster = FeatureRaster.open(path)
    recipe = raster.recipe.as_dict()
    rows = [
        *about_features(recipe, raster.n_features),
        ("fingerprint", raster.recipe.fingerprint),
    ]
    down, across = raster.shape
    what = f"a feature store of {down} x {across} cells with {raster.n_features:,} features each"
    return Explanation(path, "feature store", what, rows, recipe)


def _model(path: Path) -> Explanation:
    from terrapatch.learn import ClusterModel, SceneModel
    from terrapatch.learn._model_folder import PIXELS, SCENES, TUNED, kind_of, read

    if kind_of(path) == TUNED:
        tuned, _ = read(path, TUNED)
        what = f"a network tuned to {len(tuned['classes'])} classes of whole images"
        return Explanation(path, "tuned network", what, about_tuned(tuned), tuned)
    if kind_of(path) == PIXELS:
        held, _ = read(path, PIXELS)
        rows = [*about_legend(held["legend"]), *about_pixel_model(held, _class_names(held))]
        what = f"a pixel classifier of {len(held['counts'])} classes, ready for cubes of its bands"
        return Explanation(path, "pixel model", what, rows, held)
    if kind_of(path) == SCENES:
        model = SceneModel.load(path)
        rows = [*about_legend(model.legend.as_dict()), *about_model(model.description)]
        what = f"a scene classifier of {len(model.legend)} classes, ready for features made the "
        return Explanation(path, "scene model", f"{what}same way", rows, model.description)
    description = ClusterModel.load(path).description
    what = f"a model of {description['k']} clusters, ready for features made the same way"
    return Explanation(path, "cluster model", what, about_model(description), description)


def _class_names(held: Mapping[str, Any]) -> list[str]:
    return [str(entry["name"]) for entry in held["legend"]["classes"]]


def _raster(path: Path) -> Explanation:
    from terrapatch.opening import open_raster

    with open_raster(str(path)) as src:
        tags, shape, dtype = src.tags(), src.shape, src.dtypes[0]
        count, name = src.count, src.descriptions[0] or "values"
    if "TERRAPATCH" not in tags:
        raise MapError(
            f"{path} was not made by Terrapatch (it has no tag TERRAPATCH), so its recipe is not "
            "known; terrapatch info shows what is in it"
        )
    recipe = _object(tags["TERRAPATCH"], f"the tag TERRAPATCH of {path}")
    legend = _object(tags.get("TERRAPATCH_LEGEND", "{}"), f"the legend of {path}")
    grid = f"{shape[0]} x {shape[1]} cells"
    if legend:
        kind, what = "class map", f"a class map of {grid}"
    elif count == 1:
        kind, what = "value map", f"a map of {name}, {grid} of {dtype}"
    else:
        kind, what = "feature raster", f"a raster of {count:,} features, {grid} of {dtype}"
    rows = [*_title(tags.get("TERRAPATCH_TITLE")), *about_legend(legend), *_recipe_rows(recipe)]
    return Explanation(path, kind, what, rows, recipe)


def _table(path: Path) -> Explanation:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as fault:
        raise RecipeError(f"{path} is not a whole Parquet file; export it again") from fault
    metadata = file.schema_arrow.metadata or {}
    if b"terrapatch" not in metadata:
        raise RecipeError(
            f"{path} was not exported by Terrapatch, so its recipe is not known; "
            "give a table made by terrapatch export"
        )
    recipe = _object(metadata[b"terrapatch"].decode(), f"the recipe in {path}")
    what = f"a table of features, {file.metadata.num_rows:,} cells"
    return Explanation(path, "feature table", what, about_features(recipe), recipe)


def _item(path: Path) -> Explanation:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise RecipeError(f"{path} is not text, so it is no STAC item; check the path") from fault
    item = _object(text, str(path))
    properties = item.get("properties")
    recipe = properties.get("terrapatch:recipe") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(recipe, dict):
        raise MapError(
            f"{path} is not a STAC item of Terrapatch (it has no terrapatch:recipe); "
            "give the .json beside a map of ours"
        )
    names = ", ".join(
        str(asset.get("href", "")).removeprefix("./") for asset in item.get("assets", {}).values()
    )
    placeholder = properties.get("terrapatch:datetime_is_placeholder")
    date = "not known" if placeholder else str(properties.get("datetime"))
    rows = [
        *_title(properties.get("title")),
        ("files", names),
        ("date", date),
        *_recipe_rows(recipe),
    ]
    return Explanation(path, "STAC item", f"the STAC item of {item.get('id')}", rows, recipe)


def _title(title: str | None) -> Rows:
    return [("title", title)] if title else []


def _recipe_rows(recipe: Mapping[str, Any]) -> Rows:
    """Put any provenance of ours into words: features, a model, or whatever else it holds."""
    rows: Rows = []
    known = {"features", "model", "network", "datetime"}
    if "descriptor" in recipe and "grid" in recipe:
        return about_features(recipe)
    if isinstance(recipe.get("features"), Mapping):
        rows += about_features(recipe["features"])
    if isinstance(recipe.get("model"), Mapping):
        model = recipe["model"]
        about = about_pixel_model if model["space"]["mode"] == "pixels" else about_model
        own = set(recipe) - {"model"}  # what a map says of itself, such as its smoothing
        rows += [row for row in about(model) if row[0] not in {*dict(rows), *own}]
    if isinstance(recipe.get("network"), Mapping):
        rows += [row for row in about_tuned(recipe["network"]) if row[0] not in dict(rows)]
    rows += [
        (key.replace("_", " "), _plain_words(value))
        for key, value in recipe.items()
        if key not in known
    ]
    return rows or [("recipe", "empty")]


def _plain_words(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise RecipeError(f"{where} is not whole JSON; make it again") from fault
    if not isinstance(data, dict):
        raise RecipeError(f"{where} is JSON of another kind; give what Terrapatch wrote")
    return data
