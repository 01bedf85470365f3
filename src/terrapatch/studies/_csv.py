"""Small tables that people write by hand: columns by name, lines by number, errors in words."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from terrapatch.errors import SamplesError

_DELIMITERS = ",;\t|"


def read_rows(path: Path, columns: Sequence[str], what: str) -> Iterator[tuple[str, list[str]]]:
    """Go over the lines of a CSV that are not blank.

    Args:
        path: The file; commas, semicolons, tabs or bars part its columns.
        columns: Columns it must have, in any order and beside others.
        what: What the file is, for messages.

    Yields:
        Where the line stands, and what it holds in ``columns``.

    Raises:
        SamplesError: If the file cannot be read, is empty, lacks a column, or a line has nothing
            in one.
    """
    header, *rows = _lines(path, columns, what)
    names = [name.strip().lower() for name in header[1]]
    missing = [name for name in columns if name not in names]
    if missing:
        raise SamplesError(
            f"{path.name}, line {header[0]}: there is no column {' or '.join(missing)} (it reads "
            f"{', '.join(names)}); {what} has the columns {' and '.join(columns)}"
        )
    places = [names.index(name) for name in columns]
    for line, row in rows:
        held = [row[i].strip() if i < len(row) else "" for i in places]
        if not all(held):
            raise SamplesError(
                f"{path.name}, line {line}: there is nothing under {columns[held.index('')]}; "
                "fill it in, or take the line out"
            )
        yield f"{path.name}, line {line}", held


def _lines(path: Path, columns: Sequence[str], what: str) -> list[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            delimiter = max(_DELIMITERS, key=stream.readline().count)
            stream.seek(0)
            reader = csv.reader(stream, delimiter=delimiter)
            lines = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except OSError as fault:
        raise SamplesError(
            f"{what} {path} cannot be read ({fault.strerror}); check the path"
        ) from fault
    except (UnicodeDecodeError, csv.Error) as fault:
        raise SamplesError(
            f"{path.name} cannot be read as a CSV ({fault}); save it as CSV in UTF-8"
        ) from fault
    if not lines:
        raise SamplesError(f"{path.name} is empty; {what} has the columns {' and '.join(columns)}")
    return lines
