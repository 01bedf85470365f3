"""Who may ask: this machine's own page, which holds the token, and nobody else.

The server listens on 127.0.0.1 only, which keeps other machines out. Other web pages open in
the same browser can still send requests to it, so three things are checked. The ``Host`` must
be this server by its loopback name, or a foreign name could be pointed at 127.0.0.1 (DNS
rebinding). An ``Origin`` must be the page's own. Everything but the empty page needs the token,
which stands in the fragment of the address that was opened: browsers never send a fragment.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADER", "MOST_BODY", "Guard", "new_token", "policy"]

HEADER = "x-terrapatch-token"
MOST_BODY = 8 << 20
"""Longest body of a request in bytes: 65,534 names fit."""

_OPEN = ("/", "/favicon.ico")
_NAMES = ("127.0.0.1", "localhost")


def new_token() -> str:
    """Return a token nobody can guess."""
    return secrets.token_urlsafe(32)


def policy(framed: bool) -> str:
    """Return the content security policy: everything from here, nothing inline.

    Args:
        framed: Whether a notebook on this machine may show the page in a frame.
    """
    frames = "http://127.0.0.1:* http://localhost:*" if framed else "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {frames}"
    )


class Guard:
    """ASGI middleware that refuses what does not come from the page itself."""

    def __init__(self, app: ASGIApp, token: str, port: int, framed: bool = False) -> None:
        """Guard an application.

        Args:
            app: The application behind it.
            token: What a request for data has to carry in the header ``X-Terrapatch-Token``.
            port: Port the server listens on.
            framed: Whether a notebook on this machine may show the page in a frame.
        """
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in _NAMES}
        self._hosts |= set(_NAMES) if port == 80 else set()
        self._extra = _headers(framed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or pass the request on."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._extra]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, with_headers)
            return
        body = json.dumps({"error": refusal[1]}).encode()
        start: dict[str, Any] = {"type": "http.response.start", "status": refusal[0]}
        start["headers"] = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await with_headers(start)
        await with_headers({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and sentence of a refusal, ``None`` for a good request."""
        asked: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            asked.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = asked.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 403, "this server answers only as 127.0.0.1 or localhost; open its own address"
        for origin in asked.get("origin", ()):
            if origin.lower() != f"http://{hosts[0].lower()}":
                return 403, f"a page from {origin} may not ask here; use the page itself"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, f"{scope['method']} is not answered here"
        if scope["path"] in _OPEN or scope["path"].startswith("/static/"):
            return None if scope["method"] != "POST" else (405, "nothing can be sent here")
        return self._refused_data(scope["method"], asked)

    def _refused_data(self, method: str, asked: dict[str, list[str]]) -> tuple[int, str] | None:
        tokens = asked.get(HEADER, [])
        sent = tokens[0].encode("utf-8", "replace") if len(tokens) == 1 else b""
        if not secrets.compare_digest(sent, self._token):
            return 403, (
                "the token of this page is missing or wrong; open the address that "
                "terrapatch view printed, with all that follows the #"
            )
        if method == "POST":
            kind = asked.get("content-type", [""])[0].split(";")[0].strip().lower()
            if kind != "application/json":
                return 415, "changes are sent as application/json"
            length = asked.get("content-length", [""])[0]
            if not length.isdecimal() or int(length) > MOST_BODY:
                return 413, f"a change is at most {MOST_BODY >> 20} MiB long, and says its length"
        return None


def _headers(framed: bool) -> list[tuple[bytes, bytes]]:
    pairs = {
        "content-security-policy": policy(framed),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
    if not framed:
        pairs |= {"x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin"}
    return [(name.encode(), value.encode()) for name, value in pairs.items()]
