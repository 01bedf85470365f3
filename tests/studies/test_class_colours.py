"""Classes of a map have the colours a person gave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

import terrapatch as tp
from terrapatch.errors import LegendError, SamplesError
from terrapatch.legend import Legend
from terrapatch.studies.class_colours import legend_of

CLASSES = ("field", "river", "town")


def saved_map(folder: Path) -> Path:
    box = GeoBox.from_bbox((0, 0, 60, 60), crs="EPSG:32643", resolution=20)
    legend = Legend.of(["town", "river"], ["#aa0000", "#0000aa"])
    labels = np.array([[1, 2, 0]] * 3, np.uint8)
    return tp.ClassMap(labels, box, legend).save(folder / "map.tif", polygons=False).path


def test_given_colours_are_kept_and_others_differ(tmp_path: Path) -> None:
    table = tmp_path / "colours.csv"
    table.write_text("colour;class\n#0000AA;river\n")
    for given in (table, {"river": "#0000aa"}):
        legend = legend_of(CLASSES, given)
        assert legend.names == CLASSES
        assert legend[2].colour == "#0000aa"
        assert len(set(legend.colours)) == 3
    assert legend_of(CLASSES, None) == Legend.of(CLASSES)


def test_a_colour_that_is_ours_is_not_used_twice() -> None:
    first = Legend.of(CLASSES).colours[0]
    assert len(set(legend_of(CLASSES, {"town": first}).colours)) == 3


def test_colours_come_from_a_class_map(tmp_path: Path) -> None:
    made = saved_map(tmp_path)
    for legend in (legend_of(CLASSES, made), legend_of(CLASSES, None, [made])):
        assert (legend[2].colour, legend[3].colour) == ("#0000aa", "#aa0000")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class,colour\nlake,#0000aa\n", "colours.csv, line 2: there is no class 'lake'"),
        ("class,colour\ntown,#0000aa\ntown,#aa0000\n", "line 3: the class 'town' has a colour al"),
        ("class,colour\ntown,\n", "line 2: there is nothing under colour"),
        ("class\ntown\n", "line 1: there is no column colour"),
        ("", "colours.csv is empty"),
    ],
)
def test_bad_tables_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "colours.csv"
    table.write_text(text)
    with pytest.raises(SamplesError, match=said):
        legend_of(CLASSES, table)


def test_what_is_no_colour_is_refused() -> None:
    with pytest.raises(LegendError, match="brownish"):
        legend_of(CLASSES, {"field": "brownish"})
