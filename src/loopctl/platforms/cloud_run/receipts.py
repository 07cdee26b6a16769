"""Cloud Run's request log as receipts: read once a suite has ended, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from loopctl.errors import PortError, Stopped
from loopctl.inert import one_line
from loopctl.model.artifact import Revision
from loopctl.model.evidence import Receipt
from loopctl.model.logs import Coverage, LogWindow, RequestEntry
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.log_entries import Asked, Logged, logged
from loopctl.platforms.cloud_run.log_filter import ASKED, View
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.platforms.cloud_run.log_window import (
    INCOMPLETE,
    PACE,
    Pace,
    WindowReading,
    as_log_error,
    end_of,
)
from loopctl.platforms.cloud_run.logs import lower_bound
from loopctl.platforms.cloud_run.quota import ReadQuota, quota_of
from loopctl.ports.logs import Met
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor

LATE_S: Final = 30.0
"""How late an entry may be."""

_PAUSES_S: Final = (1.0, 2.0, 4.0)
_CLOCKS: Final = timedelta(seconds=30)
"""How far the clocks of tests and logs may differ."""

_TRACE_AGE: Final = timedelta(minutes=10)
"""The same where a trace id tells whose a request is: nobody else has it, so there is room."""

_MOST_QUERIES: Final = 3
_MOST_UNTRACED: Final = 10_000
_LIMIT_S: Final = 90.0
_SWITCHED: Final = 101


class CloudRunReceipts:
    """The receipts port over Cloud Logging. Safe to share by threads.

    The platform writes a request down when it has been answered, and a WebSocket when it has ended,
    so of a stream that is still open there is nothing yet.
    """

    def __init__(
        self,
        clients: Clients,
        redactor: Redactor,
        *,
        quota: ReadQuota | None = None,
        pace: Pace = PACE,
        late_s: float = LATE_S,
    ) -> None:
        self.late_s = late_s
        self._clients = clients
        self._redactor = redactor
        self._quota = quota or quota_of(clients.place)
        self._pace = pace

    def of(
        self,
        revision: Revision,
        traces: frozenset[str],
        window: LogWindow,
        stop: Stop,
        awaited: frozenset[str] = frozenset(),
    ) -> Met:
        """The requests of the window to this service that carried one of the traces.

        Those to another of its revisions come too, and prove the contrary. Where traces are missing
        that were awaited, the requests that carried none come with them; where no trace at all was
        kept, those that carry any. Whose these are, nothing here can tell.
        """
        search = _Search(self, revision, traces, awaited, window)
        # A quota that was shut for a whole suite is not waited for as long by each that follows.
        limit_s = self.late_s + (0 if self._quota.is_shut else _LIMIT_S)
        with stop.child(limit_s) as limit:
            try:
                gap = search.run(limit)
            except Stopped:
                stop.remaining(0)
                gap = f"it was not read to its end in {limit_s:.0f} s"
                gap = f"{gap}; {self._quota.told}" if self._quota.is_short() else gap
            except ApiError as error:
                if error.code is not Code.PERMISSION_DENIED and not search.found:
                    raise as_log_error(error) from None
                gap = error.what
            except PortError as error:
                raise as_log_error(error) from None
        until = window.until or utc_now()
        coverage = Coverage(gap is None, until, None if gap is None else INCOMPLETE + gap)
        return Met(tuple(search.receipts(complete=gap is None)), coverage)

    def requests(
        self, window: LogWindow, into: Callable[[RequestEntry], None], stop: Stop
    ) -> Coverage:
        """Hand over every request of the window, by time. Raises `LogError`."""

        def take(entry: Logged) -> None:
            if entry.asked is not None:
                into(self._request(entry, entry.asked, window.service))

        return WindowReading(
            View(self._clients.place, window.service, window.revision, ASKED),
            self.reader,
            self._quota,
            lower_bound(self._clients, window, stop),
            end_of(window, self._pace),
            self._pace,
        ).read(take, stop)

    @property
    def reader(self) -> LogReader:
        """Reads pages within the budget."""
        return LogReader(self._clients, self._quota)

    def view(self, service: str, revision: str | None) -> View:
        """The request log of a service, or of one of its revisions."""
        return View(self._clients.place, service, revision, ASKED)

    def receipt(self, entry: Logged, asked: Asked, trace: str) -> Receipt:
        """An entry as a receipt; `trace` is empty where it tells nothing of who asked."""
        return Receipt(
            trace=trace,
            at=entry.at,
            service=entry.service,
            revision=entry.revision,
            method=self._redactor.text(asked.method),
            path=self._redactor.text(asked.path),
            status=asked.status,
            by="trace" if trace else "request",
            agent=None if asked.agent is None else self._redactor.text(asked.agent),
        )

    def _request(self, entry: Logged, asked: Asked, service: str) -> RequestEntry:
        switched = asked.status == _SWITCHED
        text = self._redactor.text
        return RequestEntry(
            at=entry.at,
            service=entry.service or service,
            revision=entry.revision,
            method=text(asked.method),
            path=text(asked.path),
            status=asked.status,
            event="open" if switched else "request",
            # Of a stream the platform tells how long it was open, not how soon it was answered.
            latency_s=0.0 if switched else asked.latency_s,
            age_s=asked.latency_s if switched else None,
            trace=None if asked.trace is None else text(asked.trace),
            error=one_line(text(entry.text), limit=500) if entry.text else None,
        )


@dataclass(slots=True)
class _Search:
    """One search for the receipts of one revision's tests."""

    log: CloudRunReceipts
    revision: Revision
    traces: frozenset[str]
    awaited: frozenset[str]
    window: LogWindow
    found: dict[int, Logged] = field(default_factory=dict)
    untraced: dict[int, Logged] = field(default_factory=dict)

    def run(self, stop: Stop) -> str | None:
        """Look until all that are awaited are there, or none can come; what is missing."""
        end = self.window.until or utc_now()
        number, since = 0, self.window.since - _CLOCKS
        while True:
            began = utc_now()
            self._look(since, stop)
            left = self.log.late_s - (began - end).total_seconds()
            if not self._missing() or left <= 0:
                break
            # What is older than the latest can be is there by now, or never.
            since = max(since, began - timedelta(seconds=self.log.late_s) - _CLOCKS)
            stop.wait(min(left, _PAUSES_S[min(number, len(_PAUSES_S) - 1)]))
            number += 1
        if self._missing() and not self._by_window:
            self._look_through(self.window.since - _CLOCKS, stop)
        if len(self.untraced) > _MOST_UNTRACED:
            self.untraced.clear()
        return None

    def receipts(self, *, complete: bool) -> Iterator[Receipt]:
        """What was found. That another revision answered counts only where all was read."""
        for entry in self.found.values():
            asked = entry.asked
            if asked is None or asked.trace is None:
                continue
            if complete or entry.revision == self.revision.name:
                yield self.log.receipt(entry, asked, asked.trace)
        if not self._missing():
            return
        kept = bool(self.found)
        for entry in self.untraced.values():
            # Where some traces were kept, a request with another's trace is another's.
            if entry.asked is not None and not (kept and entry.asked.trace):
                yield self.log.receipt(entry, entry.asked, "")

    @property
    def _by_window(self) -> bool:
        """Whether there are so many traces that reading all requests costs less."""
        return len(self._queries()) > _MOST_QUERIES

    def _queries(self) -> Sequence[str]:
        view = self.log.view(self.window.service, None)
        since = self.window.since - _TRACE_AGE
        return list(view.of_traces(sorted(self.traces), since, None))

    @property
    def _until(self) -> datetime | None:
        return None if self.window.until is None else self.window.until + _CLOCKS

    def _missing(self) -> frozenset[str]:
        there = {
            entry.asked.trace
            for entry in self.found.values()
            if entry.asked is not None and entry.revision == self.revision.name
        }
        return self.awaited - there

    def _look(self, since: datetime, stop: Stop) -> None:
        if self._by_window:
            self._look_through(since, stop)
            return
        for query in self._queries():
            self._keep(self._entries(query, stop))

    def _look_through(self, since: datetime, stop: Stop) -> None:
        """All requests to the revision, whoever made them."""
        view = self.log.view(self.window.service, self.revision.name)
        self._keep(self._entries(view.between(since, self._until), stop))

    def _keep(self, entries: Iterable[Logged]) -> None:
        for entry in entries:
            if entry.asked is None:
                continue
            if entry.asked.trace in self.traces:
                self.found[entry.identity] = entry
            elif len(self.untraced) <= _MOST_UNTRACED:
                self.untraced[entry.identity] = entry

    def _entries(self, query: str, stop: Stop) -> Iterator[Logged]:
        for page in self.log.reader.pages(query, stop):
            yield from map(logged, page)
