"""A list of labelled image files: what every way of finding them comes to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terrapatch.errors import SamplesError

SPLITS = ("train", "val", "test")
"""Parts a data set is divided into."""

_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_WORDS |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")
_MOST_NAMED = 5


@dataclass(frozen=True)
class Sample:
    """One image file, its class, and its split where there are splits."""

    path: Path
    name: str
    split: str | None = None


@dataclass(frozen=True, eq=False)
class ImageList:
    """Labelled images, ordered by split (train, val, test) and then by path.

    Attributes:
        paths: The files, ``n`` of them.
        labels: Class of each ``(n,)`` int32, from 1.
        classes: Names in the order of the labels: sorted as texts.
        splits: ``train``, ``val`` or ``test`` for each, or ``None`` where nothing is said.
        notes: What was ignored and what else should be known, a sentence each.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    splits: tuple[str, ...] | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def names(self) -> tuple[str, ...]:
        """The class of each image by name."""
        return tuple(self.classes[label - 1] for label in self.labels)

    def places(self, split: str) -> NDArray[np.int64]:
        """Return the places in the list of a split's images, none where it has none."""
        return np.flatnonzero(np.array(self.splits or (), dtype=object) == split)

    def describe(self) -> str:
        """Say in a few lines how many images there are of what, and what was ignored."""
        counts = np.bincount(self.labels, minlength=len(self.classes) + 1)[1:]
        text = f"{len(self)} images of {len(self.classes)} classes, "
        text += f"{counts.min()} to {counts.max()} a class"
        if self.splits is not None:
            parts = Counter(self.splits)
            text += "; " + ", ".join(f"{s} {parts[s]}" for s in SPLITS if parts[s])
        return "\n".join([text, *self.notes])


def split_word(text: str) -> str | None:
    """Return the split a word means (``valid`` and ``dev`` are ``val``), ``None`` for others."""
    return _WORDS.get(text.strip().lower())


def first_few(names: Sequence[str]) -> str:
    """List up to five names, and say how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def list_images(samples: Iterable[Sample], where: str, notes: Sequence[str] = ()) -> ImageList:
    """Check samples and bring them into one order.

    Args:
        samples: Images in any order, with a split each or none at all.
        where: What they come from, for messages.
        notes: What is known already.

    Raises:
        SamplesError: If a file stands in two splits or two classes, there is one class only,
            or a class has one sample only.
    """
    kept, doubles = _without_doubles(samples, where)
    kept.sort(key=lambda sample: (_rank(sample), sample.path.as_posix()))
    counts = Counter(sample.name for sample in kept)
    _check_classes(counts, where)
    classes = tuple(sorted(counts))
    splits = tuple(s.split for s in kept if s.split is not None)
    remarks = list(notes)
    if doubles:
        remarks.append(f"Listed more than once and taken once: {doubles} files.")
    if splits:
        untaught = sorted(set(classes) - {s.name for s in kept if s.split == "train"})
        if "train" in splits and untaught:
            remarks.append(f"No training image has the class {first_few(untaught)}.")
    number = {name: label for label, name in enumerate(classes, start=1)}
    return ImageList(
        paths=tuple(s.path for s in kept),
        labels=np.array([number[s.name] for s in kept], np.int32),
        classes=classes,
        splits=splits or None,
        notes=tuple(remarks),
    )


def _without_doubles(samples: Iterable[Sample], where: str) -> tuple[list[Sample], int]:
    """Keep each file once, whatever links lead to it, and refuse contradictions."""
    first: dict[str, Sample] = {}
    doubles = 0
    for sample in samples:
        known = first.setdefault(os.path.realpath(sample.path), sample)
        if known is sample:
            continue
        doubles += 1
        if known.split != sample.split:
            one, other = sorted((known, sample), key=_rank)
            raise SamplesError(
                f"{where}: the same file stands in the splits {one.split} and {other.split}: "
                f"{_both(one.path, other.path)}; a file must be in one split only"
            )
        if known.name != sample.name:
            raise SamplesError(
                f"{where}: the same file has the classes {known.name!r} and {sample.name!r}: "
                f"{_both(known.path, sample.path)}; keep one of them"
            )
    return list(first.values()), doubles


def _rank(sample: Sample) -> int:
    return SPLITS.index(sample.split) if sample.split else -1


def _both(one: Path, other: Path) -> str:
    return str(one) if one == other else f"{one} and {other}"


def _check_classes(counts: Counter[str], where: str) -> None:
    if len(counts) == 1:
        raise SamplesError(
            f"{where} holds images of one class only, {next(iter(counts))!r}; a classifier needs "
            "two or more: add a folder, or rows, of another class"
        )
    lonely = sorted(name for name, count in counts.items() if count == 1)
    if lonely:
        raise SamplesError(
            f"{where}: one image only in the class {first_few(lonely)}; add more, since a class "
            "needs at least two: one to learn from and one to test with"
        )
