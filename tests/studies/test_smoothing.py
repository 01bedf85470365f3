"""Smoothing a map changes what it says it changes, and never what is no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox

from made_maps import UTM, class_map
from terrapatch.errors import MapError, OutputError, SamplesError
from terrapatch.legend import Legend
from terrapatch.maps import ClassMap
from terrapatch.studies.smoothing import smooth

LEGEND = Legend.of(["a", "b", "c"])


def made(values: np.ndarray, crs: str | None = "EPSG:32643") -> ClassMap:
    grid = GeoBox(values.shape, UTM.affine, crs)
    return ClassMap(values.astype(np.uint8), grid, LEGEND, {"k": 3}, "Clusters")


@given(
    values=arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3)
    ),
    size=st.sampled_from([0, 3, 5]),
    cells=st.sampled_from([None, 1.5, 4.0]),
)
def test_no_data_stays_and_nothing_else_becomes_it(
    values: np.ndarray, size: int, cells: float | None
) -> None:
    least = None if cells is None else cells * 0.36  # cells of 60 m
    if size == 0 and least is None:
        return
    done = smooth(made(values), size=size, min_hectares=least)
    assert ((done.class_map.values == 0) == (values == 0)).all()
    assert done.changed == (done.class_map.values != values).sum()
    assert done.cells == (values > 0).sum()
    assert done.class_map.legend == LEGEND


def test_what_went_where_is_said() -> None:
    values = np.ones((5, 5), int)
    values[2, 2] = 2
    values[0, 0] = 3
    done = smooth(made(values))
    assert [(m.source, m.target, m.cells) for m in done.moves] == [("b", "a", 1), ("c", "a", 1)]
    assert done.moves[0].hectares == pytest.approx(0.36, rel=3e-3)
    assert "no cell is left of b, c" in " ".join(done.notes)


def test_small_patches_go_by_their_hectares() -> None:
    values = np.ones((6, 6), int)
    values[1, 1:4] = 2  # three cells of 0.36 ha
    kept = smooth(made(values), size=0, min_hectares=1.0)
    gone = smooth(made(values), size=0, min_hectares=1.2)
    assert kept.changed == 0
    assert gone.changed == 3
    assert gone.notes[0] == "patches below 1.2 ha that became part of a neighbour: 1"


def test_the_file_is_a_map_like_the_other(tmp_path: Path) -> None:
    before = class_map(5)
    before.save(tmp_path / "clusters.tif")
    done = smooth(tmp_path / "clusters.tif", tmp_path / "s.tif", size=5, min_hectares=2)
    after = ClassMap.open(tmp_path / "s.tif")
    assert (after.values == done.class_map.values).all()
    assert after.legend == before.legend
    assert after.provenance["smoothing"] == {
        "of": "clusters.tif", "size": 5, "min_hectares": 2,
    }  # fmt: skip
    assert after.provenance["k"] == 5
    assert (tmp_path / "s_polygons.gpkg") in done.files
    assert (ClassMap.open(tmp_path / "clusters.tif").values == before.values).all()


def test_a_map_without_a_crs_is_smoothed_but_not_by_hectares() -> None:
    plain = made(np.array([[1, 1, 1], [1, 2, 1], [1, 1, 1]]), None)
    assert smooth(plain).moves[0].hectares is None
    with pytest.raises(MapError, match="has no CRS"):
        smooth(plain, min_hectares=1)


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    class_map(3).save(tmp_path / "m.tif")
    path = tmp_path / "m.tif"
    for fault, sentence, call in (
        (MapError, "nothing to smooth", lambda: smooth(path, size=0)),
        (MapError, "give a positive area", lambda: smooth(path, min_hectares=-1)),
        (SamplesError, "has no middle", lambda: smooth(path, size=4)),
        (OutputError, "is the map itself", lambda: smooth(path, path, overwrite=True)),
        (MapError, "there is no map", lambda: smooth(tmp_path / "x.tif", tmp_path / "y.tif")),
    ):
        with pytest.raises(fault, match=sentence):
            call()
