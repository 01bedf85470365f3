"""Writing a store: refusing, replacing, sharing, and running out of room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storefiles import Make, files, plan_for, stats, writer_for
from terrapatch.errors import OutputError, RecipeError, StoreError
from terrapatch.features import FeatureRaster
from terrapatch.features.layout import MARKS
from terrapatch.features.store import discard_part, unfinished_recipe

ROOT = os.geteuid() == 0


def test_files_of_a_finished_store(make_raster: Make, tmp_path: Path) -> None:
    made = stats(make_raster(), tmp_path / "f.zarr")
    arrays = ("features/c/0/0/0", "spatial_ref", "valid/c/0/0", "x/c/0", "y/c/0")
    chunks = {path for path in arrays if "/" in path}  # the number of spatial_ref is the default
    tables = {f"{path.split('/')[0]}/zarr.json" for path in arrays}
    assert set(files(made.path)) == {"zarr.json", *chunks, *tables}
    root = json.loads((made.path / "zarr.json").read_text())
    assert root["zarr_format"] == 3
    assert set(root["consolidated_metadata"]["metadata"]) == {
        "features", "spatial_ref", "valid", "x", "y",
    }  # fmt: skip
    codecs = json.dumps(root["consolidated_metadata"]["metadata"]["features"]["codecs"])
    assert '"zstd"' in codecs
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.zarr", "scene.tif"]


def test_an_empty_block_stores_no_features(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster(height=70, width=70, nodata="mask", hole=(slice(64), slice(64)))
    made = stats(scene, tmp_path / "f.zarr", size=1)
    assert not (made.path / "features/c/0/0/0").exists()
    assert (made.path / "valid/c/0/0").exists()
    first = next(iter(made.blocks()))
    assert np.isnan(first.values).all()
    assert (first.valid == 0).all()


def test_an_existing_store_is_not_overwritten(make_raster: Make, tmp_path: Path) -> None:
    made = stats(make_raster(), tmp_path / "f.zarr")
    before = files(made.path)
    with pytest.raises(OutputError, match=r"f.zarr exists already; pass --overwrite to replace"):
        stats(make_raster(), made.path, size=4)
    assert files(made.path) == before
    stats(make_raster(), made.path, size=4, overwrite=True)
    assert files(made.path) == files(stats(make_raster(), tmp_path / "g.zarr", size=4).path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.zarr", "g.zarr", "scene.tif"]


def test_the_old_store_stays_until_the_new_one_is_done(make_raster: Make, tmp_path: Path) -> None:
    made = stats(make_raster(), tmp_path / "f.zarr")
    before = files(made.path)

    def look(*_: Any) -> None:
        assert files(made.path) == before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stats(make_raster(), made.path, size=4, overwrite=True, progress=look)
    assert files(made.path) == before
    assert FeatureRaster.open(made.path).recipe == made.recipe


def test_a_backup_of_the_users_is_left_alone(make_raster: Make, tmp_path: Path) -> None:
    made = stats(make_raster(), tmp_path / "f.zarr")
    backup = tmp_path / "f.zarr.old"
    shutil.copytree(made.path, backup)
    stats(make_raster(), made.path, size=4, overwrite=True)
    assert FeatureRaster.open(backup).recipe == made.recipe


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_is_left_alone(make_raster: Make, tmp_path: Path, overwrite: bool) -> None:
    scene = make_raster()
    folder, file = tmp_path / "photos", tmp_path / "notes.txt"
    folder.mkdir()
    (folder / "zarr.json").write_text('{"attributes": {}}')
    file.write_text("mine")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for path in (folder, file, scene, tmp_path):
        with pytest.raises(OutputError, match=r"is not a feature store .* it is left alone"):
            stats(scene, path, overwrite=overwrite)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("restart", [False, True])
def test_a_foreign_folder_with_the_name_of_a_part(
    make_raster: Make, tmp_path: Path, restart: bool
) -> None:
    scene, part = make_raster(), tmp_path / "f.zarr.part"
    part.mkdir()
    (part / "thesis.odt").write_text("years of work")
    with pytest.raises(OutputError, match=r"f.zarr.part is in the way and holds files that are"):
        stats(scene, tmp_path / "f.zarr", restart=restart)
    assert (part / "thesis.odt").read_text() == "years of work"
    shutil.rmtree(part)
    part.write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*f.zarr: "):
        stats(scene, tmp_path / "f.zarr", restart=restart)
    assert part.read_text() == "a file"


def test_paths_of_all_kinds(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_raster()
    expected = files(stats(scene, tmp_path / "reference").path)
    monkeypatch.chdir(tmp_path)
    paths = [
        "g1.zarr/", "relative", Path("a/b/c.zarr"), "./dot.zarr", "no suffix",
        f"{tmp_path}/ü ñ.zarr", "a/../up.zarr", "x.zarr.part",
    ]  # fmt: skip
    for path in paths:
        made = stats(scene, path)
        assert files(Path(path)) == expected
        assert FeatureRaster.open(path).recipe == made.recipe
    assert not list(tmp_path.rglob("*.part.part"))


@pytest.mark.parametrize("path", [".", "/", "..", "a/.."])
def test_paths_that_name_no_store(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    scene = make_raster()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"choose another name|not the name of a new store"):
        stats(scene, path)
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_a_file_in_the_way_of_the_folder(make_raster: Make, tmp_path: Path) -> None:
    scene = make_raster()
    for path in (scene / "f.zarr", scene / "deep" / "f.zarr"):
        with pytest.raises(OutputError, match=r"cannot write .* a part of that path is a file"):
            stats(scene, path)


def test_links(make_raster: Make, tmp_path: Path) -> None:
    scene, link = make_raster(), tmp_path / "link.zarr"
    link.symlink_to(tmp_path / "none")
    with pytest.raises(OutputError, match="is a link to nothing; remove it"):
        stats(scene, link)
    made = stats(scene, tmp_path / "f.zarr")
    link.unlink()
    link.symlink_to(made.path)
    stats(scene, link, size=4, overwrite=True)
    assert FeatureRaster.open(link).shape == (16, 16)
    assert FeatureRaster.open(made.path).shape == (8, 8), "what the link led to is kept"


def test_two_writers_at_once(make_raster: Make, tmp_path: Path) -> None:
    scene, out = make_raster(), tmp_path / "f.zarr"
    plan = plan_for(scene, out)
    with writer_for(plan, out) as writer:
        before = files(writer.part)
        for options in ({}, {"restart": True}, {"overwrite": True}):
            with pytest.raises(OutputError, match=r"another run is writing .*f.zarr; wait"):
                stats(scene, out, **options)
        assert files(writer.part) == before
    assert stats(scene, out).shape == (8, 8)


def test_two_processes_at_once(make_raster: Make, tmp_path: Path) -> None:
    out = tmp_path / "f.zarr"
    program = (
        "import fcntl, os, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    plan = plan_for(make_raster(), out)
    with writer_for(plan, out) as writer:
        part = writer.part
    other = subprocess.Popen(
        [sys.executable, "-c", program, part], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(OutputError, match="another run is writing"):
        stats(tmp_path / "scene.tif", out)
    other.kill()
    other.communicate()
    assert stats(tmp_path / "scene.tif", out).shape == (8, 8)


def test_a_name_taken_meanwhile_is_not_taken_back(make_raster: Make, tmp_path: Path) -> None:
    scene, out = make_raster(), tmp_path / "f.zarr"
    other = stats(scene, tmp_path / "other.zarr", size=16)
    plan = plan_for(scene, out)
    with writer_for(plan, out) as writer:
        (block,) = plan.blocks
        writer.write(block, np.zeros((8, 8, 6), np.float32), np.ones((8, 8), np.float32))
        shutil.copytree(other.path, out)
        with pytest.raises(OutputError, match="exists already"):
            writer.finish(plan.blocks)
    assert FeatureRaster.open(out).recipe == other.recipe


def test_restart_discards_what_was_begun(make_raster: Make, tmp_path: Path) -> None:
    scene, out = make_raster(), tmp_path / "f.zarr"
    with writer_for(plan_for(scene, out), out):
        pass
    assert unfinished_recipe(out) is not None
    discard_part(out)
    discard_part(out)
    assert unfinished_recipe(out) is None
    assert not list(tmp_path.glob("f.zarr*"))


def test_a_part_of_another_version(make_raster: Make, tmp_path: Path) -> None:
    scene, out = make_raster(), tmp_path / "f.zarr"
    with writer_for(plan_for(scene, out), out) as writer:
        root = writer.part / "zarr.json"
    data = json.loads(root.read_text())
    data["attributes"]["terrapatch"]["format"] = 99
    root.write_text(json.dumps(data))
    with pytest.raises(RecipeError, match=r"version 99 .* with --restart"):
        stats(scene, out)
    assert stats(scene, out, restart=True).shape == (8, 8)


def test_a_number_too_large_for_float16(make_raster: Make, tmp_path: Path) -> None:
    out = tmp_path / "f.zarr"
    plan = plan_for(make_raster(), out)
    values = np.full((8, 8, 6), 70_000, np.float32)
    with (
        writer_for(plan, out) as writer,
        pytest.raises(StoreError, match=r"f.zarr are too large for float16; pass --dtype float32"),
    ):
        writer.write(plan.blocks[0], values, np.ones((8, 8), np.float32))
    assert not list((tmp_path / "f.zarr.part" / MARKS).iterdir())


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's rights for a while."""
    if ROOT:
        os.seteuid(65534)
    try:
        yield
    finally:
        if ROOT:
            os.seteuid(0)


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_folder_without_permission(make_raster: Make, tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=mode)
    plan = plan_for(make_raster(), tmp_path / "f.zarr")
    for path in (folder / "f.zarr", folder / "deep" / "f.zarr"):
        writer = writer_for(plan, path)
        with (
            as_nobody(),
            pytest.raises(OutputError, match=r"f.zarr: the folder is not writable for you; choose"),
            writer,
        ):
            pass
        with as_nobody(), pytest.raises(OutputError, match="not writable for you"):
            unfinished_recipe(path)
    folder.chmod(0o700)
    assert not list(folder.iterdir())


def test_a_store_that_may_not_be_read(make_raster: Make, tmp_path: Path) -> None:
    made = stats(make_raster(), tmp_path / "locked" / "f.zarr")
    made.path.parent.chmod(0)
    with as_nobody(), pytest.raises(StoreError, match=r"f.zarr is not readable for you; ask"):
        FeatureRaster.open(made.path)
    made.path.parent.chmod(0o700)


LIMITED = """
import resource, sys, terrapatch
from terrapatch.errors import OutputError
import terrapatch.features.engine
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    terrapatch.embed({scene!r}, {out!r}, backbone="imagestats", size=2, stride=1)
except OutputError as fault:
    print(fault)
"""


@pytest.mark.parametrize("limit", [1500, 20_000])
def test_no_room_for_a_file(make_raster: Make, tmp_path: Path, limit: int) -> None:
    scene, out = make_raster(height=70, width=140), tmp_path / "f.zarr"
    program = LIMITED.format(limit=limit, scene=str(scene), out=str(out))
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith(f"cannot write {out}: the file would be larger than")
    assert run.stdout.count("\n") == 1
    assert not out.exists()
    whole, after = (stats(scene, path, size=2, stride=1) for path in (tmp_path / "g", out))
    assert files(after.path) == files(whole.path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB, where we may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if not ROOT or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(make_raster: Make, tmp_path: Path, small_disk: Path) -> None:
    scene, out = make_raster(height=140, width=140), small_disk / "f.zarr"
    with pytest.raises(OutputError, match=r"f.zarr: the disk is full; free some space") as caught:
        stats(scene, out, size=1)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    done = len(list((small_disk / "f.zarr.part" / MARKS).iterdir()))
    assert 0 < done < 9
    grow = ["mount", "-o", "remount,size=16m", str(small_disk)]
    subprocess.run(grow, check=True)
    stats(scene, out, size=1)
    assert files(out) == files(stats(scene, tmp_path / "g.zarr", size=1).path)


def test_a_read_only_disk(make_raster: Make, tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match="mounted read-only; choose another output path"):
        stats(make_raster(), small_disk / "f.zarr")
