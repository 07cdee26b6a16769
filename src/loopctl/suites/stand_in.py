"""The stand-in: takes the services' place in a control run, and answers everything wrongly.

Every request gets one status and JSON that no service sends; every WebSocket is opened, told the
like, and closed. With `ERROR` that is 599 and 4599, numbers that no honest test can expect, with
`SUCCESS` 200 and 1000; neither is an error of the network. What opens a WebSocket and says nothing
has been told nothing wrong, so it is left the time to close it again: `HANDSHAKE_BYTES` is all that
it hears.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h11

from loopctl.errors import Stopped
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop, TaskScope
from loopctl.suites.declared.event_loop import run_in_loop

WRONG = json.dumps({"loopctl": "control run: a wrong answer"}).encode("ascii")

MOST_CONNECTIONS = 256
_MOST_HEAD_BYTES = 65_536
_MOST_BODY_BYTES = 64 * 1024 * 1024
_PIECE = 65_536
_EXCHANGE_S = 30.0
_LINGER_S = 2.0
_UNASKED_S = 0.2
"""How long a WebSocket's client may be silent before it is told something wrong all the same."""

# Long enough that no answer, not even one without a body, is as short as a handshake.
_NOTE = b"control run: this is not the service, and this answer is wrong on purpose"
_HEADERS = [
    (b"Content-Type", b"application/json"),
    (b"Content-Length", str(len(WRONG)).encode("ascii")),
    (b"X-Loopctl", _NOTE),
]

# RFC 6455: 1.3 has the GUID, 5.2 the frames, 5.5 says that a control frame's payload is short.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\n\r\n"
)


def _accept(key: bytes) -> bytes:
    digest = hashlib.sha1(key.strip() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest)


def _frame(opcode: int, payload: bytes) -> bytes:
    return bytes((0x80 | opcode, len(payload))) + payload


_NORMAL_CLOSE = _frame(_CLOSE, (1000).to_bytes(2, "big"))


@dataclass(frozen=True, slots=True)
class Wrong:
    """How it answers: the status of a request, the code that a WebSocket is closed with."""

    status: int
    close_code: int

    @property
    def farewell(self) -> bytes:
        """The message that no service sends, and the close."""
        code = self.close_code.to_bytes(2, "big")
        return _frame(_TEXT, WRONG) + _frame(_CLOSE, code + b"control run")


ERROR = Wrong(599, 4599)
SUCCESS = Wrong(200, 1000)

HANDSHAKE_BYTES = len(_ACCEPTED % _accept(b"")) + len(_NORMAL_CLOSE)
"""What a WebSocket hears of it that is opened and closed, and told nothing wrong."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """The ports that it listens on, at 127.0.0.1 and ::1; None where the machine has no IPv6."""

    ipv4: int
    ipv6: int | None

    @property
    def setting(self) -> str:
        """As the plugin reads it."""
        ports = {"ipv4": self.ipv4, "ipv6": self.ipv6}
        return json.dumps({**ports, "handshake_bytes": HANDSHAKE_BYTES})


@contextlib.contextmanager
def stand_in(stop: Stop, wrong: Wrong = ERROR) -> Iterator[StandIn]:
    """A stand-in that serves while the block lasts, or until `stop` stops. Raises `SuiteError`."""
    with contextlib.ExitStack() as opened:
        try:
            ipv4 = opened.enter_context(_listener(socket.AF_INET, "127.0.0.1"))
        except OSError as problem:
            raise SuiteError(
                f"there is no port for the control run's stand-in: {problem.strerror}",
                where="127.0.0.1",
                hint="free some, or leave the control run off",
            ) from problem
        listeners = [ipv4]
        with contextlib.suppress(OSError):
            listeners.append(opened.enter_context(_listener(socket.AF_INET6, "::1")))
        ports = [each.getsockname()[1] for each in listeners]
        with TaskScope(stop) as scope:
            scope.start("stand-in", lambda inner: _serve_until_stopped(listeners, wrong, inner))
            try:
                yield StandIn(ports[0], ports[1] if len(ports) > 1 else None)
            finally:
                scope.stop.stop("the control run is over")


def _listener(family: socket.AddressFamily, host: str) -> socket.socket:
    return socket.create_server((host, 0), family=family, backlog=MOST_CONNECTIONS)


def _serve_until_stopped(listeners: Sequence[socket.socket], wrong: Wrong, stop: Stop) -> None:
    with contextlib.suppress(Stopped):
        run_in_loop("stand-in", lambda: _serve(listeners, wrong), stop)


async def _serve(listeners: Sequence[socket.socket], wrong: Wrong) -> None:
    room = asyncio.Semaphore(MOST_CONNECTIONS)

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            if room.locked():
                writer.transport.abort()
                return
            # Whatever the client does wrong is an ill-mannered test's own affair.
            errors = (OSError, asyncio.IncompleteReadError, h11.ProtocolError)
            async with room:
                with contextlib.suppress(*errors):
                    await _talk(reader, writer, wrong)

    servers = [await asyncio.start_server(attend, sock=each) for each in listeners]
    try:
        await asyncio.Event().wait()
    finally:
        for server in servers:
            server.close()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wrong: Wrong) -> None:
    """Answer what one connection asks, request by request."""
    wire = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD_BYTES)
    while True:
        async with asyncio.timeout(_EXCHANGE_S):
            asked = await _request(wire, reader)
            if asked is None:
                return
            if asked.websocket_key is not None:
                await _websocket(asked.websocket_key, reader, writer, wrong)
                return
            writer.write(_answer(wire, asked, wrong))
            await writer.drain()
        if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
            await _linger(reader, writer)
            return
        wire.start_next_cycle()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be known of a request to answer it."""

    has_body: bool = True
    websocket_key: bytes | None = None


async def _request(wire: h11.Connection, reader: asyncio.StreamReader) -> _Asked | None:
    """Take one request, as far as it is read; None when no more comes."""
    asked, taken = _Asked(), 0
    with contextlib.suppress(h11.RemoteProtocolError):  # which is answered like any other
        while True:
            event = await _event(wire, reader)
            if isinstance(event, h11.ConnectionClosed):
                return None
            if isinstance(event, h11.Request):
                asked = _Asked(event.method != b"HEAD", _websocket_key(event))
            if isinstance(event, h11.Data):
                taken += len(event.data)
            unread = wire.they_are_waiting_for_100_continue or taken > _MOST_BODY_BYTES
            if asked.websocket_key or unread or isinstance(event, h11.EndOfMessage):
                break
    return asked


async def _event(wire: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := wire.next_event()) is h11.NEED_DATA:
        wire.receive_data(await reader.read(_PIECE))
    return event


def _websocket_key(request: h11.Request) -> bytes | None:
    fields: dict[bytes, bytes] = dict(request.headers)
    if fields.get(b"upgrade", b"").lower() != b"websocket":
        return None
    return fields.get(b"sec-websocket-key")


def _answer(wire: h11.Connection, asked: _Asked, wrong: Wrong) -> bytes:
    """The wrong answer, to whatever it was; the connection ends where not all of it was read."""
    closing = [] if wire.their_state is h11.DONE else [(b"Connection", b"close")]
    headers = [*_HEADERS, *closing]
    response = h11.Response(status_code=wrong.status, reason=b"Wrong", headers=headers)
    body = [h11.Data(WRONG)] if asked.has_body else []
    return b"".join(wire.send(part) or b"" for part in (response, *body, h11.EndOfMessage()))


async def _websocket(
    key: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wrong: Wrong
) -> None:
    writer.write(_ACCEPTED % _accept(key))
    closes = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_UNASKED_S):
            closes = await _closes(reader)
    writer.write(_NORMAL_CLOSE if closes else wrong.farewell)
    await _linger(reader, writer)


async def _closes(reader: asyncio.StreamReader) -> bool:
    """Whether the first that the client says is that it closes. A ping says nothing."""
    while True:
        head = await reader.readexactly(2)
        opcode = head[0] & 0xF
        if opcode not in (_PING, _PONG):
            return opcode == _CLOSE
        await reader.readexactly((head[1] & 0x7F) + 4)


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that this is all, and take what still comes: a reset could overtake the answer."""
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while await reader.read(_PIECE):
                pass
