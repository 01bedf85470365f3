"""The data catalogue is valid STAC, complete, and true of what is installed."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pystac
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "data_catalog"
REQUIRED = ("title", "description", "license", "sci:citation", "terrapatch:how_to_get")
LITE = ("efficientnet-lite0-imagenet", "efficientnet-lite1-imagenet", "efficientnet-lite2-imagenet")
SPDX = {"MIT", "Apache-2.0", "CC-BY-4.0"}


@pytest.fixture(scope="module")
def items() -> dict[str, pystac.Item]:
    catalog = pystac.Catalog.from_file(str(FOLDER / "catalog.json"))
    assert isinstance(catalog, pystac.Catalog)
    return {item.id: item for item in catalog.get_items(recursive=True)}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_items", FOLDER / "make_items.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(items: dict[str, pystac.Item], name: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in items[name].properties["terrapatch:classes"]}


def test_the_files_are_what_the_table_of_facts_makes(maker: ModuleType) -> None:
    made = {path: maker.text_of(content) for path, content in maker.files().items()}
    lying = {p.relative_to(FOLDER).as_posix(): p.read_text("utf-8") for p in FOLDER.rglob("*.json")}
    assert sorted(made) == sorted(lying), "run python data_catalog/make_items.py"
    assert [path for path in made if made[path] != lying[path]] == []


def test_every_file_is_linked_once_and_every_link_leads_to_a_file(
    items: dict[str, pystac.Item],
) -> None:
    found = [path.stem for path in FOLDER.glob("*/*/*.json")]
    assert sorted(found) == sorted(items)
    links = json.loads((FOLDER / "catalog.json").read_text(encoding="utf-8"))["links"]
    assert len(links) == len(found) + 1


def test_what_the_project_speaks_of_is_there(items: dict[str, pystac.Item]) -> None:
    wanted = {
        *("uc-merced-land-use", "rsscn7", "eurosat-rgb", "eurosat", "nwpu-resisc45", "aid"),
        *("patternnet", "whu-rs19", "optimal-31", "so2sat-lcz42", "indian-pines", "salinas"),
        *("indian-pines-full", "pavia-university", "pavia-centre", "enmap-potsdam"),
        *("mumbai-informal-settlements", "landsat7-raleigh", "kampala-openaerialmap", *LITE),
        *("torchvision-weights", "timm-weights", "torchgeo-weights"),
    }
    assert wanted == set(items)


def test_items_lead_back_to_the_catalogue(items: dict[str, pystac.Item]) -> None:
    for path in FOLDER.glob("*/*/*.json"):
        for link in json.loads(path.read_text(encoding="utf-8"))["links"]:
            if link["rel"] in {"root", "parent"}:
                assert (path.parent / link["href"]).resolve() == FOLDER / "catalog.json"


def test_items_say_what_a_careful_reader_needs(items: dict[str, pystac.Item]) -> None:
    for item in items.values():
        told = item.properties
        assert [name for name in REQUIRED if not told.get(name)] == []
        assert item.datetime is not None
        assert re.search(r"The date is [^.]+\.$", told["description"])
        assert item.assets
        if told["license"] == "other":
            assert told["terrapatch:terms"]
        else:
            assert told["license"] in SPDX
        papers = [one["doi"] for one in told.get("sci:publications", [])]
        for doi in [told.get("sci:doi"), *papers]:
            assert doi is None or re.fullmatch(r"10\.\d{4,9}/\S+", doi)


def test_core_is_valid_stac_offline(items: dict[str, pystac.Item]) -> None:
    pytest.importorskip("jsonschema")
    for path in FOLDER.glob("*/*/*.json"):
        bare = pystac.Item.from_file(str(path))
        bare.stac_extensions = []  # the extensions' schemas are on the network
        bare.validate()
    catalog = pystac.Catalog.from_file(str(FOLDER / "catalog.json"))
    catalog.validate()


def test_used_extensions_are_declared(items: dict[str, pystac.Item]) -> None:
    for item in items.values():
        text = json.dumps(item.to_dict(include_self_link=False))
        for prefix, name in (("file", "file/v"), ("sci", "scientific/v")):
            declared = any(name in url for url in item.stac_extensions)
            assert declared == (f'"{prefix}:' in text), (item.id, prefix)


def test_no_path_of_a_machine() -> None:
    for path in [*FOLDER.rglob("*.json"), FOLDER / "facts.toml"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|work|tmp|opt|Users)/|[A-Z]:\\\\|file://", text), path


def test_counts_of_classes_add_up_to_the_images(items: dict[str, pystac.Item]) -> None:
    checked = 0
    for item in items.values():
        told = item.properties
        classes = told.get("terrapatch:classes", [])
        assert len({one["name"] for one in classes}) == len(classes)
        assert told.get("terrapatch:class_count", 0) in {len(classes), 9 if not classes else -1}
        if told.get("terrapatch:labels") == "image" and all("count" in one for one in classes):
            assert sum(one["count"] for one in classes) == told["terrapatch:images"], item.id
            checked += 1
    assert checked == 8


@pytest.mark.parametrize(
    ("name", "classes", "pixels"),
    [
        ("indian-pines", 16, 10_249),
        ("indian-pines-full", 52, 333_951),
        ("pavia-university", 9, 42_776),
        ("salinas", 16, 54_129),
        ("enmap-potsdam", 6, 5_672),
        ("landsat7-raleigh", 7, 2_872),
    ],
)
def test_labelled_pixels_add_up(
    items: dict[str, pystac.Item], name: str, classes: int, pixels: int
) -> None:
    found = named(items, name)
    assert len(found) == classes
    assert sum(one["count"] for one in found.values()) == pixels
    assert [one["value"] for one in found.values()] == list(range(1, classes + 1))


def test_the_52_classes_are_split_as_the_lecture_says(items: dict[str, pystac.Item]) -> None:
    found = named(items, "indian-pines-full")
    train = sum(one["train"] for one in found.values())
    test = sum(one["test"] for one in found.values())
    assert (train, test) == (33_396, 300_555)
    for one in found.values():
        assert one["count"] == one["train"] + one["test"]
        assert abs(one["train"] - one["count"] / 10) <= 1  # a tenth of every class
    woods = max(found.values(), key=lambda one: one["count"])
    assert woods["name"] == "Woods"
    assert f"{100 * woods['count'] / (train + test):.1f}" == "19.0"


@pytest.mark.parametrize("name", LITE)
def test_packaged_weights_are_the_ones_described(items: dict[str, pystac.Item], name: str) -> None:
    told = items[name].assets["weights"].extra_fields["terrapatch:file"]
    package, _, inner = told["path"].partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    weights = Path(spec.origin).parent / inner
    assert told["size"] == weights.stat().st_size
    assert told["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def source_of(library: str) -> str:
    """All that a library's data sets say in their source, nothing imported."""
    spec = importlib.util.find_spec(library)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "datasets"
    names = ("ucmerced", "eurosat", "resisc45", "patternnet", "so2sat")
    files = [folder / f"{name}.py" for name in names]
    return "\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())


@pytest.mark.parametrize("library", ["torchgeo", "torchvision"])
def test_hashes_addresses_and_bands_are_those_of_the_libraries(
    items: dict[str, pystac.Item], library: str
) -> None:
    source = source_of(library)
    defined = {n.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ClassDef)}
    checked = 0
    for item in items.values():
        name = item.properties.get(f"terrapatch:{library}")
        if name is None:
            continue
        assert name in defined
        if item.properties.get("terrapatch:inside"):
            parts = item.properties["terrapatch:inside"].split("/")
            assert all(part in source for part in parts)
        for asset in item.assets.values():
            file = asset.extra_fields.get("terrapatch:file")
            if file is None:
                continue
            hashes = [file[kind] for kind in ("md5", "sha256") if kind in file]
            assert any(digest in source for digest in hashes)  # torchgeo went from one to the other
            assert file["path"].rsplit("/", 1)[-1] in source
            if asset.roles == ["data"]:
                assert asset.href.rsplit("/", 1)[0] in source
                told = asset.extra_fields["file:checksum"]
                assert told in {f"d50110{file['md5']}", f"1220{file.get('sha256')}"}
            checked += 1
    assert checked == {"torchgeo": 13, "torchvision": 1}[library]


def test_names_of_classes_and_bands_are_those_of_torchgeo(items: dict[str, pystac.Item]) -> None:
    source = source_of("torchgeo")
    for name in ("uc-merced-land-use", "nwpu-resisc45", "patternnet", "so2sat-lcz42"):
        missing = [one for one in named(items, name) if not re.search(rf"\b{one}\b", source)]
        assert missing == [], name
    for name in ("eurosat", "so2sat-lcz42"):
        assert all(f"'{band}'" in source for band in items[name].properties["terrapatch:bands"])


@pytest.mark.data
def test_counts_are_those_of_the_real_labels(data_dir: Any, items: dict[str, pystac.Item]) -> None:
    rasterio = pytest.importorskip("rasterio")
    with np.load(data_dir("indian_pines", "indian_pines_8bit.npz"), allow_pickle=False) as pines:
        truth, names = pines["gt"], pines["class_names"]
    found = named(items, "indian-pines")
    assert list(found) == names[1:].tolist()
    assert [one["count"] for one in found.values()] == np.bincount(truth.ravel())[1:].tolist()
    for name, file in (
        ("enmap-potsdam", "potsdam_labels.tif"),
        ("landsat7-raleigh", "labelled_pixels.tif"),
    ):
        folder = items[name].properties["terrapatch:folder"]
        with rasterio.open(data_dir(folder, file)) as labels:
            values, counts = np.unique(labels.read(1), return_counts=True)
            size = [labels.width, labels.height]
        known = {one["value"]: one["count"] for one in named(items, name).values()}
        drawn = dict(zip(values.tolist(), counts.tolist(), strict=True))
        assert known == {value: drawn[value] for value in drawn if value > 0}
        assert size == items[name].properties["terrapatch:size_px"]
