"""What goes wrong with the page, as one sentence and the status of the answer."""

from __future__ import annotations

from terrapatch.errors import TerrapatchError

__all__ = ["MissingError", "StaleError", "ViewError"]


class ViewError(TerrapatchError, ValueError):
    """A page that cannot be served, or a request that cannot be answered."""

    status = 400


class MissingError(ViewError):
    """A cell, cluster, tile or file that does not exist."""

    status = 404


class StaleError(ViewError):
    """Files that changed since the page was opened."""

    status = 409
