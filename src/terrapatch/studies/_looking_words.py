"""What a look at clusters found, and how it is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from terrapatch.studies._cluster_details import ClusterDetail
from terrapatch.studies._embedding_sample import EmbeddingSample
from terrapatch.studies.cluster_tree import ClusterTree, Hint

if TYPE_CHECKING:
    from terrapatch.learn.choosing import KChoice
    from terrapatch.studies.exemplars import Exemplar

Picture = npt.NDArray[np.uint8]

_CLUMPED = 2.0  # standard deviations above random


@dataclass(frozen=True, eq=False)
class Looked:
    """All that a report shows.

    Attributes:
        scene: Name of the scene.
        details: The clusters that occur.
        exemplars: Their exemplars.
        pictures: Picture of a patch by row and column; empty without a scene.
        tree: Which clusters lie near which, ``None`` for fewer than two.
        hints: The merges to look at first.
        sample: The embedding.
        unit: Unit of gaps, ``m`` or ``cells``.
        k: Clusters in the model.
        overlap: Whether patches of neighbouring cells overlap.
        map_picture: The map as JPEG.
        stability: Sentences on which clusters may be trusted.
        choice: Which number of clusters fits, ``None`` if it was not asked for.
        recipe: How it was made.
        notes: Sentences a person should know.
    """

    scene: str
    details: tuple[ClusterDetail, ...]
    exemplars: tuple[Exemplar, ...]
    pictures: Mapping[tuple[int, int], Picture]
    tree: ClusterTree | None
    hints: tuple[Hint, ...]
    sample: EmbeddingSample
    unit: str
    k: int
    overlap: bool
    map_picture: bytes
    stability: tuple[str, ...]
    choice: KChoice | None
    recipe: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())


def hint_words(hints: Sequence[Hint], details: Sequence[ClusterDetail]) -> list[str]:
    """Say which clusters to look at first when some are to be merged."""
    return [
        f"{groups}: --merge {hint.source}:{hint.into}"
        for groups, hint in zip(pairs(hints, details), hints, strict=True)
    ]


def pairs(hints: Sequence[Hint], details: Sequence[ClusterDetail]) -> list[str]:
    by_id = {d.id: d for d in details}
    return [
        f"{_group(hint.merge.right, by_id)} with {_group(hint.merge.left, by_id)}" for hint in hints
    ]


def _group(ids: Sequence[int], by_id: Mapping[int, ClusterDetail]) -> str:
    *others, last = [by_id[id].label for id in ids]
    return f"{', '.join(others)} and {last}" if others else last


def lead(looked: Looked) -> str:
    details = looked.details
    cells = sum(d.cells for d in details)
    named = sorted({d.name for d in details if d.name != f"Cluster {d.id}" and d.part_of is None})
    absent = looked.k - len(details)
    text = f"{counted(len(details), 'cluster')} of {counted(cells, 'cell')}"
    if absent:
        text += f" ({absent} more of the model do not occur here)"
    if not named:
        return f"{text}. None has a name yet."
    shown = ", ".join(named[:8]) + (f" and {len(named) - 8} more" if len(named) > 8 else "")
    return f"{text}. Named so far: {shown}."


def counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def summary(detail: ClusterDetail) -> str:
    """Say in one line how large a cluster is and how it lies."""
    parts = [f"{counted(detail.cells, 'cell')}, {100 * detail.share:.1f} %"]
    if detail.hectares is not None:
        parts.append(f"{hectares_text(detail.hectares)} ha")
    parts.append(f"{counted(detail.spread.pieces, 'piece')}")
    if detail.stability is not None:
        parts.append(f"stability {detail.stability:.2f}")
    if detail.part_of is not None:
        parts.append(f"part of cluster {detail.part_of}")
    return " · ".join(parts)


def place_text(exemplar: Exemplar) -> str:
    """Return the map coordinate of an exemplar, as short as can be read off a map."""
    degrees = exemplar.lon is not None and abs(exemplar.x - exemplar.lon) < 1e-6
    return (
        f"{exemplar.x:.5f}, {exemplar.y:.5f}" if degrees else f"{exemplar.x:.0f}, {exemplar.y:.0f}"
    )


def hectares_text(hectares: float) -> str:
    """Return an area with one decimal, or two figures where it is below one hectare."""
    return f"{hectares:,.1f}" if hectares >= 1 else f"{hectares:.2g}"


def area_text(detail: ClusterDetail) -> str | None:
    return None if detail.hectares is None else hectares_text(detail.hectares)


def into(detail: ClusterDetail, by_id: Mapping[int, ClusterDetail]) -> str:
    """Return what a cluster was merged into."""
    if detail.part_of is None:
        return "–"
    known = by_id.get(detail.part_of)
    return f"Cluster {detail.part_of}" if known is None else known.label


def clumping(detail: ClusterDetail) -> str:
    """Return found over expected pairs of neighbours, with a word where it may be chance."""
    joins = detail.spread.joins
    if np.isnan(joins.clumping):
        return "–"
    doubt = " (random?)" if not joins.z > _CLUMPED else ""
    return f"{joins.clumping:.1f}{doubt}"


def gap_text(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:,.0f}" if value >= 20 else f"{value:.1f}"
