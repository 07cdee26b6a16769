"""From exports to the symptoms that a diagnosis starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from loopctl.model.baseline import Baseline
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.logs import LogEntry
from loopctl.triage.assemble import assemble
from loopctl.triage.baseline import learn
from loopctl.triage.export.asked import health_faults, request_logs
from loopctl.triage.export.faults import Witness
from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.proxied import proxied
from loopctl.triage.export.pytest_output import PytestReader
from loopctl.triage.export.reading import Export
from loopctl.triage.export.taken_back import taken_back
from loopctl.triage.export.times import UNKNOWN
from loopctl.triage.symptoms import RequestLog, ServiceLog, SuiteResult, Symptoms

_MOST_SERVICES: Final = 200
_LAST: Final = 300
_EXITED: Final = re.compile(r"(?P<name>[A-Za-z][\w.-]*?)(?:[-_]\d+)? exited with code ")


@dataclass(frozen=True, slots=True)
class Capture:
    """The pieces of one service in one file. `service` is what it is called in reports.

    What a test runner printed is in `suites`, and in no piece; `read` counts it too.
    """

    service: str
    export: Export
    pieces: Sequence[Piece]
    read: int
    suites: tuple[SuiteResult, ...] = ()

    @property
    def source(self) -> str:
        """What quotes call the file."""
        return self.export.name

    def entries(self, over: frozenset[int] = frozenset()) -> Iterator[LogEntry]:
        """What was said in words, in order; without the pieces of these numbers."""
        for piece in self.pieces:
            if piece.text and piece.number not in over:
                yield piece.entry(self.service)

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From when to when it goes, None where no time is told."""
        times = [piece.at for piece in self.pieces if piece.at != UNKNOWN]
        return (min(times), max(times)) if times else None


def captures_of(export: Export) -> list[Capture]:
    """The services of a file; what names none belongs to the only one, else to the file's name."""
    named = {piece.service for piece in export.pieces if piece.service}
    rest = next(iter(named)) if len(named) == 1 else export.stem
    grouped: dict[str, list[Piece]] = {}
    for piece in export.pieces:
        name = piece.service or rest
        if name not in grouped and len(grouped) >= _MOST_SERVICES:
            name = rest
        grouped.setdefault(name, []).append(piece)
    return [_capture(service, export, pieces) for service, pieces in grouped.items()]


def _capture(service: str, export: Export, pieces: Sequence[Piece]) -> Capture:
    reader = PytestReader(export.name, export.stem)
    rest = [piece for piece in pieces if not piece.text or not reader.takes(piece)]
    return Capture(service, export, rest, len(pieces), tuple(reader.suites()))


def symptoms_of(captures: Sequence[Capture], baseline: Baseline | None) -> tuple[Symptoms, bool]:
    """All that the captures show; and whether anything in them, however well known, is an error
    that is not over.
    """
    troubled = False
    faults: list[Fault] = []
    requests: list[RequestLog] = []
    logs: list[ServiceLog] = []
    testers = _testers(captures)
    listeners: dict[str, tuple[tuple[str, Quote], ...]] = {}
    for capture in captures:
        witness = Witness(capture.source, capture.service)
        for piece in capture.pieces:
            witness.see(piece)
        found = [fault for fault in witness.faults() if not _is_of_tests(fault, testers)]
        listeners[capture.service] = witness.listens()
        faults += found or ([] if capture.service in testers else _given_up(capture))
        asked = [piece for piece in capture.pieces if piece.request is not None]
        faults += health_faults(capture.service, capture.source, asked)
        lasting = list(request_logs(capture.service, capture.source, asked))
        requests += lasting
        over = witness.over() | _passed(asked, {log.first for log in lasting})
        over |= _ends_of(capture, testers)
        logs.append(ServiceLog(capture.service, capture.source, capture.entries(over)))
        bad = (p for p in capture.pieces if p.trouble or p.doubtful)
        back = taken_back(capture.pieces)
        troubled |= any(piece.number not in over and piece.number not in back for piece in bad)
    for capture in captures:
        faults += proxied(capture.source, capture.pieces, listeners)
    symptoms = Symptoms(
        stage=None,
        faults=tuple(faults),
        logs=tuple(logs),
        requests=tuple(requests),
        suites=tuple(suite for capture in captures for suite in capture.suites),
        baseline=baseline,
    )
    return symptoms, troubled


def _testers(captures: Sequence[Capture]) -> frozenset[str]:
    """The services that are test runs: their exit code is what the tests came to."""
    return frozenset(
        capture.service
        for capture in captures
        if any(suite.cases for suite in capture.suites)
        or any(piece.text.startswith("=== RUN ") for piece in capture.pieces)
    )


def _is_of_tests(fault: Fault, testers: frozenset[str]) -> bool:
    ended = fault.kind in (FaultKind.EXIT_CODE, FaultKind.SIGNAL)
    return ended and fault.service in testers


def _ends_of(capture: Capture, testers: frozenset[str]) -> frozenset[int]:
    """The lines that tell how a container ended that only ran tests."""
    if not testers:
        return frozenset()
    return frozenset(
        piece.number
        for piece in capture.pieces
        if "exited with code" in piece.text
        and (found := _EXITED.match(piece.text)) is not None
        and found["name"] in testers
    )


def _passed(asked: Iterable[Piece], lasting: set[int]) -> frozenset[int]:
    """The requests that failed, and after which the same path was answered."""
    return frozenset(p.number for p in asked if p.trouble and p.number not in lasting)


def _given_up(capture: Capture) -> list[Fault]:
    """Whether its last words are an exception that was raised while its code was imported: there
    it ended, though nobody says so.
    """
    last = [piece for piece in capture.pieces[-_LAST:] if piece.text]
    if not any(piece.trouble for piece in last):
        return []
    events = list(assemble(replace(capture, pieces=last).entries()))
    trace = events[-1].trace if events else None
    if trace is None or not trace.at_import:
        return []
    raised = trace.innermost
    line = next(each for each in events[-1].lines if each.number == raised.number)
    said = "its log ends with an exception that was raised while its code was imported"
    quote = Quote("log", f"{capture.source}#{line.number}", line.text)
    summary = f"{capture.service}: {said}"
    return [Fault(FaultKind.EXIT_CODE, summary, capture.service, quotes=(quote,))]


def learned(captures: Iterable[Capture]) -> Baseline:
    """What logs of a good time leave to compare with."""
    return learn((capture.service, assemble(capture.entries())) for capture in captures)
