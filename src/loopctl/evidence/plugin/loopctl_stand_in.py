"""Where connects to the services are led in the later parts of the control run.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAPPED = "::ffff:"


class StandIn:
    """The stand-in's addresses on this machine, as `LOOPCTL_STAND_IN` has them.

    `is_there`: there is one. `handshake_bytes` are what a WebSocket gets of it before any answer.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        ipv4, ipv6 = document.get("ipv4"), document.get("ipv6")
        self._ipv4 = ("127.0.0.1", ipv4) if ipv4 else None
        self._ipv6 = ("::1", ipv6, 0, 0) if ipv6 else None
        self._mapped = (_MAPPED + "127.0.0.1", ipv4, 0, 0) if ipv4 else None
        self._places = {place[:2] for place in (self._ipv4, self._ipv6, self._mapped) if place}
        self.is_there = bool(self._places)
        self.handshake_bytes = int(document.get("handshake_bytes", 0))

    def address(self, family: int, host: str) -> tuple[Any, ...] | None:
        """Where a socket of this family goes instead of `host`; None where it cannot."""
        if family == socket.AF_INET:
            return self._ipv4
        if family != socket.AF_INET6:
            return None
        return self._mapped if host.lower().startswith(_MAPPED) else self._ipv6

    def is_at(self, address: tuple[Any, ...]) -> bool:
        """Whether this address is the stand-in's own."""
        return address[:2] in self._places
