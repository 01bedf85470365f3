"""Asking a server for a file: the request, what an answer tells, and why there is none."""

from __future__ import annotations

import importlib.metadata
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Response

CONNECT_SECONDS, READ_SECONDS = 10, 30
_PACKED = {"gzip", "x-gzip", "deflate", "br", "zstd"}


def ask(url: str, headers: Mapping[str, str]) -> Response:
    """Ask once for a file, without waiting and asking again.

    Args:
        url: Where it is.
        headers: What to say beside who asks.

    Returns:
        The answer, its body still to come.

    Raises:
        requests.RequestException: If there is no answer; ``why`` puts it in words.
    """
    import requests

    who = f"terrapatch/{importlib.metadata.version('terrapatch')}"
    # Compressed on the way, neither its length nor a part of it would mean anything.
    always = {"User-Agent": who, "Accept-Encoding": "identity"}
    return requests.get(
        url, headers=always | dict(headers), stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)
    )


def quiet_urllib3() -> None:
    """Import urllib3 without the socket it would bind, to ``::1``, to see if IPv6 is there.

    To be called before an import that draws it in without asking for anything (torchgeo), since
    ``--offline`` opens no socket at all. Later downloads lose nothing by it: addresses that do
    not answer are passed over.
    """
    if "urllib3.util.connection" in sys.modules:
        return
    known, socket.has_ipv6 = socket.has_ipv6, False
    try:
        from urllib3.util import connection
    finally:
        socket.has_ipv6 = known
    connection.HAS_IPV6 = known


def length(answer: Response) -> int | None:
    """Return the stated length of the body."""
    stated = answer.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() else None


def is_compressed(answer: Response) -> bool:
    """Whether the body is compressed on the way, though nobody asked for that."""
    return answer.headers.get("Content-Encoding", "").lower() in _PACKED


def span(answer: Response) -> tuple[int, int | None] | None:
    """Return where a part begins and how long the whole file is, if the answer is a part."""
    stated = answer.headers.get("Content-Range", "").strip()
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", stated)
    if answer.status_code != 206 or found is None:
        return None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def validator(answer: Response) -> str:
    """Return what names this version of the file: a strong ETag, or else its date."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def published_hash(answer: Response) -> str:
    """Return the sha256 that the server states, as Hugging Face does, or nothing."""
    stated = [earlier.headers.get("X-Linked-ETag", "") for earlier in answer.history]
    stated += [answer.headers.get("X-Linked-ETag", ""), answer.headers.get("ETag", "")]
    digests = (tag.strip().strip('"').lower() for tag in stated)
    return next((digest for digest in digests if re.fullmatch("[0-9a-f]{64}", digest)), "")


def why(fault: Exception, host: str) -> str:
    """Say why a request failed."""
    import requests

    causes = list(_causes(fault))
    if isinstance(fault, requests.exceptions.ProxyError):
        return f"the proxy on the way to {host} cannot be reached"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"the name {host} cannot be looked up"
    if isinstance(fault, requests.exceptions.SSLError):
        return f"the certificate of {host} is not trusted"
    if any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
        return f"{host} does not answer"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{host} refuses the connection"
    if isinstance(fault, requests.exceptions.ChunkedEncodingError | requests.ConnectionError):
        return f"the connection to {host} broke"
    return f"{host} cannot be asked: {type(fault).__name__}"


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__ or fault.__context__
