"""Progress: a bar on a terminal, now and then a line elsewhere, objects for machines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from terrapatch.cli import words

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PATIENCE = 1.0
LINE_EVERY = 15.0
OBJECT_EVERY = 0.5


class Progress(Protocol):
    """Something that is told how far a stage of the work has come."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` are done in ``stage``."""

    def say(self, text: str) -> None:
        """Write a line for people without disturbing what is shown."""

    def close(self) -> None:
        """Show nothing any more."""


class Silent:
    """Shows no progress."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Remember how a line is written."""
        self._write = write

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Write a line."""
        self._write(text)

    def close(self) -> None:
        """Do nothing."""


class Lines(Silent):
    """Writes a line every fifteen seconds; for logs."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Remember how a line is written, and when the work began."""
        super().__init__(write)
        self._stage = ""
        self._began = self._last = time.monotonic()
        self._from = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Write a line, if it is time for one."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._last, self._from = stage, now, now, done
        if now - self._last < LINE_EVERY or done >= total or done <= self._from:
            return
        self._last = now
        left = (now - self._began) / (done - self._from) * (total - done)
        share = words.share(done / total)
        self._write(f"{stage}: {done} of {total} ({share}), about {words.duration(left)} left")


class Objects(Silent):
    """Writes objects for machines: at most two a second, and the last of each stage."""

    def __init__(self, write: Callable[[str], None], tell: Callable[[str, int, int], None]) -> None:
        """Remember how a line and how an object is written."""
        super().__init__(write)
        self._tell = tell
        self._last: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Write an object, if it is time for one."""
        now = time.monotonic()
        if done >= total or now - self._last.get(stage, -OBJECT_EVERY) >= OBJECT_EVERY:
            self._last[stage] = now
            self._tell(stage, done, total)


class Bar(Silent):
    """A Rich bar on stderr, from the second second of a stage on."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Remember how a line is written; nothing is shown yet."""
        super().__init__(write)
        self._stage, self._began = "", time.monotonic()
        self._shown: RichProgress | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move the bar of this stage."""
        if stage != self._stage:
            self.close()
            self._stage, self._began = stage, time.monotonic()
        if self._shown is None:
            if time.monotonic() - self._began < PATIENCE or done >= total:
                return
            self._shown = _begin(stage, total)
        self._shown.update(self._shown.task_ids[0], completed=done, total=total)
        if done >= total:
            self.close()

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        if self._shown is None:
            self._write(text)
        else:
            self._shown.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None


def _begin(stage: str, total: int) -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    bar.add_task(stage, total=total)
    bar.start()
    return bar
