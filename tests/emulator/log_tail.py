"""TailLogEntries: what arrives while a caller listens, put in order within a window."""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.cloud.logging_v2 import types

from emulator.log_faults import LogFault
from emulator.log_filter import LogFilter
from emulator.log_index import Row
from emulator.log_list import readable_filter
from emulator.log_names import check_resources, invalid
from emulator.log_store import Entry, LogStore
from emulator.rpc import RpcFault

Response: Any = types.TailLogEntriesResponse.pb()
_Reason: Any = Response.SuppressionInfo
RATE_LIMIT, NOT_CONSUMED = _Reason.RATE_LIMIT, _Reason.NOT_CONSUMED

_LONGEST_WINDOW_S = 60.0
_LOOK_S = 0.2
"""How soon a caller's going away is seen."""


@dataclass
class Tails:
    """The open sessions of a project, and what each may carry."""

    most_sessions: int = 10
    window_s: float = 2.0
    """The buffer window where the caller names none."""
    most_a_minute: int = 60_000
    """Entries; what is above it is left out and counted."""
    most_waiting: int = 10_000
    """Entries kept for a caller that does not read; what is above it is left out and counted."""
    most_a_response: int = 1000
    longest_s: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    _open: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def wait_open(self, sessions: int, timeout_s: float) -> bool:
        """Wait until so many sessions are open; whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == sessions, timeout_s)

    def tail(
        self,
        store: LogStore,
        requests: Iterator[Any],
        there: Callable[[], bool],
        fault: LogFault | None = None,
    ) -> Iterator[Any]:
        """The responses to a session, until the caller goes or `longest_s` have passed.

        Raises RpcFault. `fault` ends it after so many responses as it says.
        """
        request = next(requests, None)
        if request is None:
            raise invalid("resource_names", "the first request must name what to tail")
        check_resources(store, request.resource_names)
        wanted, window = readable_filter(request.filter), self._window(request)
        buffer = _Buffer(self, wanted, window)
        end = self._begin(store, buffer)
        try:
            yield from self._session(store, buffer, there, fault)
        finally:
            end()

    def _begin(self, store: LogStore, buffer: _Buffer) -> Callable[[], None]:
        """Open a session that listens; the answer closes it. Raises RpcFault for one too many."""
        with self._changed:
            if self._open >= self.most_sessions:
                raise RpcFault(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"The project has {self._open} open tail sessions, "
                    f"at most {self.most_sessions} may be.",
                )
            unfollow = store.follow(buffer.take)
            self._open += 1
            self._changed.notify_all()

        def end() -> None:
            unfollow()
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

        return end

    def _window(self, request: Any) -> float:
        if not request.HasField("buffer_window"):
            return self.window_s
        seconds = request.buffer_window.seconds + request.buffer_window.nanos / 1e9
        if not 0 <= seconds <= _LONGEST_WINDOW_S:
            raise invalid("buffer_window", "buffer_window must be from 0 to 60000 milliseconds")
        return float(seconds)

    def _session(
        self, store: LogStore, buffer: _Buffer, there: Callable[[], bool], fault: LogFault | None
    ) -> Iterator[Any]:
        sent, ends = 0, self.clock() + self.longest_s
        while there() and self.clock() < ends:
            response = buffer.response()
            if response is None:
                store.wait(min(_LOOK_S, buffer.due_in()))
                continue
            yield response
            sent += 1
            if fault is not None and sent >= fault.after_responses:
                raise fault.raised()


class _Buffer:
    """The entries of one session that wait until their window has passed."""

    def __init__(self, tails: Tails, wanted: LogFilter, window_s: float) -> None:
        self._tails = tails
        self._wanted = wanted
        self._window = window_s
        self._waiting: deque[tuple[float, Row]] = deque()
        self._taken: deque[float] = deque()
        self._left_out: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, row: Row) -> None:
        """An entry arrived; the store holds its lock."""
        if not self._wanted.matches(Entry.FromString(row.data)):
            return
        with self._lock:
            now = self._tails.clock()
            while self._taken and self._taken[0] <= now - 60:
                self._taken.popleft()
            if len(self._taken) >= self._tails.most_a_minute:
                self._left_out[RATE_LIMIT] += 1
            elif len(self._waiting) >= self._tails.most_waiting:
                self._left_out[NOT_CONSUMED] += 1
            else:
                self._taken.append(now)
                self._waiting.append((now + self._window, row))

    def due_in(self) -> float:
        """Seconds until an entry's window has passed."""
        with self._lock:
            first = self._waiting[0][0] if self._waiting else float("inf")
        return max(0.0, first - self._tails.clock())

    def response(self) -> Any | None:
        """What may be told now, ordered by timestamp; None for nothing."""
        with self._lock:
            now = self._tails.clock()
            rows: list[Row] = []
            while self._waiting and self._waiting[0][0] <= now:
                heapq.heappush(rows, self._waiting.popleft()[1])
                if len(rows) >= self._tails.most_a_response:
                    break
            left_out, self._left_out = self._left_out, Counter()
        if not rows and not left_out:
            return None
        response = Response(
            entries=[Entry.FromString(heapq.heappop(rows).data) for _ in range(len(rows))]
        )
        for reason, number in left_out.items():
            response.suppression_info.add(reason=reason, suppressed_count=number)
        return response
