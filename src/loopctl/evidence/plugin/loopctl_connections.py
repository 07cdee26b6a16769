"""The TCP connections of this process, and what each phase had of them.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
import weakref
from typing import TYPE_CHECKING, Any

import loopctl_tcp
from loopctl_counters import Counters, c_library, counter_reader, peer_of
from loopctl_guard import guarded
from loopctl_phase import MOST_ENTRIES
from loopctl_targets import is_loopback
from loopctl_text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopctl_phase import Phase
    from loopctl_targets import Targets

_UNFINISHED_CONNECT = {"EINPROGRESS", "EWOULDBLOCK", "EAGAIN", "EALREADY", "EISCONN"}
# What a contact with a target has failed of when it was led to the stand-in.
_STAND_IN = "stand-in"
_C_CLIENTS = ("grpc", "uvloop", "pycurl", "curl_cffi")


class _Connection:
    """One outgoing TCP connection, from its connect to its close."""

    def __init__(
        self, fd: int, inode: int, address: tuple[str, int], phase: Phase | None, via: str
    ) -> None:
        self.fd, self.inode, self.address, self.phase, self.via = fd, inode, address, phase, via
        self.host = address[0]
        # C code reads, writes and closes it, whoever connected; `is_lost`: it has closed it unseen,
        # and what was read of it before may not be all.
        self.in_c, self.is_lost = via == "c", False
        self.is_grpc = False
        self.target: str | None = None
        self.base = (0, 0)
        self.last: Counters | None = None
        self.failed: str | None = None

    def contact(self, phase: Phase) -> dict[str, Any] | None:
        """What this phase had of the connection: None when it neither opened nor used it."""
        sent = received = None
        if self.last is not None:
            sent = self.last.sent - self.base[0]
            received = max(self.last.received - self.base[1], 0)
        if self.is_lost and self.in_c and not (sent and received):
            sent = received = None
        elif self.phase is not phase and not sent and not received:
            return None
        here = self.phase is not None and self.phase.is_of(phase)
        never = self.last is not None and not self.last.established
        return {
            "target": self.target,
            "host": self.host,
            "port": self.address[1],
            "loopback": is_loopback(self.host),
            "connected_in": self.phase.name if self.phase is not None and here else "earlier",
            "reused": self.phase is not phase,
            "failed": self.failed or ("not-established" if never else None),
            "sent": sent,
            "received": received,
            "via": self.via,
            "local_port": self.last.local_port if self.last is not None else 0,
        }


class Connections:
    """Every open TCP connection of this process, and what the phase at hand had of each."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._phase: Phase | None = None
        self._live: dict[int, _Connection] = {}
        self._contacts: dict[tuple[object, ...], dict[str, Any]] = {}
        self._foreign: dict[int, int] = {}
        # Local ports of every connection that was open in this phase, to tell them from a child's.
        self._ports: set[int] = set()
        # Whether no other worker runs tests beside this one: the kernel's table has theirs as well.
        self.alone = True
        # Whether this phase has a call of grpc's: one made in it, or a stream that is open still.
        self._grpc_asked = False
        self._grpc_streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self._read, self._libc = counter_reader(), c_library()
        self._fstat, self._listdir, self._stat = os.fstat, os.listdir, os.stat
        self._adopt()

    def begin(self, phase: Phase) -> None:
        """Count for this phase from now on."""
        for connection in list(self._live.values()):
            self._sample(connection)
            if connection.last is not None:
                connection.base = (connection.last.sent, connection.last.received)
        self._phase, self._contacts, self._ports = phase, {}, set()
        self._grpc_asked = not all(stream.done() for stream in list(self._grpc_streams))

    def shut(self) -> None:
        """Cut what is open to the services: nothing said before may be heard in the control run."""
        self._adopt()
        for connection in list(self._live.values()):
            if connection.target is not None and self._libc is not None:
                self._libc.shutdown(connection.fd, socket.SHUT_RDWR)

    def lead(self, fd: int, address: tuple[Any, ...], unheard: int) -> None:
        """A connect to a target is about to be led to the stand-in.

        The first bytes that come, as many as `unheard`, are no answer yet.
        """
        connection = self.opening(fd, address)
        connection.failed, connection.base = _STAND_IN, (0, unheard)

    def leave_stand_in(self) -> None:
        """Cut what was led to the stand-in: a client that is kept must ask the services again."""
        for connection in list(self._live.values()):
            if connection.failed == _STAND_IN and self._libc is not None:
                self._libc.shutdown(connection.fd, socket.SHUT_RDWR)

    @guarded
    def look(self) -> None:
        """Find and read what C code has open now: it will be closed unseen."""
        if any(name in sys.modules for name in _C_CLIENTS):
            self._adopt()
            for connection in list(self._live.values()):
                if connection.in_c:
                    self._sample(connection)

    @guarded
    def called(self, port: int, stream: Any) -> None:
        """A call of grpc's over a channel to this port was made, or begun as a `stream`."""
        self.look()
        self._grpc_asked = True
        if stream is not None:
            self._grpc_streams.add(stream)
        for connection in list(self._live.values()):
            connection.is_grpc |= connection.in_c and connection.address[1] == port

    @guarded
    def opened(self, fd: int, peer: tuple[Any, ...]) -> None:
        """C code has made a connection, or took one over."""
        known = self._live.get(fd)
        if known is None or self._fstat(fd).st_ino != known.inode:
            known = self.opening(fd, peer, "c")
        known.in_c = True
        self._sample(known)

    @guarded
    def told(self, peer: tuple[str, int], local_port: int, sent: int, received: int) -> None:
        """C code says what went over a connection, which is closed unless it is seen open."""
        if local_port in self._ports or self._phase is None:
            return
        self._ports.add(local_port)
        connection = self._named(_Connection(-1, 0, peer, self._phase, "c"))
        connection.last = Counters(
            established=True, sent=sent, received=received, local_port=local_port
        )
        self._count(connection)

    def of_children(self, before: Any) -> list[dict[str, Any]]:
        """Connections to the services that came up in this phase and are not this process' own.

        `before` is the kernel's table as the phase's first child found it, None if it was not
        read. On this machine a child that connected leaves a trace, so that none is one, too.
        """
        if not self.alone:
            places = {name: address for address, name in self._targets.addresses.items()}
            return [self.by_child(*each, (), "not-alone") for each in places.items()]
        self._adopt()
        after = loopctl_tcp.read(self._targets.addresses) if before is not None else None
        if after is None:
            return []
        found: dict[tuple[str, int], list[int]] = {}
        for (address, port), row in after.items():
            known = before.get((address, port))
            if port not in self._ports and (known is None or row.is_another_than(known)):
                found.setdefault(address, []).append(port)
        names = self._targets.addresses
        contacts = [self.by_child(names[each], each, ports) for each, ports in found.items()]
        met = {each["target"] for each in contacts}
        silent = {name: at for name, at in self._targets.local.items() if name not in met}
        return contacts + [self.by_child(name, at, (), "not-seen") for name, at in silent.items()]

    def by_child(
        self,
        target: str,
        address: tuple[str, int],
        ports: Iterable[int],
        failed: str | None = None,
    ) -> dict[str, Any]:
        """A contact of a child process, or (`failed`) why none is told."""
        listed = sorted(ports)
        return {
            "target": target,
            "host": address[0],
            "port": address[1],
            "loopback": is_loopback(address[0]),
            "connected_in": self._phase.name if self._phase is not None else "earlier",
            "reused": False,
            "failed": failed,
            "via": "child",
            "sent": None,
            "received": None,
            "count": len(listed),
            "local_ports": listed[:MOST_ENTRIES],
        }

    def end(self) -> list[dict[str, Any]]:
        """Contacts of the phase that `begin` named, alike ones added up under `count`."""
        if any(name in sys.modules for name in _C_CLIENTS):
            self._adopt()
        for connection in list(self._live.values()):
            if self._sample(connection):
                self._count(connection)
        contacts, phase = list(self._contacts.values()), self._phase
        if phase is not None and phase.children:
            contacts += self.of_children(phase.table)
        self._phase = None
        return contacts

    def opening(self, fd: int, address: tuple[Any, ...], via: str = "python") -> _Connection:
        """A socket is about to connect to this address, or has."""
        inode, ip, port = self._fstat(fd).st_ino, str(address[0]), int(address[1])
        known = self._live.get(fd)
        if known is not None and (known.inode, known.address) == (inode, (ip, port)):
            return known
        if known is not None:
            self._finish(known)
        connection = self._named(_Connection(fd, inode, (ip, port), self._phase, via))
        self._live[fd] = connection
        return connection

    def _named(self, connection: _Connection) -> _Connection:
        """Fill in whom it goes to."""
        connection.host, connection.target = self.whom(*connection.address)
        return connection

    def whom(self, ip: str, port: int) -> tuple[str, str | None]:
        """The host that an address was last the answer for, and the service it means."""
        host = clean(self._targets.host_of(ip, port), 300)
        # `localhost` is two addresses, and a stand-in may listen on the other one.
        names = (ip,) if is_loopback(host) else (host, ip)
        target = self._targets.name_of(*names, port=port)
        return host, target or (self._targets.behind(ip, port) if host == ip else None)

    @guarded
    def refused(self, sock: Any, problem: OSError) -> None:
        """A connect has failed, or not been finished yet."""
        connection = self._live.get(sock.fileno())
        reason = errno.errorcode.get(problem.errno or 0, type(problem).__name__)
        if connection is not None and reason not in _UNFINISHED_CONNECT:
            connection.failed = reason

    @guarded
    def closing(self, sock: Any, *_: object) -> None:
        """A socket is about to be closed, after which its counters are gone."""
        connection = self._live.get(sock.fileno())
        if connection is not None and self._sample(connection):
            self._finish(connection)

    def _sample(self, connection: _Connection) -> bool:
        """Read the counters; False, and its end, when the descriptor is another's by now."""
        with contextlib.suppress(OSError):
            if self._fstat(connection.fd).st_ino == connection.inode:
                connection.last = self._read(connection.fd) or connection.last
                if connection.last is not None:
                    self._ports.add(connection.last.local_port)
                return True
        connection.is_lost = True
        self._finish(connection)
        return False

    def _finish(self, connection: _Connection) -> None:
        if self._live.pop(connection.fd, None) is connection:
            self._count(connection)

    def _count(self, connection: _Connection) -> None:
        contact = connection.contact(self._phase) if self._phase is not None else None
        # A channel is kept up by pings of its own, without anybody's doing.
        is_upkeep = connection.is_grpc and not self._grpc_asked
        if contact is None or (contact["reused"] and is_upkeep):
            return
        sent, received, port = (contact.pop(n) for n in ("sent", "received", "local_port"))
        # Silent and one-way connections stay apart, so that a sum never looks like an exchange.
        key = (*contact.values(), not sent, not received)
        fresh = dict(contact, sent=None, received=None, count=0, local_ports=[])
        total = self._contacts.setdefault(key, fresh)
        total["count"] += 1
        heard = received or received is None  # what cannot be counted may have been heard
        if contact["target"] and port and heard and total["count"] <= MOST_ENTRIES:
            total["local_ports"].append(port)
        for name, value in (("sent", sent), ("received", received)):
            if value is not None:
                total[name] = (total[name] or 0) + value

    def _adopt(self) -> None:
        """Find connections to a target that this process opened unseen: by C code, or before us."""
        try:
            listed = self._listdir("/proc/self/fd")
        except OSError:
            return
        for fd in map(int, listed):
            with contextlib.suppress(OSError):
                status = self._fstat(fd)
                if stat.S_ISSOCK(status.st_mode) and self._foreign.get(fd) != status.st_ino:
                    self._adopt_one(fd, status.st_ino)

    def _adopt_one(self, fd: int, inode: int) -> None:
        known = self._live.get(fd)
        peer = peer_of(self._libc, fd) if self._libc is not None else None
        if peer is None:
            return  # not connected yet, it may be later
        self._foreign[fd] = inode
        if (known is None or known.inode != inode) and self.whom(*peer)[1] is not None:
            self.opening(fd, peer, "c")
