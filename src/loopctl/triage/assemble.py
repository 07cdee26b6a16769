"""Puts log entries together again into the events they were written as.

Platforms deliver a traceback as one entry a line, with those of other streams between. Lines
belong together when revision and stream are the same and little time passed between them
(facts/log-triage.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from loopctl.model.logs import LogEntry
from loopctl.triage.traceback import MARGIN, StackTrace, read_traceback

_GAP: Final = timedelta(seconds=2)
_MOST_LINES: Final = 1000
_LONGEST_LINE: Final = 4096

_HEADER: Final = re.compile(
    MARGIN + r"(?:\+ Exception Group )?Traceback \(most recent call last\):\s*$"
)
_CHAIN: Final = re.compile(
    MARGIN + r"(?:During handling of the above exception, another exception occurred:"
    r"|The above exception was the direct cause of the following exception:)\s*$"
)
_RAISED: Final = re.compile(MARGIN + r"[A-Za-z_][\w.]*(?:: .*)?$")


@dataclass(frozen=True, slots=True)
class Line:
    """One line and its 1-based number in the capture."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One thing that was logged: a line, or a traceback of several lines."""

    service: str
    revision: str
    stream: str
    at: datetime
    severity: str | None
    lines: tuple[Line, ...]
    trace: StackTrace | None = None

    @property
    def number(self) -> int:
        """The line it begins at."""
        return self.lines[0].number


@dataclass(slots=True)
class _Open:
    """A traceback that may not be over. `raised`: its last exception line was seen."""

    entry: LogEntry
    last: datetime
    lines: list[Line] = field(default_factory=list)
    raised: bool = False

    def takes(self, entry: LogEntry, text: str) -> bool:
        """Whether the line belongs to this traceback."""
        if entry.at - self.last > _GAP or len(self.lines) >= _MOST_LINES:
            return False
        if not text.strip() or text[0] in " \t":
            return True
        if self.lines[0].text[0] in " \t":
            # Every line of an exception group is indented: this one is of something else.
            return False
        if _HEADER.match(text):
            return self._chained
        if _CHAIN.match(text):
            return self.raised
        return not self.raised and bool(_RAISED.match(text))

    @property
    def _chained(self) -> bool:
        written = (line.text for line in reversed(self.lines) if line.text.strip())
        return bool(_CHAIN.match(next(written, "")))

    def add(self, entry: LogEntry, text: str) -> None:
        """Append a line, and see whether it ends the traceback."""
        self.last = entry.at
        self.lines.append(Line(entry.number, text))
        if text.strip() and text[0] not in " \t":
            self.raised = not (_HEADER.match(text) or _CHAIN.match(text))


def assemble(entries: Iterable[LogEntry]) -> Iterator[LogEvent]:
    """Yield the events of a service's log, in the order of their last lines; one pass."""
    waiting: dict[tuple[str, str], _Open] = {}
    for entry in entries:
        key = (entry.revision, entry.stream)
        for text in _lines(entry.text):
            open_ = waiting.get(key)
            if open_ is not None:
                if open_.takes(entry, text):
                    open_.add(entry, text)
                    continue
                del waiting[key]
                yield _close(open_)
            if "Traceback (most" in text and _HEADER.match(text):
                waiting[key] = _Open(entry, entry.at, [Line(entry.number, text)])
            else:
                yield _single(entry, text)
    for open_ in waiting.values():
        yield _close(open_)


def _lines(text: str) -> list[str]:
    if "\n" not in text:
        return [text[:_LONGEST_LINE]]
    return [line[:_LONGEST_LINE] for line in text.split("\n")]


def _single(entry: LogEntry, text: str) -> LogEvent:
    line = Line(entry.number, text)
    return LogEvent(entry.service, entry.revision, entry.stream, entry.at, entry.severity, (line,))


def _close(open_: _Open) -> LogEvent:
    lines = open_.lines
    while len(lines) > 1 and not lines[-1].text.strip():
        lines.pop()
    entry = open_.entry
    return LogEvent(
        entry.service,
        entry.revision,
        entry.stream,
        entry.at,
        entry.severity,
        tuple(lines),
        read_traceback([(line.number, line.text) for line in lines]),
    )
