"""Ending what httpx waits for the moment that somebody stops."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from typing import Any, Final, Self

from loopctl.errors import Stopped
from loopctl.process.scope import TaskScope
from loopctl.process.stop import Stop

_LOOKS_EVERY_S: Final = 0.05


class Watched:
    """Cuts the connections of one exchange when it is stopped, or when its time is up.

    `see` is the `trace` extension of its requests. httpx's own limits are for each operation: a
    chain of redirects, or a head that comes byte by byte, would outlast them all, and a blocked
    read hears of no signal.
    """

    def __init__(self, stop: Stop, limit: float) -> None:
        self._stop = stop
        self._deadline = time.monotonic() + limit
        self._over = Stop()
        self._scope = TaskScope(Stop())
        self._sockets: list[socket.socket] = []

    def see(self, name: str, info: Mapping[str, Any]) -> None:
        """Told by httpcore of every step; a connection that was made is one to cut."""
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            made = info["return_value"].get_extra_info("socket")
            if made is not None:
                self._sockets.append(made)
            if self._is_up():
                self._cut()

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self._scope.start("watched", self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.stop("the exchange has ended")
        self._scope.__exit__(None, None, None)

    def _watch(self, _: Stop) -> None:
        with contextlib.suppress(Stopped):
            while not self._is_up():
                self._over.wait(_LOOKS_EVERY_S)
            self._cut()

    def _is_up(self) -> bool:
        return self._stop.reason is not None or time.monotonic() >= self._deadline

    def _cut(self) -> None:
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
