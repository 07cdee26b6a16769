"""Telling processes apart, and how they ended."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from loopctl import process_table


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: `code` is negative for a signal, as `subprocess` has it.

    `stopped` says why loopctl ended it (deadline, interruption), None if it ended by itself.
    """

    code: int
    duration_s: float
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told from a later one of the same number by its start time in clock ticks."""

    pid: int
    started: int


def identify(pid: int) -> ProcessId | None:
    """The identity of a live process; None when there is none (or only a zombie)."""
    fields = process_table.stat_fields(pid)
    if fields is None or fields[0] in (b"Z", b"X"):
        return None
    return ProcessId(pid, int(fields[19]))


def is_alive(process: ProcessId) -> bool:
    """Whether that very process still runs."""
    return identify(process.pid) == process


def signal_name(number: int) -> str:
    """`SIGSEGV` for 11, `signal 35` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
