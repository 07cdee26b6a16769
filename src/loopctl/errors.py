"""The errors loopctl raises on purpose, each with the exit code it ends in.

One error, one exit code, a message that says what happened, where, and what to do next.
Anything that is not a `LoopctlError` is a fault of loopctl itself and ends in `ExitCode.INTERNAL`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process exits with; the table is in the contract and in the README."""

    GREEN = 0
    RED = 1
    USAGE = 2
    UNPROVEN = 3
    PREFLIGHT = 4
    UNDELIVERED = 5
    LOCKED = 6
    DIFFERENCES = 10
    INTERNAL = 70
    SIGINT = 130
    SIGTERM = 143


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what a person gave us or with the machine.

    `where` is `file:line:column` or the name of what is meant; `excerpt` is the offending line
    with a marker below it, already inert; `hint` says what to do.
    """

    message: str
    where: str | None = None
    excerpt: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        parts = [f"{place}{self.message}"]
        if self.excerpt:
            parts.extend(f"    {line}" for line in self.excerpt.splitlines())
        if self.hint:
            parts.append(f"    hint: {self.hint}")
        return "\n".join(parts)


class LoopctlError(Exception):
    """Base of every error raised on purpose."""

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return str(Problem(self.what, where=self.where, hint=self.hint))


class ManyProblems(LoopctlError):
    """Several problems found in one look, so that nobody mends them one by one."""

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        super().__init__(what)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.problems), self.what])


class UsageError(ManyProblems):
    """Bad arguments or a bad loop file."""

    exit_code = ExitCode.USAGE


class PreflightError(ManyProblems):
    """Something the run needs is missing or unhealthy; nothing was changed."""

    exit_code = ExitCode.PREFLIGHT


class LockedError(LoopctlError):
    """The target is held by another run."""

    exit_code = ExitCode.LOCKED


class StorageError(LoopctlError):
    """A file could not be written or read: full disk, no permission, broken device."""

    exit_code = ExitCode.UNDELIVERED


class NotFoundError(LoopctlError):
    """A run, loop or service that was named does not exist."""

    exit_code = ExitCode.USAGE


class PortError(LoopctlError):
    """Base of the errors of every port: the world could not do what the loop asked."""

    exit_code = ExitCode.UNDELIVERED


SIGNAL_EXITS = {"SIGINT": ExitCode.SIGINT, "SIGTERM": ExitCode.SIGTERM}
"""The reasons by which loopctl is told to stop from outside, with the exit code of each."""


class Stopped(BaseException):
    """Someone asked the run to stop, or the deadline of this piece of work has passed.

    A `BaseException`, because a handler for errors must never mistake it for one.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def by(self) -> str:
        """Who or what stopped it, in words: `SIGTERM`, `its deadline`."""
        return "its deadline" if self.reason == "deadline" else self.reason

    @property
    def exit_code(self) -> ExitCode:
        """130 and 143 for their signals, else 3: a deadline shows neither green nor red."""
        return SIGNAL_EXITS.get(self.reason, ExitCode.UNPROVEN)


class StoppedEarlyError(LoopctlError):
    """loopctl was stopped before it had done what was asked; the exit code is that of `stopped`."""

    def __init__(
        self, what: str, stopped: Stopped, *, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.exit_code = stopped.exit_code
