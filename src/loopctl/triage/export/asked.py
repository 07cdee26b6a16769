"""From the requests of an export: which failures are lasting, and how health checks ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.triage.export.pieces import Piece
from loopctl.triage.symptoms import RequestLog

_HEALTH: Final = frozenset(
    {"health", "healthz", "healthcheck", "livez", "readyz", "live", "ready", "readiness"}
    | {"liveness", "ping", "status", "startup", "_health", "health_check"}
)
_PASSING: Final = (502, 503, 504)
"""What goes over by itself: while instances start, or one is replaced."""


def is_health(path: str) -> bool:
    """Whether the path asks a service how it is."""
    return path.rstrip("/").rpartition("/")[2].lower() in _HEALTH


def request_logs(service: str, source: str, pieces: Sequence[Piece]) -> Iterator[RequestLog]:
    """The requests that a diagnosis should see, each with its own place in the file.

    A passing failure that good answers on the same path came after is over: it is left out.
    """
    last_good: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        assert piece.request is not None
        if (piece.request.status or 0) in range(100, 400):
            last_good[piece.request.path] = index
    for index, piece in enumerate(pieces):
        request = piece.request
        assert request is not None
        over = request.status in _PASSING and last_good.get(request.path, -1) > index
        if not over and _matters(request.status, request.event):
            yield RequestLog(service, source, (request,), piece.number)


def _matters(status: int | None, event: str) -> bool:
    return event == "close" or status is None or status >= 400


def health_faults(service: str, source: str, pieces: Sequence[Piece]) -> Iterator[Fault]:
    """What the last health checks of each revision came to, where that is not good."""
    by_revision: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        assert piece.request is not None
        if piece.request.event == "request" and is_health(piece.request.path):
            by_revision[piece.request.revision].append(piece)
    for asked in by_revision.values():
        last = asked[-1].request
        assert last is not None
        if last.status is None:
            continue
        alike = [p for p in asked if p.request is not None and p.request.status == last.status]
        fault = _fault(last.status, last.path, good_before=len(alike) < len(asked))
        if fault is not None:
            kind, words = fault
            quotes = tuple(_quote(source, piece) for piece in alike[:3])
            yield Fault(kind, f"{service}: {words}", service, str(last.status), quotes)


def _fault(status: int, path: str, *, good_before: bool) -> tuple[FaultKind, str] | None:
    if 300 <= status < 400 and status != 304:
        return FaultKind.REDIRECT, f"the health check of {path} is answered {status}, a redirect"
    if status >= 500:
        if good_before:
            return FaultKind.UNSTABLE, f"{path} was healthy, and is answered {status} since"
        return FaultKind.STATUS, f"the health check of {path} is answered {status}"
    return None


def _quote(source: str, piece: Piece) -> Quote:
    request = piece.request
    assert request is not None
    text = piece.text.strip() or f"{request.method} {request.path} {request.status}"
    return Quote("request", f"{source}#{piece.number}", text)
