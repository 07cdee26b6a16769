"""Which process a container belongs to, so that what a killed one has left can be told and removed.

A pid means nothing in another name space of pids, where others share engine and folders by mounts,
and its start, counted since the boot, nothing after the next one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from loopctl.process import ProcessId, identify, is_alive

_PARTS: Final = 4


def owner_label(owner: ProcessId) -> str:
    """How a container names its process: `BOOT.NAMESPACE.PID.STARTED`."""
    return f"{_boot()}.{_pid_namespace()}.{owner.pid}.{owner.started}"


def my_label() -> str:
    """The label of this process."""
    me = identify(os.getpid())
    assert me is not None, "a process that runs this is alive"
    return owner_label(me)


def is_orphan(label: str) -> bool:
    """Whether that process is gone, for certain: not where it cannot be looked for from here."""
    parts = label.split(".")
    if len(parts) != _PARTS or not (parts[2].isdigit() and parts[3].isdigit()):
        return False
    boot, namespace, pid, started = parts
    if boot != _boot():
        return True
    return namespace == _pid_namespace() and not is_alive(ProcessId(int(pid), int(started)))


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)
