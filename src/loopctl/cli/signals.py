"""SIGINT and SIGTERM, turned into a `Stop` that the work waits on; SIGHUP, which stops nothing.

The work runs in a thread of its own: a Python signal handler runs between two bytecodes of the main
thread, and must never land between a write and its fsync.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from loopctl import api
from loopctl.process import Stop, in_parallel

T = TypeVar("T")


def interruptibly(work: Callable[[Stop], T], told: Callable[[str], None] | None = None) -> T:
    """Run `work`; a first signal stops its `Stop`, a second one ends the process at once.

    `told` is called with the name of the first one, for the person who waits.
    """
    stop = Stop()
    # Found before it is needed: nothing is imported in the middle of anything.
    give_back = api.give_back_terminal

    def lose_terminal(_number: int, _frame: FrameType | None) -> None:
        """Work is not its terminal's: it goes on, and `loopctl watch` finds a run."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.reason is not None:
            # What is in the journal or was asked of a host stays: whoever asks twice wants it now.
            give_back()
            os._exit(128 + number)
        stop.stop(signal.Signals(number).name)
        if told is not None:
            # What cannot be said must not end the work in the middle.
            with contextlib.suppress(Exception):
                told(signal.Signals(number).name)

    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    before |= {n: signal.signal(n, _let_go) for n in (signal.SIGTSTP, signal.SIGQUIT) if _ours(n)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # A handler, for what is ignored would be ignored by every child too.
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lose_terminal)
    try:
        # The scope has a Stop of its own: the work itself decides how it ends.
        return in_parallel(Stop(), 1, {"loopctl": lambda _: work(stop)})["loopctl"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ours(number: signal.Signals) -> bool:
    """Whether nobody has decided what this signal does: a shell that has no jobs ignores some."""
    return signal.getsignal(number) is signal.SIG_DFL


def _let_go(number: int, _frame: FrameType | None) -> None:
    """What the signal does by itself, with the terminal given back before."""
    api.give_back_terminal()
    mine = signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # A process that was stopped goes on from here.
    signal.signal(number, mine)
