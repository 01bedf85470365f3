"""``look`` and the report of ``cluster`` from the shell: files, notes, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def clustered(cli: Cli, embedded: Path) -> Path:
    """Return a folder with four clusters of ``embedded``, without a report."""
    run = cli("cluster", embedded, "-o", "c", "-k", 4, "--no-report", "--no-polygons")
    assert run.code == 0, run.err
    assert not Path("c/report.html").exists()
    return Path("c")


def test_look_from_the_shell(cli: Cli, clustered: Path) -> None:
    run = cli("look", clustered, "--per-cluster", 3, "--seed", 1)
    assert run.code == 0, run.err
    assert "wrote c/report.html" in run.out
    assert "nearest to each other: Cluster" in run.out
    assert "next: open c/report.html in a browser, then: terrapatch name c" in run.out
    run = cli("look", clustered, "--json")
    assert run.code == 0
    assert run.result["report"] == "c/report.html"
    assert sum(row["cells"] for row in run.result["clusters"]) == 64
    medoids = [e["cluster"] for e in run.result["exemplars"] if e["kind"] == "medoid"]
    assert medoids == [1, 2, 3, 4]


def test_cluster_writes_the_report_by_itself(cli: Cli, embedded: Path) -> None:
    run = cli("cluster", embedded, "-o", "c", "-k", 3, "--no-polygons")
    assert run.code == 0, run.err
    assert "wrote c/report.html" in run.out
    assert "next: open c/report.html in a browser and c/clusters.tif in QGIS" in run.out


def test_a_scene_that_is_gone_is_a_note(cli: Cli, clustered: Path) -> None:
    Path("scene.tif").unlink()
    run = cli("look", clustered)
    assert run.code == 0, run.err
    assert "note: no patches are shown: the scene of c is no longer at" in run.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("c", "--per-cluster", 25), "25 exemplars of a cluster cannot be shown; ask for 1 to 24"),
        (("c", "--seed", -1), "the seed -1 is out of range"),
        (("none",), "the folder none is not there; name a folder that terrapatch cluster wrote"),
        (("f.zarr",), "f.zarr holds no result of terrapatch cluster (clusters.tif is missing)"),
    ],
)
def test_what_cannot_be_looked_at(cli: Cli, clustered: Path, args: Any, said: str) -> None:
    run = cli("look", *args)
    assert run.code == 2
    assert said in run.err
    assert not (clustered / "report.html").exists()
