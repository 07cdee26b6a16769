"""Killing processes by a variable in their environment, wherever they have got to."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from loopctl.process_table import ancestry, environment, pids

_DEAD_WITHIN_S = 5.0
_NEXT_LOOK_S = 0.01


def kill_marked(name: str, value: str) -> int:
    """SIGKILL every process of this user that was started with `name=value`; how many those were.

    This process and those above it are left alone. Looks again until it finds none, because a
    process may start another while it is looked for; some seconds, where one cannot be killed.
    """
    mark = f"{name}={value}".encode()
    spared = set(ancestry(os.getpid()))
    killed: set[int] = set()
    until = time.monotonic() + _DEAD_WITHIN_S
    while found := [pid for pid in pids() if pid not in spared and mark in environment(pid)]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        if time.monotonic() > until:
            break
        time.sleep(_NEXT_LOOK_S)
    return len(killed)
