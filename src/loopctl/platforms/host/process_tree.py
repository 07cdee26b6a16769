"""Finding every process that a service has started, however it tried to get away, and killing it.

A service runs in a session of its own, so its group takes most of them; a daemon that made another
session is told by the revision and port in its environment, or by being an orphan of the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable

from loopctl import process_table

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of all orphans among its descendants (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def members(session: int, revision: str, port: int) -> set[int]:
    """The processes of a service: those of its session, and those with its environment."""
    marks = {f"K_REVISION={revision}".encode(), f"PORT={port}".encode()}
    found = set(process_table.members(session))
    found.update(pid for pid in process_table.pids() if marks <= process_table.environment(pid))
    found.discard(os.getpid())
    return found


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL them, those that are gone already aside."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_service(session: int, revision: str, port: int) -> None:
    """SIGKILL all of a service's processes, until a look finds none."""
    for _ in range(20):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
        left = set(filter(process_table.is_running, members(session, revision, port)))
        if not left:
            return
        kill_all(left)


def reap(known: Iterable[int]) -> None:
    """Collect ended orphans; `known` children are left to whoever waits for them."""
    kept = set(known)
    for pid in process_table.children(os.getpid()):
        if pid not in kept:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
