"""Downloads from a server on this machine: whole, resumed, refused; never half in place."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from terrapatch.backbones import asking, download
from terrapatch.backbones.download import fetch
from terrapatch.backbones.weights import Weights
from terrapatch.errors import OutputError, TerrapatchError, WeightsError

BODY = os.urandom(1_200_000)
NEWER = os.urandom(1_200_000)
NAME = "net.pth"


@dataclass
class Site:
    """What the server has, and how it behaves.

    Attributes:
        breaks: After how many bytes of the body each answer breaks off; whole once it is empty.
        ranges: ``yes``, ``no`` (the whole file instead), ``blind`` (heeds no If-Range),
            ``shifted`` (another part than was asked for) or ``never`` (416).
        length: ``stated``, ``chunked`` or ``close`` (told by closing the connection).
        asked: The headers of every request.
    """

    body: bytes = BODY
    etag: str = '"v1"'
    modified: str = ""
    status: int = 200
    ranges: str = "yes"
    length: str = "stated"
    breaks: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    redirect: dict[str, str] = field(default_factory=dict)
    stall: float = 0
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def site(self) -> Site:
        return self.server.site  # type: ignore[attr-defined,no-any-return]

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        site = self.site
        if site.redirect and self.path != "/moved":
            self._head(302, site.redirect | {"Content-Length": "0"})
            return
        site.asked.append(dict(self.headers))
        if site.status != 200:
            self._head(site.status, {"Content-Length": "0"})
            return
        start = self._start()
        if start is None:
            self._head(416, {"Content-Range": f"bytes */{len(site.body)}"})
            return
        self._answer(start)

    def _start(self) -> int | None:
        site, given = self.site, self.headers.get("Range")
        if given is None or site.ranges == "no":
            return 0
        tag = self.headers.get("If-Range")
        if site.ranges != "blind" and tag not in (None, site.etag or site.modified):
            return 0
        start = int(given.removeprefix("bytes=").removesuffix("-"))
        return None if site.ranges == "never" or start >= len(site.body) else start

    def _answer(self, start: int) -> None:
        site = self.site
        shown = start + (site.ranges == "shifted")
        whole = len(site.body)
        rest = site.body[start:]
        headers = {"ETag": site.etag, "Last-Modified": site.modified} | site.headers
        if start:
            headers["Content-Range"] = f"bytes {shown}-{whole - 1}/{whole}"
        if site.length == "stated":
            headers.setdefault("Content-Length", str(len(rest)))
        elif site.length == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        self._head(206 if start else 200, {k: v for k, v in headers.items() if v})
        time.sleep(site.stall)
        if site.breaks:
            rest = rest[: site.breaks.pop(0)]
        if site.length == "chunked":
            for i in range(0, len(rest), 65536):
                piece = rest[i : i + 65536]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(rest)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "TERRAPATCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    site = Site()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.site = site  # type: ignore[attr-defined]
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        site.url = f"http://127.0.0.1:{server.server_port}/{NAME}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield site
        server.shutdown()


def net(site: Site, **changes: Any) -> Weights:
    """Describe the file that the server has."""
    weights = Weights(
        name=NAME,
        source="a test",
        size=len(BODY),
        licence="CC0-1.0",
        citation="nobody",
        sha256=hashlib.sha256(BODY).hexdigest(),
        url=site.url,
    )
    return replace(weights, **changes)


def refusal(weights: Weights, folder: Path, kind: type[TerrapatchError] = WeightsError) -> str:
    """Return the one sentence that says why a file cannot be had, and both ways out."""
    with pytest.raises(kind) as caught:
        fetch(weights, "tiny", folder)
    said = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in said
    assert said.startswith(f"the weights {NAME} (")
    assert "it is downloaded from http" in said
    assert "terrapatch backbones pack tiny -o bundle.tar" in said
    assert not (folder / NAME).exists()
    return said


def partly(site: Site, folder: Path, n_bytes: int = 700_000, **changes: Any) -> int:
    """Leave a download that broke off and return how much of it is kept."""
    site.breaks = [n_bytes]
    site.status = 200
    real, download.RESUMES = download.RESUMES, 0
    try:
        refusal(net(site, **changes), folder)
    finally:
        download.RESUMES = real
    kept = (folder / f"{NAME}.partial").stat().st_size
    assert 0 < kept <= n_bytes
    site.asked.clear()
    return kept


def whole(folder: Path, body: bytes = BODY) -> None:
    """Check that the file is there, whole, and nothing beside it."""
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert (folder / NAME).read_bytes() == body


def test_a_whole_file(site: Site, tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    folder = tmp_path / "a" / "b"
    path = fetch(net(site), "tiny", folder, lambda *step: said.append(step))
    assert path == folder / NAME
    whole(folder)
    assert said[-1] == ("download", len(BODY), len(BODY))
    assert [step[1] for step in said] == sorted({step[1] for step in said})
    assert len(said) > 2
    (asked,) = site.asked
    assert asked["User-Agent"].startswith("terrapatch/")
    assert asked["Accept-Encoding"] == "identity"
    assert "Range" not in asked


def test_a_short_hash_will_do(site: Site, tmp_path: Path) -> None:
    fetch(net(site, sha256=net(site).sha256[:8]), "tiny", tmp_path)
    whole(tmp_path)


@pytest.mark.parametrize("length", ["chunked", "close"])
def test_a_length_that_is_not_stated(site: Site, tmp_path: Path, length: str) -> None:
    site.length = length
    said: list[tuple[str, int, int]] = []
    fetch(net(site), "tiny", tmp_path, lambda *step: said.append(step))
    whole(tmp_path)
    assert said[-1] == ("download", len(BODY), len(BODY))


def test_cut_short_without_a_stated_length(site: Site, tmp_path: Path) -> None:
    site.length, site.breaks = "close", [600_000]
    assert "damaged or another file, of 600,000 bytes" in refusal(net(site), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_broken_connection_is_gone_on_with_at_once(site: Site, tmp_path: Path) -> None:
    site.breaks = [600_000, 300_000]
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    first, second, third = site.asked
    assert "Range" not in first
    for asked in (second, third):
        assert int(re.fullmatch(r"bytes=(\d+)-", asked["Range"])[1]) > 0  # type: ignore[index]
        assert asked["If-Range"] == site.etag


def test_what_has_come_is_kept_and_gone_on_with(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.breaks = [400_000, 300_000, 300_000]
    said = refusal(net(site), tmp_path)
    kept = (tmp_path / f"{NAME}.partial").stat().st_size
    assert "the connection to 127.0.0.1 broke" in said
    assert f"{kept:,} bytes of it are kept in {tmp_path}, and the same command goes on" in said
    assert len(site.asked) == 3
    site.asked.clear()
    with caplog.at_level("INFO", logger="terrapatch"):
        fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert [asked["Range"] for asked in site.asked] == [f"bytes={kept}-"]
    assert f"from byte {kept:,} on" in caplog.text


def test_an_interrupted_download_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    def interrupt(_stage: str, done: int, _total: int) -> None:
        if done > 300_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(net(site), "tiny", tmp_path, interrupt)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"{NAME}.partial",
        f"{NAME}.partial.json",
    ]
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert "Range" in site.asked[1]


@pytest.mark.parametrize("ranges", ["no", "shifted", "never"])
def test_a_server_that_gives_no_right_part(site: Site, tmp_path: Path, ranges: str) -> None:
    partly(site, tmp_path)
    site.ranges = ranges
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert "Range" in site.asked[0]
    assert len(site.asked) == (1 if ranges == "no" else 2)


@pytest.mark.parametrize("ranges", ["yes", "blind"])
def test_a_file_that_changed_begins_again(site: Site, tmp_path: Path, ranges: str) -> None:
    partly(site, tmp_path)
    site.body, site.etag, site.ranges = NEWER, '"v2"', ranges
    fetch(net(site, sha256=hashlib.sha256(NEWER).hexdigest()), "tiny", tmp_path)
    whole(tmp_path, NEWER)


def test_a_file_that_grew_begins_again(site: Site, tmp_path: Path) -> None:
    """The server forgets its ETag; the whole length gives the change away."""
    partly(site, tmp_path, sha256="", exact="about")
    site.body, site.etag, site.ranges = NEWER + b"more", "", "blind"
    fetch(net(site, sha256="", exact="about"), "tiny", tmp_path)
    whole(tmp_path, site.body)


def test_the_date_will_do_where_the_tag_is_weak(site: Site, tmp_path: Path) -> None:
    site.etag, site.modified = 'W/"v1"', "Sat, 21 Nov 2026 05:20:58 GMT"
    partly(site, tmp_path)
    site.etag = ""
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert site.asked[0]["If-Range"] == site.modified


def test_without_tag_and_date_the_hash_decides(site: Site, tmp_path: Path) -> None:
    site.etag = ""
    partly(site, tmp_path)
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert "Range" in site.asked[0]
    assert "If-Range" not in site.asked[0]


def test_without_tag_date_and_hash_it_begins_again(site: Site, tmp_path: Path) -> None:
    site.etag = ""
    partly(site, tmp_path, sha256="")
    fetch(net(site, sha256=""), "tiny", tmp_path)
    whole(tmp_path)
    assert "Range" not in site.asked[0]


@pytest.mark.parametrize(
    "memo", [None, "", "[]", "{", '{"url": 3}', '{"url": "http://elsewhere/net.pth"}']
)
def test_a_part_of_unknown_origin_begins_again(
    site: Site, tmp_path: Path, memo: str | None
) -> None:
    (tmp_path / f"{NAME}.partial").write_bytes(b"what is this?")
    if memo is not None:
        (tmp_path / f"{NAME}.partial.json").write_text(memo)
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert "Range" not in site.asked[0]


def test_a_part_of_another_address_begins_again(site: Site, tmp_path: Path) -> None:
    partly(site, tmp_path)
    memo = tmp_path / f"{NAME}.partial.json"
    memo.write_text(json.dumps(json.loads(memo.read_text()) | {"url": "http://elsewhere/net.pth"}))
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert "Range" not in site.asked[0]


def test_killed_just_before_the_move(site: Site, tmp_path: Path) -> None:
    """All of it is here under its temporary name: nothing is asked again."""
    partly(site, tmp_path)
    (tmp_path / f"{NAME}.partial").write_bytes(BODY)
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert site.asked == []


def test_a_wrong_hash_is_removed(site: Site, tmp_path: Path) -> None:
    site.body = NEWER
    said = refusal(net(site), tmp_path)
    assert "is damaged or another file" in said
    assert hashlib.sha256(NEWER).hexdigest()[:12] in said
    assert "was removed" in said
    assert not list(tmp_path.iterdir())


def test_another_size_is_refused_before_a_byte_is_taken(site: Site, tmp_path: Path) -> None:
    partly(site, tmp_path)
    site.body, site.ranges = b"<html>log in first</html>", "no"
    said = refusal(net(site), tmp_path)
    assert "127.0.0.1 offers a file of 25 bytes, not 1,200,000" in said
    assert "are kept" in said
    site.body = BODY
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)


def test_a_size_that_is_known_roughly(site: Site, tmp_path: Path) -> None:
    fetch(net(site, size=1_200_900, exact="rounded"), "tiny", tmp_path)
    whole(tmp_path)
    refusal(net(site, size=1_300_000, exact="rounded"), tmp_path / "other")


def test_a_body_without_end(site: Site, tmp_path: Path) -> None:
    site.length, site.body = "chunked", BODY * 5
    assert "sends more than 4,800,000 bytes" in refusal(net(site), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_body_that_was_compressed_on_the_way(site: Site, tmp_path: Path) -> None:
    site.headers["Content-Encoding"] = "gzip"
    assert "sends it compressed" in refusal(net(site), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [204, 401, 403, 404, 410, 429, 500, 503])
def test_a_status(site: Site, tmp_path: Path, status: int) -> None:
    site.status = status
    assert f"127.0.0.1 answers {status} " in refusal(net(site), tmp_path)
    assert len(site.asked) == 1
    assert not list(tmp_path.iterdir())


def test_a_status_on_going_on_keeps_what_is_here(site: Site, tmp_path: Path) -> None:
    kept = partly(site, tmp_path)
    site.status = 503
    assert f"answers 503 Service Unavailable; {kept:,} bytes of it" in refusal(net(site), tmp_path)
    assert (tmp_path / f"{NAME}.partial").stat().st_size == kept


def linked(site: Site, digest: str) -> None:
    """Have the server behave as Hugging Face does: a redirect that states the hash."""
    site.etag = '"of-the-store-behind"'
    site.redirect = {"Location": "/moved", "X-Linked-ETag": f'"{digest}"'}


@pytest.mark.parametrize("redirected", [True, False])
def test_a_hash_that_only_the_server_states(site: Site, tmp_path: Path, redirected: bool) -> None:
    good, bad = (hashlib.sha256(body).hexdigest() for body in (BODY, NEWER))

    def state(digest: str) -> None:
        if redirected:
            linked(site, digest)
        else:
            site.etag = f'"{digest}"'

    state(good)
    fetch(net(site, sha256=""), "tiny", tmp_path / "good")
    whole(tmp_path / "good")
    state(bad)
    assert "damaged or another file" in refusal(net(site, sha256=""), tmp_path / "bad")
    assert not list((tmp_path / "bad").iterdir())


def test_the_registered_hash_counts_more_than_the_servers(site: Site, tmp_path: Path) -> None:
    linked(site, "0" * 64)
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)


def test_a_redirect_to_no_web_address(site: Site, tmp_path: Path) -> None:
    site.redirect = {"Location": "file:///etc/hostname"}
    assert "127.0.0.1 cannot be asked: InvalidSchema" in refusal(net(site), tmp_path)


def test_redirects_without_end(site: Site, tmp_path: Path) -> None:
    site.redirect = {"Location": "/again"}
    assert "127.0.0.1 cannot be asked: TooManyRedirects" in refusal(net(site), tmp_path)


def test_a_name_that_cannot_be_looked_up(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question and no waiting."""
    asked = []

    def nowhere(host: str, *args: object, **options: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    began = time.monotonic()
    said = refusal(net(site, url="https://weights.example/net.pth"), tmp_path)
    assert "the name weights.example cannot be looked up" in said
    assert asked == ["weights.example"]
    assert time.monotonic() - began < 2
    assert not list(tmp_path.iterdir())


def test_a_closed_port(site: Site, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/net.pth"
        assert "127.0.0.1 refuses the connection" in refusal(net(site, url=url), tmp_path)


def test_no_certificate(site: Site, tmp_path: Path) -> None:
    url = site.url.replace("http:", "https:")
    assert "the certificate of 127.0.0.1 is not trusted" in refusal(net(site, url=url), tmp_path)


def test_a_proxy_that_is_not_there(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{taken.getsockname()[1]}")
        said = refusal(net(site, url="http://weights.example/net.pth"), tmp_path)
    assert "the proxy on the way to weights.example cannot be reached" in said


def test_a_server_that_falls_silent(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "READ_SECONDS", 0.1)
    site.stall = 0.5
    assert "127.0.0.1 does not answer" in refusal(net(site), tmp_path)
    assert len(site.asked) == 1 + download.RESUMES
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_too_small(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    said = refusal(net(site), tmp_path, OutputError)
    assert f"cannot write {tmp_path / NAME}: the disk is full" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "mounted read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_disk_that_fills_up_on_the_way(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    real, pieces = download._write, []

    def write(stream: Any, chunk: bytes) -> None:
        pieces.append(chunk)
        if len(pieces) == 3:
            raise OSError(code, os.strerror(code))
        real(stream, chunk)

    monkeypatch.setattr(download, "_write", write)
    said = refusal(net(site), tmp_path, OutputError)
    assert words in said
    assert "are kept" in said
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)
    assert "Range" in site.asked[-1]


def test_a_file_where_the_folder_should_be(site: Site, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        said = refusal(net(site), folder, OutputError)
        assert f"cannot write {folder / NAME}: " in said
    assert site.asked == []


def test_two_that_want_the_same_file_download_it_once(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.stall = 0.3
    made: list[Path] = []

    def run() -> None:
        made.append(fetch(net(site), "tiny", tmp_path))

    with caplog.at_level("INFO", logger="terrapatch"):
        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert made == [tmp_path / NAME] * 3
    whole(tmp_path)
    assert len(site.asked) == 1
    assert "another process is downloading net.pth; waiting for it" in caplog.text


def test_a_disk_without_locks(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*args: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(download.fcntl, "flock", flock)
    fetch(net(site), "tiny", tmp_path)
    whole(tmp_path)


def test_nothing_is_asked_where_it_must_not_or_cannot(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsError, match="terrapatch backbones unpack"):
        fetch(net(site, url=None), "tiny", tmp_path)
    monkeypatch.setenv("TERRAPATCH_OFFLINE", "1")
    with pytest.raises(WeightsError, match="unset TERRAPATCH_OFFLINE"):
        fetch(net(site), "tiny", tmp_path)
    assert site.asked == []
    assert not list(tmp_path.iterdir())
