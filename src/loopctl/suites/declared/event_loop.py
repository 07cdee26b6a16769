"""An event loop in the calling thread, for the suites that hold many connections at once.

A thread for each of 1,000 WebSockets would cost more than the connections; and a task that waits
for a socket, or for one to be opened, can be cancelled, where a blocked thread cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from loopctl.errors import Stopped
from loopctl.process import Stop, TaskScope

T = TypeVar("T")

_A_WHILE_S = 3600.0
_ROUNDS = 3


def run_in_loop(name: str, main: Callable[[], Coroutine[Any, Any, T]], stop: Stop) -> T:
    """What `main()` returns. It is cancelled the moment `stop` stops, which raises `Stopped`."""
    stop.remaining(0)
    loop = asyncio.new_event_loop()
    # What goes wrong in a callback of a broken connection shows in that connection; asyncio would
    # print it to the terminal.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        task = loop.create_task(main())
        with TaskScope(stop) as scope:
            scope.start(f"watch {name}", lambda inner: _cancel_when_stopped(inner, loop, task))
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError:
                stop.remaining(0)
                raise
            finally:
                scope.stop.stop("the loop has ended")
    finally:
        _close(loop)


def _cancel_when_stopped(
    stop: Stop, loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]
) -> None:
    with contextlib.suppress(Stopped):
        while True:
            stop.wait(_A_WHILE_S)
    loop.call_soon_threadsafe(task.cancel)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what is left. A name that is still being looked up is not waited for."""
    try:
        loop.run_until_complete(_settled(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _settled(left: Iterable[asyncio.Task[Any]]) -> None:
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    # Connections that were cut are closed in the next rounds of the loop.
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
