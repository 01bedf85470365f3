"""Names of label values: from a file, a text such as ``1=roof,2=pavement``, or a mapping."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terrapatch.errors import SamplesError

ClassNames = Mapping[int, str] | Sequence[str] | str | os.PathLike[str]

_PAIR = re.compile(r"\s*(-?\d+)\s*[=:]\s*(\S.*?)\s*\Z")
_FILES = (".csv", ".json", ".txt")
_HOW = 'write 1=roof,2=pavement, or give a CSV of value,name or a JSON such as {"1": "roof"}'


def read_class_names(given: ClassNames | None) -> dict[int, str] | None:
    """Return the name of each label value.

    Args:
        given: A mapping of values to names; the names of the values 1, 2, ... in order; a text
            such as ``1=roof,2=pavement``; or the path of a ``.csv`` (value, name, a heading or
            none) or ``.json`` (an object, a list, or a legend's ``classes``).

    Returns:
        The names by value; ``None`` where none were given.

    Raises:
        SamplesError: If the file is missing or not understood, or a name is empty.
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        text = os.fspath(given)
        names = _of_file(Path(text)) if text.lower().endswith(_FILES) else _of_text(text)
    elif isinstance(given, Mapping):
        names = {_whole(value): str(name) for value, name in given.items()}
    else:
        names = {value: str(name) for value, name in enumerate(given, start=1)}
    blank = [value for value, name in names.items() if not name.strip()]
    if blank or not names:
        where = f"the value {blank[0]} has an empty name" if blank else "no name was given"
        raise SamplesError(f"class names: {where}; {_HOW}")
    return {value: name.strip() for value, name in names.items()}


def _of_text(text: str) -> dict[int, str]:
    names: dict[int, str] = {}
    for part in filter(str.strip, text.split(",")):
        pair = _PAIR.match(part)
        if pair is None:
            raise SamplesError(f"{part.strip()!r} in the class names is not understood; {_HOW}")
        names[int(pair[1])] = pair[2]
    return names


def _of_file(path: Path) -> dict[int, str]:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as fault:
        raise SamplesError(f"there is no file of class names {path}; check the path") from fault
    except (IsADirectoryError, PermissionError) as fault:
        why = "is a folder" if path.is_dir() else "may not be read"
        raise SamplesError(f"{path} {why}, so it names no classes; {_HOW}") from fault
    except UnicodeDecodeError as fault:
        raise SamplesError(f"{path} is not written in UTF-8; save it as UTF-8") from fault
    return _of_json(text, path) if path.suffix.lower() == ".json" else _of_csv(text, path)


def _of_json(text: str, path: Path) -> dict[int, str]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as fault:
        raise SamplesError(f"{path} is no JSON ({fault}); {_HOW}") from fault
    if isinstance(data, dict) and isinstance(data.get("classes"), list):
        data = data["classes"]
    if isinstance(data, dict):
        return {_whole(value): str(name) for value, name in data.items()}
    if isinstance(data, list) and all(isinstance(row, str) for row in data):
        return dict(enumerate(data, start=1))
    if isinstance(data, list) and all(
        isinstance(r, dict) and {"id", "name"} <= set(r) for r in data
    ):
        return {_whole(row["id"]): str(row.get("name", "")) for row in data}
    raise SamplesError(f"{path} names no classes; {_HOW}")


def _of_csv(text: str, path: Path) -> dict[int, str]:
    lines = [line for line in text.splitlines() if line.strip()]
    mark = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    names: dict[int, str] = {}
    for number, row in enumerate(csv.reader(lines, delimiter=mark), start=1):
        value = row[0].strip()
        if number == 1 and not re.fullmatch(r"-?\d+", value):
            continue  # a heading
        if len(row) < 2 or not re.fullmatch(r"-?\d+", value):
            raise SamplesError(f"line {number} of {path} is not value{mark}name; {_HOW}")
        names[int(value)] = row[1]
    return names


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value).strip()):
        raise SamplesError(f"the class value {value!r} is no whole number; {_HOW}")
    return int(value)
