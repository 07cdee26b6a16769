"""One request over connections of a pool, as httpcore tells of it: how far it came, what moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopctl.model.evidence import Contact
from loopctl.suites.declared.probe_address import Address
from loopctl.suites.declared.tcp_counts import NOTHING, Socket, TcpCounts, tcp_counts

# Steps of httpcore, without the part of it that names them.
_CONNECTING = ("", "connect_tcp.started", "connect_tcp.failed")
_TLS = ("connect_tcp.complete", "start_tls.started", "start_tls.failed")


@dataclass(slots=True)
class OpenConnection:
    """A connection of the pool: what had gone over it before this request, and until now.

    `to` is whom it was made to, by name: the service, or a proxy on the way.
    """

    stream: Any
    socket: Socket
    port: int
    to: tuple[str, int]
    before: TcpCounts = NOTHING
    now: TcpCounts | None = None

    def look(self) -> None:
        """Take the counts, while it is open."""
        self.now = tcp_counts(self.socket) or self.now

    @property
    def moved(self) -> TcpCounts | None:
        """What this request added; None where nobody can count."""
        return self.now.since(self.before) if self.now is not None else None


@dataclass(slots=True)
class HttpWire:
    """What httpcore tells of one request: how far it came, and over which connections.

    `meant` is the host and port of its URL, as httpcore has them.
    """

    open: list[OpenConnection]
    meant: tuple[str, int]
    made: int = 0
    to: tuple[str, int] = ("", 0)
    step: str = ""
    status: int | None = None
    body: int = 0

    async def see(self, name: str, info: Mapping[str, Any]) -> None:
        """Told of every step: the counts are taken before a connection can be closed."""
        self.step = name.partition(".")[2]
        if self.step == "connect_tcp.started":
            self.to = (str(info["host"]), int(info["port"]))
        elif self.step == "connect_tcp.complete":
            made = info["return_value"].get_extra_info("socket")
            self.made += 1
            if made is not None:
                stream, port = info["return_value"], made.getsockname()[1]
                self.open.append(OpenConnection(stream, made, port, self.to))
        self.look()

    async def close_unfinished(self) -> None:
        """Close what httpcore leaves open: a connection whose TLS handshake was given up."""
        if self.step in _TLS:
            await self.open[-1].stream.aclose()

    def look(self) -> None:
        """Take the counts of every connection that is open."""
        for each in self.open:
            each.look()

    @property
    def is_connected(self) -> bool:
        """Whether there is, or was, a connection."""
        return self.step not in _CONNECTING

    @property
    def is_sent(self) -> bool:
        """Whether any of the request has gone out."""
        return self.is_connected and self.step not in _TLS

    def contact(self, address: Address, failed: str | None) -> Contact:
        """What this request had of its connections, together.

        What a proxy said need not be the service's word where nothing is encrypted on the way: it
        does not count.
        """
        is_plain = address.url.startswith("http:")
        moved = [
            (each.port, counts)
            for each in self.open
            if (counts := each.moved) is not None and not (is_plain and each.to != self.meant)
        ]
        total = TcpCounts(sum(c.sent for _, c in moved), sum(c.received for _, c in moved))
        return address.contact(
            total if moved else None,
            failed=None if self.is_connected else failed,
            reused=self.made == 0 and self.is_connected,
            local_ports=tuple(port for port, c in moved if c.sent or c.received),
        )
