"""Reading ``names.csv``, however a person or a spreadsheet has saved it."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from terrapatch.errors import LegendError
from terrapatch.legend import Legend
from terrapatch.studies.names import COLUMNS, Names, where

__all__ = ["read_names"]

_DELIMITERS = ",;\t"


def read_names(path: str | os.PathLike[str], legend: Legend) -> Names:
    """Read a ``names.csv``.

    Commas, semicolons or tabs separate the columns, in any order and letter case; a file saved
    by a spreadsheet will do. Clusters without a line stay unnamed.

    Args:
        path: The file, in UTF-8.
        legend: Legend of the clusters.

    Returns:
        The names.

    Raises:
        LegendError: If there is no such file, it has no such columns, or a line does not make
            sense; the message names the line.
    """
    path = Path(path)
    table = _lines(path)
    if not table:
        raise LegendError(f"{path} is empty; its first line names the columns {','.join(COLUMNS)}")
    head = _columns(path, table[0][1])
    rows = []
    for line, row in table[1:]:
        if len(row) > len(table[0][1]) or any(cell.strip() for cell in row[len(head) :]):
            raise LegendError(
                f"{where(path.name, line)}there are {len(row)} values for {len(head)} columns; "
                "put a name that holds a comma in quotes"
            )
        rows.append(dict(zip(head, row, strict=False)))
    return Names.from_rows(rows, legend, path.name, [line for line, _ in table[1:]])


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are not blank, each with the number it begins at."""
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    found, line = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append((line, row))
            line = reader.line_num + 1
    except csv.Error as fault:
        raise LegendError(f"{path} is no CSV ({fault}); save it again as CSV UTF-8") from fault
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as fault:
        raise LegendError(f"there is no file {path}; check the path") from fault
    except UnicodeDecodeError as fault:
        raise LegendError(
            f"{path} is not in UTF-8; save it again as CSV UTF-8 in the spreadsheet"
        ) from fault
    except OSError as fault:
        raise LegendError(f"{path} cannot be read ({fault.strerror}); check the path") from fault


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(_DELIMITERS, key=head.count)


def _columns(path: Path, row: list[str]) -> list[str]:
    head = [cell.strip().lower() for cell in row]
    while head and not head[-1]:
        head.pop()
    wrong = [cell for cell in head if cell not in COLUMNS]
    twice = [cell for cell in head if head.count(cell) > 1]
    if "id" not in head or wrong or twice:
        what = (
            f"an unknown column {wrong[0]!r}" if wrong
            else f"the column {twice[0]!r} twice" if twice
            else "no column 'id'"
        )  # fmt: skip
        raise LegendError(f"{path} has {what}; its columns are {','.join(COLUMNS)}")
    return head
