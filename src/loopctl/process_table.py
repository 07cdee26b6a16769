"""What the kernel tells of processes (proc(5)); nothing here changes any."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def pids() -> Iterator[int]:
    """Every process there is."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def stat_fields(pid: int) -> list[bytes] | None:
    """The fields of its stat from the state on: `[0]` state, `[1]` parent, `[19]` start in ticks.

    None when there is no such process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command stands in parentheses and may hold spaces and parentheses itself.
    return stat.rpartition(b")")[2].split()


def is_running(pid: int) -> bool:
    """Whether it is there and no zombie."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in (b"Z", b"X")


def environment(pid: int) -> frozenset[bytes]:
    """The `NAME=value` it was started with; empty when it is gone, a zombie or not ours to read."""
    try:
        return frozenset(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return frozenset()


def ancestry(pid: int) -> Iterator[int]:
    """A process and all above it."""
    while pid > 0:
        yield pid
        fields = stat_fields(pid)
        pid = int(fields[1]) if fields else 0


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


def members(session: int) -> list[int]:
    """The processes of a session."""
    found: list[int] = []
    for pid in pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session:
                found.append(pid)
    return found
