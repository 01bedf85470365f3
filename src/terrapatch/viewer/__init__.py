"""The page: look at clusters, name them, merge them and save, in a browser on this machine."""

from __future__ import annotations

from terrapatch.viewer.jupyter import View, view
from terrapatch.viewer.server import PageServer
from terrapatch.viewer.static_page import save_static

__all__ = ["PageServer", "View", "save_static", "view"]
