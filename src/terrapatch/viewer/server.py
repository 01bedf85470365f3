"""A server on 127.0.0.1 for one page, in this thread or in one of its own."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from terrapatch.errors import MissingExtraError
from terrapatch.viewer.errors import ViewError
from terrapatch.viewer.security import new_token
from terrapatch.viewer.study import Study

if TYPE_CHECKING:
    import uvicorn

__all__ = ["LOOPBACK", "PageServer"]

LOOPBACK = "127.0.0.1"
_PATIENCE = 30.0


class PageServer:
    """The page of one result, on a port of this machine that no other machine reaches.

    Attributes:
        study: The result.
        port: The port.
        token: What requests for data have to carry.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        port: int | None = None,
        framed: bool = False,
    ) -> None:
        """Open the folder and take a port; nothing is answered yet.

        Args:
            folder: A folder that ``cluster`` wrote.
            port: The port; by default one that is free.
            framed: Whether a notebook on this machine may show the page in a frame.

        Raises:
            MissingExtraError: If starlette or uvicorn is not installed.
            ViewError: If the port is in use or cannot be had.
            TerrapatchError: If the folder cannot be shown (see ``Study``).
        """
        _require_extra()
        self.study = Study(folder)
        self._socket = _bound(port)
        self.port = int(self._socket.getsockname()[1])
        self.token = new_token()
        self._server = self._make(framed)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address to open; the token stands behind the #, which no browser sends."""
        return f"http://{LOOPBACK}:{self.port}/#{self.token}"

    def run(self) -> None:
        """Answer until interrupted (Ctrl+C)."""
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:
            return  # the usual way to end it
        finally:
            self._socket.close()

    def start(self) -> None:
        """Answer in a thread of its own, until ``stop``.

        Raises:
            ViewError: If the server does not come up.
        """
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="terrapatch-view", daemon=True
        )
        self._thread.start()
        end = time.monotonic() + _PATIENCE
        while not self._server.started:
            if time.monotonic() > end or not self._thread.is_alive():
                self.stop()
                raise ViewError("the page's server did not start; try again, or another --port")
            time.sleep(0.01)

    def stop(self) -> None:
        """End a server that ``start`` began; stopping twice does no harm."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_PATIENCE)
            self._thread = None
        self._socket.close()

    def _make(self, framed: bool) -> uvicorn.Server:
        import uvicorn

        from terrapatch.viewer.app import make_app

        config = uvicorn.Config(
            make_app(self.study, self.token, self.port, framed),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=2,
        )
        return uvicorn.Server(config)


def _require_extra() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as fault:
        raise MissingExtraError(
            f"the page needs {fault.name}, which is not installed; run: "
            'pip install "terrapatch[viewer]"'
        ) from fault


def _bound(port: int | None) -> socket.socket:
    """Take a port of the loopback interface.

    Raises:
        ViewError: If it is in use, or cannot be had.
    """
    if port is not None and not 1 <= port <= 65535:
        raise ViewError(f"{port} is no port; give 1024 to 65535, or leave --port out")
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port that a server left a moment ago can be had again; one that is listened on cannot.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((LOOPBACK, port or 0))
        taken.listen(128)
    except OSError as fault:
        taken.close()
        if fault.errno == errno.EADDRINUSE:
            raise ViewError(
                f"port {port} is in use by another program; choose another with --port, or leave "
                "it out to get a free one"
            ) from fault
        raise ViewError(
            f"port {port} cannot be had ({fault.strerror}); choose one from 1024 up with --port, "
            "or leave it out to get a free one"
        ) from fault
    return taken
