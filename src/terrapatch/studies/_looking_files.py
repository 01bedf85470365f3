"""The files of a look at clusters: points, tables, pictures, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from terrapatch.features import FeatureRaster
from terrapatch.studies import _looking_figures as figures
from terrapatch.studies import _looking_words as words
from terrapatch.studies import contact_sheet as sheets
from terrapatch.studies._cluster_details import ClusterDetail, details_csv
from terrapatch.studies._looking_report import report
from terrapatch.studies.exemplars import Exemplar, exemplars_csv, write_exemplars

Picture = npt.NDArray[np.uint8]
Cell = tuple[int, int]

_THUMBNAIL, _SMALL_THUMBNAIL, _FEW = 96, 56, 24  # sides in the histogram; smaller above _FEW
# Every file a look can write, the report last.
LOOK_FILES = (
    "exemplars.gpkg",
    "exemplars.csv",
    "clusters_detail.csv",
    "histogram.png",
    *sheets.sheet_names(),
    "report.html",
)


def write_all(stage: Path, looked: words.Looked, raster: FeatureRaster) -> None:
    """Write every file of a look into a folder."""
    medoids = _medoids(looked.exemplars, looked.pictures)
    side = _THUMBNAIL if len(medoids) <= _FEW else _SMALL_THUMBNAIL
    svg, png = figures.histogram(looked.details, figures.small(medoids, side))
    (stage / "histogram.png").write_bytes(png)
    _write_tables(stage, looked, raster)
    if looked.pictures:
        _write_sheets(stage, looked)
    report(looked, svg).save(stage / "report.html")


def _write_tables(stage: Path, looked: words.Looked, raster: FeatureRaster) -> None:
    labels = {d.id: d.name for d in looked.details}
    colours = {d.id: d.colour for d in looked.details}
    write_exemplars(stage / "exemplars.gpkg", looked.exemplars, labels, colours, raster.geobox)
    text = exemplars_csv(looked.exemplars, labels)
    (stage / "exemplars.csv").write_text(text, encoding="utf-8")
    text = details_csv(looked.details, looked.unit)
    (stage / "clusters_detail.csv").write_text(text, encoding="utf-8")


def _write_sheets(stage: Path, looked: words.Looked) -> None:
    of: dict[int, list[Exemplar]] = {}
    for exemplar in looked.exemplars:
        of.setdefault(exemplar.cluster, []).append(exemplar)
    shown = shown_rows(looked.details)
    rows = [_sheet_row(detail, of[detail.id], looked.pictures) for detail in shown]
    sheets.write_sheets(stage, rows, f"Clusters of {looked.scene}")


def _sheet_row(
    detail: ClusterDetail, exemplars: Sequence[Exemplar], pictures: Mapping[Cell, Picture]
) -> sheets.SheetRow:
    lines = [f"{detail.cells:,} cells · {100 * detail.share:.1f} %"]
    if detail.hectares is not None:
        lines.append(f"{words.hectares_text(detail.hectares)} ha")
    if detail.part_of is not None:
        lines.append(f"part of cluster {detail.part_of}")
    return sheets.SheetRow(
        detail.colour,
        detail.label,
        tuple(lines),
        tuple(pictures[e.row, e.col] for e in exemplars),
        tuple(words.place_text(e) for e in exemplars),
    )


def _medoids(exemplars: Sequence[Exemplar], pictures: Mapping[Cell, Picture]) -> dict[int, Picture]:
    return {
        e.cluster: pictures[e.row, e.col]
        for e in exemplars
        if e.rank == 1 and (e.row, e.col) in pictures
    }


def shown_rows(details: Sequence[ClusterDetail]) -> list[ClusterDetail]:
    """Return the clusters whose patches are shown, the largest first."""
    ranked = sorted(details, key=lambda d: (-d.cells, d.id))
    return ranked[: sheets.MOST_SHEETS * sheets.ROWS_A_SHEET]
