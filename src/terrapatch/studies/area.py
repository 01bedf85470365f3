"""Areas of classes with intervals: a reference sample to be labelled, and what it says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import MapError, OutputError, SamplesError
from terrapatch.learn._vector_source import read_table
from terrapatch.learn.area_estimation import AreaEstimate, allocate, estimate, sample_size
from terrapatch.maps import ClassMap
from terrapatch.studies import _area_points as points_file
from terrapatch.studies._map_areas import class_hectares, open_map, row_hectares
from terrapatch.studies._staging import publish, refuse_existing, staging
from terrapatch.writing import gdal_writing

Floats = NDArray[np.float64]

FILES = ("areas.csv", "error_matrix.csv", "estimate.json", "report.html")
_NAMED = 5


@dataclass(frozen=True, eq=False)
class SampleResult:
    """What ``sample_area`` drew.

    Attributes:
        files: The GeoPackage.
        notes: Sentences a person should know.
        classes: Names of the classes.
        cells: Cells of each class on the map (K,).
        share: Share of each class of the mapped area (K,).
        points: Points of each class (K,).
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    cells: NDArray[np.int64]
    share: Floats
    points: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EstimateResult:
    """What ``estimate_area`` found.

    Attributes:
        files: Tables, JSON and report; empty if nothing was written.
        notes: Sentences a person should know.
        estimate: Accuracy and areas; areas in ``unit``.
        unit: ``ha``, or ``cells`` for a map without a CRS.
        labelled: What stood in the file of points.
        colours: Colours of the classes.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    estimate: AreaEstimate
    unit: str
    labelled: points_file.LabelledPoints
    colours: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "unit": self.unit,
            "points_in_file": self.labelled.points,
            "unfilled": int(self.labelled.unfilled.sum()),
            "unknown": dict(self.labelled.unknown),
            "notes": list(self.notes),
            **self.estimate.as_dict(),
        }


def sample_area(
    class_map: ClassMap | str | Path,
    out: str | Path,
    n: int | None = None,
    *,
    standard_error: float | None = None,
    expected: float | Mapping[str, float] = 0.8,
    minimum: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> SampleResult:
    """Draw a stratified random sample of the cells of a map, to be labelled in QGIS.

    Args:
        class_map: A class map, or its GeoTIFF.
        out: GeoPackage to write: points with ``id``, ``map_class``, ``x``, ``y`` and an empty
            ``reference``, in random order.
        n: Points in all.
        standard_error: Instead of ``n``: what the overall accuracy is to be known to
            (Cochran 1977), for instance 0.02.
        expected: User's accuracy that is expected, of all classes or by name, others 0.8; used
            with ``standard_error`` only.
        minimum: Points a rare class gets at least, see ``allocate``.
        seed: Seed; the same one gives the same file.
        overwrite: Whether an older file gives way.

    Raises:
        MapError: If the map cannot be read, holds no class or cannot be measured.
        SamplesError: If neither or both sizes are given, or the size does not fit the map.
        OutputError: If the file exists already or cannot be written.
    """
    target = Path(out)
    _check_target(target, overwrite)
    held, name = open_map(class_map)
    weights, mapped, cells, _ = _strata(held, name)
    if (n is None) == (standard_error is None):
        raise SamplesError("say how large the sample is: either -n, or --standard-error, not both")
    notes = []
    if n is None and standard_error is not None:
        accuracy = _expected(expected, held.legend.names)
        present = cells > 0
        n = sample_size(mapped[present], accuracy[present], standard_error, int(cells.sum()))
        notes.append(f"{n:,} points give the overall accuracy to a standard error of "
                     f"{standard_error:g}, if user's accuracies are as expected")  # fmt: skip
        n = max(n, 2 * int(present.sum()))
    points = allocate(mapped, cells, int(n or 0), minimum)
    few = [held.legend.names[i] for i in np.flatnonzero((points > 0) & (points < 30))]
    if few:
        notes.append(f"fewer than 30 points in {_listed(few)}: intervals there will be wide and "
                     "rough; 50 or more are usual, see --minimum and -n")  # fmt: skip
    drawn = points_file.draw(held, points, weights, seed)
    with gdal_writing(target), staging(target.parent) as stage:
        points_file.write(stage / target.name, held, drawn)
        files = publish(stage, target.parent, [target.name])
    share = mapped / mapped.sum()
    return SampleResult(files, tuple(notes), held.legend.names, cells, share, points)


def estimate_area(
    points: str | Path | Any,
    class_map: ClassMap | str | Path,
    out: str | Path | None = None,
    *,
    layer: str | None = None,
    overwrite: bool = False,
) -> EstimateResult:
    """Estimate the area of each class, and the accuracy of the map, from labelled points.

    After Olofsson et al. 2014, with 95 % intervals; see ``terrapatch.learn.area_estimation``.

    Args:
        points: What ``sample_area`` wrote, labelled in the column ``reference``; a file or a
            ``GeoDataFrame``.
        class_map: The map the sample was drawn from.
        out: Folder to write; ``None`` writes nothing.
        layer: Layer of the file of points, if there are several.
        overwrite: Whether older results in the folder give way.

    Raises:
        MapError: If the map cannot be read or measured.
        SamplesError: If the points cannot be read, do not fit the map, or too few of a class
            are labelled.
        OutsideError: If no point lies on the map.
        OutputError: If the folder is not empty or cannot be written.
    """
    if out is not None:
        refuse_existing(Path(out), overwrite, "area estimate")
    held, map_name = open_map(class_map)
    table, name = read_table(points, layer)
    _, mapped, cells, unit = _strata(held, map_name)
    labelled = points_file.read(table, name, held, map_name)
    if not labelled.labelled:
        raise SamplesError(
            f"no point of {name} has a class of {map_name} in the column 'reference'"
            f"{_unknown(labelled)}; open it in QGIS and fill it in"
        )
    found = estimate(labelled.counts, mapped, held.legend.names, cells)
    notes = tuple(_notes(labelled, found, unit, map_name))
    result = EstimateResult((), notes, found, unit, labelled, held.legend.colours)
    if out is None:
        return result
    return _written(result, Path(out), f"Areas of {map_name}")


def _check_target(path: Path, overwrite: bool) -> None:
    if path.suffix.lower() != ".gpkg":
        raise OutputError(f"cannot write points to {path}: give it a name that ends in .gpkg")
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; choose another output path")
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists already, perhaps with labels in it; choose another name, or pass "
            "--overwrite"
        )


def _strata(class_map: ClassMap, name: str) -> tuple[Floats, Floats, NDArray[np.int64], str]:
    """Return area by row, area and cells by class (K,), and the unit of area."""
    cells = class_map.counts()[1:]
    if not cells.any():
        raise MapError(f"{name} holds no class, only no data; give another map")
    if class_map.geobox.crs is None:
        return np.ones(len(class_map.values)), cells.astype(np.float64), cells, "cells"
    hectares = row_hectares(class_map, name)
    return hectares, class_hectares(class_map, hectares)[1:], cells, "ha"


def _expected(expected: float | Mapping[str, float], names: tuple[str, ...]) -> Floats:
    if not isinstance(expected, Mapping):
        return np.full(len(names), float(expected))
    unknown = [name for name in expected if name not in names]
    if unknown:
        raise SamplesError(
            f"an accuracy is expected of {unknown[0]!r}, which is no class of the map; its "
            f"classes: {_listed(names)}"
        )
    return np.array([expected.get(name, 0.8) for name in names])


def _unknown(labelled: points_file.LabelledPoints) -> str:
    if not labelled.unknown:
        return ""
    words = _listed([f"{text!r} ({count})" for text, count in labelled.unknown.items()])
    return f"; it holds words that are none: {words}"


def _notes(
    labelled: points_file.LabelledPoints, found: AreaEstimate, unit: str, map_name: str
) -> list[str]:
    notes = []
    if labelled.unknown:
        words = _listed([f"{text!r} ({count})" for text, count in labelled.unknown.items()])
        notes.append(
            f"{sum(labelled.unknown.values())} of {labelled.points} points were left out, since "
            f"their reference is no class of {map_name}: {words}; mend them, for what is left out "
            "is taken to be like the rest"
        )
    if labelled.unfilled.any():
        held = [
            f"{found.classes[i]} ({labelled.unfilled[i]})"
            for i in np.flatnonzero(labelled.unfilled)
        ]
        notes.append(
            f"{int(labelled.unfilled.sum())} of {labelled.points} points have no reference: "
            f"{_listed(held)}; the estimates hold only if these are like the rest, not harder"
        )
    if sure := found.without_error():
        notes.append(
            f"no point was wrong in {_listed(list(sure))}: the formula then sees no uncertainty "
            "there, and the intervals are too narrow"
        )
    if unit == "cells":
        notes.append(f"{map_name} has no CRS: areas are in cells, not in hectares")
    return notes


def _listed(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _written(result: EstimateResult, folder: Path, title: str) -> EstimateResult:
    from dataclasses import replace

    from terrapatch.studies._area_report import report

    with staging(folder) as stage:
        (stage / FILES[0]).write_text(_areas_csv(result), encoding="utf-8")
        (stage / FILES[1]).write_text(_matrix_csv(result.estimate), encoding="utf-8")
        text = json.dumps(result.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        (stage / FILES[2]).write_text(text + "\n", encoding="utf-8")
        report(result, title).save(stage / FILES[3])
        files = publish(stage, folder, FILES)
    return replace(result, files=files[::-1])


def _areas_csv(result: EstimateResult) -> str:
    rows = result.estimate.as_dict()["classes"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    unit = result.unit
    keys = {"mapped": f"mapped_{unit}", "area": f"area_{unit}", "area_half": f"area_{unit}_half"}
    writer.writerow([keys.get(key, key) for key in rows[0]])
    for row in rows:
        writer.writerow(
            ["" if v is None else f"{v:.6g}" if isinstance(v, float) and abs(v) < 1e4
             else f"{v:.2f}" if isinstance(v, float) else v for v in row.values()]
        )  # fmt: skip
    return text.getvalue()


def _matrix_csv(found: AreaEstimate) -> str:
    """Write counts and shares of the area, one line a pair of classes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["map_class", "reference", "points", "share_of_area"])
    for i, mapped in enumerate(found.classes):
        for j, true in enumerate(found.classes):
            writer.writerow([mapped, true, found.counts[i, j], f"{found.proportions[i, j]:.8f}"])
    return text.getvalue()
