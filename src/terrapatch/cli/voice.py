"""How a command speaks: to people, or to machines as one JSON object a line.

Results go to stdout; messages, progress and errors to stderr. With ``--json``
every object goes to stdout, and an error's sentence to stderr as well.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from terrapatch.cli import bars, faults

if TYPE_CHECKING:
    from rich.table import Table


class Voice:
    """What a command says; made by ``speaking``.

    Attributes:
        json: Whether it speaks to machines.
        quiet: Whether it says nothing but errors (and, to machines, outputs and results).
        kept: Asked, when a run is interrupted, what has been kept.
    """

    def __init__(self, as_json: bool, quiet: bool, debug: bool) -> None:
        """Choose how to speak.

        Args:
            as_json: Whether to write JSON objects.
            quiet: Whether to say nothing but errors.
            debug: Whether to show tracebacks.
        """
        self.json, self.quiet = as_json, quiet
        self.kept: Callable[[], str] = lambda: "nothing was written"
        self._debug = faults.wants_debug(debug)
        self.progress: bars.Progress = self._progress()

    def _progress(self) -> bars.Progress:
        def to_people(text: str) -> None:
            _write(sys.stderr, text)

        if self.quiet:
            return bars.Silent(to_people)
        if self.json:
            return bars.Objects(
                to_people,
                lambda stage, done, total: self._object(
                    "progress", stage=stage, done=done, total=total
                ),
            )
        return bars.Bar(to_people) if sys.stderr.isatty() else bars.Lines(to_people)

    def message(self, text: str) -> None:
        """Say something by the way: an assumption, a choice, a note."""
        if self.quiet:
            return
        if self.json:
            self._object("message", text=text)
        else:
            self.progress.say(text)

    def show(self, text: str) -> None:
        """Show people what was asked for; machines get it by ``result``."""
        if not (self.json or self.quiet):
            self.progress.close()
            _write(sys.stdout, text)

    def table(self, table: Table) -> None:
        """Show people a table, in colour on a terminal."""
        if self.json or self.quiet:
            return
        from rich.console import Console

        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
        with console.capture() as captured:
            console.print(table)
        lines = [line.rstrip() for line in captured.get().splitlines()]
        self.show("\n".join(lines))

    def outputs(self, paths: Sequence[Path]) -> None:
        """Name the files that were written."""
        for path in paths:
            if self.json:
                self._object("output", path=str(path))
            else:
                self.show(f"wrote {path}")

    def result(self, data: Mapping[str, Any]) -> None:
        """Give machines what was asked for."""
        if self.json:
            self._object("result", **data)

    def fail(self, fault: BaseException) -> int:
        """Say what went wrong and return the exit code."""
        self.progress.close()
        text, code = faults.sentence(fault)
        if self._debug:
            _write(sys.stderr, faults.trace(fault).rstrip())
        return self._end(f"error: {text}", text, code, type(fault).__name__)

    def interrupted(self) -> int:
        """Say what an interrupted run has kept and return the exit code."""
        self.progress.close()
        text = f"interrupted: {self.kept()}"
        return self._end(text, text, faults.INTERRUPTED, "interrupted")

    def _end(self, line: str, text: str, code: int, kind: str) -> int:
        if self.json:
            self._object("error", kind=kind, text=text, exit_code=code)
        _write(sys.stderr, line)
        return code

    def _object(self, sort: str, /, **data: Any) -> None:
        line = {"type": sort, **{key: plain(value) for key, value in data.items()}}
        _write(sys.stdout, json.dumps(line, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """Bring a value to what JSON can hold; NaN and infinities become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def _write(stream: TextIO, text: str) -> None:
    """Write a line at once; once nobody reads any more, the work goes on in silence."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Ear(logging.Handler):
    """Passes what the package logs on to a voice."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(logging.INFO)
        self._voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        self._voice.message(faults.one_line(record.getMessage()))


@contextmanager
def _listening(voice: Voice, debug: bool) -> Iterator[None]:
    """Say what the package logs; keep the chatter of other libraries off the screen."""
    ours, root = logging.getLogger("terrapatch"), logging.getLogger()
    ear, level = _Ear(voice), ours.level
    null = logging.NullHandler()
    ours.addHandler(ear)
    ours.setLevel(logging.INFO)
    if not debug:
        root.addHandler(null)
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
            yield
    finally:
        ours.removeHandler(ear)
        ours.setLevel(level)
        root.removeHandler(null)


@contextmanager
def speaking(as_json: bool, quiet: bool, debug: bool) -> Iterator[Voice]:
    """Run a command with a voice; every fault ends in one sentence and an exit code.

    Args:
        as_json: The option ``--json``.
        quiet: The option ``--quiet``.
        debug: The option ``--debug``.

    Yields:
        The voice.

    Raises:
        typer.Exit: With the exit code, after a fault or an interrupt.
    """
    voice = Voice(as_json, quiet, debug)
    try:
        with _listening(voice, faults.wants_debug(debug)):
            yield voice
            return
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        code = voice.interrupted()
    except Exception as fault:  # noqa: BLE001 (the one place where faults become sentences)
        code = voice.fail(fault)
    finally:
        voice.progress.close()
    raise typer.Exit(code)
