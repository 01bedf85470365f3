"""All files or none: overwriting, faults half-way, full disks, the same bytes twice."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from made_maps import class_map, value_map
from terrapatch.errors import OutputError
from terrapatch.maps import ClassMap, bundle, classmap, stac, vectors

BUNDLE = ["map.json", "map.qml", "map.tif", "map.tif.aux.xml", "map_polygons.gpkg"]


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_whole_bundle_is_written(twelve: ClassMap, tmp_path: Path) -> None:
    saved = twelve.save(tmp_path / "new" / "map.tif")
    assert _names(tmp_path / "new") == BUNDLE
    assert saved.path == tmp_path / "new" / "map.tif"
    assert saved.files[0] == saved.path
    assert sorted(f.name for f in saved.files) == BUNDLE
    without = twelve.save(tmp_path / "bare" / "map.tif", polygons=False)
    assert len(without.files) == 4
    assert "map_polygons.gpkg" not in _names(tmp_path / "bare")


@pytest.mark.parametrize("classes", [12, 300])
def test_two_saves_give_the_same_bytes(classes: int, tmp_path: Path) -> None:
    class_map(classes).save(tmp_path / "a" / "map.tif")
    class_map(classes).save(tmp_path / "b" / "map.tif")
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    value_map().save(tmp_path / "c" / "v.tif")
    value_map().save(tmp_path / "d" / "v.tif")
    assert _digests(tmp_path / "c") == _digests(tmp_path / "d")


def test_another_process_at_another_time_gives_the_same_bytes(tmp_path: Path) -> None:
    class_map(12).save(tmp_path / "a" / "map.tif")
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent)]!r}\n"
        "from made_maps import class_map\n"
        f"class_map(12).save({str(tmp_path / 'b' / 'map.tif')!r})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=_environment())
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")


def test_an_existing_map_stays_unless_told(twelve: ClassMap, tmp_path: Path) -> None:
    path = twelve.save(tmp_path / "map.tif").path
    before = _digests(tmp_path)
    with pytest.raises(OutputError, match=r"map.tif.* exists already"):
        class_map(5).save(path)
    assert _digests(tmp_path) == before
    class_map(5).save(path, polygons=False, overwrite=True)
    assert _names(tmp_path) == [n for n in BUNDLE if not n.endswith("gpkg")]
    assert len(ClassMap.open(path).legend) == 5


def test_a_companion_alone_is_not_overwritten(twelve: ClassMap, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text("mine")
    with pytest.raises(OutputError, match=r"map\.json exists already"):
        twelve.save(tmp_path / "map.tif")
    assert _names(tmp_path) == ["map.json"]


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (classmap, "write_cog"),
        (classmap, "pam_xml"),
        (classmap, "class_qml"),
        (vectors, "write_polygons"),
        (stac, "item_json"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failing_step_leaves_what_was_there(
    module: object,
    step: str,
    overwrite: bool,
    twelve: ClassMap,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if overwrite:
        class_map(5).save(tmp_path / "map.tif")
    before = _digests(tmp_path)
    monkeypatch.setattr(module, step, fail)
    with pytest.raises(OutputError, match=r"cannot write .*map\.tif: the disk is full"):
        twelve.save(tmp_path / "map.tif", overwrite=overwrite)
    assert _digests(tmp_path) == before


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("fault", [OSError(28, "full"), KeyboardInterrupt()])
def test_a_fault_while_moving_leaves_no_map(
    at: int,
    fault: BaseException,
    twelve: ClassMap,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moves: list[str] = []
    real = Path.replace

    def fail_at(source: Path, target: Path) -> Path:
        moves.append(target.name)
        if len(moves) == at:
            raise fault
        return real(source, target)

    monkeypatch.setattr(Path, "replace", fail_at)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        twelve.save(tmp_path / "map.tif")
    assert _names(tmp_path) == []
    assert at < 5 or moves[-1] == "map.tif", "the raster comes last"


def test_a_file_that_came_out_wrong_is_found(
    twelve: ClassMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terrapatch.maps import cog

    real = cog.rasterio.shutil.copy

    def swap(source: Path, target: Path, **options: str) -> None:
        with cog.rasterio.open(source, "r+") as file:
            file.write(file.read(1) * 0, 1)
        real(source, target, **options)

    monkeypatch.setattr(cog.rasterio.shutil, "copy", swap)
    with pytest.raises(OutputError, match="what came to the disk"):
        twelve.save(tmp_path / "map.tif")
    assert _names(tmp_path) == []


_LIMITED = """
import resource, signal, sys
sys.path[:0] = [{here!r}]
from pathlib import Path
from made_maps import class_map, value_map
from odc.geo.geobox import GeoBox
from affine import Affine
from terrapatch.errors import OutputError
box = GeoBox((1100, 1100), Affine(60, 0, 300_000, 0, -60, 2_100_000), "EPSG:32643")
made = {maker}(geobox=box)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    made.save({path!r})
except OutputError as fault:
    print(fault)
    raise SystemExit(2)
"""


def _environment() -> dict[str, str]:
    import terrapatch

    source = str(Path(next(iter(terrapatch.__path__))).parent)
    return {**os.environ, "PYTHONPATH": source}


@pytest.mark.parametrize("maker", ["class_map", "value_map"])
@pytest.mark.parametrize("limit", [1_000, 20_000, 60_000, 120_000, 300_000])
def test_a_file_that_cannot_grow_leaves_one_sentence_and_no_map(
    maker: str, limit: int, tmp_path: Path
) -> None:
    script = _LIMITED.format(
        here=str(Path(__file__).parent), maker=maker, limit=limit, path=str(tmp_path / "map.tif")
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
        timeout=120,
    )
    assert done.returncode == 2, done.stderr[-2000:]
    assert len(done.stdout.strip().splitlines()) == 1
    assert done.stdout.startswith("cannot write")
    assert _names(tmp_path) == []


def test_a_folder_that_is_a_file_is_said(twelve: ClassMap, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        twelve.save(tmp_path / "file" / "map.tif")
    with pytest.raises(OutputError, match="cannot write"):
        twelve.save(tmp_path / "file" / "deep" / "map.tif")


def test_a_folder_that_is_closed_is_said(
    twelve: ClassMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.access(closed, os.W_OK):  # root may write everywhere

        def refuse(*_: object, **__: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(bundle.tempfile, "mkdtemp", refuse)
    with pytest.raises(OutputError, match="not writable"):
        twelve.save(closed / "map.tif")
    assert _names(closed) == []


@pytest.mark.parametrize("name", ["map", "map.png", "folder.tif"])
def test_names_that_cannot_be_maps_are_refused(name: str, twelve: ClassMap, tmp_path: Path) -> None:
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        twelve.save(tmp_path / name)
