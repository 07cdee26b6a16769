"""One side of an HTTP/1.1 connection that asks: requests in, answers out."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Final

import h11

_CHUNK: Final = 65_536
_MOST_HEADERS: Final = 65_536
Headers = Sequence[tuple[bytes, bytes]]


class HttpPeer:
    """A client's connection. Requests are read one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEADERS)
        self._wants_body = True
        self.address: tuple[str, int] = connection.getpeername()

    def requests(self) -> Iterator[h11.Request]:
        """The requests of this connection, until either side is done with it."""
        while True:
            event = self._next()
            if not isinstance(event, h11.Request):
                return
            self._wants_body = event.method != b"HEAD"
            yield event
            self._drain()
            if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
                return
            self.http.start_next_cycle()

    def body(self) -> Iterator[bytes]:
        """The body of the request, as it comes."""
        while True:
            if self.http.they_are_waiting_for_100_continue:
                self.send(h11.InformationalResponse(status_code=100, headers=[]))
            event = self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    def send(self, event: h11.Event) -> None:
        data = self.http.send(event)
        if data:
            self.socket.sendall(data)

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer."""
        length = (b"content-length", str(len(body)).encode())
        self.send(h11.Response(status_code=status, headers=[*headers, length]))
        if self.http.our_state is h11.SEND_BODY:
            if body and self._wants_body:
                self.send(h11.Data(data=body))
            self.send(h11.EndOfMessage())

    def remaining(self) -> bytes:
        """What the client sent beyond what was read as HTTP: after an upgrade."""
        return self.http.trailing_data[0]

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            try:
                event = self.http.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error)
                return h11.ConnectionClosed()
            if event is not h11.NEED_DATA:
                return event
            self.http.receive_data(self.socket.recv(_CHUNK))

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        with contextlib.suppress(h11.LocalProtocolError, OSError):
            self.respond(error.error_status_hint, [(b"connection", b"close")], b"")

    def _drain(self) -> None:
        """Read what is left of a body, so that the next request can be told from it."""
        if self.http.their_state is h11.SEND_BODY:
            for _ in self.body():
                pass


def header(headers: Headers, name: str) -> str | None:
    """The first header of this name."""
    wanted = name.lower().encode()
    for key, value in headers:
        if key.lower() == wanted:
            return value.decode("latin-1")
    return None
