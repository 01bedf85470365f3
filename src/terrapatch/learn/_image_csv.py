"""Images and splits from CSV files, whose columns are found by their names."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from terrapatch.errors import SamplesError
from terrapatch.learn._image_list import (
    SPLITS,
    ImageList,
    Sample,
    first_few,
    list_images,
    split_word,
)

_PATH = ("path", "file", "filename", "image")
_CLASS = ("class", "label")
_SPLIT = ("split",)
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class _Row:
    """A line of a CSV; class and split are ``None`` where there is no such column."""

    line: int
    path: PurePosixPath
    name: str | None
    split: str | None


def from_csv(path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> ImageList:
    """Read a list of images from a CSV file.

    The first line names the columns, in any order and letter case: ``path``, ``file``,
    ``filename`` or ``image``; ``class`` or ``label`` (else the class is the name of the folder
    the image is in); and ``split`` (``train``, ``val`` or ``test``) if the list is divided.
    Commas, semicolons, tabs and bars separate them.

    Args:
        path: The CSV file, in UTF-8.
        root: Folder that paths are relative to; the CSV's own if left out.

    Returns:
        The images; see ``ImageList``.

    Raises:
        SamplesError: If the file is missing or no such CSV, a value is missing or not
            understood, images do not exist, the same file has two classes or splits, or there
            are too few classes or images.
    """
    source = Path(path)
    base = source.parent if root is None else Path(root)
    rows = _rows(source)
    missing = [str(row.path) for row in rows if not (base / row.path).is_file()]
    if missing:
        raise SamplesError(
            f"{len(missing)} of {len(rows)} files of {source.name} do not exist under {base}: "
            f"{first_few(missing)}; give the folder they are relative to as root"
        )
    samples = []
    for row in rows:
        file = base / row.path
        samples.append(Sample(file, row.name or _folder_name(file), row.split))
    return list_images(samples, source.name)


def with_split(images: ImageList, splits: Mapping[str, str | os.PathLike[str]]) -> ImageList:
    """Divide a list of images by CSV files, one a split.

    A row means the image whose path ends as the row's does (``river/river57.jpg``), so the
    files need not know where the images are. Images in no split are left out, and counted.

    Args:
        images: The images, as ``find_images`` returns them.
        splits: CSV of each of ``train``, ``val`` and ``test`` (or some of them), with columns
            as ``from_csv`` reads them. A class in it is compared with the image's.

    Returns:
        The images that are in a split.

    Raises:
        SamplesError: If a split is not known, a CSV is missing or not understood, a row means
            no image, several, or one of another class, or an image is in two splits.
    """
    if not splits:
        raise SamplesError("no split is given; name a CSV for train, val or test")
    names = images.names
    found: list[Sample] = []
    for word, path in splits.items():
        split = split_word(word)
        if split is None:
            raise SamplesError(f"the split {word!r} is not known; choose {', '.join(SPLITS)}")
        source = Path(path)
        rows = _rows(source)
        places = _places(images, rows, source.name)
        _compare_classes(rows, [names[i] for i in places], source.name)
        found += [Sample(images.paths[i], names[i], split) for i in places]
    divided = list_images(found, "the splits", images.notes)
    rest = len(images) - len(divided)
    if not rest:
        return divided
    return replace(divided, notes=(*divided.notes, f"{rest} images are in no split: left out."))


def _rows(source: Path) -> list[_Row]:
    """Read a CSV, or refuse it with the lines at fault."""
    lines = _lines(source)
    header = [name.strip().lower() for name in lines[0][1]]
    columns = {what: _column(header, what) for what in (_PATH, _CLASS, _SPLIT)}
    if columns[_PATH] is None:
        raise SamplesError(
            f"{source.name} has no column of paths (its first line reads "
            f"{', '.join(header)}); name one {', '.join(_PATH[:-1])} or {_PATH[-1]}"
        )
    paths, classes, words = (_values(lines[1:], columns[what]) for what in columns)
    numbers = [number for number, _ in lines[1:]]
    if not numbers:
        raise SamplesError(f"{source.name} lists no images, only a first line; add rows")
    for what, values in zip(columns, (paths, classes, words), strict=True):
        _refuse_blanks(source.name, what[0], numbers, values)
    splits = [None if word is None else split_word(word) for word in words]
    for number, word, split in zip(numbers, words, splits, strict=True):
        if word is not None and split is None:
            raise SamplesError(
                f"{source.name}, line {number}: the split {word!r} is not known; "
                f"choose {', '.join(SPLITS)}"
            )
    files = [PurePosixPath((path or "").replace("\\", "/")) for path in paths]
    return [_Row(*values) for values in zip(numbers, files, classes, splits, strict=True)]


def _lines(source: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are not blank, with their numbers."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)
            reader = csv.reader(stream, delimiter=delimiter)
            lines = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except FileNotFoundError:
        raise SamplesError(f"there is no file {source}; check the path of the CSV") from None
    except IsADirectoryError:
        raise SamplesError(f"{source} is a folder, not a CSV; give a file's path") from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise SamplesError(
            f"{source.name} cannot be read as a CSV ({fault}); save it as CSV in UTF-8"
        ) from fault
    if not lines:
        raise SamplesError(f"{source.name} is empty; give a CSV with a column of paths")
    return lines


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _values(lines: Sequence[tuple[int, list[str]]], column: int | None) -> list[str | None]:
    if column is None:
        return [None] * len(lines)
    return [row[column].strip() if column < len(row) else "" for _, row in lines]


def _refuse_blanks(
    name: str, column: str, numbers: Sequence[int], values: Sequence[str | None]
) -> None:
    blank = [str(n) for n, value in zip(numbers, values, strict=True) if value == ""]
    if blank:
        raise SamplesError(
            f"{name} has no {column} in line {first_few(blank)}; fill it in, or take the rows out"
        )


def _folder_name(file: Path) -> str:
    """Return the class that the folder of an image stands for."""
    return file.parent.name or file.absolute().parent.name


def _places(images: ImageList, rows: Sequence[_Row], name: str) -> list[int]:
    """Return the place in the list of the image that each row means."""
    ends: dict[str, list[int]] = {}
    for place, path in enumerate(images.paths):
        ends.setdefault(path.name, []).append(place)
    places, missing = [], []
    for row in rows:
        parts = row.path.parts
        match = [
            place
            for place in ends.get(row.path.name, [])
            if images.paths[place].parts[-len(parts) :] == parts
        ]
        if len(match) > 1:
            both = " and ".join(str(images.paths[place]) for place in match[:2])
            raise SamplesError(
                f"{name}, line {row.line}: {row.path} may mean {both}; write its folder too"
            )
        missing += [] if match else [str(row.path)]
        places += match
    if missing:
        raise SamplesError(
            f"{len(missing)} of {len(rows)} files of {name} are not among the images: "
            f"{first_few(missing)}; check that the CSV is of this data set"
        )
    return places


def _compare_classes(rows: Sequence[_Row], names: Sequence[str], source: str) -> None:
    wrong = [
        f"{row.path} ({row.name}, not {name})"
        for row, name in zip(rows, names, strict=True)
        if row.name not in (None, name)
    ]
    if wrong:
        raise SamplesError(
            f"{source} gives {len(wrong)} images another class than their folder: "
            f"{first_few(wrong)}; correct one of the two"
        )
