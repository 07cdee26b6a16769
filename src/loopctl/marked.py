"""Finding processes by a variable in their environment, wherever they have got to."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_LOOKS = 20


def kill_marked(name: str, value: str) -> int:
    """SIGKILL every process of this user that was started with `name=value`; how many those were.

    This process and those above it are left alone. Looks again until it finds none, because a
    process may start another while it is looked for.
    """
    mark = f"{name}={value}".encode()
    spared = set(_ancestry())
    killed: set[int] = set()
    for _ in range(_LOOKS):
        found = [pid for pid in _pids() if pid not in spared and _has(pid, mark)]
        if not found:
            break
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    return len(killed)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _has(pid: int, mark: bytes) -> bool:
    try:
        # A zombie has no environment any more.
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _ancestry() -> Iterator[int]:
    """This process and all above it."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return
        pid = int(stat.rpartition(b")")[2].split()[1])
