"""Finding every process that a service has started, however it tried to get away, and killing it.

A service runs in a session of its own, so its group takes most of them; a daemon that made another
session is told by the revision and port in its environment, or by being an orphan of the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of all orphans among its descendants (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid: int) -> list[int]:
    """The direct children of a process; none when it is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found.extend(map(int, (task / "children").read_text("ascii").split()))
    return found


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        found.extend(children(each))
    return found


def members(session: int, revision: str, port: int) -> set[int]:
    """The processes of a service: those of its session, and those with its environment."""
    marks = {f"K_REVISION={revision}".encode(), f"PORT={port}".encode()}
    found: set[int] = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session or marks <= _environment(pid):
                found.add(pid)
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
        left = {pid for pid in members(session, revision, port) if not _is_zombie(pid)}
        if not left:
            return
        kill_all(left)


def reap(known: Iterable[int]) -> None:
    """Collect ended orphans; `known` children are left to whoever waits for them."""
    kept = set(known)
    for pid in children(os.getpid()):
        if pid not in kept:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _environment(pid: int) -> set[bytes]:
    return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    return True
