"""Waiting: all of it goes through a `Stop`, so that a signal or a deadline ends it at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from loopctl.errors import Stopped

FOREVER = float("inf")


def utc_now() -> datetime:
    """The time of day, for people to read; durations come from `time.monotonic`."""
    return datetime.now(UTC)


class Stop:
    """A deadline and a cancellation in one: the only way to wait.

    A child stops with its parent or at its own deadline, whichever comes first.
    `seconds` counts from the making of the object.
    """

    def __init__(self, seconds: float = FOREVER) -> None:
        self._deadline = time.monotonic() + seconds
        self._event = threading.Event()
        self._reason = ""
        self._children: set[Stop] = set()
        self._lock = threading.Lock()

    def stop(self, reason: str) -> None:
        """End every wait on this object and on its children; the first reason stays."""
        with self._lock:
            if not self._event.is_set():
                self._reason = reason
                self._event.set()
            children = list(self._children)
        for child in children:
            child.stop(reason)

    @property
    def reason(self) -> str | None:
        """Why it has stopped, or None while it has not."""
        if self._event.is_set():
            return self._reason
        return "deadline" if self._left() <= 0 else None

    def remaining(self, at_most: float) -> float:
        """Seconds for the next blocking call, `at_most` at the most; raises `Stopped` at zero."""
        if (reason := self.reason) is not None:
            raise Stopped(reason)
        return min(at_most, self._left())

    def wait(self, seconds: float) -> None:
        """Sleep, or raise `Stopped` the moment someone stops or the deadline passes."""
        self._event.wait(self.remaining(seconds))
        self.remaining(0)

    @contextlib.contextmanager
    def child(self, seconds: float = FOREVER, *, beyond: bool = False) -> Iterator[Stop]:
        """A tighter deadline for one piece of work; `beyond`: one that may outlast this one."""
        child = Stop(seconds if beyond else min(seconds, self._left()))
        with self._lock:
            self._children.add(child)
            if self._event.is_set():
                child.stop(self._reason)
        try:
            yield child
        finally:
            with self._lock:
                self._children.discard(child)

    def _left(self) -> float:
        return self._deadline - time.monotonic()
