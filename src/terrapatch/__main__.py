"""``python -m terrapatch``: the same as the command ``terrapatch``."""

from __future__ import annotations

from terrapatch.cli import main

if __name__ == "__main__":
    main()
