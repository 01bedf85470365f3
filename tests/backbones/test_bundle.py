"""Bundles: the same weights make the same bytes, and nothing but what is listed is unpacked."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from terrapatch.backbones import bundle_format, download
from terrapatch.backbones.bundle import pack, unpack
from terrapatch.backbones.weights import Weights, bundle_folder
from terrapatch.cli import weights as commands
from terrapatch.errors import BackboneError, OutputError, TerrapatchError, WeightsError

# Contents of three files; one is empty, one ends at a block of the tar, one does not.
DATA = {"a.pth": b"alpha" * 1000, "b.pth": b"", "c.pth": b"c" * 1024}
TERMS = {"a.pth": "CC0-1.0", "b.pth": "CC-BY-4.0", "c.pth": "own terms, No Redistribution"}
# Backbones: two share a file, one has none.
USERS = {"ann": "a.pth", "bob": "b.pth", "cid:1": "c.pth", "dee": "a.pth", "bare": None}
PLAIN_NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+=@,-]{0,98}", fullmatch=True)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def described(file: str) -> Weights:
    data = DATA[file]
    return Weights(
        name=file,
        source="a test",
        size=len(data),
        licence=TERMS[file],
        citation="nobody",
        sha256=digest(data),
        url=f"http://weights.example/{file}",
    )


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Weights | None]:
    """Replace the registry; its files lie in the cache, and no bundle is unpacked yet."""
    known = {name: file and described(file) for name, file in USERS.items()}

    def get_backbone(name: str) -> Any:
        if name not in known:
            raise BackboneError(f"there is no backbone {name!r}")
        return SimpleNamespace(name=name, weights=known[name])

    def fetch(weights: Weights, *args: object) -> Path:
        raise AssertionError("a download")

    monkeypatch.setattr("terrapatch.backbones.get_backbone", get_backbone)
    monkeypatch.setattr(download, "fetch", fetch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERRAPATCH_WEIGHTS", str(tmp_path / "here"))
    monkeypatch.delenv("TERRAPATCH_OFFLINE", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)
    cache = tmp_path / "cache" / "terrapatch" / "weights"
    cache.mkdir(parents=True)
    for file, data in DATA.items():
        (cache / file).write_bytes(data)
    return known  # type: ignore[return-value]


@pytest.fixture
def bundle(registry: dict[str, Weights | None]) -> Path:
    """Return a bundle of all three files, none of which are on this machine any more."""
    made = pack(["ann", "bob", "cid:1"], "bundle.tar").path
    shutil.rmtree("cache")
    return made


def refused(kind: type[TerrapatchError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    said = str(caught.value)
    assert "\n" not in said
    return said


def nothing_unpacked(bundle: Path) -> str:
    """Check that a bundle is refused and leaves nothing; return the sentence."""
    outside = {path for path in Path().rglob("*") if path.parts[0] != "here"}
    said = refused(WeightsError, lambda: unpack(bundle))
    assert not Path("here").exists() or not list(Path("here").iterdir())
    assert {path for path in Path().rglob("*") if path.parts[0] != "here"} == outside
    assert str(bundle) in said
    return said


# Round trips.


def test_round_trip(bundle: Path) -> None:
    made = unpack(bundle)
    assert made.folder == bundle_folder()
    assert {path.name: path.read_bytes() for path in Path("here").iterdir()} == DATA
    assert [one.file for one in made.files] == ["a.pth", "b.pth", "c.pth"]
    assert made.paths == tuple(made.folder / file for file in DATA)
    assert made.present == ()
    assert made.notes == ()
    one = made.files[0]
    assert (one.backbones, one.size, one.sha256) == (("ann",), 5000, digest(DATA["a.pth"]))
    assert (one.source, one.licence, one.citation) == ("a test", "CC0-1.0", "nobody")


def test_what_pack_says(registry: dict[str, Weights | None], caplog: Any) -> None:
    done: list[tuple[str, int, int]] = []
    with caplog.at_level("INFO", logger="terrapatch"):
        made = pack(["ann", "cid:1"], Path("deep") / "b.tar", progress=lambda *s: done.append(s))
    assert made.path.read_bytes()[:22] == b"terrapatch-weights.jso"
    assert made.size == made.path.stat().st_size
    assert made.sha256 == digest(made.path.read_bytes())
    assert done[-1] == ("pack", 6024, 6024)
    (note,) = made.notes
    assert "c.pth allows no redistribution" in note
    assert note in caplog.messages
    assert pack(["ann"], "free.tar").notes == ()


def test_the_same_weights_make_the_same_bytes(registry: dict[str, Weights | None]) -> None:
    first = pack(["ann", "bob", "cid:1"], "1.tar")
    os.utime("cache/terrapatch/weights/a.pth", (1, 1))
    second = pack(["cid:1", "bob", "ann", "bob"], "2.tar")
    assert Path("1.tar").read_bytes() == Path("2.tar").read_bytes()
    assert first.sha256 == second.sha256


def test_plain_tar_reads_it(bundle: Path) -> None:
    with tarfile.open(bundle, "r:") as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == ["terrapatch-weights.json", *DATA]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
        listed = json.load(tar.extractfile(members[0]))  # type: ignore[arg-type]
    assert listed["format"] == 1
    assert {one["file"]: one["sha256"] for one in listed["files"]} == {
        file: digest(data) for file, data in DATA.items()
    }
    assert bundle.stat().st_size % 10_240 == 0


def test_a_shared_file_is_packed_once(registry: dict[str, Weights | None]) -> None:
    made = pack(["dee", "ann"], "b.tar")
    (one,) = made.files
    assert one.backbones == ("ann", "dee")
    assert made.size == 10_240


@given(data=st.binary(max_size=3000), name=PLAIN_NAMES)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_content_comes_back(
    registry: dict[str, Weights | None], data: bytes, name: str
) -> None:
    registry["any"] = Weights(name, "a test", len(data), "CC0-1.0", "nobody", digest(data))
    Path("own.bin").write_bytes(data)
    pack(["any"], "any.tar", files={"any": Path("own.bin")}, overwrite=True)
    made = unpack("any.tar", into="any")
    assert made.paths[0].read_bytes() == data
    shutil.rmtree("any")


# Packing.


def test_an_own_file_is_the_registered_one(registry: dict[str, Weights | None]) -> None:
    shutil.move("cache/terrapatch/weights/a.pth", "mine.bin")
    made = pack([], "b.tar", files={"ann": Path("mine.bin")}, offline=True)
    assert made.files[0].file == "a.pth"
    Path("mine.bin").write_bytes(b"b" * 5000)
    said = refused(WeightsError, lambda: pack([], "o.tar", files={"ann": Path("mine.bin")}))
    assert "is not the registered a.pth (5 kB, from a test" in said
    assert "pass it with --weights FILE" in said
    for path, words in ((Path("none"), "does not exist"), (Path("cache"), "is a folder")):
        own = {"ann": path}
        assert words in refused(WeightsError, lambda own=own: pack([], "o.tar", files=own))  # type: ignore[misc]
    assert not Path("o.tar").exists()


def test_what_cannot_be_packed(registry: dict[str, Weights | None]) -> None:
    assert "no file of weights" in refused(BackboneError, lambda: pack(["bare"], "b.tar"))
    assert "no backbone 'eve'" in refused(BackboneError, lambda: pack(["eve"], "b.tar"))
    assert "no backbone is named" in refused(BackboneError, lambda: pack([], "b.tar"))
    registry["odd"] = Weights("../a.pth", "a test", 1, "CC0-1.0", "nobody")
    assert "no plain file name" in refused(WeightsError, lambda: pack(["odd"], "b.tar"))
    assert not Path("b.tar").exists()


def test_two_files_of_one_name(registry: dict[str, Weights | None]) -> None:
    Path("other").write_bytes(b"other")
    registry["two"] = Weights("a.pth", "a test", 5, "CC0-1.0", "nobody", digest(b"other"))
    own = {"two": Path("other")}
    said = refused(WeightsError, lambda: pack(["ann", "two"], "b.tar", files=own))
    assert "ann and two have different files of the same name a.pth" in said


def test_offline_a_missing_file_is_not_downloaded(registry: dict[str, Weights | None]) -> None:
    Path("cache/terrapatch/weights/b.pth").unlink()
    said = refused(WeightsError, lambda: pack(["ann", "bob"], "b.tar", offline=True))
    assert "leave out --offline and it is downloaded from http://weights.example/b.pth" in said
    with pytest.raises(AssertionError, match="a download"):
        pack(["ann", "bob"], "b.tar")
    assert not Path("b.tar").exists()


def test_a_damaged_file_is_not_packed(registry: dict[str, Weights | None]) -> None:
    Path("cache/terrapatch/weights/a.pth").write_bytes(b"b" * 5000)
    assert "does not have the hash" in refused(WeightsError, lambda: pack(["ann"], "b.tar"))


def test_a_file_that_changes_meanwhile(
    registry: dict[str, Weights | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bundle_format._header

    def header(name: str, size: int) -> bytes:
        Path("cache/terrapatch/weights/a.pth").write_bytes(b"b" * 5000)
        return real(name, size)

    monkeypatch.setattr(bundle_format, "_header", header)
    assert "was changed while it was packed" in refused(
        WeightsError, lambda: pack(["ann"], "b.tar")
    )
    assert not list(Path().glob("*b.tar*"))


def test_an_output_that_is_there(registry: dict[str, Weights | None]) -> None:
    Path("b.tar").write_text("precious")
    said = refused(OutputError, lambda: pack(["ann"], "b.tar"))
    assert said == "b.tar exists already; pass --overwrite, or choose another name"
    assert Path("b.tar").read_text() == "precious"
    pack(["ann"], "b.tar", overwrite=True)
    assert Path("b.tar").stat().st_size == 10_240
    assert "is a folder" in refused(OutputError, lambda: pack(["ann"], "cache", overwrite=True))
    assert "a part of that path is a file" in refused(
        OutputError, lambda: pack(["ann"], "b.tar/b.tar")
    )


def test_a_full_disk(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    with monkeypatch.context() as little:
        little.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
        assert "the disk is full" in refused(OutputError, lambda: unpack(bundle))
    unpack(bundle)

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    said = refused(OutputError, lambda: unpack(bundle, into="full"))
    assert said.startswith("cannot write full: the disk is full")
    assert not list(Path("full").iterdir())
    assert "cannot write c.tar: the disk is full" in refused(
        OutputError, lambda: pack(["ann"], "c.tar")
    )
    assert sorted(path.name for path in Path().iterdir()) == ["bundle.tar", "full", "here"]


# Unpacking where something is already.


def test_what_is_there_already(bundle: Path) -> None:
    unpack(bundle)
    Path("here/b.pth").unlink()
    before = Path("here/a.pth").stat().st_mtime_ns
    made = unpack(bundle)
    assert made.present == ("a.pth", "c.pth")
    assert Path("here/a.pth").stat().st_mtime_ns == before
    assert Path("here/b.pth").exists()


@pytest.mark.parametrize("other", [b"x" * 5000, b"short", None])
def test_another_file_of_that_name_stays(bundle: Path, other: bytes | None) -> None:
    Path("here").mkdir()
    if other is None:
        Path("here/a.pth").mkdir()
    else:
        Path("here/a.pth").write_bytes(other)
    said = refused(WeightsError, lambda: unpack(bundle))
    assert "a.pth is there already but is not the a.pth of the bundle; remove it" in said
    assert [path.name for path in Path("here").iterdir()] == ["a.pth"]


def test_into_another_folder(bundle: Path) -> None:
    made = unpack(bundle, into="else/where")
    assert made.folder == Path("else/where")
    (note,) = made.notes
    assert f"TERRAPATCH_WEIGHTS={Path('else/where').absolute()}" in note
    assert not Path("here").exists()
    assert "cannot write" in refused(OutputError, lambda: unpack(bundle, into="bundle.tar"))


# Bundles that another version made.


def test_weights_that_the_registry_does_not_know(
    bundle: Path, registry: dict[str, Weights | None]
) -> None:
    del registry["bob"]
    made = unpack(bundle)
    assert made.notes == ("this version has no backbone bob",)
    assert Path("here/b.pth").exists()


@pytest.mark.parametrize(
    "now",
    [
        Weights("a.pth", "a test", 5000, "CC0-1.0", "nobody", "0" * 64),
        Weights("a.pth", "a test", 4999, "CC0-1.0", "nobody", digest(DATA["a.pth"])),
        Weights("other.pth", "a test", 5000, "CC0-1.0", "nobody", digest(DATA["a.pth"])),
        None,
    ],
)
def test_weights_that_the_registry_knows_otherwise(
    bundle: Path, registry: dict[str, Weights | None], now: Weights | None
) -> None:
    registry["ann"] = now
    assert "for ann, but this version of Terrapatch uses" in nothing_unpacked(bundle)


def test_a_registered_beginning_of_a_hash_will_do(
    bundle: Path, registry: dict[str, Weights | None]
) -> None:
    start = digest(DATA["a.pth"])[:8]
    registry["ann"] = Weights("a.pth", "a test", 4800, "CC0-1.0", "nobody", start, "rounded")
    assert unpack(bundle).notes == ()


# Bundles that nobody should trust.


def entry(file: str = "a.pth", data: bytes = DATA["a.pth"], **changes: Any) -> dict[str, Any]:
    return {
        "backbones": ["unknown"],
        "file": file,
        "size": len(data),
        "sha256": digest(data),
        "source": "a test",
        "licence": "CC0-1.0",
        "citation": "nobody",
    } | changes


def forge(
    members: list[tuple[str | tarfile.TarInfo, bytes]],
    entries: Any = None,
    path: str = "forged.tar",
    manifest: bytes | None = None,
    **top: Any,
) -> Path:
    """Write a tar with any members after a manifest of any content."""
    listed = {"format": 1, "files": [entry()] if entries is None else entries} | top
    first = json.dumps(listed).encode() if manifest is None else manifest
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for one, data in [("terrapatch-weights.json", first), *members]:
            info = tarfile.TarInfo(one) if isinstance(one, str) else one
            if isinstance(one, str):
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return Path(path)


A = ("a.pth", DATA["a.pth"])


def test_a_forged_bundle_that_is_right_after_all(registry: dict[str, Weights | None]) -> None:
    """The forger works: what the following tests change is what is refused."""
    assert unpack(forge([A])).notes == ("this version has no backbone unknown",)
    assert Path("here/a.pth").read_bytes() == DATA["a.pth"]


@pytest.mark.parametrize(
    "name",
    ["../a.pth", "/tmp/a.pth", "sub/a.pth", "..", ".", "", ".hidden", "a\0.pth", "a\n.pth", "-rf",
     "a.pth ", "ä.pth", "terrapatch-weights.json", "n" * 100, "a\\b.pth"],
)  # fmt: skip
def test_names_that_lead_elsewhere(registry: dict[str, Weights | None], name: str) -> None:
    listed = [entry(name)]
    assert "is no bundle of weights" in nothing_unpacked(forge([A], listed))
    assert "is damaged or was tampered with" in nothing_unpacked(forge([(name, b"evil"), A]))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        b"?",
    ],
)
def test_members_that_are_no_regular_files(
    registry: dict[str, Weights | None], kind: bytes
) -> None:
    info = tarfile.TarInfo("a.pth")
    info.type, info.linkname = kind, "/etc/passwd"
    with Path("forged.tar").open("wb") as out:
        out.write(forge([], path="head.tar").read_bytes()[:1024])
        out.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    Path("head.tar").unlink()
    assert "'a.pth' in it is no regular file" in nothing_unpacked(Path("forged.tar"))


def test_a_size_below_nothing(registry: dict[str, Weights | None]) -> None:
    info = tarfile.TarInfo("a.pth")
    info.size = -512
    head = forge([], path="forged.tar").read_bytes()[:1024]
    Path("forged.tar").write_bytes(head + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "no regular file" in nothing_unpacked(Path("forged.tar"))


def test_members_that_are_not_as_listed(registry: dict[str, Weights | None]) -> None:
    for members, words in (
        ([A, ("more.pth", b"more")], "holds 'more.pth' of 4 bytes"),
        ([A, A], "holds 'a.pth' of 5,000 bytes"),
        ([A, ("terrapatch-weights.json", b"{}")], "holds 'terrapatch-weights.json'"),
        ([("a.pth", b"shorter")], "holds 'a.pth' of 7 bytes"),
        ([("a.pth", b"x" * 5000)], "is damaged: its a.pth has a sha256 that begins"),
        ([], "is cut short or damaged"),
    ):
        assert words in nothing_unpacked(forge(members))


def test_a_listed_file_that_is_missing(registry: dict[str, Weights | None]) -> None:
    listed = [entry(), entry("b.pth", b"")]
    assert "is cut short or damaged" in nothing_unpacked(forge([A], listed))


def test_the_order_does_not_matter(registry: dict[str, Weights | None]) -> None:
    listed = [entry(), entry("b.pth", b"")]
    made = unpack(forge([("b.pth", b""), A], listed))
    assert [one.file for one in made.files] == ["a.pth", "b.pth"]


@pytest.mark.parametrize(
    "listed",
    [
        [],
        {},
        "a.pth",
        [3],
        [entry(), entry()],
        [entry(size=-1)],
        [entry(size="5000")],
        [entry(size=5000.0)],
        [entry(size=None)],
        [entry(sha256="0" * 63)],
        [entry(sha256="X" * 64)],
        [entry(backbones=[])],
        [entry(backbones="ann")],
        [entry(backbones=["an n"])],
        [entry(backbones=["\x1b[31m"])],
        [entry(backbones=[3])],
        [entry(licence=None)],
        [entry(more="?")],
        [{"file": "a.pth"}],
    ],
)
def test_lists_that_pack_does_not_write(registry: dict[str, Weights | None], listed: Any) -> None:
    assert "is no bundle of weights" in nothing_unpacked(forge([A], listed))


@pytest.mark.parametrize(
    "manifest", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"3", b"null", b"{}", b'{"format": 1}']
)
def test_manifests_that_are_none(registry: dict[str, Weights | None], manifest: bytes) -> None:
    assert "is no bundle of weights" in nothing_unpacked(forge([A], manifest=manifest))


def test_a_manifest_without_end(registry: dict[str, Weights | None]) -> None:
    assert "is no bundle" in nothing_unpacked(forge([A], manifest=b" " * (1 << 20) + b"{}"))


@pytest.mark.parametrize("version", [0, -1, "1", None, 1.5, True])
def test_formats_that_never_were(registry: dict[str, Weights | None], version: Any) -> None:
    assert "is no bundle of weights" in nothing_unpacked(forge([A], format=version))


def test_a_newer_format(registry: dict[str, Weights | None]) -> None:
    said = nothing_unpacked(forge([A], format=2))
    assert "is a bundle of format 2, which a newer Terrapatch made" in said


def test_a_bundle_cut_anywhere(bundle: Path) -> None:
    """Whatever is missing, nothing is unpacked but whole files; the tar's end mark may lack."""
    data = bundle.read_bytes()
    with tarfile.open(bundle, "r:") as tar:
        end = tar.offset
    for length in (*range(0, end, 97), *range(512, end, 512), end - 1):
        Path("cut.tar").write_bytes(data[:length])
        nothing_unpacked(Path("cut.tar"))


def test_a_bundle_with_a_flipped_byte(bundle: Path) -> None:
    """Every byte of a header, of the list's hashes or of a file counts; padding does not."""
    data = bytearray(bundle.read_bytes())
    start = data.index(DATA["a.pth"])
    for position in (0, 150, 600, start - 512, start, start + 4999):
        forged = bytearray(data)
        forged[position] ^= 1
        Path("flipped.tar").write_bytes(forged)
        nothing_unpacked(Path("flipped.tar"))


@given(noise=st.binary(max_size=2000), at=st.integers(0, 9000))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_noise_never_gets_in(bundle: Path, noise: bytes, at: int) -> None:
    forged = bytearray(bundle.read_bytes())
    forged[at : at + len(noise)] = noise
    Path("noise.tar").write_bytes(forged)
    with suppress(WeightsError):
        unpack("noise.tar", into="noisy")
    found = {path.name: path.read_bytes() for path in Path("noisy").glob("*")}
    assert found in ({}, DATA)
    shutil.rmtree("noisy", ignore_errors=True)


@pytest.mark.parametrize("data", [b"", b"no tar at all", bytes(20_480), b"PK\3\4" + bytes(2000)])
def test_other_files(registry: dict[str, Weights | None], data: bytes) -> None:
    Path("other").write_bytes(data)
    said = nothing_unpacked(Path("other"))
    assert "other is no bundle of weights; make one with: terrapatch backbones pack" in said


def test_foreign_and_compressed_tars(bundle: Path) -> None:
    with tarfile.open("foreign.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(bundle, "a.pth")
    assert "is no bundle of weights" in nothing_unpacked(Path("foreign.tar"))
    with tarfile.open("packed.tar", "w:gz") as tar:
        tar.add(bundle, "a.pth")
    assert "is no bundle of weights" in nothing_unpacked(Path("packed.tar"))


def test_bundles_that_cannot_be_read(registry: dict[str, Weights | None]) -> None:
    assert "No such file" in nothing_unpacked(Path("none.tar"))
    assert "Is a directory" in nothing_unpacked(Path("cache"))


# The command line.


@pytest.fixture
def app() -> Callable[..., Any]:
    app = typer.Typer()
    commands.add_to(app)

    def run(*args: object) -> Any:
        return CliRunner().invoke(app, [str(arg) for arg in args])

    return run


def result(said: str) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert last.pop("type") == "result"
    return last


def test_commands(registry: dict[str, Weights | None], app: Callable[..., Any]) -> None:
    shutil.move("cache/terrapatch/weights/a.pth", "mine.bin")
    done = app("pack", "ann=mine.bin", "cid:1", "-o", "b.tar", "--offline")
    assert done.exit_code == 0, done.output
    assert "ann: a.pth (5 kB, hash checked)" in done.stdout
    assert "wrote b.tar" in done.stdout
    assert "unpack b.tar" in done.stdout
    assert "for your own machines only" in done.stderr
    shutil.rmtree("cache")
    done = app("unpack", "b.tar")
    assert done.exit_code == 0, done.output
    assert f"wrote {Path('here/a.pth').absolute()}" in done.stdout
    assert "was there already" in app("unpack", "b.tar").stdout
    done = app("get", "ann", "bare", "--offline")
    assert done.exit_code == 0, done.output
    place = Path("here/a.pth").absolute()
    assert f"ann: {place} (5 kB, the folder of bundles, hash checked)" in done.stdout
    assert "bare: needs no file of weights" in done.stdout


def test_commands_for_machines(
    registry: dict[str, Weights | None], app: Callable[..., Any]
) -> None:
    made = result(app("pack", "ann", "cid:1", "-o", "b.tar", "--json").stdout)
    assert made["path"] == "b.tar"
    assert made["sha256"] == digest(Path("b.tar").read_bytes())
    assert [one["file"] for one in made["files"]] == ["a.pth", "c.pth"]
    assert len(made["notes"]) == 1
    made = result(app("unpack", "b.tar", "--into", "x", "--json").stdout)
    assert made["folder"] == "x"
    assert made["files"][0]["present"] is False
    assert made["files"][0]["path"] == "x/a.pth"
    (one,) = result(app("get", "dee", "--json").stdout)["weights"]
    assert one["sha256"] == digest(DATA["a.pth"])
    assert one["place"] == "the cache"


def test_commands_refuse_in_one_sentence(
    registry: dict[str, Weights | None], app: Callable[..., Any]
) -> None:
    Path("cache/terrapatch/weights/b.pth").unlink()
    Path("b.tar").write_text("precious")
    for args, words in (
        (("get", "bob", "--offline"), "leave out --offline and it is downloaded"),
        (("get", "eve"), "no backbone 'eve'"),
        (("pack", "ann", "-o", "b.tar"), "pass --overwrite"),
        (("pack", "ann=none.bin", "-o", "c.tar"), "does not exist"),
        (("unpack", "b.tar"), "is no bundle of weights"),
    ):
        done = app(*args)
        assert done.exit_code == 2
        assert done.stdout == ""
        (said,) = done.stderr.splitlines()
        assert said.startswith("error: ")
        assert words in said
    assert app("pack", "ann", "-o", "b.tar", "--overwrite", "--quiet").stdout == ""
