"""One result that is being looked at: what the page asks of it, and what it saves."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from terrapatch.errors import TerrapatchError
from terrapatch.studies.names import Names
from terrapatch.studies.result_folder import NAMES, ClusterFolder
from terrapatch.viewer.errors import MissingError, StaleError, ViewError
from terrapatch.viewer.exemplars import exemplars
from terrapatch.viewer.nearest import apart, similarity
from terrapatch.viewer.pictures import Picture, encoded
from terrapatch.viewer.place import place
from terrapatch.viewer.space import Floats, Space
from terrapatch.viewer.summary import grid_of, scene_box, summary
from terrapatch.viewer.tiles import TILE, Pyramid

__all__ = ["Study"]

EXEMPLARS = 12
NEAREST = 8
_WATCHED = ("clusters.tif", "distance.tif", "model/model.json")
_POOL = 4000


class Study:
    """A folder of clusters with its features and scene, opened once for one page.

    Attributes:
        folder: The folder.
        raster: The features.
        pyramid: Tiles of the scene, ``None`` where it cannot be shown.
        notes: Sentences about what cannot be shown, and why.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open a folder that ``cluster`` wrote.

        Args:
            folder: The folder.

        Raises:
            RecipeError: If it holds no result, or the features changed since.
            StoreError: If the features are gone.
            LegendError: If ``names.csv`` does not make sense.
        """
        self.folder = ClusterFolder.open(folder)
        self.raster = self.folder.features()
        self.folder.model.check(self.raster)
        _ = self.folder.names  # refused now, not when the page is open
        self.pyramid, self.notes = self._look()
        self._saving = threading.Lock()
        self._marks = self._stamp()

    def _look(self) -> tuple[Pyramid | None, tuple[str, ...]]:
        try:
            scene = self.folder.scene()
            pyramid = None if scene is None else Pyramid(scene)
        except TerrapatchError as fault:
            return None, (f"The scene is not shown: {fault}.",)
        if pyramid is None:
            return None, (
                "The scene is not shown: the result does not say where it lies. Cluster again "
                "with --scene SCENE to see it.",
            )
        return pyramid, ()

    @cached_property
    def space(self) -> Space:
        """Scaled descriptors of all cells."""
        return Space(self.raster, self.folder.model)

    @property
    def labels(self) -> npt.NDArray[Any]:
        """Raw cluster ids ``(rows, cols)``."""
        return self.folder.clusters_labels

    @property
    def distance(self) -> npt.NDArray[np.float32]:
        """Distance of each cell to its centre, NaN in empty cells."""
        return self.folder.distance

    def describe(self) -> dict[str, Any]:
        """Return all the page needs to begin with."""
        self.check()
        scene = None
        if self.pyramid is not None:
            copied = self.pyramid.copy is not None
            scene = {"top": self.pyramid.top, "tile": TILE, "small_copy": copied}
        return {
            **summary(self.folder, self.raster),
            "scene": scene,
            "names": self.names_rows(),
            "names_stamp": self.names_stamp(),
            "notes": list(self.notes),
        }

    def names_rows(self) -> list[dict[str, Any]]:
        """Return the lines of ``names.csv`` as they are now."""
        return [
            {"id": e.id, "name": e.name, "colour": e.colour, "merge_into": e.merge_into}
            for e in self.folder.names.entries
        ]

    def names_stamp(self) -> str:
        """Return a hash of ``names.csv``, empty where there is none."""
        path = self.folder.path / NAMES
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    def cells(self) -> bytes:
        """Return ids (uint16), then distances (float32), of all cells, little-endian."""
        self.check()
        return self.labels.astype("<u2").tobytes() + self.distance.astype("<f4").tobytes()

    def cell(self, row: int, col: int) -> dict[str, Any]:
        """Return what is known of one cell, and which others look like it.

        Raises:
            MissingError: If there is no such cell.
            StaleError: If the files changed.
        """
        self._known(row, col)
        _, stride = grid_of(self.raster)
        found = place(scene_box(self.raster), (row + 0.5) * stride[0], (col + 0.5) * stride[1])
        valid = float(self.raster.valid()[row, col])
        told = {**self._brief(row, col), **found, "valid": round(valid, 4), "nearest": []}
        if self.labels[row, col] > 0:
            told["nearest"] = self.nearest(row, col)
        return told

    def nearest(self, row: int, col: int) -> list[dict[str, Any]]:
        """Return the cells most similar to one, whose patches do not overlap."""
        number = row * self.raster.shape[1] + col
        scores = self.scores(row, col)
        size, stride = grid_of(self.raster)
        reach = (-(-size[0] // stride[0]), -(-size[1] // stride[1]))
        ranked = np.where(np.isnan(scores), np.inf, -scores)
        order = np.argsort(ranked, kind="stable")[: int(np.isfinite(ranked).sum())][:_POOL]
        chosen = apart(order, number, self.raster.shape, reach, NEAREST)
        return [
            {**self._brief(*divmod(n, self.raster.shape[1])), "score": round(float(scores[n]), 4)}
            for n in chosen
        ]

    def scores(self, row: int, col: int) -> Floats:
        """Return the cosine of every cell with one, row by row; NaN in cells of no cluster.

        Raises:
            MissingError: If there is no such cell, or it is in no cluster.
            StaleError: If the files changed.
        """
        self._known(row, col)
        number = row * self.raster.shape[1] + col
        if self.labels[row, col] == 0:
            why = "in none of these clusters" if self.raster.valid()[row, col] > 0 else "empty"
            raise MissingError(
                f"the cell in row {row}, column {col} is {why}, so nothing can be compared with it"
            )
        scores = similarity(self.space, number)
        scores[self.labels.ravel() == 0] = np.nan
        return scores

    def cluster(self, id: int) -> dict[str, Any]:
        """Return exemplars of a cluster and how far its cells lie from its centre.

        Raises:
            MissingError: If there is no such cluster.
            StaleError: If the files changed.
        """
        self.check()
        if not 1 <= id <= len(self.folder.class_map.legend):
            raise MissingError(
                f"there is no cluster {id}; ids run from 1 to {len(self.folder.class_map.legend)}"
            )
        chosen = exemplars(self.space, self.labels, self.distance, id, EXEMPLARS)
        cells = [self._brief(*divmod(n, self.raster.shape[1])) for n in chosen]
        return {"id": id, "exemplars": cells}

    def patch(self, row: int, col: int) -> Picture:
        """Return the picture of a cell's patch.

        Raises:
            MissingError: If there is no such cell, or the scene cannot be shown.
            StaleError: If the files changed.
        """
        self._known(row, col)
        if self.pyramid is None:
            raise MissingError(self.notes[0])
        return encoded(self.folder.patch(row, col))

    def tile(self, zoom: int, x: int, y: int) -> Picture:
        """Return a tile of the scene.

        Raises:
            MissingError: If there is no such tile.
            StaleError: If the files changed.
        """
        self.check()
        if self.pyramid is None:
            raise MissingError(self.notes[0])
        return self.pyramid.tile(zoom, x, y)

    def save(self, rows: Sequence[Mapping[str, Any]], stamp: str) -> dict[str, Any]:
        """Write ``names.csv`` and what follows from it.

        Args:
            rows: One for each cluster: id, name, colour, merge_into.
            stamp: ``names_stamp`` of the names the page began with.

        Returns:
            The files that were written, notes, and the new stamp and rows.

        Raises:
            StaleError: If ``names.csv`` or the result changed since.
            LegendError: If the names do not make sense; nothing is written then.
            OutputError: If the folder cannot be written.
        """
        from terrapatch.studies.naming import name

        with self._saving:
            self.check()
            if stamp != self.names_stamp():
                raise StaleError(
                    f"{NAMES} was changed by something else since this page read it, so nothing "
                    "was saved; note your changes, then reload the page"
                )
            names = Names.from_rows(rows, self.folder.class_map.legend)
            made = name(self.folder.path, names, report=False)
            return {
                "files": [Path(file).name for file in made.files],
                "notes": list(made.notes),
                "names": self.names_rows(),
                "names_stamp": self.names_stamp(),
            }

    def check(self) -> None:
        """Refuse to go on with files that changed since the page was opened.

        Raises:
            StaleError: If they did.
        """
        found = self._stamp()
        if found == self._marks:
            return
        again = "stop terrapatch view, and start it again"
        if found[0] != self._marks[0]:
            raise StaleError(
                f"the clusters in {self.folder.path} changed since this page was opened; {again}"
            )
        try:
            raster = ClusterFolder.open(self.folder.path).features()
        except TerrapatchError as fault:
            raise StaleError(str(fault)) from fault
        self.raster = raster
        self._marks = found

    def _stamp(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        own = tuple(_mark(self.folder.path / name) for name in _WATCHED)
        return own, (_mark(self.raster.path / "zarr.json"),)

    def _known(self, row: int, col: int) -> None:
        self.check()
        rows, cols = self.raster.shape
        if not (0 <= row < rows and 0 <= col < cols):
            raise MissingError(
                f"there is no cell in row {row}, column {col}; there are {rows} rows and {cols} "
                "columns, counted from 0"
            )

    def _brief(self, row: int, col: int) -> dict[str, Any]:
        far = float(self.distance[row, col])
        return {
            "row": row,
            "col": col,
            "cluster": int(self.labels[row, col]),
            "distance": None if math.isnan(far) else round(far, 5),
        }


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise ViewError(f"{path} cannot be read ({fault.strerror})") from fault
    return found.st_mtime_ns, found.st_size
