"""What a log export says: known causes, what is new, and where to look next. No loop is needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from loopctl.errors import Problem, UsageError
from loopctl.process import utc_now

if TYPE_CHECKING:
    from loopctl.triage.export.reading import Export
    from loopctl.triage.triaged import Triaged


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """Which files to look at, `-` for standard input.

    `green` are logs of a good time to compare with, `signatures` the user's own beside ours.
    """

    logs: tuple[Path, ...]
    green: tuple[Path, ...] = ()
    signatures: tuple[Path, ...] = ()


def triage_logs(request: LogsRequest, stdin: IO[bytes] | None = None) -> Triaged:
    """Say what went wrong, as far as the files show it. Reads them and nothing else.

    Raises `UsageError` with every file that is no log, and every problem of the signatures.
    """
    from loopctl.triage.diagnose import diagnose
    from loopctl.triage.export.compare import compared
    from loopctl.triage.export.next_steps import green_command, next_steps
    from loopctl.triage.export.outcome import known, rare, still_open, telling, together
    from loopctl.triage.export.symptoms import captures_of, symptoms_of
    from loopctl.triage.loading import load_catalogue
    from loopctl.triage.triaged import Captured, Triaged

    catalogue = load_catalogue(request.signatures)
    source = stdin if stdin is not None else sys.stdin.buffer
    exports = _read((*request.logs, *request.green), source)
    logs, greens = exports[: len(request.logs)], exports[len(request.logs) :]
    captures = [capture for export in logs for capture in captures_of(export)]
    against = compared(captures, [c for export in greens for c in captures_of(export)])
    symptoms, troubled = symptoms_of(against.captures, against.baseline)
    diagnosis = diagnose(symptoms, catalogue)
    findings, novel = known(diagnosis, symptoms), telling(diagnosis, symptoms)
    if not (troubled or diagnosis.findings):
        novel = together(novel, rare(against.captures))
    green = None if greens else green_command(captures)
    return Triaged(
        at=utc_now(),
        findings=findings,
        novel=novel,
        unknown=tuple(still_open(diagnosis, novel, green)),
        ranked_by=against.said(diagnosis.ranked_by),
        troubled=bool(diagnosis.findings) or troubled,
        captured=tuple(Captured(c.service, c.source, c.read, c.export.gap) for c in captures)
        or tuple(Captured(e.stem, e.name, 0, e.gap) for e in logs),
        next=next_steps(captures, findings, novel, green),
    )


def _read(paths: Sequence[Path], stdin: IO[bytes]) -> list[Export]:
    from loopctl.triage.export.opening import NoLogError
    from loopctl.triage.export.reading import read_export

    exports: list[Export] = []
    problems: list[Problem] = []
    if sum(str(path) == "-" for path in paths) > 1:
        raise UsageError("1 problem", [Problem("standard input can be read once only", where="-")])
    for path in paths:
        try:
            exports.append(read_export(path, stdin))
        except NoLogError as error:
            problems.append(error.problem)
    if problems:
        named = "1 file is" if len(problems) == 1 else f"{len(problems)} files are"
        raise UsageError(f"{named} no log that can be read", problems)
    return exports
