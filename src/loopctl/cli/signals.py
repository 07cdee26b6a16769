"""SIGINT and SIGTERM, turned into a `Stop` that the work waits on; SIGHUP, which stops nothing.

The work runs in a thread of its own: a Python signal handler runs between two bytecodes of the main
thread, and must never land between a write and its fsync.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from loopctl.process import Stop, in_parallel

T = TypeVar("T")


def interruptibly(work: Callable[[Stop], T]) -> T:
    """Run `work`; a first signal stops its `Stop`, a second one ends the process at once."""
    stop = Stop()

    def lose_terminal(_number: int, _frame: FrameType | None) -> None:
        """A run is not its terminal's: it goes on, and `loopctl watch` finds it."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.reason is not None:
            # The journal is durable already: whoever asks twice wants it now.
            os._exit(128 + number)
        stop.stop(signal.Signals(number).name)

    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # A handler, for what is ignored would be ignored by every child too.
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lose_terminal)
    try:
        # The scope has a Stop of its own: the work itself decides how it ends.
        return in_parallel(Stop(), 1, {"loopctl": lambda _: work(stop)})["loopctl"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
