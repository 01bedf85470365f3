"""The folder ``cluster`` writes, opened again: its map, names, model, features and scene."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.errors import RecipeError, SceneError, SceneNotFoundError, StoreError
from terrapatch.features import FeatureRaster
from terrapatch.features.recipe import Recipe
from terrapatch.grid import PatchGrid
from terrapatch.learn import ClusterModel
from terrapatch.learn._features import Features
from terrapatch.learn.subclusters import OnlyCells
from terrapatch.maps import ClassMap, ValueMap
from terrapatch.scene import REMOTE, Scene
from terrapatch.studies._embedded_scene import as_embedded, for_looking, is_embedded
from terrapatch.studies.names import Names
from terrapatch.studies.names_file import read_names

__all__ = ["NAMES", "SOURCE", "ClusterFolder", "stated_scene", "write_source"]

SOURCE, NAMES = "source.json", "names.csv"
PATCH = 160
"""Side of a patch's picture in pixels, unless another is asked for."""

# Without these a folder holds no result.
_NEEDED = ("clusters.tif", "distance.tif", "clusters.csv", "model/model.json")

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ClusterFolder:
    """A folder of clusters.

    Attributes:
        path: The folder.
        source: What ``source.json`` holds, empty where there is none.
    """

    path: Path
    source: dict[str, str | None]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ClusterFolder:
        """Open a folder; maps, model, features and scene are read when they are asked for.

        Raises:
            RecipeError: If there is no such folder, it holds no result of ``cluster``, or its
                model is not the one its map was made with.
        """
        path = Path(folder)
        if not path.is_dir():
            what = "is a file" if path.exists() else "is not there"
            raise RecipeError(
                f"the folder {path} {what}; name a folder that terrapatch cluster wrote"
            )
        missing = [name for name in _NEEDED if not (path / name).is_file()]
        if missing:
            raise RecipeError(
                f"{path} holds no result of terrapatch cluster ({missing[0]} is missing); make one "
                f"with: terrapatch cluster FEATURES -o {path}"
            )
        source = _read_source(path)
        told = source.get("model_sha256")
        if told is not None and told != _sha256(path / "model" / "model.json"):
            raise RecipeError(
                f"the model in {path} is not the one its map was made with; cluster again with "
                "--overwrite"
            )
        return cls(path, source)

    @cached_property
    def class_map(self) -> ClassMap:
        """The map of raw cluster ids, called ``Cluster 1`` and so on."""
        return ClassMap.open(self.path / "clusters.tif")

    @property
    def clusters_labels(self) -> npt.NDArray[Any]:
        """Raw cluster ids ``(rows, cols)``, 0 in empty cells."""
        return self.class_map.values

    @cached_property
    def distance(self) -> npt.NDArray[np.float32]:
        """Distance of each cell to its centre ``(rows, cols)``, NaN in empty cells."""
        values: npt.NDArray[np.float32] = ValueMap.open(self.path / "distance.tif").values
        return values

    @cached_property
    def model(self) -> ClusterModel:
        """The model the clusters were made with."""
        return ClusterModel.load(self.path / "model")

    @property
    def names(self) -> Names:
        """What ``names.csv`` says now; nobody's names where there is no such file.

        Raises:
            LegendError: If the file does not make sense.
        """
        path = self.path / NAMES
        if not path.exists():
            return Names.of(self.class_map.legend)
        return read_names(path, self.class_map.legend)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the features the clusters were made from.

        Raises:
            RecipeError: If the map does not say it.
        """
        try:
            return Recipe.from_dict(self.class_map.provenance["features"])
        except (KeyError, TypeError) as fault:
            raise RecipeError(
                f"{self.path / 'clusters.tif'} does not say which features it was made from; "
                "cluster again with --overwrite"
            ) from fault

    def features(self) -> FeatureRaster:
        """Open the store the clusters were made from; it is looked at anew at each call.

        Raises:
            StoreError: If no store is known, or it is gone.
            RecipeError: If it has changed since.
        """
        path = self._stated("features")
        if path is None:
            raise StoreError(
                f"{self.path} does not say which features it was made from (no {SOURCE}); cluster "
                "again with --overwrite"
            )
        if not Path(path).exists():
            raise StoreError(
                f"the features of {self.path} are no longer at {path}; put the store back, or "
                "embed the scene there again"
            )
        raster = FeatureRaster.open(path)
        if raster.recipe.fingerprint != self.recipe.fingerprint:
            told = "; ".join(raster.recipe.differences(self.recipe)[:3])
            raise RecipeError(
                f"the features at {path} have changed since the clusters in {self.path} were made "
                f"({told}); cluster again with --overwrite"
            )
        return raster

    def cells(self, raster: FeatureRaster) -> Features:
        """Return the features of the cells that were clustered.

        These are all that are not empty; or, where one cluster was looked into
        (``cluster(within=...)``), its cells alone: the model knows no others.

        Args:
            raster: What ``features`` gave.
        """
        kept = self.clusters_labels > 0
        if kept[raster.valid() > 0].all():
            return raster
        return OnlyCells(raster, kept)

    @property
    def scene_path(self) -> str | None:
        """Where the scene lies, as ``source.json`` says; ``None`` where it is not known."""
        return self._stated("scene")

    def scene(self) -> Scene | None:
        """Open the scene with the bands and units of the features; ``None`` if none is known.

        Raises:
            SceneNotFoundError: If it is gone.
            SceneError: If it is not the one the features were made from.
        """
        return None if self.scene_path is None else self._scene

    @cached_property
    def _scene(self) -> Scene:
        path = str(self.scene_path)
        if not path.startswith(REMOTE) and not Path(path).exists():
            raise SceneNotFoundError(
                f"the scene of {self.path} is no longer at {path}; put it back, or cluster again "
                "with --scene SCENE --overwrite"
            )
        scene = as_embedded(path, self.recipe)
        if not is_embedded(scene, self.recipe):
            raise SceneError(
                f"{path} is not the scene that the features of {self.path} were made from; embed "
                "it again, or put the other back"
            )
        return scene

    def patch(self, row: int, col: int, side: int = PATCH) -> Picture:
        """Return the picture of a cell's patch; see ``patches``."""
        return self.patches([(row, col)], side)[0]

    def patches(self, cells: Sequence[tuple[int, int]], side: int = PATCH) -> list[Picture]:
        """Cut the patches of some cells out of the scene, as the network saw them.

        Args:
            cells: Row and column of each cell.
            side: Side of a picture in pixels; a patch that is no square is centred on white.

        Returns:
            One uint8 RGB picture ``(side, side, 3)`` a cell, white where the scene is invalid
            and, unless the edge rule mirrors it, beyond its edge.

        Raises:
            SceneError: If no scene is known, or as ``scene`` says.
            RecipeError: If there is no such cell.
        """
        from terrapatch.studies._patches import cut_patches

        scene = self.scene()
        if scene is None:
            raise SceneError(
                f"{self.path} does not say where its scene lies, so no patch can be shown; cluster "
                "again with --scene SCENE --overwrite"
            )
        return cut_patches(for_looking(scene), self._grid(scene), cells, side)

    def _grid(self, scene: Scene) -> PatchGrid:
        grid = self.recipe.grid
        size, stride = (tuple(int(n) for n in grid[key]) for key in ("size_px", "stride_px"))
        return PatchGrid(
            scene.geobox,
            (size[0], size[1]),
            (stride[0], stride[1]),
            grid["edge"],
            grid["size"],
            grid["stride"],
        )

    def _stated(self, key: str) -> str | None:
        path = self.source.get(key)
        if path is None or path.startswith(REMOTE):
            return path
        return os.path.normpath(self.path.resolve() / path)


def stated_scene(folder: Path) -> str | None:
    """Return where a folder says its scene lies; ``None`` where it does not, or is no result."""
    try:
        return ClusterFolder.open(folder).scene_path
    except RecipeError:
        return None


def write_source(
    folder: Path,
    features: str | os.PathLike[str],
    scene: str | os.PathLike[str] | None,
    *,
    home: Path | None = None,
) -> Path:
    """Write ``source.json``: which features, scene and model a folder of clusters belongs to.

    Args:
        folder: The folder to write into; its model must be there.
        features: The store.
        scene: Path or URL of the scene, ``None`` where it is not known.
        home: Where the folder will stand in the end, if it is written elsewhere first.

    Returns:
        The file.
    """
    stands = home or folder
    content = {
        "features": _from(stands, features),
        "scene": None if scene is None else _from(stands, scene),
        "model_sha256": _sha256(folder / "model" / "model.json"),
    }
    path = folder / SOURCE
    part = folder / f".{SOURCE}.{os.getpid()}.part"
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
    return path


def _from(folder: Path, path: str | os.PathLike[str]) -> str:
    """Return a path as seen from a folder, a URL as it is."""
    if str(path).startswith(REMOTE):
        return str(path)
    target = Path(path).resolve()
    try:
        return Path(os.path.relpath(target, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return str(target)


def _read_source(folder: Path) -> dict[str, str | None]:
    path = folder / SOURCE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as fault:
        raise RecipeError(f"{path} is damaged ({fault}); cluster again with --overwrite") from fault
    keys = ("features", "scene", "model_sha256")
    whole = isinstance(content, dict) and all(
        isinstance(content.get(key), str | None) for key in keys
    )
    if not whole:
        raise RecipeError(
            f"{path} is damaged (it holds something other than paths); cluster again with "
            "--overwrite"
        )
    return {key: content.get(key) for key in keys}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
