"""How many bytes went over a TCP connection, by the kernel's own count."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from dataclasses import dataclass
from typing import Any, Protocol

_PEER_HAS_CLOSED = frozenset({6, 7, 8, 9, 11})


class Socket(Protocol):
    """What a socket and asyncio's stand-in for one have in common."""

    def fileno(self) -> int:
        """The descriptor, -1 when it is closed."""
        ...

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """A socket option."""
        ...

    def getsockname(self) -> Any:
        """This end's address, the port second."""
        ...


@dataclass(frozen=True, slots=True)
class TcpCounts:
    """Bytes since the connection was made; of TLS the encrypted ones."""

    sent: int = 0
    received: int = 0

    def since(self, before: TcpCounts) -> TcpCounts:
        """What was added after `before`."""
        return TcpCounts(self.sent - before.sent, max(self.received - before.received, 0))


NOTHING = TcpCounts()


def tcp_counts(connection: Socket) -> TcpCounts | None:
    """What was sent, and what was received and read; None for a closed socket.

    None also where the system cannot tell. Offsets are those of `struct tcp_info` in linux/tcp.h,
    as the evidence plugin reads them: tcpi_state at 0, tcpi_bytes_received at 128 (which counts a
    FIN), tcpi_bytes_sent at 200 since Linux 4.19.
    """
    option = getattr(socket, "TCP_INFO", None)
    if option is None or connection.fileno() < 0:
        return None
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, option, 256)
        unread = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.FIONREAD, b"\0" * 4))
    except OSError:
        return None
    if len(told) < 208:
        return None
    received, sent = struct.unpack_from("=Q", told, 128)[0], struct.unpack_from("=Q", told, 200)[0]
    fin = told[0] in _PEER_HAS_CLOSED and received > 0
    return TcpCounts(sent, max(received - fin - unread[0], 0))
