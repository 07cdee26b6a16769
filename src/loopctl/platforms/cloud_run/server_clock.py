"""The time by the server's clock: leases of several machines run out by one clock alone."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Final

import requests

from loopctl.platforms.cloud_run.bucket_clock import ServerClock
from loopctl.process import Stop, utc_now

if TYPE_CHECKING:
    from loopctl.platforms.cloud_run.clients import Clients

_ASK_S: Final = 3.0
_GOOGLES: Final = "https://run.googleapis.com"


class AskedClock:
    """Asked once what time it is, and kept from then on by a clock that nobody sets.

    A server that tells no time (an emulator that speaks gRPC alone) is taken to have ours.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._server = ServerClock()
        self._asked = False
        self._lock = threading.Lock()

    def now(self, stop: Stop) -> datetime:
        """The server's time, to about a second."""
        with self._lock:
            if not self._asked:
                self._ask(stop)
                self._asked = True
            return self._server.now() or utc_now()

    def _ask(self, stop: Stop) -> None:
        door = self._clients.door
        try:
            with requests.Session() as session:
                session.trust_env = door is None or not door.loopback
                answer = session.head(
                    door.url if door else _GOOGLES,
                    timeout=stop.remaining(_ASK_S),
                    allow_redirects=False,
                )
                self._server.note(answer)
        except (requests.RequestException, OSError):
            return
