"""``name`` and the names of ``cluster`` from the shell: tables, notes, and every bad file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import terrapatch as tp
from rasters import make_raster

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with four clusters in ``c``, of the features ``f.zarr``."""
    home = tmp_path_factory.mktemp("project")
    make_raster(home / "scene.tif")
    tp.embed(home / "scene.tif", home / "f.zarr", size=8, backbone="imagestats")
    tp.cluster(home / "f.zarr", home / "c", 4, polygons=False)
    return home


@pytest.fixture
def clustered(project: Path, tmp_path: Path, cli: Cli) -> Path:
    """Return the clusters in a copy of the project, in which the command line runs."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    return Path("c")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_names_from_options(cli: Cli, clustered: Path) -> None:
    run = cli(
        "name", clustered, "--set", "3=Informal settlement", "--set", "1=Town = old",
        "--merge", "4:3", "--colour", "3=#D55E00",
    )  # fmt: skip
    assert run.code == 0, run.err
    named = tp.ClassMap.open("c/named.tif").legend
    assert set(named.names) == {"Informal settlement", "Town = old", "Cluster 2"}
    assert next(e.colour for e in named if e.name == "Informal settlement") == "#d55e00"
    assert "3, 4" in run.out
    assert "wrote c/named.tif" in run.out
    assert "terrapatch train c/samples.tif --features FEATURES" in run.out
    assert "note: 1 cluster has no name and is shown as Cluster 2; samples.tif leaves it" in run.err

    run = cli("name", clustered, "--merge", "4:", "--set", "1=", "--no-polygons", "--json")
    assert run.code == 0
    assert {tuple(row["clusters"]) for row in run.result["classes"]} == {(1,), (2,), (3,), (4,)}
    assert [row["name"] for row in run.result["classes"] if row["named"]] == ["Informal settlement"]
    assert sum(row["share"] for row in run.result["classes"]) == pytest.approx(1)


def test_names_from_the_folders_own_file_and_from_another(cli: Cli, clustered: Path) -> None:
    own = clustered / "names.csv"
    lines = own.read_text().splitlines()
    own.write_text("\n".join([*lines[:2], lines[2].replace(",,", ",Water,", 1), *lines[3:]]) + "\n")
    assert cli("name", clustered, "--no-polygons", "--quiet").code == 0
    assert "Water" in tp.ClassMap.open("c/named.tif").legend.names
    Path("theirs.csv").write_text("id,name\n1,Town\n")
    run = cli("name", clustered, "--names", "theirs.csv", "--no-polygons")
    assert run.code == 0
    assert "note: the older names are kept in names.csv.bak" in run.err
    assert "Town" in own.read_text()


BAD = {
    "unknown id": ("9,Town,,", "bad.csv, line 2: there is no cluster 9 (id); ids run from 1 to 4"),
    "no id": (",Town,,", "bad.csv, line 2: id is '', which is no id of a cluster; give 1 to 4"),
    "id in words": ("one,Town,,", "bad.csv, line 2: id is 'one', which is no id of a cluster"),
    "id twice": (
        "2,Town,,\n1,,,\n2,City,,",
        "bad.csv, line 4: cluster 2 stands there twice, first in line 2; keep one line for it",
    ),
    "one name twice": (
        "1,Town,,\n3,Town,,",
        "bad.csv, line 3: clusters 1 and 3 are both called 'Town'; give each its own name, or "
        "merge 3 into 1",
    ),
    "the name of another": (
        "1,Cluster 2,,",
        "clusters 1 and 2 are both called 'Cluster 2'; give each its own name, or merge 2 into 1",
    ),
    "bad colour": (
        "1,Town,red,",
        "bad.csv, line 2: cluster 1 has colour 'red'; write it as #rrggbb, for example #d55e00, "
        "or leave it empty",
    ),
    "merge into nothing": (
        "1,Town,,7",
        "bad.csv, line 2: there is no cluster 7 (merge_into); ids run from 1 to 4",
    ),
    "merge into words": ("1,Town,,Sea", "bad.csv, line 2: merge_into is 'Sea', which is no id"),
    "merge into itself": ("2,Town,,2", "bad.csv, line 2: cluster 2 is merged into itself"),
    "a circle": (
        "4,,,1\n1,,,2\n2,Town,,1",
        "bad.csv, line 3: clusters are merged in a circle (1 into 2 into 1); empty the merge_into "
        "of the one that should stay",
    ),
    "a comma too many": (
        "1,Town, old,#112233,",
        "bad.csv, line 2: there are 5 values for 4 columns; put a name that holds a comma in "
        "quotes",
    ),
    "a line break": (
        '1,"To\nwn",,',
        "bad.csv, line 2: the name of cluster 1 has a line break or control character",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_one_sentence_and_writes_nothing(
    cli: Cli, clustered: Path, case: str
) -> None:
    lines, said = BAD[case]
    Path("bad.csv").write_text(f"id,name,colour,merge_into\n{lines}\n")
    before = snapshot(clustered)
    run = cli("name", clustered, "--names", "bad.csv")
    assert run.code == 2
    assert run.err.startswith(f"error: {said}")
    assert len(run.err.splitlines()) == 1
    assert snapshot(clustered) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file bad.csv; check the path"),
        (b"", "bad.csv is empty; its first line names the columns id,name,colour,merge_into"),
        (b"name,colour\nTown,\n", "bad.csv has no column 'id'; its columns are id,name"),
        (b"id,name,color\n1,Town,\n", "bad.csv has an unknown column 'color'; its columns are"),
        (b"id,name,name\n1,Town,\n", "bad.csv has the column 'name' twice; its columns are"),
        ("id,name\n1,Città\n".encode("latin-1"), "bad.csv is not in UTF-8; save it again as CSV"),
    ],
)
def test_a_bad_file(cli: Cli, clustered: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        Path("bad.csv").write_bytes(content)
    run = cli("name", clustered, "--names", "bad.csv")
    assert run.code == 2
    assert run.err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "3"), "--set is '3', without a '='; write --set 3=\"Informal settlement\""),
        (("--set", "x=Town"), "--set names 'x', which is no id of a cluster"),
        (("--set", "1=A", "--set", "1=B"), "--set is given twice for cluster 1; give it once"),
        (("--set", "8=Town"), "there is no cluster 8; ids run from 1 to 4"),
        (("--merge", "4:9"), "there is no cluster 9; ids run from 1 to 4"),
        (("--merge", "4:three"), "--merge names 'three', which is no id of a cluster"),
        (("--merge", "4:3", "--merge", "3:4"), "clusters are merged in a circle (3 into 4 into 3)"),
        (("--colour", "3=red"), "cluster 3 has colour 'red'; write it as #rrggbb"),
        (("--set", "1=A", "--set", "2=A"), "clusters 1 and 2 are both called 'A'"),
    ],
)
def test_bad_options(cli: Cli, clustered: Path, options: tuple[str, ...], said: str) -> None:
    before = snapshot(clustered)
    run = cli("name", clustered, *options)
    assert run.code == 2
    assert run.err.startswith(f"error: {said}"), run.err
    assert snapshot(clustered) == before


def test_a_folder_without_a_result(cli: Cli, clustered: Path) -> None:
    assert "the folder none is not there" in cli("name", "none").err
    run = cli("name", "f.zarr")
    assert run.code == 2
    assert "f.zarr holds no result of terrapatch cluster (clusters.tif is missing)" in run.err


def test_cluster_takes_names_over(cli: Cli, clustered: Path) -> None:
    assert cli("name", clustered, "--set", "1=Town", "--no-polygons").code == 0
    again = ("cluster", "f.zarr", "--no-polygons", "-k", 4, "-o")
    run = cli(*again, "d", "--names-from", "c", "--seed", 3)
    assert run.code == 0, run.err
    assert "note: cluster 1 'Town' is " in run.err or "note: the clusters are those of c" in run.err
    run = cli(*again, "c", "--overwrite")
    assert run.code == 0
    assert "note: the clusters are those of c, and so are their names" in run.err
    assert "Town" in tp.ClassMap.open("c/named.tif").legend.names
    run = cli(*again, "e", "--names-from", "none")
    assert run.code == 2
    assert "the folder none is not there" in run.err
    assert not Path("e").exists()


def test_a_number_of_clusters_that_is_none(cli: Cli) -> None:
    run = cli("cluster", "f.zarr", "-k", "many", "-o", "c")
    assert run.code == 2
    said = "-k is 'many', which is no whole number; give one such as 12, or auto"
    assert run.err == f"error: {said}\n"
