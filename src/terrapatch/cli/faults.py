"""Faults as sentences, and the exit codes that go with them."""

from __future__ import annotations

import errno
import os
import re
import traceback

from terrapatch.errors import TerrapatchError

OUR_FAULT = 1
BAD_INPUT = 2
INTERRUPTED = 130

_YOURS = {
    errno.ENOENT: "it does not exist; check the path",
    errno.EACCES: "you may not read or write it; check its permissions",
    errno.EPERM: "you may not read or write it; check its permissions",
    errno.EROFS: "its disk is mounted read-only; choose another place",
    errno.ENOSPC: "the disk is full; free some space, or write to another disk",
    errno.EDQUOT: "your disk quota is used up; free some space, or write elsewhere",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
    errno.EIO: "the disk reports an error; check it, or use another",
}


def one_line(text: str) -> str:
    """Bring a message to one line."""
    return re.sub(r"\s*\n\s*", " ", text.strip())


def wants_debug(flag: bool) -> bool:
    """Whether tracebacks are asked for, by ``--debug`` or ``TERRAPATCH_DEBUG=1``."""
    return flag or os.environ.get("TERRAPATCH_DEBUG", "").strip().lower() not in ("", "0", "false")


def our_fault(fault: BaseException) -> str:
    """Say that a fault is ours, what it was, and how to report it."""
    what = one_line(str(fault))
    kind = type(fault).__name__
    return (
        f"this is a fault of Terrapatch, not yours ({kind}{': ' if what else ''}{what[:300]}); "
        "please report it with what the same command says under --debug and what "
        "terrapatch doctor says"
    )


def sentence(fault: BaseException) -> tuple[str, int]:
    """Turn any fault into one sentence and an exit code.

    Args:
        fault: What was raised.

    Returns:
        The sentence, without a leading ``error:``, and the exit code: 2 for what a
        person can mend, 1 for what is ours.
    """
    if isinstance(fault, TerrapatchError):
        return one_line(str(fault)), fault.exit_code
    if isinstance(fault, MemoryError):
        return "the memory does not suffice; choose a smaller --size or --batch", BAD_INPUT
    if isinstance(fault, OSError) and fault.filename and fault.errno in _YOURS:
        return f"{fault.filename} cannot be used: {_YOURS[fault.errno]}", BAD_INPUT
    return our_fault(fault), OUR_FAULT


def trace(fault: BaseException) -> str:
    """Return the whole traceback as text."""
    return "".join(traceback.format_exception(fault))
