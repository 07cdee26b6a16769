"""Hands cases over in a thread of its own, so that nobody who measures waits for who takes them."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator

from loopctl.model.evidence import Case
from loopctl.process import Stop, TaskScope


@contextlib.contextmanager
def handing_over(
    name: str, on: Callable[[Case], None], stop: Stop
) -> Iterator[tuple[Callable[[Case], None], Stop]]:
    """Yields what takes a case, and a stop that also stops when `on` fails.

    At the end every case that was given has been taken; the error of `on` is raised there.
    """
    waiting: queue.SimpleQueue[Case | None] = queue.SimpleQueue()

    def take(_: Stop) -> None:
        while (case := waiting.get()) is not None:
            on(case)

    with TaskScope(stop) as scope:
        scope.start(f"cases of {name}", take)
        try:
            yield waiting.put, scope.stop
        finally:
            waiting.put(None)
