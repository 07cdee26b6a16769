"""TCP ports: finding a free one, and seeing on which ones a process listens."""

from __future__ import annotations

import contextlib
import random
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loopctl.ports.platform import PlatformError

LOOPBACK: Final = "127.0.0.1"
_LOWEST: Final = 10_240
_LISTEN: Final = "0A"
_IPV6_DIGITS: Final = 32
_NAME_SERVER: Final = "0B00007F"
# A service takes a while to listen on the port it was told; until then the port looks free.
_given: deque[int] = deque(maxlen=256)


def free_port() -> int:
    """A port on which nobody listens, and that was not given out just now. Raises `PlatformError`.

    It lies below the kernel's range for outgoing connections: a connection to a port of that
    range, tried while nobody listens, can be given that very port and meet itself.
    """
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    span = range(_LOWEST, highest) if highest > _LOWEST + 1000 else range(_LOWEST, 65_536)
    for _ in range(200):
        port = random.choice(span)  # noqa: S311 - nothing hangs on its being guessed
        if port not in _given and is_free(port):
            _given.append(port)
            return port
    raise PlatformError("no free TCP port was found", hint="see `ss -tln` for who holds them")


def is_free(port: int) -> bool:
    """Whether a service could listen on `port`, on any address."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
        if family == socket.AF_INET6 and not socket.has_ipv6:
            continue
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # What lingers in TIME_WAIT does not keep a server from listening.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET or error.errno == 98:
                return False
    return True


def listening_ports(pids: Iterable[int]) -> frozenset[int]:
    """The TCP ports on which any of these processes listens."""
    by_socket = _listeners()
    found: set[int] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found.update(by_socket.get(str(link.readlink()), ()))
    return frozenset(found)


def accepts(port: int) -> bool:
    """Whether a connection to `port` on this machine is taken at once."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.2):
            return True
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Listening:
    """The TCP ports on which anybody listens, and those of them on loopback addresses only."""

    ports: frozenset[int] = frozenset()
    loopback_only: frozenset[int] = frozenset()


def listening_in_network_of(pid: int) -> Listening:
    """What listens in the network that a process lives in, whichever process it is.

    Nothing when the process is gone.
    """
    outside: set[int] = set()
    inside: set[int] = set()
    for listener in _listening(f"/proc/{pid}/net"):
        # An engine's own name server listens in there too, on 127.0.0.11.
        if listener.address != _NAME_SERVER:
            (inside if listener.is_loopback else outside).add(listener.port)
    return Listening(frozenset(outside | inside), frozenset(inside - outside))


def _listeners() -> dict[str, set[int]]:
    """Ports by socket as `/proc/PID/fd` names it."""
    found: dict[str, set[int]] = {}
    for listener in _listening("/proc/net"):
        found.setdefault(f"socket:[{listener.inode}]", set()).add(listener.port)
    return found


@dataclass(frozen=True, slots=True)
class _Listener:
    address: str
    port: int
    inode: str

    @property
    def is_loopback(self) -> bool:
        """By the address as the kernel prints it: words of four bytes in the machine's order."""
        if len(self.address) == _IPV6_DIGITS:
            mapped = self.address.startswith("0" * 16 + "FFFF0000") and self.address.endswith("7F")
            return mapped or self.address == "0" * 24 + "01000000"
        return self.address.endswith("7F")


def _listening(folder: str) -> Iterator[_Listener]:
    """The listeners of a network; the columns are described in proc(5)."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"{folder}/{table}").read_text("ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN:
                    address, _, port = columns[1].rpartition(":")
                    yield _Listener(address, int(port, 16), columns[9])
