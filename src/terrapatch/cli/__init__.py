"""The command line: parse, call one function, show. Nothing heavy is imported here."""

from __future__ import annotations

from terrapatch.cli.app import app, main

__all__ = ["app", "main"]
