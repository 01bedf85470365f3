"""Figures: what they show, that it can be read, and that the same numbers give the same bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from terrapatch.legend import Legend, perceived
from terrapatch.studies import _figure_canvas as sheet
from terrapatch.studies import figures
from terrapatch.studies._figure_curves import (
    draw_few_labels,
    draw_learning,
    draw_reliability,
    spread,
)
from terrapatch.studies._figure_matrix import counted, draw_confusion, shade
from terrapatch.studies._figure_points import MOST_VECTORS, draw_embedding
from terrapatch.studies._figure_rows import draw_bars, draw_per_class

SVG = "{http://www.w3.org/2000/svg}"


def class_names(k: int, long: bool = False) -> list[str]:
    words = ["forest", "denseresidential", "golfcourse", "river", "mobilehomepark", "runway"]
    more = " of a place with a very long name, near the old harbour" if long else ""
    return [f"{words[i % len(words)]}{more} {i + 1}" for i in range(k)]


def confusion(k: int, per_class: int = 100) -> np.ndarray:
    rng = np.random.default_rng(k)
    table = rng.multinomial(per_class // 10, np.full(k, 1 / k), size=k)
    table[np.arange(k), np.arange(k)] += per_class - table.sum(axis=1)
    return table


def reliability_bins() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sure = (np.arange(15) + 0.5) / 15
    count = np.r_[np.zeros(4), np.arange(11) ** 3]
    held = count > 0
    return np.where(held, sure, np.nan), np.where(held, sure**1.2, np.nan), count


def history(epochs: int) -> dict[str, list[float]]:
    t = np.arange(epochs)
    fit, other = np.exp(-t / 5), 0.2 + np.exp(-t / 5) + 0.01 * np.maximum(t - 12, 0)
    return {
        "train_loss": list(fit),
        "val_loss": list(other),
        "train_accuracy": list(1 - fit * 0.8),
        "val_accuracy": list(0.95 - fit * 0.8),
        "lr": [0.1] * epochs,
    }


def few_labels(methods: int) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, ...]]]:
    x = np.array([1, 2, 5, 10, 20, 50, 80])
    curves = {}
    for number in range(methods):
        mean = 0.97 - 0.4 / x ** (0.9 - 0.05 * number)
        curves[f"method {number} $k$"] = (mean, mean - 0.02, np.minimum(mean + 0.02, 1))
    return x, curves


def cloud(n: int, k: int) -> tuple[np.ndarray, np.ndarray, Legend]:
    rng = np.random.default_rng(n)
    ids = rng.integers(0, k + 1, n)
    return rng.normal(size=(n, 2)) + 5 * np.c_[np.cos(ids), np.sin(ids)], ids, LEGEND(k)


def LEGEND(k: int) -> Legend:  # noqa: N802
    return Legend.of(class_names(k))


def bars(names: list[str]) -> tuple[object, ...]:
    values = np.linspace(0.048, 0.987, len(names)) * 100
    return names, values, values - 1.5, np.r_[values[:-1] + 1, np.nan], "overall accuracy (%)"


MADE: dict[str, Callable[[], bytes]] = {
    "confusion": lambda: figures.confusion_figure(confusion(9), class_names(9)),
    "per class": lambda: figures.per_class_figure(
        class_names(5), [1, 0.9, 0.8, np.nan, 0.7], [0.9] * 5, [0.95, 0.9, 0.85, np.nan, 0.8]
    ),
    "reliability": lambda: figures.reliability_figure(*reliability_bins(), 0.018),
    "learning": lambda: figures.learning_curve_figure(history(20), "overfit"),
    "bars": lambda: figures.bars_with_intervals(*bars(class_names(6)), reference=(86.9, "forest")),
    "few labels": lambda: figures.few_labels_figure(*few_labels(3)),
    "embedding": lambda: figures.embedding_figure(*cloud(300, 5)),
}


@pytest.mark.parametrize("name", MADE)
def test_a_figure_is_svg_with_words_and_the_same_every_time(name):
    first = MADE[name]()
    before = dict(matplotlib.rcParams)
    changed = {"font.size": 21, "axes.grid": True, "svg.fonttype": "path", "lines.linewidth": 9}
    with matplotlib.rc_context(changed):
        again = MADE[name]()
    assert dict(matplotlib.rcParams) == before
    assert again == first
    root = ElementTree.fromstring(first)
    assert root.tag == f"{SVG}svg"
    assert root.get("width") == "480pt"
    assert len(root.findall(f".//{SVG}text")) >= 5
    assert not re.search(rb"20\d\d-\d\d-\d\d|Matplotlib v", first)
    links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
    assert all(link.startswith(("#", "data:image/png")) for link in links)


def texts(svg: bytes) -> list[str]:
    return ["".join(t.itertext()).strip() for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def boxes(figure: Figure) -> list[tuple[str, np.ndarray]]:
    """Return what is written on a figure and where, in points."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found, beyond = [], set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        far = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
        beyond |= {label for tick in far for label in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        if text not in beyond and text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(renderer)
            found.append((text.get_text(), np.array([box.x0, box.y0, box.x1, box.y1])))
    return found


def assert_readable(figure: Figure, apart: bool = True) -> None:
    """Every word lies on the sheet, none on another."""
    width, height = figure.get_size_inches() * sheet.DOTS
    written = boxes(figure)
    for text, (x0, y0, x1, y1) in written:
        assert x0 >= -1, text
        assert y0 >= -1, text
        assert x1 <= width + 1, text
        assert y1 <= height + 1, text
    assert not apart or not overlaps(written)


def overlaps(written: list[tuple[str, np.ndarray]]) -> list[tuple[str, str]]:
    """Return the pairs of texts that share more than a point in both directions."""
    box = np.array([place for _, place in written])
    deep = np.minimum(box[:, None, 2:], box[None, :, 2:])
    deep -= np.maximum(box[:, None, :2], box[None, :, :2])
    pairs = np.argwhere(np.triu(deep.min(axis=2) > 1.0, 1))
    return [(written[i][0], written[j][0]) for i, j in pairs]


@pytest.mark.parametrize(
    ("k", "long"),
    [
        (1, True),
        (2, False),
        (7, True),
        (20, False),
        (21, True),
        (25, True),
        (26, False),
        (150, True),
    ],
)
def test_a_confusion_can_be_read(k, long):
    with sheet.house_style():
        figure = draw_confusion(confusion(k, 1000 if k == 25 else 100), class_names(k, long))
        assert_readable(figure, apart=k <= 25)


@pytest.mark.parametrize(("k", "long"), [(1, False), (2, True), (45, True)])
def test_rows_of_names_can_be_read(k, long):
    rng = np.random.default_rng(k)
    recall, precision, f1 = rng.uniform(40, 100, (3, k))
    names = class_names(k, long)
    with sheet.house_style():
        assert_readable(draw_per_class(names, recall, precision, f1))
        assert_readable(draw_bars(*bars(names), (99.0, "x" * 200), True))


@pytest.mark.parametrize(
    ("reference", "from_zero"),
    [(None, False), ((1.0, "majority class"), True), ((50.0, "forest"), False)],
)
def test_a_reference_can_be_read(reference, from_zero):
    with sheet.house_style():
        assert_readable(draw_bars(*bars(class_names(3)), reference, from_zero))


@pytest.mark.parametrize(
    ("epochs", "verdict"),
    [(1, None), (3, "good"), (40, None), (300, "overfit: " + "the validation loss rises " * 5)],
)
def test_learning_curves_can_be_read(epochs, verdict):
    rows = {k: np.array(v) for k, v in history(epochs).items()}
    curves = {
        "loss": {"training": rows["train_loss"], "validation": 1e4 * rows["val_loss"]},
        "accuracy (%)": {"training": 100 * rows["train_accuracy"]},
    }
    with sheet.house_style():
        assert_readable(draw_learning(curves, verdict))
        assert_readable(draw_learning({"loss": curves["loss"]}, verdict))


def test_other_curves_can_be_read():
    with sheet.house_style():
        sure, right, count = reliability_bins()
        assert_readable(draw_reliability(100 * sure, 100 * right, 1e5 * count, 1.8))
        for methods in (1, 3, 9):
            x, curves = few_labels(methods)
            shown = {k: tuple(100 * np.asarray(part) for part in v) for k, v in curves.items()}
            assert_readable(draw_few_labels(x, shown, "overall accuracy (%)", "labels a class"))


@pytest.mark.parametrize("k", [1, 21, 60])
def test_an_embedding_can_be_read(k):
    points, ids, legend = cloud(400, k)
    with sheet.house_style():
        figure = draw_embedding(points, ids.astype(np.int64), legend)
        assert_readable(figure, apart=k == 1)
        outside = [(t, b) for t, b in boxes(figure) if not t.isdigit()]
    assert not overlaps(outside)


def test_a_confusion_shows_counts_and_shares_of_rows():
    table = np.array([[90, 10, 0], [0, 0, 0], [1, 0, 99]])
    with sheet.house_style():
        figure = draw_confusion(table, ["a", "b", "c"])
    written = sorted(t.get_text() for t in figure.axes[0].texts)
    assert written == sorted(["90", "10", "1", "99", "recall", "90.0 %", "–", "99.0 %"])
    drawn = {}
    for patch in figure.axes[0].patches:
        for corners in patch.get_path().vertices.reshape(-1, 5, 2):
            col, row = np.floor(corners.mean(axis=0)).astype(int)
            colour = matplotlib.colors.to_hex(patch.get_facecolor())
            drawn[row, col] = (colour, patch.get_alpha())
    assert {cell: colour for cell, (colour, _) in drawn.items()} == {
        (0, 0): sheet.RIGHT,
        (0, 1): sheet.WRONG,
        (2, 0): sheet.WRONG,
        (2, 2): sheet.RIGHT,
    }
    for (row, col), (_, alpha) in drawn.items():
        share = table[row, col] / table[row].sum()
        assert alpha == pytest.approx(float(shade(np.float64(share))), abs=0.02)


def test_a_count_takes_little_room():
    numbers = [0, 9_999, 10_000, 999_499, 999_500, 9_949_999, 9_950_000, 123_456_789]
    short = ["0", "9999", "10k", "999k", "1.0M", "9.9M", "10M", "123M"]
    assert [counted(n) for n in numbers] == short


def test_a_large_confusion_is_shades_alone_and_small():
    svg = figures.confusion_figure(confusion(60), class_names(60))
    assert "90" not in texts(svg)
    assert len(svg) < 300_000


def test_classes_are_ordered_by_f1_the_worst_first_the_unknown_last():
    with sheet.house_style():
        figure = draw_per_class(
            ["a", "b", "c", "d"],
            np.array([90.0, 80, np.nan, 70]),
            np.array([90.0, 80, 60, 70]),
            np.array([90.0, 80, np.nan, 70]),
        )
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["d", "b", "a", "c"]
    assert figure.axes[0].get_xlim() == (50.0, 100.0)
    assert [t.get_text() for t in figure.axes[0].texts] == ["70.0", "80.0", "90.0", "–", "F1"]


def test_a_reliability_curve_leaves_out_empty_bins():
    with sheet.house_style():
        figure = draw_reliability(
            np.array([np.nan, 40.0, 90.0]),
            np.array([np.nan, 50.0, 80.0]),
            np.array([0.0, 2.0, 10.0]),
            np.nan,
        )
    curve = figure.axes[0].lines[1]
    assert curve.get_xydata().tolist() == [[40.0, 50.0], [90.0, 80.0]]
    assert [bar.get_height() for bar in figure.axes[1].patches] == [0.0, 2.0, 10.0]
    assert "expected calibration error unknown" in [t.get_text() for t in figure.texts]


def test_learning_curves_mark_the_best_epoch():
    curves = {
        "train_loss": [3.0, 2.0, 1.0, 0.5],
        "val_loss": [3.0, float("nan"), 1.5, 2.0],
        "val_accuracy": [0.5, 0.6, 0.7, 0.9],
    }
    assert "best epoch 3 (dotted)" in texts(figures.learning_curve_figure(curves))
    only = {"val_accuracy": curves["val_accuracy"]}
    assert "best epoch 4 (dotted)" in texts(figures.learning_curve_figure(only))
    trained = texts(figures.learning_curve_figure({"train_loss": [1.0]}))
    assert "training" in trained
    assert not any("best epoch" in text or text == "validation" for text in trained)


def test_bars_write_their_numbers():
    svg = figures.bars_with_intervals(
        ["a", "b", "c"],
        [98.31, 50, np.nan],
        [97.5, np.nan, np.nan],
        [99, np.nan, np.nan],
        "%",
        86.9,
    )
    assert {"98.3  (97.5 to 99.0)", "50.0", "–", "86.9"} <= set(texts(svg))
    small = figures.bars_with_intervals(["a"], [0.5], [0.4], [0.6], "F1", from_zero=False)
    assert "0.500  (0.400 to 0.600)" in texts(small)


def test_many_points_become_a_picture_and_absent_classes_no_line():
    points, ids, legend = cloud(MOST_VECTORS + 1, 6)
    ids[ids == 6] = 5
    svg = figures.embedding_figure(points, ids, legend)
    assert b"<image" in svg
    assert len(svg) < 400_000
    written = texts(svg)
    assert "5 mobilehomepark 5" in written
    assert not any(text.startswith("6 ") for text in written)
    assert {"1", "2", "3", "4", "5"} <= set(written)


def test_points_without_a_place_are_not_drawn():
    points = np.array([[0.0, 0.0], [np.nan, 1.0], [1.0, 1.0]])
    svg = figures.embedding_figure(points, np.array([1, 2, 0]), LEGEND(2))
    assert "no class" in texts(svg)


def test_names_are_shown_as_they_are():
    odd = ["_hidden", r"$\frac{1}{0}$", "<script>alert(1)</script>", "a\nb\x07c", "森林 & co", ""]
    shown = ["_hidden", r"$\frac{1}{0}$", "<script>alert(1)</script>", "a b�c", "森林 & co"]
    for svg in (
        figures.confusion_figure(np.eye(6, dtype=int), odd),
        figures.per_class_figure(odd, *np.full((3, 6), 0.9)),
        figures.bars_with_intervals(odd, *np.full((3, 6), 0.9), "share"),
        figures.few_labels_figure([1, 2], {name: ([0.5, 0.6],) * 3 for name in odd}),
    ):
        assert set(shown) | {"(no name)"} <= set(texts(svg))


def test_a_long_name_keeps_both_ends():
    with sheet.house_style():
        short = sheet.fitted("dense residential area with gardens, northern part", 9.0, 110.0)
        assert sheet.text_width(short, 9.0) <= 110.0
    assert short.startswith("dense resid")
    assert short.endswith("part")
    assert "…" in short


@settings(max_examples=100, deadline=None)
@given(
    places=st.lists(st.floats(-20, 120), min_size=1, max_size=12),
    gap=st.floats(0.5, 12),
)
def test_labels_are_spread_as_little_as_need_be(places, gap):
    at = np.array(places)
    moved = spread(at, gap, 0.0, 100.0)
    order = np.argsort(at, kind="stable")
    fits = min(gap, 100.0 / max(len(at) - 1, 1))
    assert (np.diff(moved[order]) >= fits - 1e-9).all()
    assert moved.min() >= -1e-9
    assert moved.max() <= 100 + 1e-9
    inside = (at >= 0).all() and (at <= 100).all()
    if inside and (np.diff(np.sort(at)) >= fits).all():
        np.testing.assert_allclose(moved, at, atol=1e-9)


def test_colours_are_told_apart_by_every_eye_and_letters_stand_out():
    chosen = [look.colour for look in sheet.SERIES]
    assert len({(look.marker, look.dash) for look in sheet.SERIES}) == len(sheet.SERIES)
    assert len({sheet.series(i) for i in range(18)}) == 18
    for colours, least in ((chosen, 15.0), ([sheet.RIGHT, sheet.WRONG], 40.0)):
        rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], np.uint8)
        lab = perceived(rgb)
        apart = np.linalg.norm(lab[:, :, None] - lab[:, None], axis=-1)
        assert apart[:, ~np.eye(len(rgb), dtype=bool)].min() > least


@pytest.mark.filterwarnings("error")
def test_the_barest_numbers_are_drawn():
    nan = float("nan")
    one = Legend.of(["a"])
    bare = [
        figures.confusion_figure([[0]], ["a"]),
        figures.per_class_figure(["a"], [nan], [nan], [nan]),
        figures.reliability_figure([nan], [nan], [0], nan),
        figures.learning_curve_figure({"val_loss": [nan, nan], "train_loss": [nan, 1]}),
        figures.bars_with_intervals(["a"], [nan], [nan], [nan], "x"),
        figures.bars_with_intervals(["a"], [0], [0], [0], "x", 0.0, from_zero=False),
        figures.few_labels_figure([5], {"a": ([0.5], [0.4], [0.6]), "b": ([nan], [nan], [nan])}),
        figures.embedding_figure([[1, 1], [1, 1]], [1, 0], one),
    ]
    for svg in bare:
        assert not re.search(rb'"[^"]*\bnan\b|\binf\b', re.sub(rb">[^<]*<", b"", svg))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: figures.confusion_figure([[1, 2]], ["a"]), "does not fit 1 classes"),
        (lambda: figures.confusion_figure(np.eye(2), ["a", "b"]), "whole numbers"),
        (lambda: figures.confusion_figure([[-1]], ["a"]), "whole numbers from 0"),
        (lambda: figures.per_class_figure([], [], [], []), "no class to draw"),
        (lambda: figures.per_class_figure(["a"], [98.0], [1], [1]), "recall holds 98"),
        (lambda: figures.per_class_figure(["a"], [1, 1], [1], [1]), "give 1 numbers"),
        (lambda: figures.reliability_figure([0.5], [0.5], [-1], 0.0), "numbers from 0"),
        (lambda: figures.reliability_figure([0.5], [0.5], [1], 2.0), "calibration error holds 2"),
        (lambda: figures.learning_curve_figure({"lr": [1.0]}), "'lr' has no curve"),
        (lambda: figures.learning_curve_figure({"val_accuracy": [97.0]}), "not percent"),
        (lambda: figures.bars_with_intervals(["a"], [1], [1], [1, 2], "x"), "upper ends"),
        (lambda: figures.few_labels_figure([5, 1], {"a": ([1, 1],) * 3}), "must rise"),
        (lambda: figures.few_labels_figure([1, 5], {}), "no method"),
        (lambda: figures.embedding_figure([[1, 2]], [3], LEGEND(2)), "id 3 is not in a legend"),
        (lambda: figures.embedding_figure([[1, 2]], [-1], LEGEND(2)), "id -1"),
        (lambda: figures.embedding_figure([[1, 2]], [0.5], LEGEND(2)), "whole numbers"),
        (lambda: figures.embedding_figure([[np.nan, 2]], [1], LEGEND(2)), "without NaN"),
        (lambda: figures.embedding_figure([[1, 2, 3]], [1], LEGEND(2)), "do not go together"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(make, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make()


def test_importing_draws_nothing_in():
    code = (
        "import sys, terrapatch.studies.figures; "
        "sys.exit(any(m in sys.modules for m in ('matplotlib', 'torch', 'sklearn', 'PIL')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
