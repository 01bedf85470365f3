"""Names, colours and merges that a person gives to clusters, and the file they stand in.

``names.csv`` has one line a cluster: ``id,name,colour,merge_into``. An empty name leaves the
cluster unnamed (it is shown as ``Cluster 7``), an empty colour keeps its own, and
``merge_into`` is the id of the cluster that it becomes part of.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import LegendError
from terrapatch.legend import Legend

__all__ = ["COLUMNS", "Name", "Names", "where"]

COLUMNS = ("id", "name", "colour", "merge_into")

_HEX = re.compile(r"#[0-9a-f]{6}\Z")


@dataclass(frozen=True)
class Name:
    """What a person says of one cluster.

    Attributes:
        id: Cluster id, from 1.
        name: Its name, empty while it is unnamed.
        colour: Its colour, ``#rrggbb``.
        merge_into: The cluster it becomes part of, or ``None``.
    """

    id: int
    name: str
    colour: str
    merge_into: int | None = None


@dataclass(frozen=True)
class Names:
    """What a person says of all clusters; checked as it is made.

    Attributes:
        entries: One for each cluster, in the order of ids from 1.
        origin: The file they come from, for messages.
        lines: Line of the file each id stands in, for messages.

    Raises:
        LegendError: If ids are not 1 to k, a name cannot be printed, a colour is none, a cluster
            is merged into one that is not there or in a circle, or two that stay apart have
            one name.
    """

    entries: tuple[Name, ...]
    origin: str = field(default="", compare=False)
    lines: Mapping[int, int] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Bring names and colours to one form, then check them against each other."""
        if [entry.id for entry in self.entries] != list(range(1, len(self.entries) + 1)):
            raise LegendError("names need one entry for each cluster, in the order of ids from 1")
        object.__setattr__(self, "entries", tuple(self._checked(e) for e in self.entries))
        self._refuse_one_name_twice()

    @classmethod
    def of(cls, legend: Legend) -> Names:
        """Return the names of clusters nobody has named: colours of the legend, no name."""
        return cls(tuple(Name(entry.id, "", entry.colour) for entry in legend))

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        legend: Legend,
        origin: str = "",
        lines: Iterable[int] | None = None,
    ) -> Names:
        """Make names of rows such as ``{"id": 3, "name": "Water", "colour": "", "merge_into": 5}``.

        Args:
            rows: One a cluster, in any order; values may be text, and all but ``id`` may be
                missing, empty or ``None``. Clusters without a row stay unnamed.
            legend: The legend of the clusters, whose ids count and whose colours are taken
                where a row has none.
            origin: Where the rows come from, for messages.
            lines: Line of each row, for messages.

        Raises:
            LegendError: If an id is none or stands there twice, or as the class says.
        """
        entries = {entry.id: Name(entry.id, "", entry.colour) for entry in legend}
        places: dict[int, int] = {}
        seen: set[int] = set()
        numbered = zip(rows, lines, strict=True) if lines is not None else ((r, 0) for r in rows)
        for row, line in numbered:
            place = where(origin, line)
            id = _id(row.get("id"), "id", place, len(legend))
            if id in seen:
                first = f", first in line {places[id]}" if places else ""
                raise LegendError(
                    f"{place}cluster {id} stands there twice{first}; keep one line for it"
                )
            seen.add(id)
            if line:
                places[id] = line
            target = row.get("merge_into")
            empty = target is None or not str(target).strip()
            entries[id] = Name(
                id,
                str(row.get("name") or ""),
                str(row.get("colour") or "").strip() or legend[id].colour,
                None if empty else _id(target, "merge_into", place, len(legend)),
            )
        return cls(tuple(entries[id] for id in sorted(entries)), origin, places)

    def __len__(self) -> int:
        """Return the number of clusters."""
        return len(self.entries)

    def __getitem__(self, id: int) -> Name:
        """Return what is said of the cluster with this id.

        Raises:
            LegendError: If there is no such cluster.
        """
        if not 1 <= id <= len(self):
            raise LegendError(f"there is no cluster {id}; ids run from 1 to {len(self)}")
        return self.entries[id - 1]

    @cached_property
    def roots(self) -> NDArray[np.int64]:
        """The cluster each one ends in after all merges ``(k + 1,)``; entry 0 is 0.

        Raises:
            LegendError: If clusters are merged in a circle.
        """
        ends = np.arange(len(self) + 1)
        for entry in self.entries:
            chain = [entry.id]
            while (target := self[chain[-1]].merge_into) is not None:
                if target in chain:
                    self._refuse_circle([*chain[chain.index(target) :], target])
                chain.append(target)
            ends[entry.id] = chain[-1]
        return ends

    def shown(self, id: int) -> str:
        """Return the name a cluster is shown by before merges: its own, or ``Cluster 7``."""
        return self[id].name or f"Cluster {id}"

    def members(self, root: int) -> tuple[int, ...]:
        """Return the clusters that end in this one, itself included."""
        return tuple(int(id) for id in np.flatnonzero(self.roots == root))

    @property
    def named(self) -> tuple[int, ...]:
        """Clusters that have a name and are not merged into another."""
        return tuple(e.id for e in self.entries if e.name and e.merge_into is None)

    @property
    def unnamed(self) -> tuple[int, ...]:
        """Clusters that have no name and are not merged into another."""
        return tuple(e.id for e in self.entries if not e.name and e.merge_into is None)

    @property
    def touched(self) -> bool:
        """Whether anybody has named or merged a cluster."""
        return any(e.name or e.merge_into is not None for e in self.entries)

    def legend(self, counts: NDArray[Any] | None = None) -> tuple[Legend, NDArray[np.int64]]:
        """Return the legend after names and merges, and the new id of each cluster.

        Args:
            counts: Cells of each cluster ``(k + 1,)``, entry 0 not counted: the largest class
                comes first. Without it, the order of ids is kept.

        Returns:
            The legend, ids from 1; and ``(k + 1,)`` numbers, so that ``lookup[labels]`` is the
            map of the named classes. 0 stays 0.
        """
        roots = self.roots
        cells = np.zeros(len(self) + 1, np.int64)
        if counts is not None:
            np.add.at(cells, roots[1:], np.asarray(counts, np.int64)[1:])
        kept = np.array([e.id for e in self.entries if e.merge_into is None])
        order = kept[np.lexsort((kept, -cells[kept]))]
        lookup = np.zeros(len(self) + 1, np.int64)
        lookup[order] = np.arange(1, len(order) + 1)
        shown, colours = zip(
            *((self.shown(int(i)), self[int(i)].colour) for i in order), strict=True
        )
        return Legend.of(shown, colours), np.asarray(lookup[roots])

    def edited(
        self,
        names: Mapping[int, str] | None = None,
        colours: Mapping[int, str] | None = None,
        merges: Mapping[int, int | None] | None = None,
    ) -> Names:
        """Return a copy with some names, colours and merges changed, checked as a whole.

        Args:
            names: New name by id; an empty one takes the name away.
            colours: New colour by id.
            merges: The cluster that an id becomes part of; ``None`` undoes a merge.

        Raises:
            LegendError: If there is no such cluster, or as the class says.
        """
        targets = (into for into in (merges or {}).values() if into is not None)
        for id in (*(names or {}), *(colours or {}), *(merges or {}), *targets):
            self[id]
        entries = {entry.id: entry for entry in self.entries}
        for id, text in (names or {}).items():
            entries[id] = replace(entries[id], name=text)
        for id, colour in (colours or {}).items():
            entries[id] = replace(entries[id], colour=colour)
        for id, into in (merges or {}).items():
            entries[id] = replace(entries[id], merge_into=into)
        return Names(tuple(entries.values()), self.origin)

    def as_csv(self) -> str:
        """Return the text of ``names.csv``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for entry in self.entries:
            into = "" if entry.merge_into is None else entry.merge_into
            writer.writerow([entry.id, entry.name, entry.colour, into])
        return text.getvalue()

    def _checked(self, entry: Name) -> Name:
        place = where(self.origin, self.lines.get(entry.id, 0))
        name, colour = entry.name.strip(), entry.colour.strip().lower()
        if not name.isprintable():
            raise LegendError(
                f"{place}the name of cluster {entry.id} has a line break or control character: "
                f"{name!r}; remove it"
            )
        if not _HEX.match(colour):
            raise LegendError(
                f"{place}cluster {entry.id} has colour {entry.colour!r}; write it as #rrggbb, for "
                "example #d55e00, or leave it empty"
            )
        if entry.merge_into is not None and not 1 <= entry.merge_into <= len(self):
            raise LegendError(
                f"{place}cluster {entry.id} is merged into cluster {entry.merge_into}, which is "
                f"not there; ids run from 1 to {len(self)}"
            )
        return replace(entry, name=name, colour=colour)

    def _refuse_circle(self, circle: list[int]) -> None:
        place = where(self.origin, self.lines.get(circle[0], 0))
        if len(circle) == 2:
            raise LegendError(
                f"{place}cluster {circle[0]} is merged into itself; empty its merge_into"
            )
        told = " into ".join(map(str, circle))
        raise LegendError(
            f"{place}clusters are merged in a circle ({told}); empty the merge_into of the one "
            "that should stay"
        )

    def _refuse_one_name_twice(self) -> None:
        roots = self.roots  # also refuses circles
        first: dict[str, int] = {}
        for entry in self.entries:
            if roots[entry.id] != entry.id:
                continue
            shown = self.shown(entry.id)
            if shown in first:
                one = first[shown]
                place = where(self.origin, self.lines.get(entry.id, 0))
                raise LegendError(
                    f"{place}clusters {one} and {entry.id} are both called {shown!r}; give each "
                    f"its own name, or merge {entry.id} into {one}"
                )
            first[shown] = entry.id


def where(origin: str, line: int) -> str:
    """Return ``names.csv, line 3: `` for the start of a message; nothing without a line."""
    return f"{origin}, line {line}: " if line else ""


def _id(value: Any, column: str, place: str, k: int) -> int:
    text = "" if value is None or isinstance(value, bool) else str(value).strip()
    if not text.isdecimal():
        raise LegendError(
            f"{place}{column} is {text!r}, which is no id of a cluster; give 1 to {k}"
        )
    if not 1 <= int(text) <= k:
        raise LegendError(f"{place}there is no cluster {text} ({column}); ids run from 1 to {k}")
    return int(text)
