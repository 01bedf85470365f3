"""Contact sheets: one row a cluster, what it is called beside pictures of its patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_SHEETS", "ROWS_A_SHEET", "SheetRow", "sheet_names", "tile_side", "write_sheets"]

Picture = npt.NDArray[np.uint8]

ROWS_A_SHEET = 40
MOST_SHEETS = 8

_LARGE, _SMALL, _MANY = 128, 88, 60  # side of a tile; the smaller one for more rows than this
_HEAD = 250  # width of the words at the left
_GAP, _MARGIN, _LINE, _FRAME, _SWATCH = 10, 16, 15, 3, 30
_INK, _SOFT, _RULE = "#1f2328", "#59636e", "#e3e7eb"


@dataclass(frozen=True)
class SheetRow:
    """One row of a sheet.

    Attributes:
        colour: ``#rrggbb``, shown as a patch and around the first picture.
        title: What stands large at its left.
        lines: What stands below, small.
        pictures: uint8 ``(side, side, 3)``, all of one size.
        captions: One below each picture.
    """

    colour: str
    title: str
    lines: tuple[str, ...]
    pictures: tuple[Picture, ...]
    captions: tuple[str, ...]


def sheet_names() -> tuple[str, ...]:
    """Return the names of all sheets there can be."""
    return ("contact_sheet.png", *(f"contact_sheet_{i}.png" for i in range(2, MOST_SHEETS + 1)))


def tile_side(rows: int) -> int:
    """Return the side of a picture in pixels; smaller where there are many rows."""
    return _SMALL if rows > _MANY else _LARGE


def write_sheets(folder: Path, rows: Sequence[SheetRow], title: str) -> tuple[Path, ...]:
    """Write rows onto as many PNG files as they need; the same rows give the same bytes.

    Args:
        folder: Where ``contact_sheet.png``, ``contact_sheet_2.png`` and so on go.
        rows: The rows, at most 320; one or more.
        title: What the sheets are about.

    Returns:
        The files.

    Raises:
        ValueError: If there are more rows than sheets hold.
    """
    parts = [rows[i : i + ROWS_A_SHEET] for i in range(0, len(rows), ROWS_A_SHEET)]
    if len(parts) > MOST_SHEETS:
        raise ValueError(f"{len(rows)} rows are more than {MOST_SHEETS * ROWS_A_SHEET}; give fewer")
    columns = max(len(row.pictures) for row in rows)
    made = []
    for number, (name, part) in enumerate(zip(sheet_names(), parts, strict=False), start=1):
        of = f", sheet {number} of {len(parts)}" if len(parts) > 1 else ""
        made.append(_write(folder / name, part, f"{title}{of}", columns))
    return tuple(made)


def _write(path: Path, rows: Sequence[SheetRow], title: str, columns: int) -> Path:
    from PIL import Image, ImageDraw

    side = rows[0].pictures[0].shape[0]
    high = side + _GAP + _LINE + 6
    top = _MARGIN + 34
    size = (_HEAD + _MARGIN + columns * (side + _GAP), top + len(rows) * high + _MARGIN - _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text(
        (_MARGIN, _MARGIN), fitted(title, 17, size[0] - 2 * _MARGIN, True), _INK, font(17, True)
    )
    for i, row in enumerate(rows):
        y = top + i * high
        draw.line((_MARGIN, y - 5, size[0] - _MARGIN, y - 5), fill=_RULE)
        _words(draw, row, y)
        for j, (picture, caption) in enumerate(zip(row.pictures, row.captions, strict=True)):
            x = _HEAD + j * (side + _GAP)
            around = _FRAME if j == 0 else 1
            box = (x - around, y + _FRAME - around, x + side + around - 1,
                   y + _FRAME + side + around - 1)  # fmt: skip
            draw.rectangle(box, fill=row.colour if j == 0 else _SOFT)
            sheet.paste(Image.fromarray(picture), (x, y + _FRAME))
            size_of_caption = 11 if side >= _LARGE else 9
            draw.text(
                (x, y + side + _FRAME + 4),
                fitted(caption, size_of_caption, side + _GAP - 4),
                _SOFT,
                font(size_of_caption),
            )
    sheet.save(path, format="png")
    return path


def _words(draw: Any, row: SheetRow, y: int) -> None:
    """Write the words at the left of a row, beside its colour."""
    box = (_MARGIN, y + _FRAME, _MARGIN + _SWATCH, y + _FRAME + _SWATCH)
    draw.rectangle(box, fill=row.colour, outline=_SOFT)
    x = _MARGIN + _SWATCH + 10
    y += _FRAME - 2
    for line in wrapped(row.title, 15, _HEAD - x - 10, 2, True):
        draw.text((x, y), line, _INK, font(15, True))
        y += 19
    y += 2
    for text in row.lines:
        draw.text((x, y), fitted(text, 12, _HEAD - x - 8), _SOFT, font(12))
        y += _LINE + 1


def font(size: int, bold: bool = False) -> Any:
    """Return DejaVu Sans, which comes with matplotlib: the same letters on every machine."""
    from pathlib import Path as Where

    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    where = Where(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(where, size, layout_engine=ImageFont.Layout.BASIC)


def fitted(text: str, size: int, width: float, bold: bool = False) -> str:
    """Return a text cut at its end until it is at most ``width`` pixels wide."""
    letters = font(size, bold)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrapped(text: str, size: int, width: float, most: int, bold: bool = False) -> list[str]:
    """Break a text between words into at most ``most`` lines; what is left over is cut."""
    letters = font(size, bold)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and (letters.getlength(longer) <= width or len(lines) == most):
            lines[-1] = longer
        else:
            lines.append(word)
    return [fitted(line, size, width, bold) for line in lines]
