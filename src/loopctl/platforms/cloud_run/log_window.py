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
from loopctl.model.logs import Coverage, LogWindow
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.log_entries import Logged, logged
from loopctl.platforms.cloud_run.log_filter import View
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.platforms.cloud_run.quota import ReadQuota
from loopctl.ports.logs import LogError
from loopctl.process import Stop, utc_now

OVERLAP: Final = timedelta(seconds=30)
"""What is read again: an entry is never later than that."""

SKEW: Final = timedelta(seconds=60)
"""How far this machine's clock may be behind that of the logs: so much more than until now is read.

Without any bound a log that grows as fast as it may be read would have no end.
"""

LIMIT_S: Final = 240.0
_SHARE: Final = 0.85
"""Of the time that is left: the rest is for who asked."""

_NEARLY_S: Final = 0.1
_FOR_THE_END: Final = 6
"""Reads of the budget that are kept for the end of a window."""

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


def end_of(window: LogWindow, pace: Pace) -> datetime:
    """Up to when a window must be complete: of one that is read at once, what has come by now.

    What is younger is told all the same, as far as it is there.
    """
    until = window.until or utc_now()
    if not window.at_once:
        return until
    return min(until, utc_now() - timedelta(seconds=pace.settled_s))


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
    _whole_until: datetime | None = None

    def read(self, take: Callable[[Logged], None], stop: Stop) -> Coverage:
        """Hand over the entries in order. Raises `LogError` where none can be read, `Stopped`.

        It ends before `stop` does, with a gap, where there is so little time.
        """
        limit_s = _SHARE * stop.remaining(self.pace.limit_s)
        with stop.child(limit_s) as limit:
            try:
                gap = self._read(take, limit)
            except Stopped:
                stop.remaining(0)
                gap = self._out_of_time(limit_s)
            except ApiError as error:
                gap = self._refused(error)
            except PortError as error:
                raise as_log_error(error) from None
        if gap is None:
            return Coverage(complete=True, until=self.until)
        until = self._whole_until or self._told_until or self.since
        return Coverage(complete=False, until=until, gap=INCOMPLETE + gap)

    def _read(self, take: Callable[[Logged], None], stop: Stop) -> str | None:
        """What is missing, in words; None: nothing."""

        def told(entry: Logged) -> None:
            self._told_until = entry.at
            take(entry)

        recent = max(self.since, self.until - OVERLAP)
        gap = self._settled(recent, told, stop) if self.since < recent else None
        tail = Tail()
        query = self.view.between(recent, self.until + SKEW)
        try:
            late = self._tail(query, tail, told, stop)
        finally:
            for entry in tail.rest():
                told(entry)
        return "; ".join(filter(None, [gap, late])) or None

    def _settled(self, recent: datetime, told: Callable[[Logged], None], stop: Stop) -> str | None:
        """All but the end, in half the time: the last lines are those that tell why it ended."""
        query = self.view.between(self.since, recent, before=True)
        with stop.child(stop.remaining(self.pace.limit_s) / 2) as half:
            try:
                for entry in self._entries(query, half, spare=_FOR_THE_END):
                    told(entry)
            except Stopped:
                stop.remaining(0)
                self._whole_until = self._told_until or self.since
                gap = f"there was no time to read it from {self._whole_until:%H:%M:%S}Z"
                return self._with_cost(f"{gap} to {recent:%H:%M:%S}Z", _FOR_THE_END)
        return None

    def _tail(
        self, query: str, tail: Tail, told: Callable[[Logged], None], stop: Stop
    ) -> str | None:
        """Look at the end of the window as often as it takes."""
        age_s = self._age_s()
        # Once is enough where nothing can be under way any more.
        settled = age_s >= self.pace.settled_s
        due = (age_s,) if settled else [look for look in self.pace.looks_s if look > age_s]
        late = 0
        for number, look_s in enumerate(due):
            # Where there is less time than that, an early look is better than none.
            stop.wait(max(0.0, min(look_s - self._age_s(), stop.remaining(look_s) / 2)))
            settled = self._age_s() + _NEARLY_S >= self.pace.settled_s
            late = self._look(query, tail, told, stop)
            if tail.is_blind:
                return f"more than {Tail.MOST_KNOWN:,} entries came in its last half minute"
            # Of what the first look brings nobody knows since when it was there.
            if settled and (not late or number == 0):
                return None
        if late and settled:
            return f"entries still came {due[-1]:.0f} s after its end"
        return "there was no time to wait for entries that come late"

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

    def _entries(self, query: str, stop: Stop, spare: int = 0) -> Iterator[Logged]:
        for page in self.reader.pages(query, stop, spare):
            yield from map(logged, page)

    def _out_of_time(self, limit_s: float) -> str:
        reached = f"{self._told_until:%H:%M:%S}Z" if self._told_until else "nowhere"
        return self._with_cost(f"in {limit_s:.0f} s it was read up to {reached}")

    def _with_cost(self, gap: str, spare: int = 0) -> str:
        return f"{gap}; {self.quota.told}" if self.quota.is_short(spare) else gap

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
