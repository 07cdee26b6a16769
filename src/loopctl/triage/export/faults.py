"""From what the platform says in an export to faults: what went wrong, before anyone asks why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loopctl.inert import one_line
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.sayings import Saying, condition_of, saying_of
from loopctl.triage.regexes import Regex

_LONGEST: Final = 500
_LAST_WORDS: Final = 4
_LISTENS: Final = re.compile(
    r"(?i:listening|running|serving|started|bound|server|local:|network:|ready|available).{0,40}?"
    r"(?P<host>\d{1,3}(?:\.\d{1,3}){3}|localhost|\[[0-9a-f:]+\]|\*|0)?[: ](?:port[ :=]*)?"
    r"(?P<port>\d{2,5})\b(?![.\d])"
)
_LISTEN_WORDS: Final = (
    *("istening", "unning on", "erving", "tarted", "Bound", "bound to"),
    *("Local:", "Network:", "eady on", "eady at", "vailable at", "vailable on"),
)
# Somebody asked for the end: what is killed after it did not fail.
_STOPS: Final = Regex(
    r"\bGracefully stopping\b|^Aborting on container exit|\bContainer \S+ +Stopp(?:ing|ed)\b"
    r"|^Stopping \S+ +\.\.\.|\bfailed liveness probe, will be restarted\b"
    r"|(?i:\breceived (?:signal )?SIGTERM\b|\breceived signal 15\b)"
)
_KILLED: Final = ("137", "SIGKILL")
_IN_SERVICE: Final = Regex(r"\bsuccessfully rolled out\b|\s(?:1/1|2/2|3/3|4/4) +Running\b")
_LEFT: Final = "Container called exit(0)"
_HEALING: Final = (FaultKind.NEVER_READY, FaultKind.CONTROL_PLANE)
_MOST_LISTENERS: Final = 4
_LOOPBACK: Final = ("127.", "localhost", "[::1]")


@dataclass(slots=True)
class _Revision:
    """What is known of one revision of a service while its log is read.

    The first `over` sayings were followed by a good answer, or by a probe that succeeded.
    """

    said: list[tuple[Saying, Piece]] = field(default_factory=list)
    words: list[Piece] = field(default_factory=list)
    at_end: tuple[Piece, ...] = ()
    left: Piece | None = None
    over: int = 0
    listens: list[tuple[str, str, Piece]] = field(default_factory=list)
    stopping: bool = False
    stopped: set[int] = field(default_factory=set)


class Witness:
    """Takes the pieces of one log in their order, and then says what went wrong."""

    def __init__(self, source: str, service: str) -> None:
        self._source = source
        self._service = service
        self._revisions: dict[tuple[str, str], _Revision] = {}

    def see(self, piece: Piece) -> Saying | None:
        """Take a piece; what it says went wrong."""
        key = (piece.service or self._service, piece.revision)
        revision = self._revisions.get(key)
        if revision is None:
            revision = self._revisions[key] = _Revision()
        if _LEFT in piece.text:
            revision.left, revision.at_end = piece, tuple(revision.words)
        if _is_well(piece):
            revision.over = len(revision.said)
        if piece.text and _STOPS.search(piece.text) is not None:
            revision.stopping = True
        saying = _saying(piece) if piece.trouble and piece.text else None
        if saying is not None and revision.stopping and saying.value in _KILLED:
            revision.stopped.add(piece.number)
        elif saying is not None:
            if saying.exact and not revision.at_end:
                revision.at_end = tuple(revision.words)
            revision.said.append((saying, piece))
        elif piece.stream != "system" and not piece.audit:
            self._heard(revision, piece)
        return saying

    def over(self) -> frozenset[int]:
        """The numbers of the pieces that told of what went over by itself, or was asked for."""
        healed = {
            piece.number
            for revision in self._revisions.values()
            for saying, piece in revision.said[: revision.over]
            if saying.kind in _HEALING and not saying.exact
        }
        return frozenset(healed.union(*(each.stopped for each in self._revisions.values())))

    def listens(self) -> tuple[tuple[str, Quote], ...]:
        """The ports that the service says it listens on, with its words."""
        return tuple(
            (port, self._quote(piece))
            for revision in self._revisions.values()
            for _, port, piece in revision.listens
        )

    def faults(self) -> tuple[Fault, ...]:
        """One for each service, revision, kind and value, the most exact first."""
        found: dict[tuple[object, ...], Fault] = {}
        for (service, _), revision in self._revisions.items():
            for fault in self._of(service, revision):
                found.setdefault((fault.kind, fault.service, fault.value, fault.summary), fault)
        return tuple(found.values())

    def _heard(self, revision: _Revision, piece: Piece) -> None:
        if revision.words and piece.stream != "stderr" and revision.words[-1].stream == "stderr":
            pass  # what a program says on stderr tells more of its end
        elif piece.text.strip() and piece.request is None:
            revision.words.append(piece)
            if len(revision.words) > _LAST_WORDS:
                del revision.words[0]
        if any(word in piece.text for word in _LISTEN_WORDS) and (
            match := _LISTENS.search(piece.text)
        ):
            revision.listens.append((match["host"] or "", match["port"], piece))
            del revision.listens[:-_MOST_LISTENERS]

    def _of(self, service: str, revision: _Revision) -> Iterable[Fault]:
        exact = [(saying, piece) for saying, piece in revision.said if saying.exact]
        rest = [
            (saying, piece)
            for index, (saying, piece) in enumerate(revision.said)
            if not saying.exact and (index >= revision.over or saying.kind not in _HEALING)
        ]
        ready = [pair for pair in rest if pair[0].kind is FaultKind.NEVER_READY]
        if not exact and ready and revision.left is not None:
            # To end well is no fault but where it was to serve.
            said = "its process ended with exit code 0 before it served"
            exact = [(Saying(FaultKind.EXIT_CODE, said, "0", exact=True), revision.left)]
        if not exact and ready and (port := self._wrong_port(service, revision, ready)):
            yield port
            rest = [pair for pair in rest if pair not in ready]
        told: set[tuple[FaultKind, str | None]] = set()
        # What the platform itself says of an end comes before what the program said of it.
        for saying, piece in sorted(exact, key=lambda pair: pair[1].stream != "system"):
            if (saying.kind, saying.value) in told:
                continue
            told.add((saying.kind, saying.value))
            # What else the platform says of it is no second fault.
            beside = [self._quote(other) for _, other in ready[:2]]
            # Last words tell of an end by its own hand; who runs out of memory says nothing of it.
            own = saying.kind in (FaultKind.EXIT_CODE, FaultKind.SIGNAL)
            words = [self._quote(word) for word in revision.at_end] if own else []
            yield self._fault(saying, piece, service, (*words, *beside))
        for saying, piece in rest:
            generic = saying.kind is FaultKind.NEVER_READY
            if (generic and exact) or (saying.kind, saying.value) in told:
                continue
            told.add((saying.kind, saying.value))
            words = [self._quote(word) for word in revision.words] if generic else []
            yield self._fault(saying, piece, service, words)

    def _fault(self, saying: Saying, piece: Piece, service: str, beside: Sequence[Quote]) -> Fault:
        name = saying.service or service
        words = saying.words or one_line(piece.text, limit=_LONGEST)
        quotes = tuple(dict.fromkeys((self._quote(piece), *beside)))
        return Fault(saying.kind, f"{name}: {words}", name, saying.value, quotes)

    def _wrong_port(
        self, service: str, revision: _Revision, ready: Sequence[tuple[Saying, Piece]]
    ) -> Fault | None:
        """It listens, and was not met there: on another port, or for itself alone."""
        if not revision.listens:
            return None
        told = next((saying.port for saying, _ in ready if saying.port), None)
        told = told or next(filter(None, (_port_in(p.text) for _, p in ready)), None)
        ports = dict.fromkeys(port for _, port, _ in revision.listens)
        if told is not None and told not in ports:
            words = f"told PORT={told}, listens on {', '.join(ports)}"
        elif all(host.startswith(_LOOPBACK) for host, _, _ in revision.listens):
            port = told or next(iter(ports))
            words = f"told PORT={port}, listens on 127.0.0.1:{port} only"
        else:
            return None
        shown = [piece for _, _, piece in revision.listens] + [piece for _, piece in ready[:2]]
        quotes = tuple(dict.fromkeys(map(self._quote, shown)))
        value = next(iter(ports))
        return Fault(FaultKind.WRONG_PORT, f"{service}: {words}", service, value, quotes)

    def _quote(self, piece: Piece) -> Quote:
        """The line as it stands there; of a traceback in one entry the last, which tells most."""
        lines = [line for line in piece.text.splitlines() if line.strip()] or [""]
        line = lines[-1] if "Traceback" in piece.text else lines[0]
        return Quote("condition" if piece.audit else "log", self._place(piece), line[:_LONGEST])

    def _place(self, piece: Piece) -> str:
        return f"{self._source}#{piece.number}"


def _is_well(piece: Piece) -> bool:
    """Whether it shows that the revision serves. Where no revision is told, another than the one
    that failed may be the one that answers: a good answer shows nothing then.
    """
    if piece.request is not None and piece.request.status is not None:
        return piece.request.status < 400 and bool(piece.revision)
    if "probe succeeded" in piece.text or "status changed to True" in piece.text:
        return True
    return bool(piece.text) and _IN_SERVICE.search(piece.text) is not None


def _saying(piece: Piece) -> Saying | None:
    if piece.audit:
        # An audit entry without an error tells what somebody did.
        failed = piece.severity in ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")
        return condition_of(piece.text) if failed else None
    return saying_of(piece.text)


def _port_in(text: str) -> str | None:
    match = re.search(r"on port (\d{2,5})\b", text)
    return match[1] if match else None
