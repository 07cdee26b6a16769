"""What a survey reads of one service's logs: bounded, and never longer than there is time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from loopctl.errors import PortError, Stopped
from loopctl.model.logs import Coverage, LogEntry, LogWindow, RequestEntry
from loopctl.ports.logs import LogSource, Receipts
from loopctl.process import Stop

T = TypeVar("T")

MOST_LINES: Final = 100_000
"""Lines of a revision that are held: the last ones tell why it ended."""

NO_TIME: Final = "it was not read to its end in time"


class Newest(Generic[T]):
    """The newest entries that one thread hands over, for another that may not wait for the end."""

    def __init__(self, most: int = MOST_LINES) -> None:
        self._held: deque[T] = deque(maxlen=most)
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, entry: T) -> None:
        """Hold it; the oldest leaves where there are too many."""
        with self._lock:
            self._taken += 1
            self._held.append(entry)

    def held(self) -> tuple[T, ...]:
        """Those that are held by now, in the order in which they came."""
        with self._lock:
            return tuple(self._held)

    @property
    def dropped(self) -> int:
        """How many were too many."""
        return self._taken - len(self._held)


@dataclass(slots=True)
class LogReading:
    """One revision's log within a window. `gap`: what is missing of it, None for nothing.

    `source` is how quotes name it, as the adapters do.
    """

    source: str
    window: LogWindow
    lines: Newest[LogEntry] = field(default_factory=Newest)
    gap: str | None = NO_TIME

    def read(self, logs: LogSource, stop: Stop) -> None:
        """Read as much as there is time for; raises nothing."""
        self.gap = _gap_of(lambda: logs.read(self.window, self.lines.take, stop))
        if self.lines.dropped:
            self.gap = _joined(self.gap, f"only its last {MOST_LINES:,} lines were looked at")

    def entries(self) -> tuple[LogEntry, ...]:
        """The lines, numbered as their source does, else from the first that was read."""
        first = self.lines.dropped + 1
        return tuple(
            entry if entry.number else replace(entry, number=number)
            for number, entry in enumerate(self.lines.held(), first)
        )


@dataclass(slots=True)
class RequestReading:
    """A service's requests within a window; `redact` hides what a path may hold.

    Those for `health_path` are left out: how it is now is asked, and most of what asked before was
    loopctl itself.
    """

    source: str
    window: LogWindow
    health_path: str
    redact: Callable[[str], str]
    met: Newest[RequestEntry] = field(default_factory=Newest)
    gap: str | None = NO_TIME

    def read(self, receipts: Receipts, stop: Stop) -> None:
        """Read as much as there is time for; raises nothing."""
        self.gap = _gap_of(lambda: receipts.requests(self.window, self.met.take, stop))

    def requests(self, revisions: frozenset[str], until: datetime) -> tuple[RequestEntry, ...]:
        """Those that one of the revisions was met with, or nobody, before the survey's own."""
        return tuple(
            self._hidden(entry)
            for entry in self.met.held()
            if (entry.revision in revisions or not entry.revision)
            and entry.at <= until
            and entry.path != self.health_path
        )

    def _hidden(self, entry: RequestEntry) -> RequestEntry:
        error = None if entry.error is None else self.redact(entry.error)
        reason = None if entry.close_reason is None else self.redact(entry.close_reason)
        return replace(entry, path=self.redact(entry.path), error=error, close_reason=reason)


def _gap_of(read: Callable[[], Coverage]) -> str | None:
    try:
        return read().gap
    except Stopped:
        return NO_TIME
    except PortError as error:
        return error.what


def _joined(gap: str | None, more: str) -> str:
    return more if gap is None else f"{gap}; {more}"
