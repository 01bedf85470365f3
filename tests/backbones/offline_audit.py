"""Runs ``terrapatch ARGS`` and watches for sockets: a program for a process of its own.

A hook that Python cannot take away again writes down every socket that is made, bound or
connected, every name that is looked up and every datagram, and forbids it. Sockets that never
leave the machine's own file system (``AF_UNIX``, as event loops make them) are let through.

The last line of stdout is what was seen, as JSON; where that is anything, the exit code is 99.
``python offline_audit.py --control WHAT`` tries to reach out itself, to show that it is seen.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import socket
import sys
import urllib.request
from typing import Any

CAUGHT = 99
# Asks the system for this machine's own name; nothing is opened.
HARMLESS = {"socket.gethostname"}

seen: list[str] = []


def hook(event: str, args: tuple[Any, ...]) -> None:
    """Write down and forbid what opens a socket or asks for a name."""
    if not event.startswith("socket.") or event in HARMLESS or is_local(event, args):
        return
    seen.append(f"{event} {args[1:] if args and isinstance(args[0], socket.socket) else args}")
    raise PermissionError(f"{event} while offline")


def is_local(event: str, args: tuple[Any, ...]) -> bool:
    """Whether a socket is one of the file system."""
    if event == "socket.__new__":
        return len(args) > 1 and args[1] == socket.AF_UNIX
    return bool(args) and getattr(args[0], "family", None) == socket.AF_UNIX


def quiet_requests() -> None:
    """Import requests as we do where no socket may be opened."""
    from terrapatch.backbones.asking import quiet_urllib3

    quiet_urllib3()
    import requests
    from urllib3.util import connection

    assert requests
    assert socket.has_ipv6 == connection.HAS_IPV6


def control(what: str) -> None:
    """Try to reach out, as a library might that swallows its faults."""
    tries = {
        "connect": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "bind": lambda: socket.socket().bind(("127.0.0.1", 0)),
        "lookup": lambda: socket.getaddrinfo("weights.example", 443),
        "old lookup": lambda: socket.gethostbyname("weights.example"),
        "address": lambda: socket.gethostbyaddr("127.0.0.1"),
        "send": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9)),
        "url": lambda: urllib.request.urlopen("http://127.0.0.1:9/"),
        "pair": socket.socketpair,
        "requests": lambda: importlib.import_module("requests"),
        "quiet requests": quiet_requests,
    }
    with contextlib.suppress(OSError):
        tries[what]()


def main() -> int:
    """Run, and say what was seen."""
    sys.addaudithook(hook)
    if sys.argv[1] == "--control":
        control(sys.argv[2])
        code = 0
    else:
        from terrapatch.cli import main as run

        try:
            run()
        except SystemExit as ended:
            code = int(ended.code or 0)
    sys.stdout.write(f"\n{json.dumps(seen)}\n")
    return CAUGHT if seen else code


if __name__ == "__main__":
    sys.exit(main())
