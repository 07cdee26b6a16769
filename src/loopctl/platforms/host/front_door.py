"""The front door: one stable URL in front of a service's revisions, and its request log."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from typing import Final
from weakref import WeakSet

from loopctl.errors import PortError
from loopctl.platforms.host.exchange import Desk
from loopctl.platforms.host.relay import Relay
from loopctl.platforms.host.request_log import RequestLog
from loopctl.platforms.host.routes import InFlight, Routes, Shares
from loopctl.platforms.host.upstreams import UpstreamPool
from loopctl.platforms.host.wire import Wire

_BACKLOG: Final = 1024


class FrontDoorError(PortError):
    """The front door cannot listen where it was told to."""


class PortInUseError(FrontDoorError):
    """Another process, or another front door, listens on that port already."""


class FrontDoor:
    """A reverse proxy for HTTP/1.1 and WebSockets on one port.

    A service has one for its stable URL, a candidate one of its own. `log` is called in the event
    loop, once for each request *before* the last byte of its answer is sent, and must neither
    raise nor block. A client that ends its side of the connection, even only its sending half,
    is taken as gone and its request as abandoned, as nginx and Go's server do.

    Must be used within one running event loop.
    """

    def __init__(self, service: str, log: RequestLog) -> None:
        self._routes = Routes()
        self._pool = UpstreamPool()
        self._in_flight = InFlight()
        self._desk = Desk(service, self._routes, self._pool, self._in_flight, log)
        self._servers: list[asyncio.Server] = []
        self._address = ("", 0)
        self._wires: WeakSet[Wire] = WeakSet()
        self._relays: set[asyncio.Task[None]] = set()

    async def open(self, hosts: Sequence[str] = ("127.0.0.1",), port: int = 0) -> int:
        """Listen on the same port of all hosts, a free one when `port` is 0; return the port.

        The first host is the one of its URLs. Raises FrontDoorError, and then listens nowhere.
        """
        for host in hosts:
            try:
                port = await self._listen(host, port)
            except OSError as error:
                await self._stop_listening()
                raise _cannot_listen(error, f"{host}:{port}") from None
        self._address = (hosts[0], port)
        return port

    @property
    def url(self) -> str:
        """The URL that stays the same whoever serves; it has no slash at its end."""
        return f"http://{self._address[0]}:{self._address[1]}"

    @property
    def ws_url(self) -> str:
        """The same address for WebSockets."""
        return f"ws://{self._address[0]}:{self._address[1]}"

    def set_routes(self, shares: Shares) -> None:
        """Switch every request from now on; what is going on stays with its revision.

        `shares` are percents that add up to 100; none at all means 503 for everyone. Raises
        ValueError for anything else. Clients keep their connections.
        """
        before = self._routes.upstreams
        self._routes.switch(shares)
        for upstream in before - self._routes.upstreams:
            self._pool.drop(upstream)

    def in_flight(self, revision: str) -> int:
        """Return how many requests and tunnels the revision still has here."""
        return self._in_flight.of(revision)

    async def drained(self, revision: str, timeout_s: float) -> bool:
        """Wait until the revision has none; False when it still has some after `timeout_s`."""
        return await self._in_flight.drained(revision, timeout_s)

    async def close(self) -> None:
        """Stop listening and cut what is going on; each cut request leaves its record."""
        for server in self._servers:
            server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        for wire in list(self._wires):
            wire.abort()
        self._pool.close()
        await self._stop_listening()

    async def _listen(self, host: str, port: int) -> int:
        server = await asyncio.get_running_loop().create_server(
            lambda: Wire(self._accept), host, port, backlog=_BACKLOG
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _stop_listening(self) -> None:
        while self._servers:
            server = self._servers.pop()
            server.close()
            await server.wait_closed()

    def _accept(self, wire: Wire) -> None:
        self._wires.add(wire)
        relay = asyncio.get_running_loop().create_task(Relay(self._desk, wire).serve())
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)


def _cannot_listen(error: OSError, where: str) -> FrontDoorError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            "the port is in use",
            where=where,
            hint="stop what listens there, or give the service another port (0: any free one)",
        )
    return FrontDoorError(f"cannot listen: {error.strerror}", where=where)
