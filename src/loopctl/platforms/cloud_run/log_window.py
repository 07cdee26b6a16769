"""Reading a window of the logs to its end, although entries come late and out of order.

Entries are told oldest first. What is old enough when the reading begins is paged through once. The
rest, the window's last half minute, is read again until nothing new comes, and told in order: only
so much is held. Entries turn up within about a second as a rule (facts/cloud-run.md section 4).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from loopctl.errors import PortError, Stopped
from loopctl.model.logs import Coverage
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.log_entries import Logged, logged
from loopctl.platforms.cloud_run.log_filter import View
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.platforms.cloud_run.quota import ReadQuota
from loopctl.ports.logs import LogError
from loopctl.process import Stop, utc_now

OVERLAP: Final = timedelta(seconds=30)
"""What is read again: an entry is never later than that."""

SKEW: Final = timedelta(seconds=5)
"""How far this machine's clock may be behind that of the logs."""

LIMIT_S: Final = 240.0

INCOMPLETE: Final = "may be incomplete: "


@dataclass(frozen=True, slots=True)
class Pace:
    """When the end of a window is looked at, in seconds after it, and for how long in all.

    From `settled_s` on a look that brings nothing new is the last one.
    """

    looks_s: tuple[float, ...] = (5.0, 10.0, 20.0, 30.0)
    settled_s: float = 10.0
    limit_s: float = LIMIT_S


PACE: Final = Pace()


@dataclass(slots=True)
class WindowReading:
    """One reading of one window, by `read`, once. `until`: up to when it must be complete."""

    view: View
    reader: LogReader
    quota: ReadQuota
    since: datetime
    until: datetime
    pace: Pace = PACE
    _told_until: datetime | None = None

    def read(self, take: Callable[[Logged], None], stop: Stop) -> Coverage:
        """Hand over the entries in order. Raises `LogError` where none can be read, `Stopped`."""
        with stop.child(self.pace.limit_s) as limit:
            try:
                gap = self._read(take, limit)
            except Stopped:
                stop.remaining(0)
                gap = self._out_of_time()
            except ApiError as error:
                gap = self._refused(error)
            except PortError as error:
                raise as_log_error(error) from None
        if gap is None:
            return Coverage(complete=True, until=self.until)
        return Coverage(complete=False, until=self._told_until or self.since, gap=INCOMPLETE + gap)

    def _read(self, take: Callable[[Logged], None], stop: Stop) -> str | None:
        """What is missing, in words; None: nothing."""

        def told(entry: Logged) -> None:
            self._told_until = entry.at
            take(entry)

        recent = max(self.since, self.until - OVERLAP)
        if self.since < recent:
            for entry in self._entries(self.view.between(self.since, recent, before=True), stop):
                told(entry)
        tail = Tail()
        try:
            return self._tail(self.view.between(recent, self.until + SKEW), tail, told, stop)
        finally:
            for entry in tail.rest():
                told(entry)

    def _tail(
        self, query: str, tail: Tail, told: Callable[[Logged], None], stop: Stop
    ) -> str | None:
        """Look at the end of the window as often as it takes."""
        age_s = self._age_s()
        # Once is enough where nothing can be under way any more.
        due = [look_s for look_s in self.pace.looks_s if look_s > age_s] or [age_s]
        if age_s >= self.pace.settled_s:
            due = [age_s]
        for number, look_s in enumerate(due):
            stop.wait(max(0.0, look_s - self._age_s()))
            late = self._look(query, tail, told, stop)
            if tail.is_blind:
                return f"more than {Tail.MOST_KNOWN:,} entries came in its last half minute"
            # Of what the first look brings nobody knows since when it was there.
            if look_s >= self.pace.settled_s and (not late or number == 0):
                return None
        return f"entries still came {due[-1]:.0f} s after its end"

    def _look(self, query: str, tail: Tail, told: Callable[[Logged], None], stop: Stop) -> int:
        """How many entries it found that were not there the time before."""
        late = 0
        for entry in self._entries(query, stop):
            if tail.add(entry):
                late += entry.at <= self.until
                while tail.is_full:
                    told(tail.oldest())
        return late

    def _age_s(self) -> float:
        return (utc_now() - self.until).total_seconds()

    def _entries(self, query: str, stop: Stop) -> Iterator[Logged]:
        for page in self.reader.pages(query, stop):
            stop.remaining(0)
            for entry in page:
                yield logged(entry)

    def _out_of_time(self) -> str:
        reached = f"{self._told_until:%H:%M:%S}Z" if self._told_until else "nowhere"
        gap = f"in {self.pace.limit_s:.0f} s it was read up to {reached}"
        return f"{gap}; {self.quota.told}" if self.quota.is_short else gap

    def _refused(self, error: ApiError) -> str:
        if error.code is Code.PERMISSION_DENIED or self._told_until is not None:
            return error.what
        raise as_log_error(error) from None


@dataclass(slots=True)
class Tail:
    """Entries that may not be in order yet, each once; the oldest leave when there are too many."""

    MOST_HELD = 20_000
    MOST_KNOWN = 500_000

    _held: list[tuple[tuple[int, str], int, Logged]] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)

    def add(self, entry: Logged) -> bool:
        """Whether it is new."""
        identity = entry.identity
        if identity in self._known:
            return False
        self._known.add(identity)
        heapq.heappush(self._held, (entry.order, identity, entry))
        return True

    @property
    def is_full(self) -> bool:
        """Whether more are held than may be."""
        return len(self._held) > self.MOST_HELD

    @property
    def is_blind(self) -> bool:
        """Whether there were too many to tell a new one from an old one any longer."""
        return len(self._known) > self.MOST_KNOWN

    def oldest(self) -> Logged:
        """Take it out."""
        return heapq.heappop(self._held)[2]

    def rest(self) -> Iterator[Logged]:
        """All that are held, in order."""
        while self._held:
            yield self.oldest()


def as_log_error(error: PortError) -> LogError:
    """Any fault of the platform as the log port's own."""
    return LogError(error.what, where=error.where, hint=error.hint)
