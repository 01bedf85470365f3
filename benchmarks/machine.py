"""What machine a benchmark ran on, and turns between processes on it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

HERE = Path(__file__).parent
# The peak of this process alone: ``ru_maxrss`` also remembers the process it was forked from.
PEAK = """
def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

"""
UNITS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def describe() -> dict[str, Any]:
    """Return the machine, its units for low precision, and the versions that decide speed."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in lines.items()}
    return {
        "cpu": facts.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "units": [unit for unit in UNITS if unit in facts.get("flags", "").split()],
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


@dataclass
class Contender:
    """A process that measures when it is told to.

    Attributes:
        name: What the table calls it.
        what: Device, precision and the like, as it settled them.
        rates: Patches a second, one a round.
    """

    name: str
    process: subprocess.Popen[str]
    what: dict[str, Any] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, name: str, **task: Any) -> Contender:
        """Start a process and wait until it is ready."""
        command = [sys.executable, str(HERE / "contenders.py"), json.dumps({"name": name} | task)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        made = cls(name, subprocess.Popen(command, text=True, **pipes))
        made.what = made._answer()
        return made

    def measure(self) -> None:
        """Measure once more."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.rates.append(float(self._answer()))

    def stop(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> Any:
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except ValueError:
                continue
        raise RuntimeError(f"{self.name} ended: {self.process.stderr.read()[-2000:]}")

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.rates)

    def spread(self) -> str:
        """Say the median and the range."""
        return f"{self.median:.1f} ({min(self.rates):.1f}–{max(self.rates):.1f})"


def turns(tasks: dict[str, dict[str, Any]], rounds: int) -> dict[str, Contender]:
    """Let contenders measure in turns, A B A B, one at a time."""
    contenders = {name: Contender.start(name, **task) for name, task in tasks.items()}
    for _ in range(rounds):
        for one in contenders.values():
            one.measure()
    for one in contenders.values():
        one.stop()
    return contenders
