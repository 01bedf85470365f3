"""The figure of how many clusters: all curves, the same bytes, words that fit."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from terrapatch.learn.choosing import KChoice
from terrapatch.studies import _figure_canvas as sheet
from terrapatch.studies._choosing_figures import choosing_figure, draw_choosing


def choice(m: int = 12) -> KChoice:
    ks = np.arange(2, 2 + 3 * m, 3)
    fall = 1 / np.sqrt(ks)
    return KChoice(
        ks, fall, fall / 10, 0.1 + 0 * fall, 2 + fall, 1 - fall, fall / 50, fall,
        int(ks[m // 2]), "peak", 700, 700, 6, 0.8, "standardise-l2", 0,
    )  # fmt: skip


def test_is_svg_with_every_measure_and_the_same_bytes():
    found = choosing_figure(choice())
    assert found == choosing_figure(choice())
    text = " ".join(ElementTree.fromstring(found).itertext())
    for words in ("stability", "silhouette", "Davies-Bouldin", "gap statistic", "inertia"):
        assert words in text
    assert f"begin with {choice().recommended} clusters" in text


@pytest.mark.parametrize("m", [3, 12, 40])
def test_marks_the_recommended_number_in_every_panel_and_no_words_overlap(m):
    with sheet.house_style():
        figure = draw_choosing(choice(m))
        figure.canvas.draw()
        assert len(figure.axes) == 5
        for axes in figure.axes:
            dashed = [line for line in axes.lines if line.is_dashed()]
            assert [line.get_xdata()[0] for line in dashed] == [choice(m).recommended]
        boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert all(box.x0 >= 0 and box.x1 <= sheet.WIDTH for box in boxes)


def test_numbers_that_are_unknown_are_left_out():
    unknown = np.full(12, np.nan)
    found = choosing_figure(replace(choice(), silhouette=unknown, gap=unknown, gap_error=unknown))
    assert found.startswith(b"<?xml")
