"""Processes that a test starts.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import loopctl_tcp
from loopctl_guard import guarded
from loopctl_patches import around
from loopctl_text import clean

if TYPE_CHECKING:
    from types import FrameType

    from loopctl_connections import Connections
    from loopctl_patches import Wrapper
    from loopctl_phase import Current
    from loopctl_spool import Spool
    from loopctl_targets import Targets

# Modules whose only children tell of the machine; importing httpx, for one, may start them.
_ASK_THE_MACHINE = frozenset(("ctypes.util", "platform", "uuid", "sysconfig"))


class Children:
    """Notes which program was started, and how the kernel's table was before the first."""

    def __init__(
        self, spool: Spool, current: Current, targets: Targets, connections: Connections
    ) -> None:
        self._spool, self._current = spool, current
        self._targets, self._connections = targets, connections

    def hooks(self) -> list[tuple[str, Wrapper]]:
        """Ways to start a process of which no audit event tells."""
        return [("multiprocessing.util:spawnv_passfds", around(self._spawns))]

    def started(self, how: str, args: Any, program: Any) -> None:
        """Keep the program's name only: arguments can hold secrets."""
        phase = self._current.running
        if phase is not None and not _asks_the_machine():
            first = program or (args if isinstance(args, (str, bytes)) else next(iter(args), ""))
            path = clean(os.fsdecode(first), 300)
            child = {"how": how, "argv0": path, "name": path.rpartition("/")[2]}
            if not phase.children and self._connections.alone and not self._spool.forked:
                phase.table = loopctl_tcp.read(self._targets.addresses)
            phase.keep("children", child)

    def replaced(self, program: Any, args: Any, _env: Any) -> None:
        """This process is about to become another program."""
        self.started("exec", args, program)
        self._spool.hand_on()

    @guarded
    def _spawns(self, path: Any, args: Any, *_: object, **__: object) -> None:
        self.started("spawn", args, path)


def _asks_the_machine() -> bool:
    """Whether the standard library starts this child itself, as `ldconfig` to find a library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in _ASK_THE_MACHINE:
            return True
        frame = frame.f_back
    return False
