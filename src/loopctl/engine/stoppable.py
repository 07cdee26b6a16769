"""Connections to an engine that end the moment that somebody stops, without a thread for each."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests.adapters
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from loopctl.engine.whereabouts import UNIX
from loopctl.errors import Stopped
from loopctl.process import Stop

if TYPE_CHECKING:
    import requests

_LOOKS_EVERY_S: Final = 0.05
_CHUNK: Final = 64 * 1024
_SDK: Final = "http+docker://"


class StoppableSocket(socket.socket):
    """Waits as long as its own limit allows, and no longer than until somebody stops.

    Raises `Stopped` then, and `TimeoutError` at its limit and at the deadline of `stop`: an
    engine that is too slow is the engine's fault.
    """

    def __init__(self, family: int, stop: Stop) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._stop = stop

    def connect_within(self, address: Any, limit: float | None) -> None:
        """Connect, and give all that follows that limit too. Raises `OSError`, `Stopped`."""
        self.settimeout(0)
        until = _until(limit)
        # A unix socket whose queue is full says so at once, and would have to be asked again.
        while (number := self.connect_ex(address)) == errno.EAGAIN:
            self._may_wait(until)
            time.sleep(_LOOKS_EVERY_S)
        if number == errno.EINPROGRESS:
            self._await(select.POLLOUT, until)
            number = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        self.settimeout(limit)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As that of every socket: `makefile` reads by it, and with that all of HTTP."""
        self._await(select.POLLIN, _until(self.gettimeout()))
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As that of every socket."""
        with memoryview(data) as view, view.cast("B") as left:
            sent = 0
            while sent < len(left):
                self._await(select.POLLOUT, _until(self.gettimeout()))
                with contextlib.suppress(BlockingIOError):
                    piece = left[sent : sent + _CHUNK]
                    sent += self.send(piece, flags | socket.MSG_DONTWAIT)

    def _await(self, event: int, until: float) -> None:
        waits = select.poll()
        waits.register(self, event)
        while not waits.poll(_LOOKS_EVERY_S * 1000):
            self._may_wait(until)

    def _may_wait(self, until: float) -> None:
        reason = self._stop.reason
        if reason == "deadline" or time.monotonic() >= until:
            raise TimeoutError("timed out")
        if reason is not None:
            raise Stopped(reason)


class StoppableAdapter(requests.adapters.HTTPAdapter):
    """Carries the SDK's requests to `address`, `unix://…` or `http://host:port`.

    No proxy of the environment's is asked: an engine is where its address says.
    """

    def __init__(self, address: str, stop: Stop) -> None:
        super().__init__()
        self._pool = _Pool("localhost", opened=lambda limit: _opened(address, limit, stop))

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> HTTPConnectionPool:
        """The one that there is."""
        return self._pool

    def request_url(
        self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None
    ) -> str:
        """The path, as for every server that is no proxy."""
        return request.path_url

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._pool.close()
        super().close()


def carry(session: requests.Session, address: str, stop: Stop) -> None:
    """Have the session's requests to the engine at `address` end when `stop` stops.

    One that is spoken to by TLS keeps its own way, which ends at its limits only.
    """
    if address.startswith(UNIX):
        session.mount(_SDK, StoppableAdapter(address, stop))
    elif address.startswith("http://"):
        session.mount("http://", StoppableAdapter(address, stop))


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, opened: Callable[[float | None], socket.socket], **more: Any):
        super().__init__(*args, **more)
        self._opened = opened

    def connect(self) -> None:
        limit = self.timeout
        self.sock = self._opened(limit if isinstance(limit, int | float) else None)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


def _opened(address: str, limit: float | None, stop: Stop) -> socket.socket:
    refused: OSError = OSError(errno.EADDRNOTAVAIL, f"{address} leads nowhere")
    for family, place in _places(address):
        connection = StoppableSocket(family, stop)
        try:
            connection.connect_within(place, limit)
        except OSError as error:
            connection.close()
            refused = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise refused


def _places(address: str) -> Iterator[tuple[int, Any]]:
    if address.startswith(UNIX):
        yield socket.AF_UNIX, address.removeprefix(UNIX)
        return
    place = urlsplit(address)
    found = socket.getaddrinfo(place.hostname, place.port, type=socket.SOCK_STREAM)
    for family, _, _, _, there in found:
        yield family, there


def _until(limit: float | None) -> float:
    return float("inf") if limit is None else time.monotonic() + limit
