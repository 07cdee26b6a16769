"""The time by the server's clock: leases of several machines run out by one clock alone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import requests

from loopctl.process import Stop, utc_now

if TYPE_CHECKING:
    from loopctl.platforms.cloud_run.clients import Clients

_ASK_S: Final = 3.0
_GOOGLES: Final = "https://run.googleapis.com"


class ServerClock:
    """Asked once for how far it is from this machine's; learns from every write since.

    A server that tells no time (an emulator that speaks gRPC alone) is taken to have ours.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._ahead: timedelta | None = None
        self._lock = threading.Lock()

    def now(self, stop: Stop) -> datetime:
        """The server's time, to about a second."""
        with self._lock:
            if self._ahead is None:
                self._ahead = self._asked(stop)
            return utc_now() + self._ahead

    def learn(self, written: datetime) -> None:
        """The server stamped a write of just now with that time."""
        with self._lock:
            self._ahead = written.astimezone(UTC) - utc_now()

    def _asked(self, stop: Stop) -> timedelta:
        door = self._clients.door
        session = requests.Session()
        session.trust_env = door is None or not door.loopback
        try:
            with session:
                answer = session.head(
                    door.url if door else _GOOGLES,
                    timeout=stop.remaining(_ASK_S),
                    allow_redirects=False,
                )
                told = parsedate_to_datetime(answer.headers["Date"])
        except (requests.RequestException, KeyError, ValueError, TypeError, OSError):
            return timedelta()
        return told.astimezone(UTC) - utc_now()
