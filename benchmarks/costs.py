"""How near ``--dry-run`` comes to what happens: time, bytes and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machine import PEAK

CHILD = """
import json, sys, time
from pathlib import Path
from terrapatch.features import estimate, prepare
from terrapatch.features.engine import run

out = Path(sys.argv[2])
plan = prepare(sys.argv[1], out, **json.loads(sys.argv[3]))
if sys.argv[4] == "guess":
    guess = estimate(plan)
    made = guess.seconds, guess.store_bytes, guess.memory_bytes
else:
    start = time.perf_counter()
    run(plan, out, overwrite=True)
    seconds = time.perf_counter() - start
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    made = seconds, size, peak()
print(json.dumps(made))
"""


def measure(scene: Path, sparse: Path | None, scratch: Path) -> Iterator[tuple[str, float]]:
    """Predict and run three jobs, each in processes of their own.

    Yields:
        What was predicted, and the prediction over what happened.
    """
    resnet: dict[str, Any] = {"size": 224, "backbone": "resnet18:random"}
    jobs = {
        "exact": (scene, resnet),
        "sparse": (sparse, {"size": 224}),
        "dense": (scene, resnet | {"stride": 32, "mode": "dense"}),
    }
    for job, (path, options) in jobs.items():
        if path is None:
            continue
        guess, made = (
            _asked(path, scratch / "cost.zarr", options, how) for how in ("guess", "run")
        )
        for name, a, b in zip(("time", "bytes", "memory"), guess, made, strict=True):
            yield f"{job}, {name}", a / b


def _asked(scene: Path, out: Path, options: dict[str, Any], how: str) -> list[float]:
    command = [sys.executable, "-c", PEAK + CHILD, str(scene), str(out), json.dumps(options), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))
