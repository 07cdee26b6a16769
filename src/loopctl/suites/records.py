"""The files that a suite's process leaves in the run's folder, private to the user."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir
from loopctl.ports.suite import SuiteError
from loopctl.redact import Redactor
from loopctl.suites.capture import Capture, open_private
from loopctl.suites.spool import Event

NAMES = ("stdout.txt", "stderr.txt", "events.jsonl")


@dataclass(frozen=True, slots=True)
class Records:
    """Where output goes, redacted on its way, and events, which are redacted already."""

    stdout: Capture
    stderr: Capture
    keep: Callable[[Event], None]


@contextlib.contextmanager
def records(folder: Path, redactor: Redactor) -> Iterator[Records]:
    """`stdout.txt`, `stderr.txt` and `events.jsonl`. A disk that refuses them is a `SuiteError`."""
    with contextlib.ExitStack() as open_files:
        try:
            ensure_private_dir(folder)
            out = Capture(folder / "stdout.txt", redactor)
            open_files.callback(out.close)
            err = Capture(folder / "stderr.txt", redactor)
            open_files.callback(err.close)
            events = open_files.enter_context(open_private(folder / "events.jsonl"))
        except StorageError as problem:
            raise SuiteError(problem.what, where=problem.where, hint=problem.hint) from problem
        except OSError as problem:
            raise _cannot_record(folder, problem) from problem

        def keep(event: Event) -> None:
            try:
                events.write(json.dumps(event).encode("ascii") + b"\n")
            except OSError as problem:
                raise _cannot_record(folder, problem) from problem

        yield Records(out, err, keep)


def gather(folder: Path, parts: Sequence[Path], redactor: Redactor) -> None:
    """Put what the `parts` of a suite left into one set of files in `folder`, and remove them.

    Whoever looks for a suite's output finds it where every suite has it. Raises `SuiteError`.
    """
    with records(folder, redactor):
        pass
    try:
        for name in NAMES:
            with (folder / name).open("ab") as whole:
                for part in parts:
                    with (part / name).open("rb") as piece:
                        shutil.copyfileobj(piece, whole)
                    (part / name).unlink()
        for part in parts:
            part.rmdir()
    except OSError as problem:
        raise _cannot_record(folder, problem) from problem


def _cannot_record(folder: Path, problem: OSError) -> SuiteError:
    return SuiteError(
        f"the suite's output cannot be written: {problem.strerror}",
        where=str(folder),
        hint="make room there, or choose another --runs-dir",
    )
