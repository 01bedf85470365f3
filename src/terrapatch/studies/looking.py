"""A look at clusters: exemplars, contact sheets, histogram, embedding, tree, report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.errors import ClusterError, OutputError, TerrapatchError
from terrapatch.features import FeatureRaster
from terrapatch.studies import _looking_words as words
from terrapatch.studies import contact_sheet as sheets
from terrapatch.studies._cell_rows import gather, scaled
from terrapatch.studies._cluster_details import ClusterDetail, cell_size, cluster_details
from terrapatch.studies._cluster_table import cluster_rows
from terrapatch.studies._embedding_sample import EmbeddingSample, look_at, sample_numbers
from terrapatch.studies._looking_files import LOOK_FILES, shown_rows, write_all
from terrapatch.studies._staging import publish, staging
from terrapatch.studies.cluster_tree import ClusterTree, grow_tree, merge_hints
from terrapatch.studies.exemplars import Exemplar, find_exemplars
from terrapatch.studies.names import Names
from terrapatch.studies.result_folder import ClusterFolder
from terrapatch.writing import gdal_writing

if TYPE_CHECKING:
    from terrapatch.learn.choosing import KChoice
    from terrapatch.learn.stability import ClusterStability

__all__ = ["LOOK_FILES", "LookResult", "look"]

Progress = Callable[[str, int, int], None]
Picture = npt.NDArray[np.uint8]
Cell = tuple[int, int]

MOST_EXEMPLARS = 24
_REPEATS, _SLOW_REPEATS = 20, 6  # draws for the stability of clusters, and of a consensus
_HINTS = 5  # merges that are proposed


@dataclass(frozen=True, eq=False)
class LookResult:
    """What ``look`` found and made.

    Attributes:
        folder: The folder of clusters.
        files: Every file that was written, the report first.
        notes: Sentences a person should know.
        exemplars: Medoid and exemplars of every cluster.
        table: What is known of every cluster that occurs.
        tree: Which clusters lie near which; ``None`` if only one occurs.
        hints: Sentences that say which clusters to look at first for a merge.
        embedding: A sample of the embedding in the plane, and how well clusters are apart.
        choice: Which number of clusters fits; ``None`` if it was not asked for.
    """

    folder: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    exemplars: tuple[Exemplar, ...]
    table: tuple[ClusterDetail, ...]
    tree: ClusterTree | None
    hints: tuple[str, ...]
    embedding: EmbeddingSample
    choice: KChoice | None


def look(
    folder: str | os.PathLike[str],
    *,
    per_cluster: int = 8,
    seed: int = 0,
    k_curve: bool = False,
    overwrite: bool = True,
    progress: Progress | None = None,
) -> LookResult:
    """Make all that helps a person to look at clusters before naming them.

    Written are ``report.html``, ``contact_sheet.png`` (and further sheets), ``histogram.png``,
    ``exemplars.gpkg``, ``exemplars.csv`` and ``clusters_detail.csv``: all of them, or none.
    Without the scene there are no pictures of patches, and a note says so.

    Args:
        folder: A folder that ``cluster`` wrote.
        per_cluster: Exemplars of a cluster at most, its medoid among them; 1 to 24.
        seed: Seed of everything random; the same seed gives the same bytes.
        k_curve: Whether to measure which number of clusters fits, which takes minutes.
        overwrite: Whether an older report gives way.
        progress: Called as ``progress(stage, done, in all)``.

    Returns:
        What was found and made.

    Raises:
        RecipeError: If the folder holds no clusters, or the features have changed since.
        StoreError: If the features are gone.
        LegendError: If ``names.csv`` does not make sense.
        ClusterError: If an argument is out of range, or features are not finite.
        OutputError: If there is a report already and it is not to give way, or the place is full
            or not writable.
    """
    if not 1 <= per_cluster <= MOST_EXEMPLARS:
        raise ClusterError(
            f"{per_cluster} exemplars of a cluster cannot be shown; ask for 1 to {MOST_EXEMPLARS}"
        )
    if not 0 <= seed < 1 << 32:
        raise ClusterError(f"the seed {seed} is out of range; choose one from 0 to {(1 << 32) - 1}")
    result = ClusterFolder.open(folder)
    _refuse_taken(result.path, overwrite)
    raster = result.features()
    result.model.check(raster)
    looked = _gathered(result, raster, per_cluster, seed, progress)
    if k_curve:
        looked = replace(looked, choice=_choice(result, raster, seed, progress))
    with gdal_writing(result.path), staging(result.path) as stage:
        write_all(stage, looked, raster)
        written = publish(stage, result.path, LOOK_FILES)
    return LookResult(
        folder=result.path,
        files=tuple(reversed(written)),
        notes=looked.notes,
        exemplars=looked.exemplars,
        table=looked.details,
        tree=looked.tree,
        hints=tuple(words.hint_words(looked.hints, looked.details)),
        embedding=looked.sample,
        choice=looked.choice,
    )


def _gathered(
    result: ClusterFolder,
    raster: FeatureRaster,
    per_cluster: int,
    seed: int,
    progress: Progress | None,
) -> words.Looked:
    """Find and measure all that is shown."""
    names = result.names
    exemplars, sample = _chosen(result, raster, per_cluster, seed, progress)
    stability, doubt = _stability(result, raster, seed, progress)
    tree = grow_tree(result.model.centres, result.class_map.counts()[1:])
    details = cluster_details(
        result.clusters_labels,
        result.distance,
        raster.geobox,
        cluster_rows(result.class_map, raster),
        names,
        tree,
        None if stability is None else [float(j) for j in stability.jaccard],
    )
    roots = [int(root) for root in names.roots]
    pictures, blind = _pictures(result, exemplars, shown_rows(details))
    return words.Looked(
        scene=Path(str(raster.recipe.scene["name"])).name,
        details=details,
        exemplars=exemplars,
        pictures=pictures,
        tree=tree,
        hints=() if tree is None else merge_hints(tree, roots, names.named, _HINTS),
        sample=sample,
        unit=cell_size(raster.geobox)[1],
        k=result.model.k,
        overlap=_overlap(raster),
        map_picture=_map_picture(result, names),
        stability=() if stability is None else tuple(stability.words()),
        choice=None,
        recipe=_recipe(result, raster, per_cluster, seed),
        notes=(*blind, *doubt),
    )


def _refuse_taken(folder: Path, overwrite: bool) -> None:
    taken = [name for name in reversed(LOOK_FILES) if (folder / name).exists()]
    if taken and not overwrite:
        raise OutputError(f"{folder / taken[0]} exists already; pass overwrite to replace it")


def _chosen(
    result: ClusterFolder,
    raster: FeatureRaster,
    n: int,
    seed: int,
    progress: Progress | None,
) -> tuple[tuple[Exemplar, ...], EmbeddingSample]:
    """Choose exemplars and a sample of the embedding, in one pass over the features."""
    labels, model = result.clusters_labels, result.model
    numbers = sample_numbers(labels, seed)
    samples: list[EmbeddingSample] = []

    def rows_of(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        wanted = np.union1d(cells, numbers)
        raw = gather(raster, wanted, progress)
        after = scaled(model, raw)
        mine = np.searchsorted(wanted, numbers)
        ids = labels.ravel()[numbers].astype(np.int64)
        samples.append(look_at(raw[mine], after[mine], ids, seed))
        return np.asarray(after[np.searchsorted(wanted, cells)])

    width = max(raster.n_features, model.centres.shape[1])
    found = find_exemplars(labels, result.distance, raster.geobox, width, rows_of, n, seed=seed)
    return found, samples[0]


def _pictures(
    result: ClusterFolder, exemplars: Sequence[Exemplar], shown: Sequence[ClusterDetail]
) -> tuple[dict[Cell, Picture], tuple[str, ...]]:
    """Cut the patches of exemplars; without the scene none, and a note that says why."""
    ids = {detail.id for detail in shown}
    cells = [(e.row, e.col) for e in exemplars if e.cluster in ids]
    try:
        cut = result.patches(cells, sheets.tile_side(len(shown)))
    except TerrapatchError as fault:
        return {}, (f"no patches are shown: {fault}",)
    occurring = len({e.cluster for e in exemplars})
    less = f"the contact sheets show the {len(shown)} largest of {occurring} clusters"
    return dict(zip(cells, cut, strict=True)), (less,) * (len(shown) < occurring)


def _overlap(raster: FeatureRaster) -> bool:
    grid = raster.recipe.grid
    return any(a > b for a, b in zip(grid["size_px"], grid["stride_px"], strict=True))


def _map_picture(result: ClusterFolder, names: Names) -> bytes:
    """Draw the map with the names of now, over the scene where that can be shown."""
    import io
    import tempfile

    from PIL import Image

    from terrapatch.maps import ClassMap, preview
    from terrapatch.studies.settlements import thumbnail

    raw = result.class_map
    legend, lookup = names.legend(raw.counts())
    kind = np.uint8 if len(legend) <= 254 else np.uint16
    shown = ClassMap(lookup[raw.values].astype(kind), raw.geobox, legend, title="Clusters")
    try:
        scene = result.scene()
        base = None if scene is None else thumbnail(scene)
    except TerrapatchError:  # the note on patches says why
        scene = base = None
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        path = preview(
            shown,
            Path(folder) / "map.png",
            base=base,
            base_geobox=None if scene is None else scene.geobox,
            pixels=1000,
        )
        with Image.open(path) as picture:
            picture.convert("RGB").save(stream, format="jpeg", quality=88)
    return stream.getvalue()


def _recipe(
    result: ClusterFolder, raster: FeatureRaster, per_cluster: int, seed: int
) -> dict[str, Any]:
    return {
        "look": {"per_cluster": per_cluster, "seed": seed},
        "model": result.model.description,
        "features": raster.recipe.as_dict(),
    }


def _stability(
    result: ClusterFolder, raster: FeatureRaster, seed: int, progress: Progress | None
) -> tuple[ClusterStability | None, tuple[str, ...]]:
    """Measure how well each cluster comes back when cells are drawn again; a note if it cannot."""
    from terrapatch.learn.stability import cluster_stability

    slow = result.model.description["algorithm"] == "consensus"
    repeats = _SLOW_REPEATS if slow else _REPEATS
    try:
        found = cluster_stability(
            result.cells(raster), result.model, seed=seed, repeats=repeats, progress=progress
        )
    except ClusterError as fault:  # too few cells
        return None, (str(fault),)
    return found, ()


def _choice(
    result: ClusterFolder, raster: FeatureRaster, seed: int, progress: Progress | None
) -> KChoice:
    """Measure which number of clusters fits the features."""
    from terrapatch.learn.choosing import choose_k

    scaling = str(result.model.description["scaling"])
    return choose_k(result.cells(raster), seed=seed, scaling=scaling, progress=progress)
