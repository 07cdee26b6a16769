"""The request log that a service's front doors write, as receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from loopctl.model.artifact import Revision
from loopctl.model.evidence import Receipt
from loopctl.model.logs import Coverage, LogWindow, RequestEntry
from loopctl.platforms.host.client import HostClient
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted import captures
from loopctl.platforms.hosted.captures import Mark
from loopctl.platforms.hosted.request_scan import RequestScan
from loopctl.ports.logs import LogError, Met
from loopctl.process import Stop, utc_now


class HostReceipts:
    """The receipts port over `requests/SERVICE.jsonl`.

    A record is written before its answer is whole, so whoever has the answer finds the record:
    nothing here ever waits.
    """

    late_s = 0.0

    def __init__(self, place: Rendezvous) -> None:
        self._host = HostClient(place)
        self._known = RequestScan()

    def of(
        self,
        revision: Revision,
        traces: frozenset[str],
        window: LogWindow,
        stop: Stop,
        awaited: frozenset[str] = frozenset(),
    ) -> Met:
        """The requests in the window that carried one of the traces, or none, to this revision.

        One that carried a trace counts whenever it came: a clock that was set hides none.
        A WebSocket counts once, by its handshake. What the front door answered itself, before it
        chose a revision, bears an empty one.
        """
        found: list[Receipt] = []

        def take(entry: RequestEntry, inside: bool) -> None:
            met = entry.revision in (revision.name, "") and entry.event != "close"
            if met and (inside if entry.trace is None else entry.trace in traces):
                found.append(_receipt(entry))

        coverage = self._scan(window, take, stop)
        return Met(tuple(found), coverage)

    def requests(
        self, window: LogWindow, into: Callable[[RequestEntry], None], stop: Stop
    ) -> Coverage:
        """Hand over every request of the window, in the order of their ends.

        Raises `LogError` when the log cannot be read.
        """

        def take(entry: RequestEntry, inside: bool) -> None:
            if inside and _wanted(entry, window):
                into(entry)

        return self._scan(window, take, stop)

    def _scan(
        self, window: LogWindow, take: Callable[[RequestEntry, bool], None], stop: Stop
    ) -> Coverage:
        """Hand over every request, and whether it is inside the window."""
        state = captures.state_folder(self._host, stop)
        gaps = _Gaps()
        begun = False
        try:
            for item in self._items(state, window):
                stop.remaining(0)
                # Records stand in the order in which they came, whatever the clock was set to.
                begun = begun or item.at >= window.since
                inside = begun and not window.is_over(item.at)
                if isinstance(item, Mark):
                    gaps.see(item, inside=inside)
                else:
                    take(item, inside)
            gaps.end(alive=captures.living_host(state) is not None)
        except OSError as error:
            raise LogError(
                f"the request log cannot be read: {error.strerror}", where=str(state)
            ) from None
        found = "; ".join(dict.fromkeys(gaps.found))
        until = window.until or utc_now()
        return Coverage(complete=not found, until=until, gap=found or None)

    def _items(self, state: Path, window: LogWindow) -> Iterator[RequestEntry | Mark]:
        file = state / "requests" / f"{window.service}.jsonl"
        for part in (file.with_suffix(".jsonl.1"), file):
            if part.exists():
                yield from self._known.items(part, window.since)


@dataclass(slots=True)
class _Gaps:
    """Learns from the host's marks what may be missing."""

    found: list[str] = field(default_factory=list)
    _open: bool = False

    def see(self, mark: Mark, inside: bool) -> None:
        if mark.kind == "opened":
            if self._open and inside:
                self._killed()
            self._open = True
        elif mark.kind == "closed":
            self._open = False
        elif mark.kind == "lost" and inside:
            self.found.append(f"{mark.count} requests could not be recorded")
        elif mark.kind == "rotated" and inside:
            self.found.append("the oldest requests were dropped: the log is full")

    def end(self, alive: bool) -> None:
        if self._open and not alive:
            self._killed()

    def _killed(self) -> None:
        self.found.append("the host was killed: the requests then in flight were not recorded")


def _wanted(entry: RequestEntry, window: LogWindow) -> bool:
    return window.revision is None or entry.revision == window.revision


def _receipt(entry: RequestEntry) -> Receipt:
    return Receipt(
        trace=entry.trace or "",
        at=entry.at,
        service=entry.service,
        revision=entry.revision,
        method=entry.method,
        path=entry.path,
        status=entry.status,
        by="trace" if entry.trace else "request",
        port=entry.remote_port,
    )
