"""The log entries of one project: written now, visible a little later, kept in their order."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud.logging_v2.types import LogEntry

from emulator.log_filter_kinds import SECOND
from emulator.log_index import LogIndex, Place, Row, place

Entry: Any = LogEntry.pb()
"""The plain protobuf class of `google.logging.v2.LogEntry`."""

DAY = 24 * 3600 * SECOND
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Ingestion:
    """How long entries are on their way, in seconds."""

    delay_s: float = 0.006
    jitter_s: float = 0.1
    """Each takes up to this much longer, so they arrive out of order."""
    late_share: float = 0.0
    """The share of entries, 0 to 1, that take `late_s` longer still."""
    late_s: float = 0.0


class LogStore:
    """Every entry of a project. Safe to be used by many threads.

    `clock` tells nanoseconds since the epoch. Entries whose timestamp is older than
    `retention_days`, or more than a day ahead, are never listed, as the API says.
    """

    def __init__(
        self,
        project: str,
        *,
        number: str = "123456789012",
        clock: Callable[[], int] = time.time_ns,
        retention_days: float = 30,
        seed: int = 0,
    ) -> None:
        self.project = project
        self.number = number
        self.clock = clock
        self._retention = int(retention_days * DAY)
        self._random = random.Random(seed)
        self._ingestion = Ingestion()
        self._changed = threading.Condition()
        self._index = LogIndex()
        self._logs: Counter[str] = Counter()
        self._coming: list[tuple[int, int, Any]] = []
        self._followers: list[Callable[[Row], None]] = []
        self._written = 0
        self._last_id = 0

    def ingestion(
        self,
        delay_s: float = 0.006,
        jitter_s: float = 0.1,
        late_share: float = 0.0,
        late_s: float = 0.0,
    ) -> None:
        """Set how long the entries written from now on are on their way; see `Ingestion`."""
        self._ingestion = Ingestion(delay_s, jitter_s, late_share, late_s)

    def write(self, entries: Sequence[Any]) -> None:
        """Take entries in; each gets the timestamp and insert_id that it lacks."""
        with self._changed:
            now = self.clock()
            for given in entries:
                entry = Entry()
                entry.CopyFrom(given)
                if not entry.HasField("timestamp"):
                    entry.timestamp.FromNanoseconds(now)
                entry.insert_id = entry.insert_id or self._fresh_id()
                self._written += 1
                heapq.heappush(self._coming, (now + self._way(), self._written, entry))
            self._arrive(now)
            self._changed.notify_all()

    def flush(self) -> None:
        """Let every entry arrive at once, as if its time were come."""
        with self._changed:
            self._arrive(None)
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Wait until entries may have arrived, at most so long."""
        with self._changed:
            now = self.clock()
            if self._coming:
                timeout_s = min(timeout_s, max(0.0, (self._coming[0][0] - now) / SECOND))
            self._changed.wait(timeout_s)
            self._arrive(self.clock())

    def rows(
        self, low: int, high: int, *, after: Place | None = None, newest_first: bool = False
    ) -> Iterator[Row]:
        """The visible entries of an interval of timestamps in nanoseconds, from behind a place.

        Entries that arrive meanwhile are met where they stand ahead of the reader. Of those that
        have one timestamp and insert_id, only the first is told: they are duplicates.
        """
        last = after[:2] if after else None
        while True:
            with self._changed:
                now = self.clock()
                self._arrive(now)
                low, high = max(low, now - self._retention), min(high, now + DAY)
                step = self._index.step(after, low, high, newest_first=newest_first)
            if not step:
                return
            for row in step:
                if row[:2] != last:
                    yield row
                last = row[:2]
            after = place(step[-1])

    def logs(self) -> list[str]:
        """The names of the logs that have visible entries, sorted."""
        with self._changed:
            self._arrive(self.clock())
            return sorted(name for name, rows in self._logs.items() if rows)

    def delete(self, log_name: str) -> bool:
        """Remove a log's entries, those on their way too; whether there were any."""
        with self._changed:
            self._arrive(None)
            self._logs.pop(log_name, None)
            return self._index.drop(log_name) > 0

    def follow(self, told: Callable[[Row], None]) -> Callable[[], None]:
        """Tell of each entry that arrives from now on; the answer ends it."""
        with self._changed:
            self._arrive(self.clock())
            self._followers.append(told)

        def end() -> None:
            with self._changed:
                self._followers.remove(told)

        return end

    def __len__(self) -> int:
        with self._changed:
            self._arrive(self.clock())
            return len(self._index)

    def _way(self) -> int:
        way = self._ingestion
        seconds = way.delay_s + self._random.uniform(0, way.jitter_s)
        if way.late_share and self._random.random() < way.late_share:
            seconds += way.late_s
        return int(seconds * SECOND)

    def _fresh_id(self) -> str:
        """Ids that sort as they were given."""
        self._last_id += 1
        number, letters = self._last_id, ""
        for _ in range(9):
            number, digit = divmod(number, 36)
            letters = _ALPHABET[digit] + letters
        return f"1{letters}{''.join(self._random.choices(_ALPHABET, k=4))}"

    def _arrive(self, now: int | None) -> None:
        """Make visible what is due; all of it for None."""
        rows = []
        while self._coming and (now is None or self._coming[0][0] <= now):
            due, number, entry = heapq.heappop(self._coming)
            entry.receive_timestamp.FromNanoseconds(due if now is not None else self.clock())
            at = entry.timestamp.ToNanoseconds()
            data = entry.SerializeToString()
            rows.append(Row(at, entry.insert_id, number, entry.log_name, data))
        self._index.add(rows)
        self._logs.update(row.log_name for row in rows)
        for told in self._followers:
            for row in rows:
                told(row)
