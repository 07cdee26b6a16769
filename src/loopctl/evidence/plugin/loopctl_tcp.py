"""Connections to the services that the kernel's own table shows, whoever made them.

The only channel that shows what a child process does. A neighbour of `loopctl_evidence.py`:
standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
# About 27,000 connections, and 40 ms. A table beyond it is not read: nothing is claimed then.
_MOST_BYTES = 4_000_000
_TICKS_PER_S = 100  # USER_HZ, in which the kernel shows timers on every architecture
_TIME_WAIT = "06"
# ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING (net/tcp_states.h): a
# connection that was made. SYN_SENT, SYN_RECV and LISTEN are none.
_MADE = frozenset(("01", "04", "05", _TIME_WAIT, "07", "08", "09", "0B"))
# Bound now, and in a list: tests freeze clocks, which they look for in the modules.
_clocks, _open = (time.monotonic,), open


class Row(NamedTuple):
    """A connection that is in the table; `lapses` is when a TIME_WAIT ends, by the monotonic clock.

    A port that is used again while the row of its last connection is still there takes that row's
    place; only the time at which it will lapse tells the two apart.
    """

    lapses: float | None

    def is_another_than(self, before: Row) -> bool:
        """Whether this is a later connection than the one that had the same ends before."""
        if before.lapses is None:
            return False
        return self.lapses is None or self.lapses > before.lapses + 0.5


def read(addresses: Mapping[tuple[str, int], str]) -> dict[tuple[tuple[str, int], int], Row] | None:
    """Connections to any of these addresses, by address and the client's port.

    None where the table cannot be read whole. A connection to this machine has two rows, and the
    one of the end that closed last goes first: either of them tells the client's port.
    """
    wanted = {_shown(ip): ip for ip, _ in addresses}
    ports = {f"{port:04X}" for _, port in addresses}
    found: dict[tuple[tuple[str, int], int], Row] = {}
    now = _clocks[0]()
    for table in _TABLES:
        try:
            with _open(table, "rb") as file:
                text = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            if table == _TABLES[0]:
                return None
            continue  # a machine without IPv6
        except OSError:
            return None
        if len(text) > _MOST_BYTES:
            return None
        # Most lines are of others: dropped before they are taken apart, which costs far more.
        marks = [f":{port} ".encode("ascii") for port in ports]
        lines = [line for line in text.splitlines() if any(mark in line for mark in marks)]
        for local, remote, lapses in _lines(b"\n".join(lines).decode("ascii", "replace"), now):
            for (server, port), (_, client) in ((remote, local), (local, remote)):
                address = (wanted.get(server, ""), int(port, 16) if port in ports else 0)
                if address in addresses:
                    found[address, int(client, 16)] = Row(lapses)
                    break
    return found


def _lines(
    text: str, now: float
) -> Iterator[tuple[tuple[str, str], tuple[str, str], float | None]]:
    """Both ends and the lapse of every connection; fields as in the kernel's proc_net_tcp.rst."""
    for line in text.splitlines():
        fields = line.split(None, 7)
        if len(fields) < 7 or fields[3] not in _MADE:
            continue
        left = int(fields[5].partition(":")[2], 16) / _TICKS_PER_S
        lapses = now + left if fields[3] == _TIME_WAIT else None
        yield _end(fields[1]), _end(fields[2]), lapses


def _end(field: str) -> tuple[str, str]:
    address, _, port = field.partition(":")
    # An IPv4 connection of an IPv6 socket: ::ffff:a.b.c.d, each word in the machine's byte order.
    return (address[24:] if address[:24] in _MAPPED else address), port


def _words(packed: bytes) -> str:
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))


def _shown(ip: str) -> str:
    """An address as the table has it."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return _words(socket.inet_pton(family, ip.partition("%")[0]))


_MAPPED = frozenset((_words(b"\0" * 10 + b"\xff\xff"),))
