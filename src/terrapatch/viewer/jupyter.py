"""The page inside a notebook: a server in a thread, and a frame that shows it."""

from __future__ import annotations

import html
import os
from types import TracebackType
from typing import Self

from terrapatch.viewer.server import PageServer

__all__ = ["View", "view"]


class View:
    """A page that is being served; the last line of a notebook's cell shows it in a frame.

    The server listens on 127.0.0.1 of the machine that runs Python. Where the notebook runs on
    another machine than the browser, the frame stays empty: make a file with
    ``terrapatch view DIR --static FILE.html`` there and download it.

    Attributes:
        url: The address; with it, the page can be opened in any browser on this machine.
        height: Height of the frame in pixels.
    """

    def __init__(self, server: PageServer, height: int = 720) -> None:
        """Show a server that has been started."""
        self._server = server
        self.url = server.url
        self.height = height

    def __enter__(self) -> Self:
        """Return the view itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def stop(self) -> None:
        """Stop the server; the page then says that it is gone."""
        self._server.stop()

    def __repr__(self) -> str:
        return f"View({self.url})"

    def _repr_html_(self) -> str:
        address = html.escape(self.url, quote=True)
        title = html.escape(f"Clusters in {self._server.study.folder.path}", quote=True)
        return (
            f'<iframe src="{address}" title="{title}" width="100%" height="{int(self.height)}" '
            'style="border:1px solid #8886;border-radius:6px"></iframe>'
            f'<p><a href="{address}" target="_blank" rel="noreferrer">Open in a tab of its own</a>'
            " (on the machine that runs this notebook)</p>"
        )


def view(folder: str | os.PathLike[str], *, port: int | None = None, height: int = 720) -> View:
    """Serve the page of a result in a thread, and show it in the notebook.

    Args:
        folder: A folder that ``cluster`` wrote.
        port: Port on this machine; by default one that is free.
        height: Height of the frame in pixels.

    Returns:
        The view; ``stop()`` ends its server, as the end of Python does.

    Raises:
        MissingExtraError: If the extra ``viewer`` is not installed.
        ViewError: If the port is in use.
        TerrapatchError: If the folder holds no result, or its features changed.
    """
    server = PageServer(folder, port=port, framed=True)
    server.start()
    return View(server, height)
