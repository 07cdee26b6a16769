"""Threads: nothing else in loopctl starts any."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from loopctl.errors import Stopped
from loopctl.process.stop import Stop

T = TypeVar("T")

_TASK_FAILED = "a parallel task failed"


class TaskScope:
    """Threads that are named, stop their siblings on the first error, and are always joined.

    `with TaskScope(stop) as scope: scope.start("build chat", work)`; work is given the scope's
    own `Stop`. Leaving the scope joins every thread and raises the first error.
    """

    def __init__(self, stop: Stop) -> None:
        self._outer = stop.child()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()

    def __enter__(self) -> TaskScope:
        self.stop = self._outer.__enter__()
        return self

    def start(self, name: str, work: Callable[[Stop], None]) -> None:
        """Run `work` in a thread of its own."""
        thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        thread.start()
        # Only now: one that could not be started cannot be joined.
        self._threads.append(thread)

    def _run(self, work: Callable[[Stop], None]) -> None:
        try:
            work(self.stop)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that joins
            with self._lock:
                self._errors.append(error)
            self.stop.stop(_TASK_FAILED)

    def __exit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        if error is not None:
            self.stop.stop("the scope was left by an error")
        for thread in self._threads:
            thread.join()
        self._outer.__exit__(None, None, None)
        # A body that was only stopped because a task had failed does not hide why.
        told = isinstance(error, Stopped) and error.reason == _TASK_FAILED
        if self._errors and (error is None or told):
            raise self._errors[0]


def in_parallel(stop: Stop, jobs: int, tasks: Mapping[str, Callable[[Stop], T]]) -> Mapping[str, T]:
    """Run named tasks, at most `jobs` at once; the results by name, the first error raised."""
    results: dict[str, T] = {}
    gate = threading.Semaphore(max(1, jobs))

    def one(name: str, task: Callable[[Stop], T], inner: Stop) -> None:
        with gate:
            inner.remaining(0)
            results[name] = task(inner)

    with TaskScope(stop) as scope:
        for name, task in tasks.items():
            scope.start(name, functools.partial(one, name, task))
    return {name: results[name] for name in tasks}
