"""What the services said and were asked in the seconds of a failure, read from the run's `logs/`.

Each failure keeps a bounded number of lines, those that tell most.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from loopctl.journal.worklog import CycleRecord
from loopctl.reports.page.kept_lines import Mark, Said, said_in

MOST_LINES: Final = 24
"""Beside one failure."""
_MARGIN: Final = timedelta(seconds=1)
_SLACK: Final = timedelta(milliseconds=100)
"""Two clocks, and the time that a line takes until it is captured."""
_LONGEST: Final = timedelta(seconds=60)
_MOST_S: Final = 1e6
_WORTH: Final[Mapping[Mark, int]] = {"": 0, "bad": 1, "own": 2, "quoted": 3}


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


class _Window:
    """Takes every line of its seconds, in which there may be very many."""

    def __init__(self, moment: Moment) -> None:
        self.since, self.until = moment.span
        self._moment = moment
        self._end = moment.end
        self._kept: list[tuple[tuple[int, float, int], Said]] = []
        self._seen = 0
        self._block: tuple[str, str, Mark] = ("", "", "")

    def take(self, said: Said) -> None:
        if not self.since <= said.at <= self.until:
            return
        mark = self._mark(said)
        self._seen += 1
        # What tells most is kept; among equals what is the nearest to the test's end.
        worth = (_WORTH[mark], -abs((self._end - said.at).total_seconds()), -self._seen)
        if len(self._kept) < MOST_LINES:
            heapq.heappush(self._kept, (worth, self._own(said, mark)))
        elif worth > self._kept[0][0]:
            heapq.heapreplace(self._kept, (worth, self._own(said, mark)))

    def _mark(self, said: Said) -> Mark:
        mark, trace = said.mark, self._moment.trace
        if trace and mark != "quoted" and (said.trace == trace or trace in said.text):
            return "own"
        if said.what == "request":
            return mark
        # A line that is indented belongs to the bad one above it: a traceback is one thing.
        above = self._block
        if mark == "" and said.text[:1].isspace() and above[:2] == (said.service, said.what):
            mark = "bad" if above[2] else ""
        self._block = (said.service, said.what, mark)
        return mark

    def _own(self, said: Said, mark: Mark) -> Said:
        return replace(said, mark=mark, aside=not self._moment.is_during(said.at))

    def beside(self) -> Beside:
        ordered = sorted(self._kept, key=lambda item: (item[1].at, -item[0][2]))
        lines = tuple(said for _, said in ordered)
        return Beside(self.since, self.until, lines, self._seen - len(lines))


def said_beside(
    folder: Path, cycle: CycleRecord, moments: Sequence[Moment]
) -> tuple[Beside | None, ...]:
    """For each moment what was said then; None where no log of the cycle is there, as in an
    artefact that CI has kept without them.
    """
    logs = tuple(_logs(cycle, folder))
    if not logs:
        return (None,) * len(moments)
    windows = [_Window(moment) for moment in moments]
    wanted = _by_second(windows)
    quoted = frozenset(quote.source for finding in cycle.findings for quote in finding.evidence)
    for name, service in logs if wanted else ():
        # A page is made also where a log has become unreadable: findings quote the journal.
        with contextlib.suppress(OSError):
            for second, said in said_in(folder / name, name, service, wanted, quoted):
                for window in wanted[second]:
                    window.take(said)
    return tuple(window.beside() for window in windows)


def _logs(cycle: CycleRecord, folder: Path) -> Iterator[tuple[str, str]]:
    """What was kept, each with its service. A name that leads out of the run is not followed."""
    for service in cycle.services.values():
        for name in (service.logs.path, service.logs.requests) if service.logs else ():
            if name is not None and _is_within(folder / name, folder):
                yield name, service.name


def _is_within(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except OSError:
        return False


def _by_second(windows: Sequence[_Window]) -> Mapping[bytes, list[_Window]]:
    wanted: dict[bytes, list[_Window]] = {}
    for window in windows:
        since, until = window.since, window.until
        first = since.astimezone(UTC).replace(microsecond=0)
        several = range(int((until - first).total_seconds()) + 1)
        seconds = {_moved(first, timedelta(seconds=number)) for number in several}
        for second in seconds:
            wanted.setdefault(second.strftime("%Y-%m-%dT%H:%M:%S").encode(), []).append(window)
    return wanted
