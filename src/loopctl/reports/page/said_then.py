"""What the services said and were asked in the seconds of a failure, read from the run's `logs/`.

One streaming pass over each file, however long: a line is parsed only when its second is wanted,
and each failure keeps a bounded number of lines, those that tell most.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from loopctl.journal.worklog import CycleRecord

MOST_LINES: Final = 24
"""Beside one failure."""
_TEXT: Final = 300
_MARGIN: Final = timedelta(seconds=1)
_SLACK: Final = timedelta(milliseconds=100)
"""Two clocks, and the time that a line takes until it is captured."""
_LONGEST: Final = timedelta(seconds=60)
_MOST_S: Final = 1e6
_LINE_BYTES: Final = 256 * 1024
_AT: Final = b'{"at":"'
_SECOND: Final = slice(len(_AT), len(_AT) + 19)
_BAD: Final = re.compile(
    r"\b(?:error|exception|traceback|fail(?:ed|ure)?|fatal|panic|critical|refused|timed? ?out)\b",
    re.IGNORECASE,
)

Mark = Literal["", "bad", "own", "quoted"]
"""Why a line stands out: it looks bad, it is this test's request, or a finding quotes it."""
_WORTH: Final[Mapping[Mark, int]] = {"": 0, "bad": 1, "own": 2, "quoted": 3}


@dataclass(frozen=True, slots=True)
class Said:
    """A log line, or a request as a line; `what` is its stream, or `request`. `aside`: it was
    said a little before the test or after it.
    """

    at: datetime
    service: str
    what: str
    text: str
    source: str
    mark: Mark
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """A failure's time: when the test began, for how long it ran, and its trace."""

    at: datetime
    duration_s: float
    trace: str | None = None

    @property
    def end(self) -> datetime:
        """When the test was over."""
        took = self.duration_s if 0 <= self.duration_s <= _MOST_S else 0.0
        return _moved(self.at, timedelta(seconds=took))

    @property
    def span(self) -> tuple[datetime, datetime]:
        """With a second on each side; of a long test the end, where it failed."""
        since, until = _moved(self.at, -_MARGIN), _moved(self.end, _MARGIN)
        return max(since, _moved(until, -_LONGEST)), until

    def is_during(self, at: datetime) -> bool:
        """Whether it is in the test's own time."""
        return _moved(self.at, -_SLACK) <= at <= _moved(self.end, _SLACK)


def _moved(at: datetime, by: timedelta) -> datetime:
    """As it was, at the ends of time: what a test says of its own clock may be anything."""
    try:
        return at + by
    except OverflowError:
        return at


@dataclass(frozen=True, slots=True)
class Beside:
    """The lines in the order of their times; `left_out` counts those of the same seconds that are
    not shown, `since` and `until` say which seconds.
    """

    since: datetime
    until: datetime
    lines: tuple[Said, ...] = ()
    left_out: int = 0


@dataclass(slots=True)
class _Window:
    moment: Moment
    kept: list[tuple[int, float, int, Said]] = field(default_factory=list)
    seen: int = 0
    block: tuple[str, Mark] = ("", "")

    def take(self, said: Said, trace: str | None) -> None:
        since, until = self.moment.span
        if not since <= said.at <= until:
            return
        own = self.moment.trace
        if own and said.mark != "quoted" and (trace == own or own in said.text):
            said = replace(said, mark="own")
        said = replace(said, aside=not self.moment.is_during(said.at))
        if said.what != "request":
            said = self._of_block(said)
        self.seen += 1
        # What tells most is kept; among equals what is the nearest to the test's end.
        distance = abs((self.moment.end - said.at).total_seconds())
        item = (_WORTH[said.mark], -distance, -self.seen, said)
        if len(self.kept) < MOST_LINES:
            heapq.heappush(self.kept, item)
        else:
            heapq.heappushpop(self.kept, item)

    def _of_block(self, said: Said) -> Said:
        """A line that is indented belongs to the bad one above it: a traceback is one thing."""
        stream = f"{said.service} {said.what}"
        if said.mark == "" and said.text[:1].isspace() and self.block[0] == stream:
            said = replace(said, mark="bad" if self.block[1] else "")
        self.block = (stream, said.mark)
        return said

    def beside(self) -> Beside:
        ordered = sorted(self.kept, key=lambda item: (item[3].at, -item[2]))
        lines = tuple(item[3] for item in ordered)
        return Beside(*self.moment.span, lines, self.seen - len(lines))


def said_beside(folder: Path, cycle: CycleRecord, moments: Sequence[Moment]) -> tuple[Beside, ...]:
    """For each moment what was said then; nothing of a log that is not there or not readable."""
    windows = [_Window(moment) for moment in moments]
    wanted = _by_second(windows)
    quoted = frozenset(quote.source for finding in cycle.findings for quote in finding.evidence)
    for service in cycle.services.values() if wanted else ():
        for name in (service.logs.path, service.logs.requests) if service.logs else ():
            # The journal names it; a name that leads out of the run's folder is not followed.
            if name is not None and _is_within(folder / name, folder):
                _read(folder / name, name, service.name, wanted, quoted)
    return tuple(window.beside() for window in windows)


def _is_within(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except OSError:
        return False


def _by_second(windows: Sequence[_Window]) -> Mapping[bytes, list[_Window]]:
    wanted: dict[bytes, list[_Window]] = {}
    for window in windows:
        since, until = window.moment.span
        first = since.astimezone(UTC).replace(microsecond=0)
        several = range(int((until - first).total_seconds()) + 1)
        seconds = {_moved(first, timedelta(seconds=number)) for number in several}
        for second in seconds:
            wanted.setdefault(second.strftime("%Y-%m-%dT%H:%M:%S").encode(), []).append(window)
    return wanted


def _read(
    path: Path,
    name: str,
    service: str,
    wanted: Mapping[bytes, list[_Window]],
    quoted: frozenset[str],
) -> None:
    try:
        for number, raw in _lines(path):
            windows = wanted.get(raw[_SECOND]) if raw.startswith(_AT) else None
            if windows is None:
                continue
            document = _document(raw)
            said = _said(document, service, f"{name}#{number}", quoted) if document else None
            if document is None or said is None:
                continue
            trace = document.get("trace")
            for window in windows:
                window.take(said, trace if isinstance(trace, str) else None)
    except OSError:
        # A report is made also where a log has become unreadable; the chain of evidence is the
        # journal, and what it quotes stands there.
        return


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, cut where it is very long: memory is bounded."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_LINE_BYTES):
            number += 1
            rest = raw
            while not rest.endswith(b"\n") and rest:
                rest = file.readline(_LINE_BYTES)
            yield number, raw


def _document(raw: bytes) -> Mapping[str, object] | None:
    text = raw.decode("utf-8", "replace")
    endings = ("",) if text.endswith("\n") else ("", *(_CLOSED for _ in range(7)))
    for cut, ending in enumerate(endings):
        try:
            # A line that was cut ends within its text, perhaps within an escape of six characters.
            found = json.loads(text[: len(text) - max(cut - 1, 0)] + ending)
        except ValueError:
            continue
        return found if isinstance(found, dict) else None
    return None


_CLOSED: Final = '"}'


def _said(
    document: Mapping[str, object], service: str, source: str, quoted: frozenset[str]
) -> Said | None:
    try:
        at = datetime.fromisoformat(str(document["at"]))
    except (KeyError, ValueError):
        return None
    is_log = "text" in document
    if at.tzinfo is None or not (is_log or "path" in document):
        return None
    text = str(document["text"])[: _TEXT * 4] if is_log else _request(document)
    bad = _is_bad_line(document, text) if is_log else _is_bad_request(document)
    mark: Mark = "quoted" if source in quoted else "bad" if bad else ""
    what = str(document.get("stream", "")) if is_log else "request"
    return Said(at, service, what, text, source, mark)


def _is_bad_line(document: Mapping[str, object], text: str) -> bool:
    severe = document.get("severity") in ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")
    return severe or _BAD.search(text) is not None


def _is_bad_request(document: Mapping[str, object]) -> bool:
    status, code = document.get("status"), document.get("close_code")
    failed = status is None if document.get("event") != "close" else False
    return (
        failed
        or (isinstance(status, int) and status >= 500)
        or code not in (None, 1000, 1001)
        or bool(document.get("error"))
    )


def _request(document: Mapping[str, object]) -> str:
    """`GET /rooms 200 in 4 ms`, `close /ws 1011 by service: it broke`."""
    path = document.get("path", "")
    if document.get("event") == "close":
        reason = document.get("close_reason")
        by = document.get("closed_by")
        said = f"close {path} {document.get('close_code', '')}"
        return said + (f" by {by}" if by else "") + (f": {reason}" if reason else "")
    method = "open" if document.get("event") == "open" else document.get("method", "")
    status = document.get("status")
    latency = document.get("latency_s")
    took = f" in {latency * 1000:.0f} ms" if isinstance(latency, int | float) else ""
    error = f": {document['error']}" if document.get("error") else ""
    return f"{method} {path} {'no answer' if status is None else status}{took}{error}"
