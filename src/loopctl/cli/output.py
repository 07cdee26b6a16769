"""What the command line prints: results on stdout, everything else on stderr, all of it inert."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import TextIO

from loopctl import api
from loopctl.errors import ExitCode, LoopctlError, ManyProblems, Problem, UsageError
from loopctl.inert import for_ci, for_terminal, json_for_ci
from loopctl.model.ci_job import CiJob

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
_jobs: list[CiJob] = []
_NOT_ASCII = re.compile(r"[^\x20-\x7e\n]")


def begin(job: CiJob | None) -> None:
    """From now on what is said is inert in the log of that job, too."""
    _jobs[:] = [] if job is None else [job]


def say(text: str) -> None:
    """A line of the result."""
    _write(sys.stdout, _inert(text) + "\n")


def warn(text: str) -> None:
    """A line for the person at the terminal."""
    _write(sys.stderr, _inert(text) + "\n")


def document(value: object) -> None:
    """The final document of `--json`. ASCII only and no command: inert wherever it is shown."""
    json_line(json.dumps(value, indent=1, ensure_ascii=True, default=str))


def line(value: Mapping[str, object]) -> None:
    """One event of `--events`, at once."""
    json_line(json.dumps(value, separators=(",", ":"), ensure_ascii=True), at_once=True)


def json_line(text: str, *, at_once: bool = False) -> None:
    """A line that is JSON already; it means the same afterwards, in ASCII."""
    ascii_only = _NOT_ASCII.sub(lambda found: _escaped(found[0]), text)
    _write(sys.stdout, json_for_ci(ascii_only) + "\n", at_once=at_once)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else json.dumps(char)[1:-1]


def _inert(text: str) -> str:
    return (for_ci if _jobs else for_terminal)(text, keep_newlines=True)


def is_read() -> bool:
    """Whether nobody who read the results is known to have gone."""
    return not _reader_left.is_set()


def is_terminal() -> bool:
    """Whether a person looks at the results as they come."""
    with contextlib.suppress(ValueError):
        return sys.stdout.isatty()
    return False


def flush() -> None:
    """Hand over what waits to be written, before the process ends at the latest."""
    for stream in (sys.stdout, sys.stderr):
        _write(stream, "", at_once=True)


def failed(error: LoopctlError, *, as_json: bool) -> int:
    """Tell an error the way it was asked for; the exit code it ends in."""
    code = int(error.exit_code)
    verdict = _VERDICTS.get(error.exit_code, "internal")
    _tell_job(error, verdict)
    if as_json:
        document(
            {
                "schema": 1,
                "verdict": verdict,
                "exit_code": code,
                "message": error.what,
                "problems": [_problem(problem) for problem in _problems(error)],
            }
        )
    else:
        warn(f"loopctl: {error}" if not isinstance(error, ManyProblems) else str(error))
    return code


def misused(text: str, code: int) -> int:
    """Tell of arguments that nobody can take; the exit code for that."""
    *usage, last = text.strip().splitlines() or [""]
    _tell_job(UsageError("bad arguments", [Problem(last.removeprefix("Error: "))]), "usage")
    warn("\n".join([*usage, last]))
    return code


def _tell_job(error: LoopctlError, verdict: str) -> None:
    for job in _jobs:
        for trouble in api.tell_job_of_error(job, error, verdict):
            warn(f"loopctl: {trouble}")


def crashed(error: Exception) -> int:
    """Tell a fault of loopctl itself, with the place in its code; the exit code for that.

    Its text is left out: nobody knows here which secrets it may quote.
    """
    where = traceback.extract_tb(error.__traceback__)[-1]
    fault = f"a fault of loopctl itself: {type(error).__name__}"
    _tell_job(LoopctlError(fault), _VERDICTS[ExitCode.INTERNAL])
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
