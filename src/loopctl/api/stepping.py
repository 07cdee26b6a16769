"""Writes to an environment, one after another, which tell how far they came when they are ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loopctl.errors import SIGNAL_EXITS, LoopctlError, PortError, Stopped, StoppedEarlyError
from loopctl.ports.leases import LeaseLost
from loopctl.ports.platform import PlatformError
from loopctl.process import FOREVER, Stop


@dataclass(frozen=True, slots=True)
class Step:
    """One write. `what` names it for a person; `do` raises `PortError`, or `Stopped` at its time's
    end.
    """

    what: str
    do: Callable[[Stop], object]


class Steps:
    """The writes of one command. `stop` is what it waits on between them, and before the first."""

    def __init__(self, again: str, stop: Stop) -> None:
        self.stop = stop
        self._again = again
        self._done: list[str] = []
        self._begun: list[str] = []
        self._left: list[str] = []

    def take(self, steps: Sequence[Step]) -> None:
        """Take them in order. A signal lets the one in hand come to its end; a deadline does not.

        To be used once, within `stepwise`.
        """
        self._left = [step.what for step in steps]
        for step in steps:
            # A Stop of its own: it knows the time that is left, and no signal.
            limit = Stop(self.stop.remaining(FOREVER))
            self._begun.append(self._left.pop(0))
            step.do(limit)
            self._done.append(self._begun.pop())

    def cut_short(self, stopped: Stopped) -> LoopctlError:
        """What to raise for a signal, a deadline, or a lease that was lost between two steps."""
        what = self._told(f"stopped by {stopped.by}")
        if stopped.reason in SIGNAL_EXITS:
            return StoppedEarlyError(what, stopped, hint=self._next(None))
        return PlatformError(what, hint=self._next(None))

    def failed(self, error: PortError) -> PlatformError:
        """The error again, with what had been done before it."""
        # Where a lease was lost its own hint speaks of one write alone.
        hint = None if isinstance(error, LeaseLost) else error.hint
        return PlatformError(
            self._told(error.what),
            fault=error.fault if isinstance(error, PlatformError) else None,
            where=error.where,
            hint=self._next(hint),
        )

    def _told(self, what: str) -> str:
        # What was begun may be done all the same: who was asked to do it has not said so.
        said = {"done": self._done, "not confirmed": self._begun, "not done": self._left}
        lines = [f"{word}: {'; '.join(names)}" for word, names in said.items() if names]
        if not (self._done or self._begun):
            lines.insert(0, "nothing was changed")
        return "\n    ".join([what, *lines])

    def _next(self, hint: str | None) -> str:
        if hint is None:
            return f"go on: {self._again}"
        return f"{hint}; then go on: {self._again}" if self._done or self._begun else hint


@contextlib.contextmanager
def stepwise(again: str, stop: Stop | None, seconds: float) -> Iterator[Steps]:
    """The steps of a command that may take `seconds`; `again` is the command that goes on with it.

    Raises `StoppedEarlyError` after a signal, and `PlatformError` after a deadline and for every
    `PortError`. Each says what was done, what was not, and what to type next.
    """
    with (stop or Stop()).child(seconds) as limited:
        steps = Steps(again, limited)
        try:
            yield steps
        except Stopped as stopped:
            raise steps.cut_short(stopped) from None
        except PortError as error:
            raise steps.failed(error) from error
