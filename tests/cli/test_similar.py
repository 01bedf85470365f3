"""``similar`` from the shell: places, JSON, sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import terrapatch as tp


@pytest.fixture
def centre(embedded: Path) -> str:
    """The middle of the cell in row 4, column 5, as X,Y."""
    box = tp.FeatureRaster.open(embedded).geobox
    x, y = box.affine * (5.5, 4.5)
    return f"{x},{y}"


def test_from_a_place_to_a_map_and_a_list(cli: Callable[..., Any], centre: str) -> None:
    run = cli("similar", "f.zarr", "--at", centre, "-n", 4, "-o", "s.tif", "--json")
    assert run.code == 0, run.err
    assert [hit["rank"] for hit in run.result["hits"]] == [1, 2, 3, 4]
    assert [(e["row"], e["col"]) for e in run.result["examples"]] == [(4, 5)]
    written = [o["path"] for o in run.objects if o["type"] == "output"]
    assert written[0] == "s.tif"
    assert {"s_hits.gpkg", "s_sheet.png"} <= set(written)
    assert all(Path(name).exists() for name in written)
    again = cli("similar", "f.zarr", "--at", centre, "-o", "s.tif")
    assert again.code == 2
    assert "s.tif exists already; pass --overwrite" in again.err
    more = cli("similar", "f.zarr", "--points", "s_hits.gpkg", "-o", "s.tif", "--overwrite")
    assert more.code == 0, more.err
    assert "wrote s.tif" in more.out
    assert "4 points of s_hits.gpkg are without a value" in more.err


def test_refusals_are_one_sentence(cli: Callable[..., Any], centre: str) -> None:
    cases = {
        (): "there is no example of what to look for",
        ("--at", "5;6"): "--at 5;6 is no place; write X,Y",
        ("--not", "1,2,3"): "--not 1,2,3 is no place",
        ("--at", "-79.1,-35.2"): "say so with --crs EPSG:4326",
        ("--at", centre, "--method", "best"): "there is no method 'best'",
        ("--at", centre, "--apart", "far"): "apart 'far' is not understood",
    }
    for options, words in cases.items():
        run = cli("similar", "f.zarr", "-o", "s.tif", *options)
        assert run.code == 2, options
        assert words in run.err
        assert len(run.err.strip().splitlines()) == 1, run.err
    assert not Path("s.tif").exists()
