"""Threads: nothing else in loopctl starts any."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from loopctl.errors import Stopped
from loopctl.process.stop import Stop

T = TypeVar("T")

_TASK_FAILED = "a parallel task failed"
_HEARD_S = 0.1
_LOOK_S = 0.05
_LAST_WORDS_S = 0.5


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
            # Not at once and for good: a signal that the kernel gave to another thread is heard by
            # the main one only when that runs again.
            while thread.is_alive():
                thread.join(_HEARD_S)
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


def in_time(stop: Stop, tasks: Mapping[str, Callable[[Stop], T]]) -> Mapping[str, T]:
    """Run named tasks side by side; the results of those that ended before `stop`, by name.

    For looks alone: a task that hears no `Stop`, as one that waits for a name server, is left
    behind and not waited for. Whoever needs its result finds none. Raises a task's error.
    """
    results: dict[str, T] = {}
    errors: list[BaseException] = []
    ended = threading.Semaphore(0)

    def one(name: str, task: Callable[[Stop], T]) -> None:
        try:
            results[name] = task(stop)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            errors.append(error)
        finally:
            ended.release()

    for name, task in tasks.items():
        threading.Thread(target=one, args=(name, task), name=name, daemon=True).start()
    _all_ended(ended, len(tasks), stop)
    if errors:
        raise errors[0]
    return {name: results[name] for name in tasks if name in results}


def _all_ended(ended: threading.Semaphore, number: int, stop: Stop) -> None:
    """Wait for so many ends; once `stop` has stopped, half a second for those that heard it."""
    until: float | None = None
    while number:
        if ended.acquire(timeout=_LOOK_S):
            number -= 1
        elif until is None and stop.reason is not None:
            until = time.monotonic() + _LAST_WORDS_S
        if until is not None and time.monotonic() > until:
            return
