"""A pytest plugin that streams what each test does and whom it meets, one JSON line per event.

loopctl loads this file into the *user's* interpreter (`-p loopctl_evidence`), so it and its
neighbours need nothing but the standard library (Python >= 3.8) and pytest >= 7. It reports to the
file that `LOOPCTL_SPOOL` names, does nothing without it, never changes a test's outcome (but for
`LOOPCTL_REFUSE` and `LOOPCTL_STAND_IN`, the control run) and never raises: a fault of its own
becomes a `plugin-error` line. README.md beside it lists the events.

Foreign modules of unknown versions are patched here, so their objects are `Any`.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import functools
import hashlib
import inspect
import itertools
import json
import linecache
import os
import platform
import socket
import stat
import struct
import sys
import time
import traceback
import warnings
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import loopctl_tcp  # type: ignore[import-not-found]  # neighbours on the path
import pytest
from loopctl_c_clients import CClients  # type: ignore[import-not-found]
from loopctl_code import Codes  # type: ignore[import-not-found]
from loopctl_samples import Samples  # type: ignore[import-not-found]
from loopctl_stand_in import StandIn  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from types import FrameType

    _Wrapper = Callable[[Any], Any]
    _Asked = tuple[str, str, int, str]  # method, host, port, path

_IDS_PER_LINE = 500
_KEY = "loopctl_key"
# Kept on both sides of a cut, for the reader to drop once it has redacted the text: half a secret
# at the edge could not be recognised.
_CUT_MARGIN = 1024
_MOST_ENTRIES = 100
_MOST_PROBLEMS = 20
_MOST_FRAMES = 40
_MOST_CHAINED = 6
_TCP_INFO_BYTES = 256
_HERE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - as frames have it
# Modules whose only children tell of the machine; importing httpx, for one, may start them.
_ASK_THE_MACHINE = frozenset(("ctypes.util", "platform", "uuid", "sysconfig"))
# Bound now: it is wrapped later, and tests replace it.
_getaddrinfo, _InC = socket.getaddrinfo, _socket.socket
# Options that run what failed the last time, so that what passes is not the whole suite.
_RESUMING = ("lf", "stepwise")
_OWN_NAMES = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, never bound
_UNFINISHED_CONNECT = {"EINPROGRESS", "EWOULDBLOCK", "EAGAIN", "EALREADY", "EISCONN"}
# What a contact with a target has failed of when it was led to the stand-in.
_STAND_IN = "stand-in"
_C_CLIENTS = ("grpc", "uvloop", "pycurl", "curl_cffi")
_IN_PROCESS_TRANSPORTS = {"MockTransport", "ASGITransport", "WSGITransport", "_TestClientTransport"}
_NETWORK_PACKAGES = frozenset(
    "socket _socket ssl _ssl http.client urllib.request urllib3 requests niquests httpx httpcore "  # noqa: SIM905
    "h11 h2 aiohttp websockets websocket wsproto grpc botocore boto3 aiobotocore asyncio.streams "
    "pycurl curl_cffi httplib2 tornado.httpclient tornado.websocket socketio engineio gql treq "
    "google.auth.transport".split()
)


def _clean(value: object, head: int, tail: int = 0) -> str:
    """Any value as text that UTF-8 can hold, cut in its middle to `head` + `tail` characters."""
    try:
        text = str(value)
    except Exception as problem:  # noqa: BLE001 - a user's __str__ may raise anything
        text = f"<unprintable {type(value).__name__}: {type(problem).__name__}>"
    cut = len(text) - head - tail
    if cut > 2 * _CUT_MARGIN:
        end = text[-tail - _CUT_MARGIN :] if tail else ""
        text = f"{text[: head + _CUT_MARGIN]}\n[... {cut} characters cut ...]\n{end}"
    return text.encode("utf-8", "replace").decode("utf-8")


def _tail(text: str, size: int) -> str:
    cut = len(text) - size
    if cut > _CUT_MARGIN:
        text = f"\n[... {cut} characters cut ...]\n{text[-size - _CUT_MARGIN :]}"
    return text.encode("utf-8", "replace").decode("utf-8")


class _Spool:
    """The file of events: one write(2) a line, on O_APPEND, so that a killed process loses none.

    A test can write into that file too. So each line begins with a keyed hash of its text, by a
    key that lies beside the file until it is read, which is before any code of the suite runs.
    """

    def __init__(self, path: str) -> None:
        self.worker: str | None = None
        self.forked = False
        self._is_of_test = False
        self._path = path
        self._fd: int | None = None
        self._inode = 0
        self._seq = itertools.count(1)
        self._problems = itertools.count(1)
        self.key = _taken_key(path)
        # A worker of xdist is told the key by its controller, a moment after its first lines.
        self._held: list[bytes] | None = [] if _is_unkeyed_worker(self.key) else None
        # Bound now, on an instance: tests freeze clocks and mock os by their module attributes.
        self._write, self._fstat, self._open = os.write, os.fstat, os.open
        # Some replace the code of `time.time` itself. No one does that to this clock.
        self._clock = time.perf_counter
        self._ahead = time.time() - self._clock()
        self._dumps, self._getpid = json.dumps, os.getpid

    def now(self) -> float:
        """Seconds since the epoch, whatever time the suite pretends it is."""
        return self._ahead + self._clock()

    def emit(self, event: str, **fields: object) -> None:
        if self._is_of_test and event != "child-contact":
            return
        line: dict[str, object] = {"e": event, "t": self.now(), "seq": next(self._seq)}
        line.update(pid=self._getpid(), worker=self.worker, **fields)
        text = self._dumps(line, default=repr).encode("ascii")
        if self._held is not None:
            self._held.append(text)
        else:
            self._put(text)

    def use_key(self, key: bytes | None) -> None:
        """Write what had to wait for the key, and everything from now on."""
        self.key = key or self.key
        held, self._held = self._held or [], None
        for text in held:
            self._put(text)

    def hand_on(self) -> None:
        """Put the key back for the pytest that takes this one's place, as some conftest files do.

        Not once there is a line: the numbers of both would be those of one process.
        """
        if self.key is not None and self._inode == 0 and not self.forked:
            fd = self._open(self._path + ".key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._write(fd, self.key)

    def _put(self, text: bytes) -> None:
        signed = _signature(text, self.key) + b" " + text if self.key else text
        data = memoryview(signed + b"\n")
        fd = self._descriptor()
        while data:
            data = data[self._write(fd, data) :]

    def problem(self, where: str, problem: BaseException) -> None:
        """Report a fault of the plugin itself, and survive even a spool that cannot be written."""
        if next(self._problems) > _MOST_PROBLEMS:
            return
        text = _clean(problem, 2000)
        with contextlib.suppress(Exception):  # nobody is left to tell, and the test must go on
            self.emit("plugin-error", where=where, type=type(problem).__name__, message=text)

    def reopen_in_child(self, *, is_of_test: bool) -> None:
        """Go on in a forked child; one that a test made has no say in how that test ended."""
        self.forked = True
        self._is_of_test = self._is_of_test or is_of_test
        self._fd = None

    def _descriptor(self) -> int:
        # A test may close descriptors it does not own; the number then names another file.
        if self._fd is not None:
            try:
                if self._fstat(self._fd).st_ino == self._inode:
                    return self._fd
            except OSError:
                pass
        self._fd = self._open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._inode = self._fstat(self._fd).st_ino
        return self._fd


def _taken_key(path: str) -> bytes | None:
    """The key beside the spool, which nobody finds there again; None where there is none."""
    try:
        with open(path + ".key", "rb") as file:  # noqa: PTH123
            key = file.read()
        os.unlink(path + ".key")  # noqa: PTH108
    except OSError:
        return None
    return key


def _is_unkeyed_worker(key: bytes | None) -> bool:
    return key is None and "PYTEST_XDIST_WORKER" in os.environ


def _signature(text: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest().encode("ascii")


_recorder: _Recorder | None = None


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function answer None instead of raising: no fault of ours may reach a test."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is not the test's
            if _recorder is not None:
                _recorder.spool.problem(function.__qualname__, problem)
            return None

    return run


class _Patches:
    """Attributes replaced in foreign classes and modules, put back at the end if still ours."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    def wrap(self, owner: Any, name: str, make: _Wrapper) -> None:
        """Replace `owner.name` by what `make` builds around it; what is missing stays missing."""
        original = getattr(owner, name, None)
        if original is None:
            return
        wrapper = make(original)
        if not isinstance(wrapper, type):
            wrapper = _alike(wrapper, original)
        wrapper.__module__ = getattr(owner, "__module__", None) or getattr(owner, "__name__", None)
        self._done.append((owner, name, owner.__dict__.get(name), wrapper))
        setattr(owner, name, wrapper)

    def undo(self) -> None:
        for owner, name, own, wrapper in reversed(self._done):
            if owner.__dict__.get(name) is not wrapper:
                continue
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
        self._done.clear()


def _alike(wrapper: Any, original: Any) -> Any:
    """The wrapper as what looks like the original: `mock.patch` asks whether it is a coroutine
    function, and `autospec` what it takes."""
    call = wrapper
    if inspect.iscoroutinefunction(original) and not inspect.iscoroutinefunction(call):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return await call(*args, **kwargs)

        wrapper = awaited
    functools.update_wrapper(wrapper, original)
    del wrapper.__wrapped__
    with contextlib.suppress(TypeError, ValueError):  # much that is written in C has none
        wrapper.__signature__ = inspect.signature(original)
    return wrapper


def _around(
    before: Callable[..., object] | None = None, after: Callable[..., object] | None = None
) -> _Wrapper:
    """Build a wrapper that calls `before` with the arguments, `after` with the result and these."""

    def make(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            if before is not None:
                before(*args, **kwargs)
            result = original(*args, **kwargs)
            if after is not None:
                after(result, *args, **kwargs)
            return result

        return call

    return make


def _awaiting(after: Callable[..., object]) -> _Wrapper:
    def make(original: Any) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            result = await original(*args, **kwargs)
            after(result, *args, **kwargs)
            return result

        return call

    return make


def _canonical(host: str) -> str:
    """A host name in one spelling, whatever means this machine's own address as one."""
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    name = name[7:] if name.startswith("::ffff:") else name
    return _OWN_NAMES.get(name, name)


def _is_loopback(host: str) -> bool:
    name = _canonical(host)
    return name == "::1" or name.startswith("127.")


class _Targets:
    """Which addresses are the services under test, also after a name was resolved."""

    def __init__(self, document: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
        self._names: dict[tuple[str, int], str] = {}
        self._resolved: dict[tuple[str, int], str] = {}
        self._addresses: dict[tuple[str, int], str] | None = None
        self._encrypted: set[str] = set()
        for name, target in document.items():
            for url in target.get("urls", ()):
                parts = urlsplit(url)
                encrypted = parts.scheme in ("https", "wss")
                port = parts.port or (443 if encrypted else 80)
                host = parts.hostname or ""
                if encrypted:
                    self._encrypted.add(name)
                self._names[_canonical(host), port] = name
                if host == "localhost":
                    self._names["::1", port] = name

    def remember(self, host: object, answers: Iterable[Any]) -> None:
        """Keep the name last asked for an address: many services of one cloud share an address."""
        if len(self._resolved) > 5000:
            self._resolved.clear()
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        for answer in answers:
            if isinstance(name, str):
                self._resolved[answer[4][0], answer[4][1]] = name

    def host_of(self, address: str, port: int) -> str:
        return self._resolved.get((address, port), address)

    def name_of(self, *hosts: str, port: int) -> str | None:
        """The service that any of these hosts means at this port; None is elsewhere."""
        return next(
            filter(None, (self._names.get((_canonical(host), port)) for host in hosts)), None
        )

    def is_plain(self, name: str) -> bool:
        """Whether nothing that is said to the service is encrypted."""
        return name not in self._encrypted

    @property
    def addresses(self) -> dict[tuple[str, int], str]:
        """The service behind each address that the services' own names resolve to, asked once."""
        if self._addresses is None:
            self._addresses = {}
            for (host, port), name in self._names.items():
                with contextlib.suppress(OSError, UnicodeError):
                    for answer in _getaddrinfo(host, port, type=socket.SOCK_STREAM):
                        self._addresses.setdefault((str(answer[4][0]), port), name)
        return self._addresses

    def behind(self, ip: str, port: int) -> str | None:
        """The service at an address of which no name is known, as C code resolved it unseen."""
        if _is_loopback(ip) or all(port != known for _, known in self._names):
            return None
        return self.addresses.get((_canonical(ip), port))

    @property
    def local(self) -> dict[str, tuple[str, int]]:
        """Services at addresses of this machine alone, each with one of them."""
        found = {name: address for address, name in self.addresses.items()}
        remote = {name for (ip, _), name in self.addresses.items() if not _is_loopback(ip)}
        return {name: address for name, address in found.items() if name not in remote}


class _Phase:
    """One set-up, call or teardown of one attempt at a test, and what was seen in it."""

    def __init__(
        self, test: str, name: str, attempt: int, trace: str, mocks: Iterable[dict[str, str]]
    ) -> None:
        self.test, self.name, self.attempt, self.trace = test, name, attempt, trace
        self.began = 0.0
        self.raised: BaseException | None = None
        self.running = True
        self.mocks = list(mocks)
        self.own_traces: list[str] = []
        self.children: list[dict[str, str]] = []
        # The kernel's table as it was before the first child started; None when none has.
        self.table: Any = None
        self.contacts: list[dict[str, object]] = []
        self.http: dict[tuple[object, ...], int] = {}
        self.dropped: dict[str, int] = {}

    def is_of(self, other: _Phase) -> bool:
        """Whether both belong to the same attempt at the same test."""
        return (self.test, self.attempt) == (other.test, other.attempt)

    def keep(self, what: str, entry: Any) -> None:
        """Add to one of the lists, counting instead once it is full."""
        entries = getattr(self, what)
        if len(entries) < _MOST_ENTRIES:
            entries.append(entry)
        else:
            self.dropped[what] = self.dropped.get(what, 0) + 1

    def seen(self) -> dict[str, object]:
        names = ("method", "target", "host", "port", "path", "status", "health")
        return {
            "began": self.began,
            "trace": self.trace,
            "own_traces": self.own_traces,
            "contacts": self.contacts,
            "mocks": self.mocks,
            "children": self.children,
            "http": [dict(zip(names, key), count=n) for key, n in self.http.items()],  # noqa: B905
            "dropped": self.dropped,
        }


class _Counters(NamedTuple):
    """Bytes of application data a TCP socket moved since it was made."""

    established: bool
    sent: int
    received: int
    local_port: int


def _libc() -> Any:
    """The C library, whose calls take a descriptor that some other object owns; None without."""
    try:
        import ctypes  # noqa: PLC0415 - some builds of Python have none

        return ctypes.CDLL(None)
    except (ImportError, OSError, TypeError):  # nor has Windows such a library
        return None


def _peer(libc: Any, fd: int) -> tuple[str, int] | None:
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


def _counter_reader() -> Callable[[int], _Counters | None]:
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

    def read(fd: int) -> _Counters | None:
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
        return _Counters(
            acked > 0 or buffer.raw[0] == 1, sent, max(received - fin - unread, 0), port
        )

    return read


class _Connection:
    """One outgoing TCP connection, from its connect to its close."""

    def __init__(
        self, fd: int, inode: int, address: tuple[str, int], phase: _Phase | None, via: str
    ) -> None:
        self.fd, self.inode, self.address, self.phase, self.via = fd, inode, address, phase, via
        self.host = address[0]
        # C code reads, writes and closes it, whoever connected; `is_lost`: it has closed it unseen,
        # and what was read of it before may not be all.
        self.in_c, self.is_lost = via == "c", False
        self.is_grpc = False
        self.target: str | None = None
        self.base = (0, 0)
        self.last: _Counters | None = None
        self.failed: str | None = None

    def contact(self, phase: _Phase) -> dict[str, Any] | None:
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
            "loopback": _is_loopback(self.host),
            "connected_in": self.phase.name if self.phase is not None and here else "earlier",
            "reused": self.phase is not phase,
            "failed": self.failed or ("not-established" if never else None),
            "sent": sent,
            "received": received,
            "via": self.via,
            "local_port": self.last.local_port if self.last is not None else 0,
        }


class _Connections:
    """Every open TCP connection of this process, and what the phase at hand had of each."""

    def __init__(self, targets: _Targets) -> None:
        self._targets = targets
        self._phase: _Phase | None = None
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
        self._read, self._libc = _counter_reader(), _libc()
        self._fstat, self._listdir, self._stat = os.fstat, os.listdir, os.stat
        self._adopt()

    def begin(self, phase: _Phase) -> None:
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

    @_guarded
    def look(self) -> None:
        """Find and read what C code has open now: it will be closed unseen."""
        if any(name in sys.modules for name in _C_CLIENTS):
            self._adopt()
            for connection in list(self._live.values()):
                if connection.in_c:
                    self._sample(connection)

    @_guarded
    def called(self, port: int, stream: Any) -> None:
        """A call of grpc's over a channel to this port was made, or begun as a `stream`."""
        self.look()
        self._grpc_asked = True
        if stream is not None:
            self._grpc_streams.add(stream)
        for connection in list(self._live.values()):
            connection.is_grpc |= connection.in_c and connection.address[1] == port

    @_guarded
    def opened(self, fd: int, peer: tuple[Any, ...]) -> None:
        """C code has made a connection, or took one over."""
        known = self._live.get(fd)
        if known is None or self._fstat(fd).st_ino != known.inode:
            known = self.opening(fd, peer, "c")
        known.in_c = True
        self._sample(known)

    @_guarded
    def told(self, peer: tuple[str, int], local_port: int, sent: int, received: int) -> None:
        """C code says what went over a connection, which is closed unless it is seen open."""
        if local_port in self._ports or self._phase is None:
            return
        self._ports.add(local_port)
        connection = self._named(_Connection(-1, 0, peer, self._phase, "c"))
        connection.last = _Counters(
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
            "loopback": _is_loopback(address[0]),
            "connected_in": self._phase.name if self._phase is not None else "earlier",
            "reused": False,
            "failed": failed,
            "via": "child",
            "sent": None,
            "received": None,
            "count": len(listed),
            "local_ports": listed[:_MOST_ENTRIES],
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
        host = _clean(self._targets.host_of(ip, port), 300)
        # `localhost` is two addresses, and a stand-in may listen on the other one.
        names = (ip,) if _is_loopback(host) else (host, ip)
        target = self._targets.name_of(*names, port=port)
        return host, target or (self._targets.behind(ip, port) if host == ip else None)

    @_guarded
    def refused(self, sock: Any, problem: OSError) -> None:
        connection = self._live.get(sock.fileno())
        reason = errno.errorcode.get(problem.errno or 0, type(problem).__name__)
        if connection is not None and reason not in _UNFINISHED_CONNECT:
            connection.failed = reason

    @_guarded
    def closing(self, sock: Any, *_: object) -> None:
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
        if contact["target"] and port and heard and total["count"] <= _MOST_ENTRIES:
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
        peer = _peer(self._libc, fd) if self._libc is not None else None
        if peer is None:
            return  # not connected yet, it may be later
        self._foreign[fd] = inode
        if (known is None or known.inode != inode) and self.whom(*peer)[1] is not None:
            self.opening(fd, peer, "c")


def _is_network(name: object) -> bool:
    """Whether a dotted module name lies in a package that does networking."""
    parts = str(name).split(".")
    return any(
        ".".join(parts[:size]) in _NETWORK_PACKAGES for size in range(1, min(len(parts), 3) + 1)
    )


def _home(value: Any) -> str:
    """The module a value comes from: its own name for a module, its type's for an instance."""
    if type(value) is type(sys):
        return str(value.__name__)
    return str(getattr(value, "__module__", None) or type(value).__module__)


def _is_spy(new: Any, original: Any) -> bool:
    """Whether the replacement hands each call on to what it replaces."""
    for name in ("_mock_wraps", "__wrapped__", "side_effect"):
        behind = getattr(new, name, None)
        if behind is not None and (behind is original or _unwrapped(behind) is original):
            return True
    return False


def _unwrapped(function: Any) -> Any:
    return getattr(function, "__wrapped__", None)


def _fakes_network(owner: Any, name: str, original: Any, new: Any) -> bool:
    """Whether a replacement took network code away: neither a constant nor a spy that passes on."""
    if type(original).__name__ == "Notset":  # what MonkeyPatch keeps for an inherited attribute
        bases = getattr(owner, "__mro__", type(owner).__mro__)
        original = next((vars(each)[name] for each in bases[1:] if name in vars(each)), None)
    code = callable(original) or hasattr(original, "__func__") or type(original) is type(sys)
    network = _is_network(_home(original)) or _is_network(_home(owner))
    return code and network and not _is_spy(new, original)


def _dotted(owner: Any, name: str) -> str:
    if type(owner) is type(sys):
        return f"{owner.__name__}.{name}"
    return f"{_home(owner)}.{getattr(owner, '__qualname__', type(owner).__qualname__)}.{name}"


class _Mocks:
    """Replacements of network code that are in force now."""

    def __init__(self, recorder: _Recorder) -> None:
        self._recorder = recorder
        self.active: dict[object, dict[str, str]] = {}

    def add(self, key: object, what: str, how: str) -> None:
        self.active[key] = self.note(what, how)

    def drop(self, key: object, *_: object) -> None:
        self.active.pop(id(key), None)

    def note(self, what: str, how: str) -> dict[str, str]:
        """Say that network code was replaced in this phase, without keeping it for the next one."""
        entry = {"what": _clean(what, 300), "how": how}
        phase = self._recorder.phase
        if phase is not None and phase.running and entry not in phase.mocks:
            phase.keep("mocks", entry)
        return entry

    @_guarded
    def entered(self, new: Any, patch: Any) -> None:
        wraps = (getattr(patch, "kwargs", None) or {}).get("wraps")
        place = (patch.target, patch.attribute)
        if wraps is None and _fakes_network(*place, patch.temp_original, new):
            self.add(id(patch), _dotted(*place), "mock.patch")

    @_guarded
    def requests_mock_started(self, mocker: Any) -> None:
        self.add(id(mocker), "requests.sessions.Session.get_adapter", "requests-mock")

    @_guarded
    def attribute_set(self, _result: object, monkeypatch: Any, *_: object, **__: object) -> None:
        target, name, original = monkeypatch._setattr[-1]
        if _fakes_network(target, name, original, getattr(target, name)):
            self.add((id(monkeypatch), id(target), name), _dotted(target, name), "monkeypatch")

    @_guarded
    def item_set(self, _result: object, monkeypatch: Any, *_: object, **__: object) -> None:
        mapping, name, original = monkeypatch._setitem[-1]
        if mapping is sys.modules and _is_network(name):
            self.add((id(monkeypatch), "modules", name), f"sys.modules[{name}]", "monkeypatch")
        elif callable(original) and _is_network(_home(original)):
            self.add((id(monkeypatch), id(mapping), name), f"[{name!r}]", "monkeypatch")

    @_guarded
    def undone(self, monkeypatch: Any) -> None:
        mine = [key for key in self.active if isinstance(key, tuple) and key[0] == id(monkeypatch)]
        for key in mine:
            del self.active[key]


class _Traffic:
    """Requests as the common clients make them: a trace id put in, the answer's status read."""

    def __init__(self, recorder: _Recorder, receipts: bool, health_paths: Iterable[str]) -> None:
        self._recorder = recorder
        self._receipts = receipts
        self._health = frozenset(path.partition("?")[0] for path in health_paths)
        self._span = itertools.count((os.getpid() << 32) + 1)

    def header(self, host: str, port: int, own: object = None) -> str | None:
        """The traceparent to add to a request; None elsewhere, or when the test sends its `own`."""
        phase = self._recorder.phase
        if (
            phase is None
            or not phase.running
            or self._recorder.targets.name_of(host, port=port) is None
        ):
            return None
        if own:
            text = own.decode("ascii", "replace") if isinstance(own, bytes) else str(own)
            trace = _clean(text.split("-")[1] if text.count("-") >= 2 else text.strip(), 64)
            if trace not in phase.own_traces:
                phase.keep("own_traces", trace)
            return None
        return f"00-{phase.trace}-{next(self._span):016x}-01" if self._receipts else None

    def _put_into(self, headers: Any, host: str, port: int) -> bool:
        header = self.header(host, port, headers.get("traceparent"))
        if header is not None:
            headers["traceparent"] = header
        return header is not None

    def answered(self, asked: _Asked, status: int) -> None:
        method, host, port, path = asked
        self._recorder.connections.look()  # what answered may run on a loop that is written in C
        phase = self._recorder.phase
        if phase is None or not phase.running:
            return
        bare = _clean(path.partition("?")[0].partition("#")[0] or "/", 300)
        target = self._recorder.targets.name_of(host, port=port)
        key = (method, target, _clean(host, 300), port, bare, int(status), bare in self._health)
        if key in phase.http or len(phase.http) < _MOST_ENTRIES:
            phase.http[key] = phase.http.get(key, 0) + 1
        else:
            phase.dropped["http"] = phase.dropped.get("http", 0) + 1

    # http.client, and with it urllib, urllib3, requests and botocore

    @_guarded
    def http_client_sends(self, connection: Any, *_: object, **__: object) -> None:
        lines = [bytes(line) for line in connection._buffer]
        method, path = lines[0].decode("latin-1").split(" ")[:2]
        tunnelled = connection._tunnel_host is not None
        host = connection._tunnel_host if tunnelled else connection.host
        port = connection._tunnel_port if tunnelled else connection.port
        parts = urlsplit(path)
        if parts.hostname:  # a plain proxy is asked for the whole URL
            host, port, path = parts.hostname, parts.port or 80, parts.path
        own = next((line[12:] for line in lines if line[:12].lower() == b"traceparent:"), None)
        header = self.header(host, port, own)
        if header is not None:
            connection.putheader("traceparent", header)
        connection._loopctl_asked = (method, host, port, path)

    @_guarded
    def http_client_answered(
        self, response: Any, connection: Any, *_: object, **__: object
    ) -> None:
        asked = getattr(connection, "_loopctl_asked", None)
        if asked is not None:
            self.answered(asked, response.status)

    # httpx, one hop at a time, so that a redirect to another host takes no trace id along; at the
    # transport that has a network below it, as a client's own may wrap a fake one

    @_guarded
    def httpx_asks(self, client: Any, request: Any, *_: object, **__: object) -> None:
        transport = client._transport_for_url(request.url)
        if type(transport).__name__ in _IN_PROCESS_TRANSPORTS:
            what = f"{type(transport).__module__}.{type(transport).__name__}"
            self._recorder.mocks.note(what, "transport")

    @_guarded
    def httpx_sends(self, _transport: object, request: Any) -> None:
        self._take_back(request)
        host, port = self._httpx_address(request)
        request._loopctl_put = self._put_into(request.headers, host, port)

    @_guarded
    def httpx_answered(self, response: Any, _transport: object, request: Any) -> None:
        self._take_back(request)
        host, port = self._httpx_address(request)
        self.answered((request.method, host, port, request.url.path), response.status_code)

    def _take_back(self, request: Any) -> None:
        # httpx copies the headers of a redirected request, also when the next hop is another host.
        if request.__dict__.pop("_loopctl_put", False):
            request.headers.pop("traceparent", None)

    def _httpx_address(self, request: Any) -> tuple[str, int]:
        return request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)

    # aiohttp

    @_guarded
    def aiohttp_sends(self, request: Any, *_: object, **__: object) -> None:
        self._put_into(request.headers, request.url.host or "", request.url.port or 80)

    @_guarded
    def aiohttp_answered(self, _result: object, response: Any, *_: object, **__: object) -> None:
        url = response.url
        asked = (response.method, url.host or "", url.port or 80, url.path)
        self.answered(asked, response.status)

    # websockets (its sans-I/O core and its legacy client) and websocket-client

    @_guarded
    def websocket_sends(self, protocol: Any, request: Any) -> None:
        uri = getattr(protocol, "uri", None) or protocol.wsuri
        self._put_into(request.headers, uri.host, uri.port)

    @_guarded
    def websocket_answered(self, protocol: Any, response: Any) -> None:
        uri = getattr(protocol, "uri", None) or protocol.wsuri
        self.answered(("GET", uri.host, uri.port, uri.path), response.status_code)

    @_guarded
    def legacy_websocket_sends(self, protocol: Any, path: str, headers: Any) -> None:
        port = protocol._port or (443 if protocol._secure else 80)
        protocol._loopctl_asked = ("GET", protocol._host, port, path)
        self._put_into(headers, protocol._host, port)

    @_guarded
    def legacy_websocket_answered(self, result: Any, protocol: Any) -> None:
        self.answered(protocol._loopctl_asked, result[0])

    @_guarded
    def other_websocket_sends(self, result: Any, _path: str, *where: Any) -> None:
        headers, host, port = result[0], where[1], where[2]
        own = next((line[12:] for line in headers if line[:12].lower() == "traceparent:"), None)
        header = self.header(host, port, own)
        if header is not None:
            headers.insert(1, "traceparent: " + header)


def _client_hooks(traffic: _Traffic) -> list[tuple[str, _Wrapper]]:
    """Where the common clients send a request and learn its answer, as `module:attribute`."""
    legacy = "websockets.legacy.client:WebSocketClientProtocol"
    httpx = _around(traffic.httpx_sends, traffic.httpx_answered)
    return [
        ("http.client:HTTPConnection.endheaders", _around(traffic.http_client_sends)),
        ("http.client:HTTPConnection.getresponse", _around(after=traffic.http_client_answered)),
        ("httpx:Client._send_single_request", _around(traffic.httpx_asks)),
        ("httpx:AsyncClient._send_single_request", _around(traffic.httpx_asks)),
        ("httpx:HTTPTransport.handle_request", httpx),
        ("httpx:AsyncHTTPTransport.handle_async_request", _around(traffic.httpx_sends)),
        ("httpx:AsyncHTTPTransport.handle_async_request", _awaiting(traffic.httpx_answered)),
        ("aiohttp:ClientRequest.send", _around(traffic.aiohttp_sends)),
        ("aiohttp:ClientResponse.start", _awaiting(traffic.aiohttp_answered)),
        ("websockets.client:ClientProtocol.send_request", _around(traffic.websocket_sends)),
        ("websockets.client:ClientProtocol.process_response", _around(traffic.websocket_answered)),
        (legacy + ".write_http_request", _around(traffic.legacy_websocket_sends)),
        (legacy + ".read_http_response", _awaiting(traffic.legacy_websocket_answered)),
        (
            "websocket._handshake:_get_handshake_headers",
            _around(after=traffic.other_websocket_sends),
        ),
    ]


def _mock_hooks(mocks: _Mocks) -> list[tuple[str, _Wrapper]]:
    enter, leave = _around(after=mocks.entered), _around(mocks.drop)
    return [
        ("unittest.mock:_patch.__enter__", enter),
        ("unittest.mock:_patch.__exit__", leave),
        ("mock.mock:_patch.__enter__", enter),
        ("mock.mock:_patch.__exit__", leave),
        ("requests_mock.mocker:MockerCore.start", _around(mocks.requests_mock_started)),
        ("requests_mock.mocker:MockerCore.stop", leave),
    ]


def _socket_hooks(seen: _Connections) -> list[tuple[str, _Wrapper]]:
    """Sockets that take the place of Python's own: gevent's, once it has patched everything."""
    return [("gevent._socket3:socket._real_close", _around(seen.closing))]


def _child_hooks(recorder: _Recorder) -> list[tuple[str, _Wrapper]]:
    """Ways to start a process of which no audit event tells."""
    return [("multiprocessing.util:spawnv_passfds", _around(recorder.spawns))]


class _Hooks:
    """Installs what watches a module as soon as that module has been imported, and not before."""

    def __init__(self, recorder: _Recorder, traffic: _Traffic, *, withholds: bool) -> None:
        self.patches = _Patches()
        self._recorder = recorder
        self._waiting: dict[str, list[tuple[str, _Wrapper]]] = {}
        seen = recorder.connections
        in_c = CClients(seen, traffic.header, _guarded)
        watched = (*_client_hooks(traffic), *_mock_hooks(recorder.mocks), *_child_hooks(recorder))
        watched += (*in_c.hooks(), *_socket_hooks(seen))
        for path, make in watched:
            module, _, attribute = path.partition(":")
            self._waiting.setdefault(module, []).append((attribute, make))
        self._install_own(withholds=withholds)
        for name in [name for name in self._waiting if name in sys.modules]:
            self.install(name, sys.modules[name])
        sys.meta_path.insert(0, self)

    def _install_own(self, *, withholds: bool) -> None:
        wrap, mocks = self.patches.wrap, self._recorder.mocks
        closing = self._recorder.connections.closing
        wrap(pytest.MonkeyPatch, "setattr", _around(after=mocks.attribute_set))
        wrap(pytest.MonkeyPatch, "setitem", _around(after=mocks.item_set))
        wrap(pytest.MonkeyPatch, "undo", _around(mocks.undone))
        wrap(socket, "getaddrinfo", _around(after=self._recorder.resolved))
        wrap(socket.socket, "connect", self._connect)
        if withholds:
            wrap(socket.socket, "connect_ex", self._connect_ex)
        wrap(socket.socket, "_real_close", _around(closing))
        # A client that is dropped unclosed ends in the finalizer: its bytes are read there.
        wrap(socket.socket, "__del__", self._finalize)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Let the other finders find a module that is to be watched, and run after its loader."""
        if name not in self._waiting:
            return None
        for finder in [each for each in sys.meta_path if each is not self]:
            find = getattr(finder, "find_spec", None)  # finders of old have none
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                self._run_after(spec.loader, name)
                return spec
        return None

    @_guarded
    def install(self, name: str, module: Any) -> None:
        for attribute, make in self._waiting.pop(name, ()):
            owner, _, last = attribute.rpartition(".")
            holder = getattr(module, owner, None) if owner else module
            if holder is not None:
                self.patches.wrap(holder, last, make)

    def undo(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self.patches.undo()

    @_guarded
    def _run_after(self, loader: Any, name: str) -> None:
        execute = loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            # pytest has one loader for all that it rewrites, as it does anyio and requests-mock.
            if module.__name__ == name:
                self.install(name, module)

        loader.exec_module = exec_module

    def _finalize(self, original: Any) -> Any:
        """The finalizer in C, which warns of an unclosed socket at the frame that runs.

        That is to be the suite's own, as its filters for warnings name modules.
        """
        closing, warn = self._recorder.connections.closing, warnings.warn

        def finalize(sock: Any) -> None:
            closing(sock)
            if not isinstance(sock, _InC) or sock.fileno() == -1:
                original(sock)
                return
            try:
                warn(f"unclosed {sock!r}", ResourceWarning, 2, sock)
            except Warning:  # a filter makes it an error, which nobody but C can tell of a socket
                with warnings.catch_warnings():
                    warnings.simplefilter("error", ResourceWarning)
                    original(sock)
            else:
                _InC.close(sock)

        return finalize

    def _connect(self, original: Any) -> Any:
        led, refused = self._recorder.led, self._recorder.connections.refused

        def connect(sock: Any, *args: Any) -> Any:
            __tracebackhide__ = True
            try:
                return original(sock, *(led(sock, *args) or args))
            except OSError as problem:
                refused(sock, problem)
                raise

        return connect

    def _connect_ex(self, original: Any) -> Any:
        """An audit hook can only raise; this call's own way to say so is a number."""
        led = self._recorder.led

        def connect_ex(sock: Any, *args: Any) -> Any:
            try:
                return original(sock, *(led(sock, *args) or args))
            except ConnectionRefusedError as problem:
                return problem.errno

        return connect_ex


def _exception(problem: BaseException) -> dict[str, object]:
    """An exception with its frames, innermost last, and those that led to it."""
    described, seen = _one_exception(problem), {id(problem)}
    chained: list[dict[str, object]] = []
    queue: list[tuple[str, BaseException | None]] = [*_led_to(problem)]
    while queue and len(chained) < _MOST_CHAINED:
        relation, each = queue.pop(0)
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            chained.append({"relation": relation, **_one_exception(each)})
            queue.extend(_led_to(each))
    return {**described, "chained": chained}


def _led_to(problem: BaseException) -> Iterator[tuple[str, BaseException | None]]:
    for member in getattr(problem, "exceptions", None) or ():
        if isinstance(member, BaseException):
            yield "group", member
    if problem.__cause__ is not None:
        yield "cause", problem.__cause__
    elif not problem.__suppress_context__:
        yield "context", problem.__context__


def _one_exception(problem: BaseException) -> dict[str, object]:
    kind = type(problem)
    frames = [
        _frame(frame, line)
        for frame, line in traceback.walk_tb(problem.__traceback__)
        if not frame.f_code.co_filename.startswith(_HERE)
    ]
    return {
        "type": kind.__name__,
        "qualified": f"{kind.__module__}.{kind.__qualname__}",
        "message": _clean(problem, 6000, 2000),
        "frames": frames[-_MOST_FRAMES:],
    }


def _frame(frame: FrameType, line: int) -> dict[str, object]:
    file = frame.f_code.co_filename
    text = linecache.getline(file, line, frame.f_globals).strip()
    name = _clean(frame.f_code.co_name, 200)
    return {"file": _clean(file, 500), "line": line, "function": name, "text": _clean(text, 200)}


class _Innermost:
    """Stands between a test and all other wrappers of its call, which may swallow what it raises.

    A plugin of its own: the recorder is the outermost already, to see a phase's whole traffic.
    """

    def __init__(self, recorder: _Recorder) -> None:
        self._recorder = recorder

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        outcome = yield
        if outcome.excinfo is not None:
            self._recorder.raised_in_call(outcome.excinfo[1])


def _asks_the_machine() -> bool:
    """Whether the standard library starts this child itself, as `ldconfig` to find a library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in _ASK_THE_MACHINE:
            return True
        frame = frame.f_back
    return False


class _Recorder:
    """What a session writes to the spool: pytest's hooks, joined with what was watched."""

    def __init__(self, spool: _Spool, environ: Mapping[str, str]) -> None:
        self.spool = spool
        self.phase: _Phase | None = None
        self.targets = _Targets(self._setting(environ, "LOOPCTL_TARGETS", {}))
        self.connections = _Connections(self.targets)
        self.mocks = _Mocks(self)
        self._seed = (environ.get("LOOPCTL_TRACE_SEED") or os.urandom(16).hex()).encode()
        self._attempts: dict[str, int] = {}
        self._outcomes: dict[tuple[str, str], str] = {}
        self._found = 0
        self._deselected = 0
        self._controls = False
        self._codes, self._samples = Codes(), Samples()
        self._code: str | None = None
        self._stand_in = StandIn(self._setting(environ, "LOOPCTL_STAND_IN", {}))
        self._withholds = environ.get("LOOPCTL_REFUSE") == "1" or self._stand_in.is_there
        receipts = environ.get("LOOPCTL_RECEIPTS", "on") != "off"
        health = self._setting(environ, "LOOPCTL_HEALTH_PATHS", [])
        traffic = _Traffic(self, receipts, health)
        self.hooks = _Hooks(self, traffic, withholds=self._withholds)
        self._audits: dict[str, Callable[..., Any]] = {
            "socket.connect": self._connecting,
            "subprocess.Popen": lambda program, args, *_: self._child("Popen", args, program),
            "os.posix_spawn": lambda program, args, _env: self._child("posix_spawn", args, program),
            "os.exec": self._replaced,
            "os.system": lambda _command: self._child("system", (), "sh"),
            "os.fork": lambda: self._child("fork", (), sys.executable),
        }
        if self._withholds:
            self._audits["socket.sendto"] = self._audits["socket.sendmsg"] = self._sending
        sys.addaudithook(self._audit)
        os.register_at_fork(after_in_child=self._forked)

    def _setting(self, environ: Mapping[str, str], name: str, default: Any) -> Any:
        try:
            return json.loads(environ.get(name) or "null") or default
        except ValueError as problem:
            self.spool.problem(name, problem)
            return default

    # What the process does

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        __tracebackhide__ = True
        handler = self._audits.get(event)
        if handler is not None:
            refusal = _guarded(handler)(*args)
            if refusal is not None:
                raise refusal

    def _forked(self) -> None:
        self.spool.reopen_in_child(is_of_test=self.phase is not None and self.phase.running)

    def _connecting(self, sock: Any, address: Any) -> OSError | None:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        if sock.type != socket.SOCK_STREAM:
            return self._sending(sock, address) if self._withholds else None
        if self._stand_in.is_at(address):
            return None  # led there, and told of as a connect to its target
        met = self.connections.opening(sock.fileno(), address)
        if self.spool.forked and self.phase is not None:
            contact = {"target": met.target, "host": met.host, "port": met.address[1]}
            contact["via"] = "child"
            test, phase = self.phase.test, self.phase.name
            self.spool.emit("child-contact", id=test, phase=phase, contact=contact)
        refusal = self._refusal(met.target)
        if refusal is not None:
            met.failed = "ECONNREFUSED"
        return refusal

    def _sending(self, sock: Any, address: Any) -> OSError | None:
        """Refuse a datagram (HTTP/3 is made of them) or a fast open, where a connect would be."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            return None
        return self._refusal(self.connections.whom(str(address[0]), int(address[1]))[1])

    def _refusal(self, target: str | None) -> OSError | None:
        """What a connect to a service is answered in the call phase of a control run."""
        if target is None or not self._withholds_now():
            return None
        return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    def _withholds_now(self) -> bool:
        """Whether this is the call of a test that is kept from the services."""
        phase = self.phase
        return self._withholds and phase is not None and phase.running and phase.name == "call"

    @_guarded
    def led(self, sock: Any, address: Any = None, *_: object) -> tuple[object] | None:
        """What a connect is given instead: the stand-in's address; None to leave it as it is.

        A connect that passes this by, or that it cannot lead, is refused.
        """
        if not self._stand_in.is_there or not self._withholds_now():
            return None
        if sock.type != socket.SOCK_STREAM or not isinstance(address, tuple):
            return None
        target = self.connections.whom(str(address[0]), int(address[1]))[1]
        place = self._stand_in.address(sock.family, str(address[0]))
        if target is None or place is None or not self.targets.is_plain(target):
            return None
        self.connections.lead(sock.fileno(), address, self._stand_in.handshake_bytes)
        return (place,)

    def _child(self, how: str, args: Any, program: Any) -> None:
        """Keep the program's name only: arguments can hold secrets."""
        if self.phase is not None and self.phase.running and not _asks_the_machine():
            first = program or (args if isinstance(args, (str, bytes)) else next(iter(args), ""))
            path = _clean(os.fsdecode(first), 300)
            child = {"how": how, "argv0": path, "name": path.rpartition("/")[2]}
            if not self.phase.children and self.connections.alone and not self.spool.forked:
                self.phase.table = loopctl_tcp.read(self.targets.addresses)
            self.phase.keep("children", child)

    def _replaced(self, program: Any, args: Any, _env: Any) -> None:
        self._child("exec", args, program)
        self.spool.hand_on()

    @_guarded
    def spawns(self, path: Any, args: Any, *_: object, **__: object) -> None:
        self._child("spawn", args, path)

    @_guarded
    def resolved(self, answers: Any, host: Any, *_: object, **__: object) -> None:
        self.targets.remember(host, answers)

    # What pytest says of the session and its collection

    @_guarded
    def _session_starts(self, config: pytest.Config) -> None:
        plugins = config.pluginmanager.list_plugin_distinfo()
        self._codes.session(plugins)
        found = [each for _, each in plugins]
        self._controls = config.pluginmanager.hasplugin("dsession")
        self.spool.emit(
            "session-start",
            python=platform.python_version(),
            pytest=pytest.__version__,
            xdist="worker" if self.spool.worker else "controller" if self._controls else None,
            rootdir=_clean(config.rootpath, 1000),
            resumes=[name for name in _RESUMING if config.getoption(name, None)],
            plugins=sorted({f"{each.project_name}-{each.version}" for each in found}),
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session_starts(session.config)

    @_guarded
    def pytest_itemcollected(self) -> None:
        self._found += 1

    @_guarded
    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        self._deselected += len(list(items))

    @pytest.hookimpl(trylast=True)
    @_guarded
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # Registered last, once every conftest file is loaded, it is called innermost.
        session.config.pluginmanager.register(_Innermost(self), "loopctl-evidence-innermost")
        # Items that a hook took out of the list, as many do, without telling pytest.
        self._deselected = max(self._deselected, self._found - len(session.items))
        ids = [_clean(item.nodeid, 4000) for item in session.items]
        self._codes.collected(session.items, str(session.config.rootpath))
        # All workers of xdist collect the same: the first speaks for them.
        listed = ids if self.spool.worker in (None, "gw0") else []
        for start in range(0, len(listed), _IDS_PER_LINE):
            part = listed[start : start + _IDS_PER_LINE]
            self.spool.emit("collected", ids=part, deselected=self._deselected)
        self.spool.emit("collection-end", count=len(ids), deselected=self._deselected)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, Any, None]:
        outcome = yield
        self._collect_reported(outcome)

    @_guarded
    def _collect_reported(self, outcome: Any) -> None:
        report = outcome.get_result()
        if report.outcome == "passed":
            return
        call = report.__dict__.get("call")
        problem = call.excinfo.value if call is not None and call.excinfo is not None else None
        if isinstance(problem, pytest.Collector.CollectError) and problem.__cause__ is not None:
            problem = problem.__cause__  # its message is only the cause's traceback as text
        self.spool.emit(
            "collect-error" if report.failed else "collect-skip",
            id=_clean(report.nodeid, 4000),
            exc=_exception(problem) if problem is not None else None,
            longrepr=_long(report.longreprtext),
        )

    @pytest.hookimpl(tryfirst=True)
    @_guarded
    def pytest_internalerror(self, excrepr: object) -> None:
        self.spool.emit("internal-error", longrepr=_long(excrepr))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, None]:
        yield
        self._session_ends(session)

    @_guarded
    def _session_ends(self, session: pytest.Session) -> None:
        self.spool.emit(
            "session-end",
            exitstatus=int(getattr(session, "exitstatus", 0)),
            testsfailed=session.testsfailed,
            testscollected=session.testscollected,
        )

    @_guarded
    def pytest_unconfigure(self) -> None:
        global _recorder  # noqa: PLW0603 - the one session this process records
        self._audits = {}
        self.hooks.undo()
        _recorder = None

    @pytest.hookimpl(optionalhook=True)
    @_guarded
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist the key that is gone from beside the spool."""
        if self.spool.key is not None:
            node.workerinput[_KEY] = self.spool.key.hex()

    # What pytest says of one test

    @pytest.hookimpl(tryfirst=True)
    @_guarded
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self._code = None  # should the next line fail
        self._code = self._codes.of(item, _clean(item.nodeid, 4000))

    @_guarded
    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        if not self._controls:
            test, file = _clean(nodeid, 4000), _clean(location[0], 1000)
            self.spool.emit("test-start", id=test, file=file, line=location[1], code=self._code)

    @_guarded
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if not self._controls:
            self.spool.emit("test-end", id=_clean(nodeid, 4000))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, None]:
        self._begin(item, "setup")
        yield
        self._end()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, None]:
        self._begin(item, "call")
        yield
        self._end()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, None]:
        self._begin(item, "teardown")
        yield
        self._end()

    @_guarded
    def raised_in_call(self, problem: BaseException) -> None:
        """Keep what the test itself raised, before any hook can make it go away."""
        if self.phase is not None:
            self.phase.raised = problem

    @_guarded
    def _begin(self, item: pytest.Item, name: str) -> None:
        test = _clean(item.nodeid, 4000)
        attempt = self._attempts[test] = self._attempts.get(test, 0) + (name == "setup")
        unique = "\0".join((test, name, str(attempt))).encode()
        trace = hashlib.sha256(self._seed + b"\0" + unique).hexdigest()[:32]
        self.phase = _Phase(test, name, attempt, trace, self.mocks.active.values())
        self.phase.began = self.spool.now()
        self.connections.begin(self.phase)
        if self._withholds_now():
            self.connections.shut()

    @_guarded
    def _end(self) -> None:
        if self.phase is not None:
            self.phase.running = False
            self.phase.contacts = self.connections.end()
            self.connections.leave_stand_in()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        outcome = yield
        self._reported(item, call, outcome)

    @_guarded
    def _reported(self, item: pytest.Item, call: pytest.CallInfo[None], outcome: Any) -> None:
        report: pytest.TestReport = outcome.get_result()
        test, phase = _clean(item.nodeid, 4000), self.phase
        text = report.longreprtext if report.outcome != "passed" else ""
        strict = report.outcome == "failed" and call.excinfo is None
        # A report that comes while the test still runs is that of a subtest.
        whole = phase is not None and not phase.running
        problem = call.excinfo.value if call.excinfo is not None else None
        if problem is None and phase is not None and whole:
            problem = phase.raised
        self.spool.emit(
            "phase" if whole else "subtest",
            id=test,
            phase=report.when,
            attempt=self._attempts.get(test, 1),
            outcome=report.outcome,
            duration_s=report.duration,
            wasxfail=_xfail_reason(report),
            xpass_strict=strict and text.startswith("[XPASS(strict)]"),
            exc=_exception(problem) if problem is not None else None,
            longrepr=_long(text),
            sections=_sections(report),
            samples=self._fresh_samples(test, report) if whole else [],
            **(phase.seen() if phase is not None and whole else {}),
        )
        if whole:
            self._outcomes[test, report.when] = report.outcome

    def _fresh_samples(self, test: str, report: pytest.TestReport) -> list[tuple[str, float]]:
        samples: list[tuple[str, float]]
        samples, wrong = self._samples.fresh(test, report.user_properties)
        for each in wrong:
            self.spool.problem(f"sample of {test[:300]}", ValueError(each))
        return samples

    @_guarded
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = _clean(report.nodeid, 4000)
        if self._controls:
            if report.when not in (
                "setup",
                "call",
                "teardown",
            ):  # xdist: a worker died in this test
                self.spool.emit("crash", id=test, longrepr=_long(report.longreprtext))
            return
        # Plugins such as rerunfailures change the outcome after the report was made.
        known = self._outcomes.get((test, report.when), report.outcome)
        if known != report.outcome and type(report) is pytest.TestReport:
            attempt = getattr(report, "rerun", self._attempts.get(test, 1) - 1) + 1
            self.spool.emit(
                "revised", id=test, phase=report.when, attempt=attempt, outcome=report.outcome
            )


def _long(value: object) -> str:
    return _clean(value, 12_000, 8_000)


def _xfail_reason(report: pytest.TestReport) -> str | None:
    reason = getattr(report, "wasxfail", None)
    return None if reason is None else _clean(reason, 2000)


def _sections(report: pytest.TestReport) -> dict[str, str]:
    """What was captured in this phase alone, by channel: stdout, stderr, log."""
    start, end = "Captured ", f" {report.when}"
    return {
        name[len(start) : -len(end)]: _tail(text, 8000)
        for name, text in report.sections
        if name.startswith(start) and name.endswith(end)
    }


def _activate(config: pytest.Config) -> None:
    """Start recording, once a process: a pytest run by a test inside this one is not the suite."""
    global _recorder  # noqa: PLW0603 - the one session this process records
    path = os.environ.get("LOOPCTL_SPOOL")
    if not path or _recorder is not None:
        return
    spool = _Spool(path)
    try:
        recorder = _Recorder(spool, dict(os.environ))
        config.pluginmanager.register(recorder, "loopctl-evidence-recorder")
        _recorder = recorder
    except Exception as problem:  # noqa: BLE001 - the suite runs unobserved, and its reader sees so
        spool.problem("activate", problem)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, None]:
    """Start before the user's conftest files, which may open connections when imported."""
    _activate(early_config)
    outcome = yield
    if outcome.excinfo is not None:
        _conftest_failed(outcome.excinfo[1])


@_guarded
def _conftest_failed(problem: BaseException) -> None:
    if _recorder is not None:
        exc, text = _exception(problem), _long(problem)
        _recorder.spool.emit("collect-error", id="conftest.py", exc=exc, longrepr=text)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Learn which xdist worker this is; start here if the plugin came after the conftest files."""
    _activate(config)
    if _recorder is not None and hasattr(config, "workerinput"):
        _recorder.spool.worker = str(config.workerinput.get("workerid"))
        _recorder.spool.use_key(bytes.fromhex(config.workerinput.pop(_KEY, "")))
        _recorder.connections.alone = config.workerinput.get("workercount") == 1
