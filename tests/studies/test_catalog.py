"""The catalogue as Python sees it: names, places, downloads and checks."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import rasters
from terrapatch.errors import CatalogError, OutputError
from terrapatch.studies import _catalog_items
from terrapatch.studies.catalog import (
    catalog_list,
    catalog_root,
    catalog_show,
    folder_of,
    get,
    verify,
)

CATALOG = rasters.PROJECT / "data_catalog"
BASE: dict[str, Any] = {
    "title": "Tiny",
    "datetime": "2020-01-01T00:00:00Z",
    "date_is": "made up",
    "text": "Made up.",
    "licence": "MIT",
    "citation": "Nobody (2020).",
    "page": "https://example.org/tiny",
    "labels": "image",
    "bands": ["red", "green", "blue"],
    "folder": "tiny/images",
    "by_hand": "draw it yourself",
}
ZIP = b"not really a zip"
TINY = BASE | {
    "id": "tiny",
    "aliases": ["small-set"],
    "images": 4,
    "classes": ["field", "town"],
    "each": 2,
    "inside": "Tiny/Images",
    "torchgeo": "Tiny",
    "download": "torchgeo",
    "archives": [
        {
            "file": "tiny.zip",
            "url": "https://example.org/tiny.zip",
            "md5": hashlib.md5(ZIP, usedforsecurity=False).hexdigest(),
            "bytes": 16,
        }
    ],
}
LOOSE = BASE | {"id": "loose", "images": 5, "classes": ["field", "town"], "folder": "loose"}
MAPS = BASE | {"id": "maps", "labels": "pixel", "layout": "rasters", "folder": "maps"}
CUBE = BASE | {"id": "cube", "labels": "pixel", "layout": "cube", "folder": "cube"}


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_items", CATALOG / "make_items.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of four made-up sets, and a folder to put data in."""
    root, make = tmp_path / "catalog", maker()
    links = []
    for facts in (TINY, LOOSE, MAPS, CUBE):
        out = root / f"{facts['id']}.json"
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(make.item_of(facts)), encoding="utf-8")
        links.append({"rel": "item", "href": f"./{out.name}"})
    (root / "catalog.json").write_text(json.dumps({"links": links}), encoding="utf-8")
    monkeypatch.setattr(_catalog_items, "catalog_root", lambda: root)
    monkeypatch.delenv("TERRAPATCH_DATA", raising=False)
    monkeypatch.delenv("TERRAPATCH_OFFLINE", raising=False)
    return tmp_path / "data"


def draw(folder: Path, fields: int = 2, towns: int = 2, bands: int = 3) -> Path:
    for name, number in (("field", fields), ("town", towns)):
        for i in range(number):
            path = folder / name / f"{name}{i}.tif"
            rasters.make_raster(path, width=8, height=8, bands=bands, seed=i)
    return folder


def test_the_real_catalogue_is_read_whole():
    entries = catalog_list()
    assert {path.stem for path in CATALOG.glob("*/*/*.json")} == {one.id for one in entries}
    kinds = [one.kind for one in entries]
    assert kinds == sorted(kinds)  # data sets before weights
    for one in entries:
        assert json.loads(json.dumps(one.as_dict()))["id"] == one.id
    ucm = catalog_show("uc-merced-land-use")
    assert (ucm.images, ucm.class_count, ucm.size_px, ucm.gsd) == (2100, 21, (256, 256), 0.3)
    assert [one.count for one in ucm.classes] == [100] * 21
    assert ucm.loader == "torchgeo.datasets.UCMerced"
    assert catalog_show("rsscn7").loader == ""
    assert catalog_show("so2sat").download_size is None
    assert catalog_show("resisc45").download_size == 427_389_445
    assert catalog_show("eurosat").bands[-1] == "B8A"


def test_no_two_entries_answer_to_one_name():
    names = [_catalog_items._plain(n) for one in catalog_list() for n in (one.id, *one.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["uc-merced-land-use", "UCMerced", "ucm", "UC_Merced_Land_Use"])
def test_a_name_may_be_written_in_many_ways(name):
    assert catalog_show(name).id == "uc-merced-land-use"


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(CatalogError, match="no 'ucmercd'; did you mean uc-merced-land-use"):
        catalog_show("ucmercd")
    with pytest.raises(CatalogError, match="terrapatch catalog list"):
        catalog_show("qqqqqq")


def test_the_package_is_looked_in_before_the_checkout(tmp_path, monkeypatch):
    module = tmp_path / "src" / "terrapatch" / "studies" / "_catalog_items.py"
    monkeypatch.setattr(_catalog_items, "__file__", str(module))
    with pytest.raises(CatalogError, match="install terrapatch again"):
        catalog_root()
    for place in (tmp_path / "data_catalog", tmp_path / "src" / "terrapatch" / "data_catalog"):
        place.mkdir(parents=True)
        (place / "catalog.json").write_text("{}")
        assert catalog_root() == place


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; from terrapatch.studies.catalog import catalog_list; catalog_list(); "
        "heavy = ('torch', 'torchgeo', 'rasterio', 'pystac', 'sklearn', 'pandas'); "
        "sys.exit(any(m in sys.modules for m in heavy))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_damaged_catalogue_is_named(tiny, tmp_path):
    (tmp_path / "catalog" / "tiny.json").write_text("{", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"tiny\.json of the data catalogue cannot be read"):
        catalog_list()


def test_where_a_data_set_lies(tiny, monkeypatch):
    with pytest.raises(CatalogError, match="set TERRAPATCH_DATA"):
        folder_of("tiny")
    with pytest.raises(CatalogError, match="terrapatch catalog get tiny FOLDER"):
        folder_of("tiny", tiny)
    (tiny / "tiny" / "images").mkdir(parents=True)
    assert folder_of("tiny", tiny) == tiny / "tiny" / "images"
    (tiny / "tiny" / "Tiny" / "Images").mkdir(parents=True)  # what get would have made
    monkeypatch.setenv("TERRAPATCH_DATA", str(tiny))
    assert folder_of("small_set") == tiny / "tiny" / "Tiny" / "Images"


@pytest.mark.parametrize("depth", ["", "Tiny/Images", "some/where"])
def test_a_whole_set_has_no_faults_wherever_its_classes_lie(tiny, depth):
    draw(tiny / depth)
    told = []
    found = verify("tiny", tiny, progress=lambda *step: told.append(step))
    assert found.whole
    assert found.faults == ()
    assert (found.images, found.counts) == (4, {"field": 2, "town": 2})
    assert found.folder == tiny / depth
    assert told == [("verify", n, 4) for n in (1, 2, 3, 4)]


def test_what_is_missing_or_too_much_is_said(tiny):
    draw(tiny, fields=3, towns=0)
    rasters.make_raster(tiny / "sea" / "sea0.tif", width=8, height=8)
    (tiny / "notes").mkdir()
    found = verify("tiny", tiny)
    assert found.faults == (
        "class field: 3 images instead of 2",
        "class town: there is no folder of it",
        "folder sea: tiny has no such class",
    )
    assert found.images == 3


def test_a_total_alone_is_compared_where_classes_have_no_counts(tiny):
    draw(tiny, fields=3, towns=1)
    assert verify("loose", tiny).faults == ("4 images instead of 5",)
    draw(tiny, fields=3, towns=2)
    assert verify("loose", tiny).whole


def test_unreadable_images_are_named_one_by_one(tiny):
    draw(tiny)
    (tiny / "town" / "town0.tif").write_bytes(b"")
    broken = tiny / "field" / "field0.jpg"
    (tiny / "field" / "field0.tif").unlink()
    rasters.make_raster(broken, driver="JPEG", width=64, height=64, bands=3, transform=None)
    broken.write_bytes(broken.read_bytes()[:-400])  # the last rows are missing
    found = verify("tiny", tiny)
    assert found.unreadable == ("field/field0.jpg", "town/town0.tif")
    assert found.images == 2
    assert [fault.split(" (")[0] for fault in found.faults] == [
        "field/field0.jpg cannot be read",
        "town/town0.tif cannot be read",
    ]


def test_images_of_other_bands_are_one_fault(tiny):
    draw(tiny, bands=1)
    fault = "4 images have 1 bands instead of 3; the first is field/field0.tif"
    assert verify("tiny", tiny).faults == (fault,)


def test_an_archive_beside_or_above_the_classes_is_compared(tiny):
    draw(tiny / "Tiny" / "Images")
    archive = tiny / "tiny.zip"
    archive.write_bytes(ZIP)
    for folder in (tiny, tiny / "Tiny" / "Images"):
        assert verify("tiny", folder).archives == ("tiny.zip",)
    archive.write_bytes(b"half of it")
    (fault,) = verify("tiny", tiny).faults
    assert "tiny.zip is not the file that the catalogue knows (md5 " in fault
    assert fault.endswith("download it again")


def test_rasters_are_read_and_cubes_cannot_be(tiny):
    tiny.mkdir()
    for name in ("maps", "cube"):
        with pytest.raises(CatalogError, match=r"to get it: draw it|nothing to compare"):
            verify(name, tiny)
    rasters.make_raster(tiny / "one.tif")
    (tiny / "two.tif").write_bytes(b"II*")
    found = verify("maps", tiny)
    assert (found.images, found.unreadable, found.counts) == (1, ("two.tif",), {})


def test_a_folder_without_the_set_is_refused(tiny):
    with pytest.raises(CatalogError, match="is no folder"):
        verify("tiny", tiny)
    (tiny / "elsewhere").mkdir(parents=True)
    with pytest.raises(CatalogError, match=r"no folder of a class of tiny \(field, town, …\)"):
        verify("tiny", tiny)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands in for torchgeo's data sets; ``act`` is what its class does when it is made."""
    state = SimpleNamespace(act=lambda root: None, calls=[])

    class Tiny:
        def __init__(self, **options: Any) -> None:
            state.calls.append(options)
            sys.stdout.write("Downloading, says the library\n")
            sys.stderr.write("a bar\n")
            state.act(Path(options["root"]))

    module = ModuleType("torchgeo.datasets")
    module.Tiny = Tiny  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchgeo.datasets", module)
    state.module = module
    return state


def test_a_download_goes_through_the_library_with_its_hash(tiny, library, capsys, caplog):
    library.act = lambda root: draw(root / "Tiny" / "Images")
    with caplog.at_level(logging.INFO, logger="terrapatch"):
        assert get("tiny", tiny) == tiny / "Tiny" / "Images"
    assert library.calls == [{"root": str(tiny), "download": True, "checksum": True}]
    assert capsys.readouterr() == ("", "")
    assert f"Tiny: 0 MB, by torchgeo.datasets.Tiny, to {tiny}" in caplog.messages
    get("tiny", tiny, offline=True)  # it is there now
    assert len(library.calls) == 1


def test_progress_lets_the_librarys_bar_through(tiny, library, capsys):
    library.act = lambda root: draw(root / "Tiny" / "Images")
    told = []
    get("tiny", tiny, progress=lambda *step: told.append(step))
    assert told == [("download", 0, 16), ("download", 16, 16)]
    assert capsys.readouterr() == ("", "a bar\n")


def test_offline_opens_no_socket_and_says_what_to_do(tiny, library, monkeypatch):
    with pytest.raises(CatalogError, match=r"leave out --offline .* draw it yourself"):
        get("tiny", tiny, offline=True)
    monkeypatch.setenv("TERRAPATCH_OFFLINE", "1")
    with pytest.raises(CatalogError, match="no socket may be opened"):
        get("tiny", tiny)
    assert library.calls == []
    assert not tiny.exists()


def test_what_cannot_be_downloaded_is_said_by_hand(tiny):
    with pytest.raises(CatalogError, match="cannot download loose; by hand: draw it yourself"):
        get("loose", tiny)


def test_weights_are_no_data(tmp_path):
    with pytest.raises(CatalogError, match="holds weights, not data; to get them: terrapatch back"):
        get("timm-weights", tmp_path)
    with pytest.raises(CatalogError, match="holds weights"):
        folder_of("timm-weights", tmp_path)


def fail(fault: BaseException) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        raise fault

    return act


def test_faults_of_a_download_are_one_sentence(tiny, library):
    library.act = fail(RuntimeError("File not found\nor corrupted."))
    wanted = r"tiny could not be downloaded \(File not found or corrupted\.\); try again, or draw"
    with pytest.raises(CatalogError, match=wanted):
        get("tiny", tiny)
    library.act = fail(OSError(errno.ENOSPC, "no space"))
    with pytest.raises(OutputError, match="the disk is full"):
        get("tiny", tiny)
    library.act = lambda root: draw(root / "Tiny" / "Images", towns=1)
    with pytest.raises(CatalogError, match=r"not whole \(class town: 1 images instead of 2\)"):
        get("tiny", tiny)
    del library.module.Tiny
    with pytest.raises(CatalogError, match="torchgeo has no Tiny any more"):
        get("tiny", tiny)


@pytest.mark.data
@pytest.mark.slow
def test_the_real_uc_merced_is_whole(data_dir):
    found = verify("ucmerced", data_dir("ucmerced", "images"))
    assert found.faults == ()
    assert (found.images, len(found.counts), set(found.counts.values())) == (2100, 21, {100})


@pytest.mark.data
def test_a_sample_of_rsscn7_is_not_the_whole(data_dir):
    found = verify("rsscn7", data_dir("rsscn7_sample"))
    assert len(found.faults) == 7
    assert found.faults[0] == "class aGrass: 50 images instead of 400"
    assert (found.images, found.unreadable) == (350, ())
