"""Bad input ends in one sentence and exit code 2; our faults in one sentence and 1."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

import terrapatch.features

STATS = ("--backbone", "imagestats")
UTM = CRS.from_epsg(32643)


def embed_refuses(cli, *args: object) -> str:
    """Run embed, check that it refuses in one line and leaves nothing, and return the sentence."""
    run = cli("embed", *args, "-o", "out.zarr", *STATS)
    assert run.code == 2, run.err
    return one_sentence(run.err)


def one_sentence(err: str) -> str:
    """Return the last line, which is the error; the lines above it are messages."""
    *messages, last = err.splitlines()
    assert last.startswith("error: ")
    assert not any(word in err for word in ("Traceback", "ERROR 1", "WARNING", "Warning:"))
    assert all(": bands" in line or ": patches" in line for line in messages)
    assert not list(Path().glob("out*"))
    return last.removeprefix("error: ")


def test_missing_file(cli) -> None:
    assert embed_refuses(cli, "no.tif", "--size", 8) == "there is no file no.tif; check the path"


def test_not_a_raster(cli) -> None:
    Path("text.tif").write_text("no raster at all")
    said = embed_refuses(cli, "text.tif", "--size", 8)
    assert said.startswith("text.tif cannot be opened as a raster")
    assert said.endswith("and whole")


def test_zero_bands(cli) -> None:
    Path("empty.vrt").write_text('<VRTDataset rasterXSize="8" rasterYSize="8"></VRTDataset>')
    assert "bands" in embed_refuses(cli, "empty.vrt", "--size", 8)


def test_wrong_band_name(cli, make_raster) -> None:
    make_raster("s.tif")
    said = embed_refuses(cli, "s.tif", "--size", 8, "--bands", "red,infrared")
    assert "no band named 'infrared'" in said
    assert "1 red, 2 green, 3 blue" in said


def test_unknown_units(cli, make_raster) -> None:
    make_raster("s.tif", dtype="uint16")
    said = embed_refuses(cli, "s.tif", "--size", 8)
    assert "the units of s.tif (uint16) are not known" in said
    assert "--units" in said
    assert "not understood" in embed_refuses(cli, "s.tif", "--size", 8, "--units", "bright")


def test_stride_above_size(cli, make_raster) -> None:
    make_raster("s.tif")
    said = embed_refuses(cli, "s.tif", "--size", 8, "--stride", 9)
    assert "stride 9px is larger than patch size 8px" in said


def test_metres_without_crs(cli, make_raster) -> None:
    make_raster("s.tif", crs=None)
    assert "has no CRS" in embed_refuses(cli, "s.tif", "--size", "60m")


def test_size_that_is_none(cli, make_raster) -> None:
    make_raster("s.tif")
    assert "'large' is not understood" in embed_refuses(cli, "s.tif", "--size", "large")


def test_patch_larger_than_memory(cli, make_raster) -> None:
    make_raster("s.tif")
    said = embed_refuses(cli, "s.tif", "--size", 10_000_000)
    assert "GB of memory" in said
    assert "smaller --size" in said


def test_all_nodata(cli, make_raster) -> None:
    make_raster("s.tif", nodata=0, values="constant", level=0)
    assert "holds no valid pixel" in embed_refuses(cli, "s.tif", "--size", 8)


@pytest.mark.parametrize("level", [np.nan, np.inf])
def test_nothing_finite(cli, make_raster, level: float) -> None:
    make_raster("s.tif", dtype="float32", values="constant", level=level)
    said = embed_refuses(cli, "s.tif", "--size", 8, "--units", "0:1")
    assert "holds no valid pixel" in said


def test_rotated(cli, make_raster) -> None:
    make_raster("s.tif", transform=Affine.translation(5e5, 2e6) @ Affine.rotation(20))
    said = embed_refuses(cli, "s.tif", "--size", 8)
    assert "is rotated" in said
    assert "gdalwarp s.tif" in said


def test_south_up(cli, make_raster) -> None:
    make_raster("s.tif", transform=Affine(0.5, 0, 5e5, 0, 0.5, 2e6))
    assert "south-up" in embed_refuses(cli, "s.tif", "--size", 8)


def test_control_points_only(cli) -> None:
    corners = ((0, 0), (0, 16), (16, 0), (16, 16))
    points = [GroundControlPoint(r, c, 5e5 + c, 2e6 - r) for r, c in corners]
    with rasterio.open(
        "s.tif", "w", driver="GTiff", height=16, width=16, count=3, dtype="uint8"
    ) as out:
        out.gcps = (points, UTM)
        out.write(np.ones((3, 16, 16), np.uint8))
    assert "4 ground control points" in embed_refuses(cli, "s.tif", "--size", 8)


def test_damaged_block(cli, make_raster) -> None:
    path = make_raster("s.tif", height=256, width=256, compress="deflate")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\0" * (len(whole) // 2))
    said = embed_refuses(cli, "s.tif", "--size", 8)
    assert "is damaged" in said or "cannot be opened" in said


@pytest.mark.data
def test_real_file_with_corrupt_tiles(cli, data_dir) -> None:
    said = embed_refuses(cli, data_dir("tricky", "jpeg_cog_corrupt_tiles.tif"), "--size", 64)
    assert "is damaged" in said


def test_options_that_do_not_exist(cli, make_raster) -> None:
    make_raster("s.tif")
    assert "no layer 'top'" in embed_refuses(cli, "s.tif", "--size", 8, "--layers", "top")
    assert "no pooling 'max'" in embed_refuses(cli, "s.tif", "--size", 8, "--pooling", "max")
    assert "edge rule 'wrap'" in embed_refuses(cli, "s.tif", "--size", 8, "--edge", "wrap")
    assert "'int8' is not known" in embed_refuses(cli, "s.tif", "--size", 8, "--dtype", "int8")
    run = cli("embed", "s.tif", "-o", "out.zarr", "--size", 8, "--backbone", "resnet9000")
    assert run.code == 2
    assert "no backbone 'resnet9000'" in one_sentence(run.err)


def test_output_in_a_file(cli, make_raster) -> None:
    make_raster("s.tif")
    run = cli("embed", "s.tif", "-o", "s.tif/f.zarr", "--size", 8, *STATS)
    assert run.code == 2
    assert "a part of that path is a file" in one_sentence(run.err)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_output_folder_without_permission(cli, make_raster) -> None:
    make_raster("s.tif")
    Path("closed").mkdir(mode=0o500)
    for args in (
        ("embed", "s.tif", "-o", "closed/f.zarr", "--size", 8, *STATS),
        ("demo", "-o", "closed/demo"),
    ):
        run = cli(*args)
        assert run.code == 2
        assert "not writable" in run.err.splitlines()[-1]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_disk_faults(cli, make_raster, monkeypatch, code: int) -> None:
    """What a forbidden, read-only or full disk answers, for root too."""
    make_raster("s.tif")
    real = Path.mkdir

    def mkdir(self: Path, *args: object, **options: object) -> None:
        if self.name == "out.zarr.part":
            raise OSError(code, os.strerror(code), str(self))
        real(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert embed_refuses(cli, "s.tif", "--size", 8).startswith("cannot write out.zarr: ")


def test_output_exists(cli, embedded: Path) -> None:
    args = ("embed", "scene.tif", "-o", embedded, "--size", 8, *STATS)
    before = {p: p.stat().st_mtime_ns for p in embedded.rglob("*")}
    run = cli(*args)
    assert run.code == 2
    assert one_sentence(run.err).startswith("f.zarr exists already; pass --overwrite")
    assert {p: p.stat().st_mtime_ns for p in embedded.rglob("*")} == before
    assert cli(*args, "--overwrite").code == 0


def test_not_a_store(cli, make_raster) -> None:
    make_raster("s.tif")
    for name in ("none.zarr", "s.tif"):
        run = cli("cluster", name, "-o", "out")
        assert run.code == 2
        assert "feature store" in one_sentence(run.err)


def test_store_of_another_version(cli, embedded: Path) -> None:
    meta = json.loads((embedded / "zarr.json").read_text())
    meta["attributes"]["terrapatch"]["format"] = 99
    (embedded / "zarr.json").write_text(json.dumps(meta))
    for args in (("cluster", embedded, "-o", "out"), ("explain", embedded)):
        run = cli(*args)
        assert run.code == 2
        assert "version 99" in one_sentence(run.err)


def test_unfinished_store(cli, embedded: Path) -> None:
    shutil.move(embedded, "f.zarr.part")
    Path("f.zarr.part/.done").mkdir()
    for args in (("cluster", embedded, "-o", "out"), ("explain", embedded)):
        run = cli(*args)
        assert run.code == 2
        assert "not finished" in one_sentence(run.err)


def test_clusters_that_cannot_be_made(cli, embedded: Path) -> None:
    for args, said in (
        (("-k", 65), "65 clusters cannot be made of 64"),
        (("-k", 1), "ask for 2"),
        (("--algorithm", "dbscan"), "no algorithm 'dbscan'"),
        (("--scaling", "wrong"), "wrong"),
        (("--seed", -1), "seed -1"),
        (("--model", "none"), "no whole model"),
    ):
        run = cli("cluster", embedded, "-o", "out", *args)
        assert run.code == 2
        assert said in one_sentence(run.err)


def test_model_of_other_features(cli, embedded: Path) -> None:
    assert cli("cluster", embedded, "-o", "c", "-k", 3).code == 0
    assert cli("embed", "scene.tif", "-o", "g.zarr", "--size", 16, *STATS).code == 0
    run = cli("cluster", "g.zarr", "-o", "out", "--model", "c")
    assert run.code == 2
    assert "patch size" in one_sentence(run.err)
    run = cli("cluster", embedded, "-o", "c")
    assert run.code == 2
    assert "pass --overwrite" in one_sentence(run.err)


def test_wrong_use_names_the_way_to_help(cli) -> None:
    for args, said in (
        (("embed", "s.tif"), "see terrapatch embed --help"),
        (("embed", "s.tif", "--speed", "9"), "--speed"),
        (("clutser",), "cluster"),
        (("cluster", "f.zarr", "-o", "c", "-k", "many"), "no whole number"),
    ):
        run = cli(*args)
        assert run.code == 2
        assert run.out == ""
        assert run.err.count("\n") == 1
        assert said in run.err


def test_errors_for_machines(cli) -> None:
    run = cli("info", "no.tif", "--json")
    assert run.code == 2
    assert run.objects == [
        {
            "type": "error",
            "kind": "SceneNotFoundError",
            "text": "there is no file no.tif; check the path",
            "exit_code": 2,
        }
    ]
    assert run.err == "error: there is no file no.tif; check the path\n"
    assert cli("info", "--json").objects[0]["exit_code"] == 2


def fail(*args: object, **options: object) -> None:
    raise ValueError("one\ntwo")


def test_our_fault(cli, monkeypatch) -> None:
    monkeypatch.setattr(terrapatch.features, "embed", fail)
    args = ("embed", "s.tif", "-o", "out.zarr", "--size", 8)
    run = cli(*args)
    assert run.code == 1
    assert run.err.count("\n") == 1
    assert "a fault of Terrapatch, not yours (ValueError: one two)" in run.err
    assert "--debug" in run.err
    assert "terrapatch doctor" in run.err
    assert "Traceback" in cli(*args, "--debug").err
    monkeypatch.setenv("TERRAPATCH_DEBUG", "1")
    assert "Traceback" in cli(*args).err


def test_faults_of_the_system(cli, monkeypatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/big/disk")

    def out_of_memory(*args: object, **options: object) -> None:
        raise MemoryError

    for fault, said in ((full, "/big/disk cannot be used: the disk is full"),
                        (out_of_memory, "the memory does not suffice")):  # fmt: skip
        monkeypatch.setattr(terrapatch.features, "embed", fault)
        run = cli("embed", "s.tif", "-o", "out.zarr", "--size", 8)
        assert run.code == 2
        assert said in one_sentence(run.err)
