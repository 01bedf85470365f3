"""The whole way through the commands, for people and for machines."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

EMBED = ("--size", "8", "--backbone", "imagestats")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_embed_cluster_explain(cli, make_raster) -> None:
    make_raster("scene.tif", nodata=0)
    run = cli("embed", "scene.tif", "-o", "f.zarr", "--size", "4m", "--stride", "2m", *EMBED[2:])
    assert run.code == 0
    assert "wrote f.zarr" in run.out
    assert "16 x 16 cells of 6 features" in run.out
    assert "bands 1 red, 2 green, 3 blue; values 0 to 255" in run.err
    assert "patches of 8 px (3.999 m)" in run.err
    assert "16 x 16 cells" in run.err

    run = cli("cluster", "f.zarr", "-k", 4, "--seed", 1, "-o", "c")
    assert run.code == 0, run.err
    with Path("c/clusters.csv").open() as text:
        rows = list(csv.DictReader(text))
    table = [line.split() for line in run.out.splitlines()[1:5]]
    assert [line[0] for line in table] == ["1", "2", "3", "4"]
    for line, row in zip(table, rows, strict=True):
        assert line[1] == row["colour"]
        assert line[2:5] == ["Cluster", row["id"], row["cells"]]
    with rasterio.open("c/clusters.tif") as made:
        assert np.unique(made.read(1)).tolist() == [0, 1, 2, 3, 4]
    assert "wrote c/clusters.tif" in run.out

    told = cli("explain", "c").out
    for words in ("scene.tif", "k = 4, seed 1", "8 px (3.999 m)", "imagestats", "EPSG:32643"):
        assert words in told


def test_objects_for_machines(cli, make_raster) -> None:
    make_raster("scene.tif")
    run = cli("embed", "scene.tif", "-o", "f.zarr", *EMBED, "--json")
    assert run.err == ""
    kinds = [o["type"] for o in run.objects]
    assert kinds[-2:] == ["output", "result"]
    assert set(kinds) == {"message", "progress", "output", "result"}
    assert run.result["rows"] == 8
    assert run.result["features"] == 6
    last = [o for o in run.objects if o["type"] == "progress"][-1]
    assert last == {"type": "progress", "stage": "embed", "done": 64, "total": 64}

    run = cli("cluster", "f.zarr", "-k", 3, "-o", "c", "--json")
    assert [row["id"] for row in run.result["clusters"]] == [1, 2, 3]
    assert sum(row["cells"] for row in run.result["clusters"]) == 64
    outputs = [Path(o["path"]) for o in run.objects if o["type"] == "output"]
    assert outputs[0] == Path("c/clusters.tif")
    assert all(path.is_file() for path in outputs)

    assert cli("explain", "f.zarr", "--json").result["recipe"]["backbone"]["name"] == "imagestats"


def test_quiet_says_nothing(cli, make_raster) -> None:
    make_raster("scene.tif")
    for args in (
        ("embed", "scene.tif", "-o", "f.zarr", *EMBED),
        ("cluster", "f.zarr", "-k", 3, "-o", "c"),
        ("info", "scene.tif"),
        ("backbones", "list"),
    ):
        run = cli(*args, "--quiet")
        assert (run.code, run.out, run.err) == (0, "", "")
    run = cli("embed", "scene.tif", "-o", "f.zarr", *EMBED, "--quiet", "--json", "--overwrite")
    assert [o["type"] for o in run.objects] == ["output", "result"]


def test_dry_run_writes_nothing(cli, make_raster) -> None:
    make_raster("scene.tif")
    run = cli("embed", "scene.tif", "-o", "f.zarr", *EMBED, "--dry-run")
    assert run.code == 0
    assert "nothing was written; f.zarr would be made" in run.out
    assert [p.name for p in Path().iterdir()] == ["scene.tif"]
    found = cli("embed", "scene.tif", "-o", "f.zarr", *EMBED, "--dry-run", "--json").result
    assert (found["cells"], found["patches"], found["features"]) == (64, 64, 6)
    assert 0 < found["store_bytes"] <= 1.2 * 64 * 6 * 2
    assert found["memory_bytes"] > 0
    assert found["seconds"] > 0
    assert cli("embed", "no.tif", "-o", "f.zarr", *EMBED, "--dry-run").code == 2


def test_dry_run_says_what_a_run_would_do(cli, embedded: Path) -> None:
    args = ("embed", "scene.tif", "-o", embedded, *EMBED, "--dry-run")
    assert "would be refused: f.zarr exists already" in cli(*args).out
    assert "f.zarr would be replaced" in cli(*args, "--overwrite").out


@pytest.mark.slow
def test_dry_run_measures_a_network(cli, make_raster) -> None:
    make_raster("scene.tif", height=96, width=96)
    found = cli("embed", "scene.tif", "-o", "f.zarr", "--size", 32, "--dry-run", "--json",
                "--precision", "fp32").result  # fmt: skip
    assert found["seconds"] == pytest.approx(9 / found["cells_per_second"])
    assert found["features"] == 4128


def test_restart_discards_an_unfinished_run(cli, make_raster) -> None:
    make_raster("scene.tif")
    other = ("embed", "scene.tif", "-o", "f.zarr", "--size", 16, *EMBED[2:])
    assert cli(*other).code == 0
    Path("f.zarr").rename("f.zarr.part")
    args = ("embed", "scene.tif", "-o", "f.zarr", *EMBED)
    refused = cli(*args)
    assert refused.code == 2
    assert "--restart" in refused.err
    assert cli(*args, "--restart").code == 0


def test_model_applied_to_another_scene(cli, embedded: Path, make_raster) -> None:
    assert cli("cluster", embedded, "-k", 3, "-o", "c", "--no-polygons").code == 0
    assert not list(Path("c").glob("*polygons.gpkg"))
    make_raster("other.tif", seed=5, height=40)
    assert cli("embed", "other.tif", "-o", "o.zarr", *EMBED).code == 0
    run = cli("cluster", "o.zarr", "--model", "c", "-o", "d", "--json")
    assert run.code == 0, run.err
    assert run.result["k"] == 3
    assert snapshot(Path("c/model")) == snapshot(Path("d/model"))


def test_same_seed_same_bytes(cli, embedded: Path) -> None:
    for name in ("a", "b"):
        assert cli("cluster", embedded, "-k", 4, "--seed", 3, "-o", name).code == 0
    assert snapshot(Path("a")) == snapshot(Path("b"))


def test_scene_without_crs(cli, make_raster) -> None:
    make_raster("scene.tif", crs=None, transform=None)
    assert cli("embed", "scene.tif", "-o", "f.zarr", *EMBED).code == 0
    run = cli("cluster", "f.zarr", "-k", 3, "-o", "c")
    assert run.code == 0
    assert "note: the grid has no CRS" in run.err
    assert "hectares" not in run.out


@pytest.mark.parametrize(
    ("name", "options"),
    [("f.parquet", ()), ("f.tif", ()), ("f.npz", ()), ("f.png", ()), ("p.tif", ("--picture",))],
)
def test_export(cli, embedded: Path, name: str, options: tuple[str, ...]) -> None:
    run = cli("export", embedded, "-o", name, *options, "--json")
    assert run.code == 0, run.err
    assert run.result["bytes"] == Path(name).stat().st_size
    again = cli("export", embedded, "-o", name, *options)
    assert again.code == 2
    assert "exists" in again.err
    assert cli("export", embedded, "-o", name, *options, "--overwrite").code == 0


def test_export_to_an_unknown_format(cli, embedded: Path) -> None:
    run = cli("export", embedded, "-o", "f.docx")
    assert run.code == 2
    assert run.err.startswith("error: cannot tell from the name")


def test_demo_is_one_call(cli, monkeypatch) -> None:
    import terrapatch.studies.demo as study

    asked = {}

    class Made:
        lines = ("first", "second")
        files = (Path("d/map.tif"),)

    def demo(out: Path, **options: object) -> Made:
        asked.update(out=out, **options)
        return Made()

    monkeypatch.setattr(study, "demo", demo)
    run = cli("demo", "-o", "d", "--seed", 4, "--overwrite")
    assert run.out == "first\nsecond\nwrote d/map.tif\n"
    progress = asked.pop("progress")
    assert callable(progress)
    assert asked == {"out": Path("d"), "seed": 4, "overwrite": True}


def test_python_dash_m(make_raster, tmp_path: Path) -> None:
    make_raster("scene.tif")
    args = [sys.executable, "-m", "terrapatch", "info", "scene.tif"]
    done = subprocess.run(args, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "EPSG:32643" in done.stdout
    assert done.stderr == ""
