"""One HTML file that holds a whole report: words, tables, figures, pictures and the recipe.

The file asks nothing of the network: pictures stand inside it, letters are those of the
system, and its content security policy forbids any request, and any script but the page's
own. It follows the reader into the dark, onto paper and onto a phone, and can be read with
the keyboard alone. Whatever is put into it is shown, never run. It is XML as well as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from numpy.typing import NDArray

from terrapatch.errors import OutputError, writing
from terrapatch.maps.bundle import make_folder
from terrapatch.studies import _page_parts as parts
from terrapatch.studies import _page_pictures as pictures
from terrapatch.studies._page_style import SCRIPT, STYLE
from terrapatch.studies._page_svg import inline_svg, is_ours

__all__ = ["GalleryItem", "Page", "Tone"]

Tone = Literal["plain", "right", "wrong"]
GalleryItem = tuple[NDArray[Any], str, Tone]
"""An image ``(height, width, 3)`` uint8, its caption, and whether it was answered rightly."""

_TONES: dict[str, str] = {"plain": "", "right": "✓ right", "wrong": "✗ wrong"}
_CONTENTS_FROM = 3  # sections
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; script-src 'sha256-{hash}'"
)


class Page:
    """A report that is built from top to bottom, then saved.

    Every method that adds something returns the page, so calls can be chained. The same
    calls give the same bytes: nothing of the time or the machine is written unless it is
    given.

    Args:
        title: What the page is about.
        lead: One paragraph that says what was found; empty for none.

    Raises:
        ValueError: If the title is empty.
    """

    def __init__(self, title: str, lead: str = "") -> None:
        """Begin a page."""
        if not title.strip():
            raise ValueError("a page needs a title; say what it is about")
        self._title = title
        self._lead = lead
        self._parts: list[str] = []
        self._sections: list[str] = []
        self._pictures = 0

    def section(self, title: str) -> Self:
        """Begin a section; of three or more, a list of contents stands at the top."""
        self._sections.append(title)
        number = len(self._sections)
        return self._add(f'<h2 id="section-{number}">{parts.escaped(title)}</h2>')

    def subsection(self, title: str) -> Self:
        """Begin a part of a section.

        Raises:
            ValueError: If no section was begun.
        """
        if not self._sections:
            raise ValueError(f"the part {title!r} stands in no section; begin a section first")
        return self._add(f"<h3>{parts.escaped(title)}</h3>")

    def text(self, paragraph: str) -> Self:
        """Add plain text; blank lines part paragraphs."""
        for piece in filter(str.strip, paragraph.split("\n\n")):
            self._add(f"<p>{parts.escaped(piece.strip())}</p>")
        return self

    def note(self, text: str, *, warning: bool = False) -> Self:
        """Add a paragraph that is set off, for what a reader must not miss."""
        kind, word = ("note warning", "Warning: ") if warning else ("note", "")
        lead = f"<strong>{word}</strong>" if word else ""
        return self._add(f'<p class="{kind}" role="note">{lead}{parts.escaped(text)}</p>')

    def facts(self, pairs: Iterable[tuple[str, object]]) -> Self:
        """Add a few figures, each large under its name."""
        items = "".join(
            f"<div><dt>{parts.escaped(name)}</dt><dd>{parts.escaped(parts.shown(value))}</dd></div>"
            for name, value in pairs
        )
        return self._add(f"<dl>{items}</dl>") if items else self

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        caption: str,
        align: str | None = None,
    ) -> Self:
        """Add a table that a click on a column's head, or Enter on it, sorts.

        Args:
            columns: Their heads.
            rows: One cell a column; the first names the row. Whole numbers get commas, other
                numbers four figures that count, ``None`` and NaN are a dash and sort last.
            caption: What the table shows.
            align: One of ``l``, ``r``, ``c`` a column; left out, columns of numbers are
                right-aligned, ``97.3 %`` and ``97.3 ± 0.2`` among them.

        Raises:
            ValueError: If there is no column or caption, or a row or ``align`` has another
                length than the columns.
        """
        return self._add(parts.table(columns, rows, caption, align))

    def figure(self, data: bytes, alt: str, caption: str = "") -> Self:
        """Add a picture, which then stands inside the page.

        Args:
            data: An SVG, PNG or JPEG file. Figures of ``terrapatch.studies.figures`` take
                the colours of the page; any other SVG keeps its own, on white, and loses
                what runs or loads.
            alt: What it shows, for those who do not see it.
            caption: Words below it.

        Raises:
            ValueError: If ``alt`` is empty, or the bytes are no such picture.
        """
        if not alt.strip():
            raise ValueError("a figure needs alt: what it shows, for those who do not see it")
        kind = pictures.kind_of(data)
        self._pictures += 1
        said = parts.escaped(caption)
        below = f"<figcaption>{said}</figcaption>" if caption.strip() else ""
        if kind == "svg":
            inner = inline_svg(data, f"f{self._pictures}-", alt)
            sheet = "" if is_ours(data) else " sheet"
        else:
            wide, high = pictures.size_of(data)
            link = pictures.as_link(data, kind)
            inner = f'<img src="{link}" alt="{parts.escaped(alt)}" width="{wide}" height="{high}"/>'
            sheet = " sheet"
        scroll = f'<div class="scroll{sheet}" tabindex="0">{inner}</div>'
        return self._add(f"<figure>{scroll}{below}</figure>")

    def gallery(self, items: Iterable[GalleryItem], caption: str, *, side: int = 160) -> Self:
        """Add small images in a grid, each over its caption.

        Args:
            items: Image ``(height, width, 3)`` uint8, caption, and tone: ``right`` and
                ``wrong`` show in the frame and in a word, ``plain`` does not.
            caption: What they have in common.
            side: Longest side of an image in pixels; larger ones are averaged down.

        Raises:
            ValueError: If an image has another shape or type, or a tone is not known.
        """
        held = "\n".join(_gallery_item(image, said, tone, side) for image, said, tone in items)
        if not held:
            return self.text(f"{caption}: none.")
        below = f"<figcaption>{parts.escaped(caption)}</figcaption>"
        return self._add(f'<figure><ul class="gallery">\n{held}\n</ul>{below}</figure>')

    def recipe(self, data: Mapping[str, Any], title: str = "Recipe") -> Self:
        """Add how it was made: JSON that opens on demand, and is open on paper."""
        shown = parts.escaped(parts.pretty(data))
        summary = f"<summary>{parts.escaped(title)}</summary>"
        return self._add(f'<details>{summary}<pre tabindex="0">{shown}</pre></details>')

    def html(self) -> str:
        """Return the whole page."""
        digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
        title = parts.escaped(self._title)
        lead = f'<p class="lead">{parts.escaped(self._lead)}</p>' if self._lead.strip() else ""
        body = "\n".join(self._parts)
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(hash=digest)}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="generator" content="terrapatch"/>
<title>{title}</title>
<link rel="icon" href="data:,"/>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<main>
<header>
<h1>{title}</h1>
{lead}
{self._contents()}</header>
<div id="content">
{body}
</div>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write the page; the file appears whole or not at all.

        Args:
            path: The file; must end in ``.html``.
            overwrite: Whether an older file gives way.

        Returns:
            The path of the file.

        Raises:
            OutputError: If the file exists, or the place is full or not writable.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise OutputError(f"cannot write a page to {path}: give it a name that ends in .html")
        if path.is_dir():
            raise OutputError(f"{path} is a folder; give the name of a file to write")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists already; choose another name, or pass overwrite")
        content = self.html().encode("utf-8")
        with writing(path):
            make_folder(path)
            folder = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
            try:
                part = Path(folder) / path.name
                part.write_bytes(content)
                os.replace(part, path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return path

    def _add(self, markup: str) -> Self:
        self._parts.append(markup)
        return self

    def _contents(self) -> str:
        if len(self._sections) < _CONTENTS_FROM:
            return ""
        links = "".join(
            f'<li><a href="#section-{number}">{parts.escaped(title)}</a></li>'
            for number, title in enumerate(self._sections, start=1)
        )
        return f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'


def _gallery_item(image: NDArray[Any], caption: str, tone: str, side: int) -> str:
    if tone not in _TONES:
        raise ValueError(f"the tone {tone!r} is not known; give one of {', '.join(_TONES)}")
    link, wide, high = pictures.thumbnail_link(image, side)
    said = parts.escaped(caption)
    small = ' class="small"' if max(wide, high) <= side // 2 else ""
    word = f'<br/><span class="tone">{_TONES[tone]}</span>' if _TONES[tone] else ""
    picture = f'<img{small} src="{link}" alt="{said}" width="{wide}" height="{high}"/>'
    return f'<li class="{tone}">{picture}<br/>{said}{word}</li>'
