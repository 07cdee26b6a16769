"""Visible log entries in the order of their timestamps, found by bisection."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple

# Rows copied at once while a reader goes on: the index may grow between two of them.
_STEP = 512
# More than these are sorted in, fewer are each put at their place.
_FEW = 64


class Row(NamedTuple):
    """One entry: its place in the order, and itself serialised."""

    at: int
    """Its timestamp in nanoseconds since the epoch."""
    insert_id: str
    number: int
    """Counts the writes: no two rows have one."""
    log_name: str
    data: bytes


Place = tuple[int, str, int]
"""A row's timestamp, insert_id and number: where a reader went on to."""


class LogIndex:
    """Rows by timestamp, then insert_id. The caller holds the lock for `add` and `step`."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Put rows at their places."""
        fresh = list(rows)
        if len(fresh) > _FEW:
            self._rows.extend(fresh)
            self._rows.sort()
            return
        for row in fresh:
            insort(self._rows, row)

    def drop(self, log_name: str) -> int:
        """Remove a log's rows; how many."""
        before = len(self._rows)
        self._rows = [row for row in self._rows if row.log_name != log_name]
        return before - len(self._rows)

    def step(self, after: Place | None, low: int, high: int, *, newest_first: bool) -> list[Row]:
        """The next few rows of an order, from behind a place, within instants; empty at its end."""
        if newest_first:
            return self._back(after, low, high)
        start = bisect_left(self._rows, (low,))
        if after is not None:
            start = max(start, bisect_left(self._rows, (*after[:2], after[2] + 1)))
        end = min(bisect_left(self._rows, (high + 1,)), start + _STEP)
        return self._rows[start:end]

    def _back(self, after: Place | None, low: int, high: int) -> list[Row]:
        """Newest first; rows of one timestamp stand by insert_id in this order too."""
        found: list[Row] = []
        end = bisect_left(self._rows, (high + 1,))
        if after is not None:
            group_end = bisect_left(self._rows, (after[0] + 1,))
            behind = bisect_left(self._rows, (*after[:2], after[2] + 1))
            if group_end <= end:
                found = self._rows[behind:group_end]
            end = min(end, bisect_left(self._rows, (after[0],)))
        while end > 0 and len(found) < _STEP and self._rows[end - 1].at >= low:
            start = bisect_left(self._rows, (self._rows[end - 1].at,), 0, end)
            found += self._rows[start:end]
            end = start
        return found


def place(row: Row) -> Place:
    """Where a reader stands that has read a row."""
    return (row.at, row.insert_id, row.number)
