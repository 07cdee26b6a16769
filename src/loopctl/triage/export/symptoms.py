"""From exports to the symptoms that a diagnosis starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loopctl.model.baseline import Baseline
from loopctl.model.finding import Fault
from loopctl.model.logs import LogEntry
from loopctl.triage.assemble import assemble
from loopctl.triage.baseline import learn
from loopctl.triage.export.asked import health_faults, request_logs
from loopctl.triage.export.faults import Witness
from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.pytest_output import PytestReader
from loopctl.triage.export.reading import Export
from loopctl.triage.export.times import UNKNOWN
from loopctl.triage.symptoms import RequestLog, ServiceLog, SuiteResult, Symptoms

_MOST_SERVICES: Final = 200


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

    def entries(self) -> Iterator[LogEntry]:
        """What was said in words, in order."""
        for piece in self.pieces:
            if piece.text:
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
    for capture in captures:
        witness = Witness(capture.source, capture.service)
        for piece in capture.pieces:
            witness.see(piece)
        faults += witness.faults()
        asked = [piece for piece in capture.pieces if piece.request is not None]
        faults += health_faults(capture.service, capture.source, asked)
        lasting = list(request_logs(capture.service, capture.source, asked))
        requests += lasting
        last = {log.first for log in lasting} | _silent(capture.pieces, witness.over())
        troubled |= any(piece.trouble and piece.number in last for piece in capture.pieces)
    symptoms = Symptoms(
        stage=None,
        faults=tuple(faults),
        logs=tuple(ServiceLog(c.service, c.source, c.entries()) for c in captures),
        requests=tuple(requests),
        suites=tuple(suite for capture in captures for suite in capture.suites),
        baseline=baseline,
    )
    return symptoms, troubled


def _silent(pieces: Iterable[Piece], over: frozenset[int]) -> set[int]:
    """The pieces that are no requests, and do not tell of what went over by itself."""
    return {p.number for p in pieces if p.request is None and p.number not in over}


def learned(captures: Iterable[Capture]) -> Baseline:
    """What logs of a good time leave to compare with."""
    return learn((capture.service, assemble(capture.entries())) for capture in captures)
