"""How often the logs may be read: a budget a minute, which all readers of a process share.

Every page of entries counts, for the whole project and for whoever else reads its logs. Google's
default is 60 a minute; what holds is told in the refusal: facts/cloud-run.md section 4.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.process import Stop

READS: Final = 60
"""Reads a minute and project, where nobody has set another limit."""

_WINDOW_S: Final = 60.0
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0
_SHUT: Final = 3
_OURS: Final = 0.9
_POLLS: Final = 0.25


class QuotaSpent(Exception):
    """A poll would take what a read may need."""


class ReadQuota:
    """The reads of the last minute against the limit. Safe to share by threads.

    Of the limit a tenth is left to others, and polls take a quarter of it at most.
    """

    def __init__(self, limit: int = READS, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._now = now
        self._reads: deque[float] = deque()
        self._polls: deque[float] = deque()
        self._closed_until = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._refusals = 0
        self._lock = threading.Lock()

    def take(self, stop: Stop, spare: int = 0) -> None:
        """Wait until one more read is within the budget less `spare`; raises `Stopped`."""
        while (wait_s := self._taken(spare)) > 0:
            stop.wait(wait_s)

    def poll(self, _stop: Stop) -> None:
        """Take one for a poll; raises `QuotaSpent` at once where that is too much."""
        with self._lock:
            now = self._aged()
            most = max(1, int(self.limit * _POLLS))
            spent = len(self._polls) >= most or len(self._reads) >= self._budget() - most
            if spent or now < self._closed_until:
                raise QuotaSpent
            self._reads.append(now)
            self._polls.append(now)

    def refused(self, error: ApiError) -> None:
        """Learn the limit from a refusal, and read nothing for a while, longer each time."""
        value = error.metadata.get("quota_limit_value", "")
        with self._lock:
            if value.isascii() and value.isdecimal() and int(value) > 0:
                self.limit = int(value)
            self._refusals += 1
            self._closed_until = self._now() + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def granted(self) -> None:
        """A read was answered."""
        with self._lock:
            self._pause_s = _FIRST_PAUSE_S
            self._refusals = 0

    @property
    def is_shut(self) -> bool:
        """Whether refusals came one after another, and no answer since: others use all there is."""
        with self._lock:
            return self._refusals >= _SHUT

    def is_short(self, spare: int = 0) -> bool:
        """Whether a read that leaves `spare` would have to wait now."""
        with self._lock:
            now = self._aged()
            return now < self._closed_until or len(self._reads) >= self._budget(spare)

    @property
    def told(self) -> str:
        """Why a read has to wait, in words."""
        return f"the project's quota of {self.limit} log reads a minute was used up"

    def _taken(self, spare: int) -> float:
        """Zero once a read is taken; else how long to wait before asking again."""
        with self._lock:
            now = self._aged()
            if now < self._closed_until:
                return self._closed_until - now
            most = self._budget(spare)
            if len(self._reads) >= most:
                return self._reads[len(self._reads) - most] + _WINDOW_S - now
            self._reads.append(now)
            return 0.0

    def _budget(self, spare: int = 0) -> int:
        """Reads a minute; `spare` of them, half at most, are left."""
        all_ = max(1, int(self.limit * _OURS))
        return all_ - min(spare, all_ // 2)

    def _aged(self) -> float:
        now = self._now()
        for taken in (self._reads, self._polls):
            while taken and taken[0] <= now - _WINDOW_S:
                taken.popleft()
        return now


_quotas: dict[tuple[str, str | None], ReadQuota] = {}
_making = threading.Lock()


def quota_of(place: CloudRunPlace) -> ReadQuota:
    """The budget of a project, one in this process."""
    with _making:
        return _quotas.setdefault((place.project, place.endpoint), ReadQuota())


def is_quota(error: ApiError) -> bool:
    """Whether the budget is spent: gRPC says the same of a message larger than it takes."""
    return error.code is Code.RESOURCE_EXHAUSTED and "message larger than" not in error.text
