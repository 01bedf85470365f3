"""The sheet every figure is drawn on: its size, inks and letters, and its way to SVG.

A figure is 480 points wide, which a browser shows as 640 pixels, and as high as it needs.
The inks are fixed colours, so that a page may exchange them for its own in the dark. Colours
of data are those of Okabe and Ito ("Color Universal Design", 2008) without yellow and black,
and each comes with a marker and a dash: nothing is told by colour alone.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Floats = NDArray[np.float64]

FIGURE_ID = "terrapatch-figure"
"""Id of the group a figure of ours is drawn in; pages know it by that."""

WIDTH = 480.0  # points: 640 px on a page
INK = "#1f2328"  # words and marks
SOFT = "#59636e"  # words of less weight
LINE = "#d1d9e0"  # frames and grids
PAPER = "#fefefe"  # what shows through
RIGHT = "#005f96"
WRONG = "#a84300"
FONT = 9.0  # points: 12 px on a page
SMALL = 8.0
DOTS = 72  # a point a pixel, so that extents in pixels are extents in points

# Settings that are not about drawing: of windows, the machine and the session.
_SKIP = frozenset(
    (
        "backend",
        "backend_fallback",
        "date.epoch",
        "docstring.hardcopy",
        "figure.max_open_warning",
        "figure.raise_window",
        "interactive",
        "savefig.directory",
        "timezone",
        "tk.window_focus",
        "toolbar",
        "webagg.address",
        "webagg.open_in_browser",
        "webagg.port",
        "webagg.port_retries",
    )
)
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "terrapatch",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": FONT,
    "text.hinting": "no_hinting",  # measured as SVG will be set, not rounded to pixels
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.labelsize": FONT,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
}


@dataclass(frozen=True)
class Series:
    """How one of several series is drawn.

    Attributes:
        colour: ``#rrggbb``.
        marker: A marker of matplotlib.
        dash: Lengths of dashes and gaps in points; empty for a whole line.
    """

    colour: str
    marker: str
    dash: tuple[float, ...]


SERIES = (
    Series("#0072b2", "o", ()),
    Series("#d55e00", "s", (5.0, 2.0)),
    Series("#009e73", "^", (1.5, 1.5)),
    Series("#cc79a7", "D", (6.0, 2.0, 1.5, 2.0)),
    Series("#56b4e9", "v", (3.0, 1.5)),
    Series("#e69f00", "P", (8.0, 2.0)),
)


def series(number: int) -> Series:
    """Return the look of series ``number``, from 0; after six, dashes go with other colours."""
    colour = SERIES[number % len(SERIES)]
    turn = number // len(SERIES)
    other = SERIES[(number + turn) % len(SERIES)]
    return Series(colour.colour, other.marker, other.dash)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with these settings alone, whatever a user's matplotlib is set to, and put them back."""
    import matplotlib

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # the reader's fonts have it
        warnings.filterwarnings("ignore", category=matplotlib.MatplotlibDeprecationWarning)
        default: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
        plain = {key: value for key, value in default.items() if key not in _SKIP}
        with matplotlib.rc_context(plain | _STYLE):
            yield


def canvas(height: float) -> Figure:
    """Return an empty figure ``WIDTH`` wide and ``height`` points high, with an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / DOTS, height / DOTS), dpi=DOTS)
    FigureCanvasAgg(figure)
    figure.set_gid(FIGURE_ID)
    return figure


def axes_at(
    figure: Figure, left: float, bottom: float, width: float, height: float, **how: Any
) -> Axes:
    """Add axes whose corner and size are given in points."""
    sheet_width, sheet_height = figure.get_size_inches() * DOTS
    box = (left / sheet_width, bottom / sheet_height, width / sheet_width, height / sheet_height)
    return figure.add_axes(box, **how)


def write(figure: Figure, x: float, y: float, text: str, **how: Any) -> Text:
    """Write on the sheet, ``x`` and ``y`` in points from its lower left corner."""
    width, height = figure.get_size_inches() * DOTS
    return figure.text(x / width, y / height, text, **how)


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG: words as words, no date, the same bytes for the same figure."""
    stream = io.BytesIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(stream, format="svg", metadata=nothing)
    return stream.getvalue()


def text_width(text: str, size: float) -> float:
    """Return how wide a text is in points, set in DejaVu Sans (wider than most faces)."""
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.ft2font import LoadFlags

    font = get_font(findfont(FontProperties(family=["DejaVu Sans"])))
    font.set_size(size, DOTS)
    font.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)
    return float(font.get_width_height()[0]) / 64.0  # FreeType counts in 64ths


def one_line(text: object) -> str:
    """Return a text in one line without characters that cannot be shown."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "\ufffd" for c in words) or "(no name)"


def fitted(text: object, size: float, width: float) -> str:
    """Return a text in one line, cut in its middle until it is at most ``width`` points wide.

    Names of classes differ at their ends as often as at their beginnings, so both stay.
    """
    whole = one_line(text)
    if text_width(whole, size) <= width:
        return whole
    low, high = 1, len(whole) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(_cut(whole, middle), size) <= width:
            low = middle
        else:
            high = middle - 1
    return _cut(whole, low)


def _cut(text: str, keep: int) -> str:
    tail = keep // 3
    return text[: keep - tail].rstrip() + "…" + (text[-tail:].lstrip() if tail else "")


def names_fitted(names: Sequence[object], size: float, width: float) -> tuple[list[str], float]:
    """Return names of at most ``width`` points each, and the width of the widest."""
    short = [fitted(name, size, width) for name in names]
    return short, max((text_width(name, size) for name in short), default=0.0)


def numbers(values: ArrayLike, what: str, length: int | None = None) -> Floats:
    """Return a row of float64, of the length it must have.

    Raises:
        ValueError: If it is no row of numbers, or of another length.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "one row of numbers" if length is None else f"{length} numbers"
        raise ValueError(f"{what} has shape {array.shape}; give {wanted}")
    return array


def percent(values: Floats, what: str) -> Floats:
    """Return shares from 0 to 1 as percent; NaN stays.

    Raises:
        ValueError: If a number is outside 0 to 1.
    """
    known = values[np.isfinite(values)]
    if known.size and not (known.min() >= 0.0 and known.max() <= 1.0):
        worst = known[np.argmax(np.abs(known - 0.5))]
        raise ValueError(f"{what} holds {worst:g}; give shares from 0 to 1, not percent")
    return 100.0 * values
