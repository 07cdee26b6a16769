"""What the kernel and the C library tell of a TCP socket whose descriptor is known.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_TCP_INFO_BYTES = 256


class Counters(NamedTuple):
    """Bytes of application data a TCP socket moved since it was made."""

    established: bool
    sent: int
    received: int
    local_port: int


def c_library() -> Any:
    """The C library, whose calls take a descriptor that some other object owns; None without."""
    try:
        import ctypes  # noqa: PLC0415 - some builds of Python have none

        return ctypes.CDLL(None)
    except (ImportError, OSError, TypeError):  # nor has Windows such a library
        return None


def peer_of(libc: Any, fd: int) -> tuple[str, int] | None:
    """Whom a TCP socket is connected to: sockaddr_in and sockaddr_in6 of ip(7) and ipv6(7)."""
    import ctypes  # noqa: PLC0415 - there is a `libc`

    name, size = ctypes.create_string_buffer(28), ctypes.c_uint32(28)
    if libc.getpeername(fd, name, ctypes.byref(size)):
        return None
    family, port = struct.unpack_from("=H", name)[0], struct.unpack_from("!H", name, 2)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name.raw[4:8]), port
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, name.raw[8:24]), port
    return None


def counter_reader() -> Callable[[int], Counters | None]:
    """Read TCP_INFO by descriptor, because TLS and asyncio move a descriptor from object to object.

    Offsets are those of `struct tcp_info` in linux/tcp.h: tcpi_state at 0, tcpi_bytes_acked at 120
    (counts the SYN as one byte: measured), tcpi_bytes_received at 128 (counts a FIN: measured),
    tcpi_bytes_sent at 200 since Linux 4.19. Elsewhere the answer is None.
    """
    try:
        import ctypes  # noqa: PLC0415 - some builds of Python have none
        import fcntl  # noqa: PLC0415 - nor has Windows these two
        import termios  # noqa: PLC0415

        getsockopt, getsockname = ctypes.CDLL(None).getsockopt, ctypes.CDLL(None).getsockname
        option = socket.TCP_INFO
    except (ImportError, OSError, AttributeError):
        return lambda _fd: None

    def read(fd: int) -> Counters | None:
        # What lies in the kernel unread, the test has not taken: an answer that came all the same
        # must not depend on whether it was faster than the close.
        try:
            unread = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]
        except OSError:
            unread = 0
        buffer = ctypes.create_string_buffer(_TCP_INFO_BYTES)
        size = ctypes.c_uint32(_TCP_INFO_BYTES)
        if (
            getsockopt(fd, socket.IPPROTO_TCP, option, buffer, ctypes.byref(size))
            or size.value < 136
        ):
            return None
        acked, received = struct.unpack_from("=QQ", buffer, 120)
        sent = struct.unpack_from("=Q", buffer, 200)[0] if size.value >= 208 else max(acked - 1, 0)
        # TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING: the peer's FIN has been counted.
        fin = buffer.raw[0] in (6, 7, 8, 9, 11) and received > 0
        # sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)): the port is bytes 2 and 3, big endian.
        name, size = ctypes.create_string_buffer(28), ctypes.c_uint32(28)
        named = getsockname(fd, name, ctypes.byref(size)) == 0
        port = struct.unpack_from("!H", name, 2)[0] if named else 0
        return Counters(
            acked > 0 or buffer.raw[0] == 1, sent, max(received - fin - unread, 0), port
        )

    return read
