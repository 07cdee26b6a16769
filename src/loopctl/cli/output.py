"""What the command line prints: results on stdout, everything else on stderr, all of it inert."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import TextIO

from loopctl.errors import ExitCode, LoopctlError, ManyProblems, Problem
from loopctl.inert import for_terminal

_VERDICTS = {
    ExitCode.USAGE: "usage",
    ExitCode.UNPROVEN: "unproven",
    ExitCode.PREFLIGHT: "preflight",
    ExitCode.UNDELIVERED: "undelivered",
    ExitCode.LOCKED: "locked",
    ExitCode.INTERNAL: "internal",
    ExitCode.SIGINT: "interrupted",
    ExitCode.SIGTERM: "interrupted",
}

_reader_left = threading.Event()


def say(text: str) -> None:
    """A line of the result."""
    _write(sys.stdout, for_terminal(text, keep_newlines=True) + "\n")


def warn(text: str) -> None:
    """A line for the person at the terminal."""
    _write(sys.stderr, for_terminal(text, keep_newlines=True) + "\n")


def document(value: object) -> None:
    """The final document of `--json`. ASCII only, so that it is inert on any terminal."""
    _write(sys.stdout, json.dumps(value, indent=1, ensure_ascii=True, default=str) + "\n")


def line(value: Mapping[str, object]) -> None:
    """One event of `--events`, at once."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True) + "\n"
    _write(sys.stdout, text, at_once=True)


def is_read() -> bool:
    """Whether nobody who read the results is known to have gone."""
    return not _reader_left.is_set()


def flush() -> None:
    """Hand over what waits to be written, before the process ends at the latest."""
    for stream in (sys.stdout, sys.stderr):
        _write(stream, "", at_once=True)


def failed(error: LoopctlError, *, as_json: bool) -> int:
    """Tell an error the way it was asked for; the exit code it ends in."""
    code = int(error.exit_code)
    if as_json:
        document(
            {
                "schema": 1,
                "verdict": _VERDICTS.get(error.exit_code, "internal"),
                "exit_code": code,
                "message": error.what,
                "problems": [_problem(problem) for problem in _problems(error)],
            }
        )
    else:
        warn(f"loopctl: {error}" if not isinstance(error, ManyProblems) else str(error))
    return code


def crashed(error: Exception) -> int:
    """Tell a fault of loopctl itself, with the place in its code; the exit code for that.

    Its text is left out: nobody knows here which secrets it may quote.
    """
    where = traceback.extract_tb(error.__traceback__)[-1]
    warn(
        f"loopctl: internal fault: {type(error).__name__}\n"
        f"    at {where.filename}:{where.lineno} in {where.name}\n"
        "    hint: nothing is known to be wrong with your service; please report this"
    )
    return int(ExitCode.INTERNAL)


def _write(stream: TextIO, text: str, *, at_once: bool = False) -> None:
    """A reader (`| head`) or a terminal that went away ends the output: not the run or its code."""
    try:
        stream.write(text)
        if at_once:
            stream.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        if stream is sys.stdout:
            _reader_left.set()
        # What is buffered would be tried again at exit, and end in Python's exit code 120.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _problems(error: LoopctlError) -> list[Problem]:
    if isinstance(error, ManyProblems):
        return list(error.problems)
    return [Problem(error.what, where=error.where, hint=error.hint)]


def _problem(problem: Problem) -> Mapping[str, str | None]:
    return {"where": problem.where, "message": problem.message, "hint": problem.hint}
