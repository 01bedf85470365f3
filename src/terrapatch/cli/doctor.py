"""``terrapatch doctor``: what this machine has, and the fix where something is missing."""

from __future__ import annotations

import typer

from terrapatch.cli.faults import OUR_FAULT
from terrapatch.cli.options import Debug, Json, Quiet
from terrapatch.cli.voice import speaking


def doctor(as_json: Json = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Check this machine: packages, GPU, precision, GDAL, weights, free memory and disk."""
    with speaking(as_json, quiet, debug) as voice:
        from terrapatch.cli.checks import examine

        found = []
        for check in examine():
            found.append(check)
            mark = {"ok": "ok   ", "note": "note ", "broken": "WRONG"}[check.state]
            fix = f"\n       fix: {check.fix}" if check.fix else ""
            voice.show(f"{mark}  {check.name}: {check.value}{fix}")
        broken = [check for check in found if check.state == "broken"]
        voice.result(
            {
                "ok": not broken,
                "checks": [
                    {"name": c.name, "value": c.value, "state": c.state, "fix": c.fix}
                    for c in found
                ],
            }
        )
        names = ", ".join(check.name for check in broken)
        voice.show(f"\nnot ready: {names}" if broken else "\nready")
        if broken:
            raise typer.Exit(OUR_FAULT)
