"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def size(n_bytes: float) -> str:
    """Write a number of bytes, e.g. ``5.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def duration(seconds: float) -> str:
    """Write a time, e.g. ``2 min 5 s``; ``not measured`` for NaN."""
    if math.isnan(seconds):
        return "not measured"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def share(part: float) -> str:
    """Write a share as a percentage that never rounds something to nothing."""
    percent = 100 * part
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %"


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Lay out names and values in two columns; a value may have several lines."""
    width = max((len(name) for name, _ in rows), default=0)
    lines = []
    for name, value in rows:
        first, *more = value.splitlines() or [""]
        lines.append(f"{name:<{width}}  {first}".rstrip())
        lines += [f"{'':<{width}}  {line}".rstrip() for line in more]
    return "\n".join(lines)
