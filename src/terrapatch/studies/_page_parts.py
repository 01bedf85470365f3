"""Pieces of a page as markup: text that is harmless, values as people read them, tables."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_ALIGN = {"l": "", "r": ' class="r"', "c": ' class="c"'}
_NUMBER = re.compile(r"[-+−±]?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?")
_NUMERIC = re.compile(rf"{_NUMBER.pattern}\s?%?(\s*[±(].*)?\Z")
_MISSING = "–"


def escaped(text: object) -> str:
    """Return any text as markup that shows it and does nothing else.

    Characters that no page may hold (controls, halves of surrogate pairs, as they come from
    file names that are not UTF-8) are shown as U+FFFD.
    """
    return html.escape("".join(c if _allowed(c) else "\ufffd" for c in str(text)))


def _allowed(character: str) -> bool:
    code = ord(character)
    if code < 0x20:
        return character in "\t\n"
    return not (0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF))


def is_missing(value: object) -> bool:
    """Return whether a value says "not known": ``None`` or NaN."""
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def is_number(value: object) -> bool:
    """Return whether a value is a number; true and false are not."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def shown(value: object) -> str:
    """Return a value as a person reads it, not escaped yet.

    Whole numbers get commas, others four figures that count (bring them to a text for more),
    a missing one is a dash, true and false are yes and no.
    """
    if is_missing(value):
        return _MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:,.0f}" if 1e4 <= abs(number) < 1e15 else f"{number:.4g}"
    return str(value)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str, align: str | None
) -> str:
    """Return a table whose first column names the rows.

    Raises:
        ValueError: If there is no column or caption, a row has another length than the
            columns, or ``align`` is not one of l, r, c a column.
    """
    if not columns or not caption.strip():
        raise ValueError("a table needs columns and a caption; give both")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} cells for {len(columns)} columns")
    sides = align or "".join(_side([row[i] for row in rows]) for i in range(len(columns)))
    if len(sides) != len(columns) or not set(sides) <= set(_ALIGN):
        raise ValueError(f"align is {align!r}; give one of l, r, c for each column")
    heads = (
        f'<th scope="col"{_ALIGN[side]}>{escaped(name)}</th>'
        for side, name in zip(sides, columns, strict=True)
    )
    body = "\n".join(_row(row, sides) for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{escaped(caption)}" tabindex="0">'
        f'<table class="sortable">\n<caption>{escaped(caption)}</caption>\n'
        f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(row: Sequence[object], sides: str) -> str:
    cells = []
    for place, (value, side) in enumerate(zip(row, sides, strict=True)):
        tag, scope = ("td", "") if place else ("th", ' scope="row"')
        how = _ALIGN[side] + (_sort_key(value) if side == "r" or is_missing(value) else "")
        cells.append(f"<{tag}{scope}{how}>{escaped(shown(value))}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _side(values: Sequence[object]) -> str:
    """Put a column at the right if all that is known in it are numbers, or texts of numbers."""
    known = [value for value in values if not is_missing(value)]
    numeric = (is_number(v) or (isinstance(v, str) and _NUMERIC.match(v)) for v in known)
    return "r" if known and all(numeric) else "l"


def _sort_key(value: object) -> str:
    """Return the attribute the script sorts a number by: its value, or that there is none."""
    if is_missing(value):
        return ' data-none="1"'
    if is_number(value):
        return f' data-v="{value}"'
    found = _NUMBER.match(str(value))
    if not found:
        return ""
    return f' data-v="{float(found[0].lstrip("±").replace(",", "").replace("−", "-")):.12g}"'


def pretty(data: Mapping[str, Any]) -> str:
    """Return data as indented JSON in the order given, not escaped yet.

    Arrays become lists, NaN and infinities null, and what JSON does not know its text.
    """
    return json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
