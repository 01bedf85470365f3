"""Runs of ``embed`` that are killed: a program for a process of its own.

``python killing.py run ARGS.json`` says "ready" once everything is imported and embeds.

``python killing.py everywhere ARGS.json`` does so again and again in forked processes, killing
each with SIGKILL some steps later: just before the 1st, 2nd, 3rd … thing it does to a file or
folder of the store (or every so many, as the job says). After every kill it looks at what is
there, has the run gone on with, and compares the store with the reference, byte by byte.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import terrapatch
from storefiles import files

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.utime"}
AIM = ".zarr"


def embed(job: dict[str, Any]) -> None:
    """Embed as the job says."""
    terrapatch.embed(job["scene"], job["out"], **job["options"])


def in_a_fork(job: dict[str, Any], kill_at: int | None) -> bool:
    """Embed in a forked process; return whether it was killed on the way."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if kill_at is not None:
                sys.addaudithook(killer(kill_at))
            embed(job)
            code = 0
        except BaseException:  # noqa: BLE001 (a fork must not run on as its parent)
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"a run that was to be killed at step {kill_at} failed")
    return False


def killer(kill_at: int) -> Any:
    """Return an audit hook that kills its process at one step on a file of the store."""
    steps = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal steps
        if event in STEPS and any(AIM in str(a) for a in args[:2]):
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def everywhere(job: dict[str, Any]) -> None:
    """Kill a run at every step; see the module's text."""
    out, reference = Path(job["out"]), files(Path(job["reference"]))
    old = files(Path(job["old"])) if "old" in job else None
    kills, unnamed, step = 0, 0, 1
    while True:
        for leftover in (*out.parent.glob(f"{out.name}*"), *out.parent.glob(f".{out.name}*")):
            shutil.rmtree(leftover)
        if old is not None:
            shutil.copytree(job["old"], out)
        if not in_a_fork(job, step):
            break
        kills += 1
        if out.exists():
            found = files(out)
            if found not in (old, reference):
                raise SystemExit(f"killed at step {step}: a store with its final name is not whole")
        elif old is not None:
            unnamed += 1
        replacing = {"overwrite": old is not None or out.exists()}
        if in_a_fork(job | {"options": job["options"] | replacing}, None):
            raise SystemExit("the run that goes on was killed")
        if files(out) != reference:
            raise SystemExit(f"killed at step {step}: other bytes after going on")
        names = sorted(p.name for p in out.parent.iterdir() if out.name in p.name)
        if names != [out.name]:
            raise SystemExit(f"killed at step {step}: left behind {names}")
        step += job["every"]
    sys.stdout.write(json.dumps({"kills": kills, "unnamed": unnamed}))


if __name__ == "__main__":
    order, job = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    import terrapatch.features.engine

    if job["options"].get("backbone") != "imagestats":
        import terrapatch.backbones.network
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    everywhere(job) if order == "everywhere" else embed(job)
