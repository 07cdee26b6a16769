"""What a test's call is kept from in the control run: the services.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from loopctl_guard import guarded

if TYPE_CHECKING:
    from loopctl_connections import Connections
    from loopctl_phase import Current
    from loopctl_stand_in import StandIn
    from loopctl_targets import Targets


class Withheld:
    """Refuses a call's connects to the services, or leads them to the stand-in.

    `is_asked`: this is a control run.
    """

    def __init__(
        self,
        current: Current,
        targets: Targets,
        connections: Connections,
        stand_in: StandIn,
        *,
        refuses: bool,
    ) -> None:
        self._current, self._targets, self._connections = current, targets, connections
        self.stand_in = stand_in
        self.is_asked = refuses or stand_in.is_there

    def refusal(self, target: str | None) -> OSError | None:
        """What a connect to a service is answered in the call phase of a control run."""
        if target is None or not self.now():
            return None
        return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    def now(self) -> bool:
        """Whether this is the call of a test that is kept from the services."""
        phase = self._current.running
        return self.is_asked and phase is not None and phase.name == "call"

    @guarded
    def led(self, sock: Any, address: Any = None, *_: object) -> tuple[object] | None:
        """What a connect is given instead: the stand-in's address; None to leave it as it is.

        A connect that passes this by, or that it cannot lead, is refused.
        """
        if not self.stand_in.is_there or not self.now():
            return None
        if sock.type != socket.SOCK_STREAM or not isinstance(address, tuple):
            return None
        target = self._connections.whom(str(address[0]), int(address[1]))[1]
        place = self.stand_in.address(sock.family, str(address[0]))
        if target is None or place is None or not self._targets.is_plain(target):
            return None
        self._connections.lead(sock.fileno(), address, self.stand_in.handshake_bytes)
        return (place,)
