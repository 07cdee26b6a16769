"""Does something again and again while a view is open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from loopctl.errors import Stopped
from loopctl.process import Stop, TaskScope


class Ticker:
    """Calls `work` every `every_s` seconds in a thread of its own, until closed."""

    def __init__(self, name: str, every_s: float, work: Callable[[], None]) -> None:
        self._stop = Stop()
        self._every_s = every_s
        self._work = work
        self._stack = contextlib.ExitStack()
        scope = self._stack.enter_context(TaskScope(self._stop))
        scope.start(name, self._run)

    def _run(self, stop: Stop) -> None:
        with contextlib.suppress(Stopped):
            while True:
                stop.wait(self._every_s)
                self._work()

    def close(self) -> None:
        """No more calls once this returns."""
        self._stop.stop("the view was closed")
        self._stack.close()
