"""Containers of emulators that were killed: each tells whose it is, and the next one removes it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Final

import docker.errors

OWNER: Final = "loopctl.emulator.owner"


def owner() -> str:
    """This process, told apart from every other one that this machine has had."""
    return f"{_boot()} {os.getpid()} {_started(os.getpid())}"


def remove_orphans(client: Any) -> None:
    """Remove the containers whose emulator ran on this machine and is no more."""
    for container in client.containers.list(
        all=True, filters={"label": OWNER}, ignore_removed=True
    ):
        if _is_dead(container.labels[OWNER]):
            with contextlib.suppress(docker.errors.APIError):
                container.remove(force=True, v=True)


def _is_dead(told: str) -> bool:
    """Of another machine's owners nothing is known; those before the last boot are dead."""
    boot, _, rest = told.partition(" ")
    pid, _, started = rest.partition(" ")
    if not pid.isdigit() or boot.partition("/")[0] != _boot().partition("/")[0]:
        return False
    return boot != _boot() or _started(int(pid)) != started


def _boot() -> str:
    """The machine, a slash, and its boot."""
    return f"{os.uname().nodename}/{_line('/proc/sys/kernel/random/boot_id')}"


def _started(pid: int) -> str:
    """When a process started, in ticks; empty when it is gone. See proc(5)."""
    fields = _line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""


def _line(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError:
        return ""
