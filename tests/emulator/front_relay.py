"""A request carried to an instance, and its answer back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import h11

from emulator.front_exchange import Exchange, Trace
from emulator.grpc_relay import both_ways
from emulator.listener import cut

_CHUNK: Final = 65_536
_CONNECT_S: Final = 3.0
_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"})
_OURS: Final = frozenset({b"server", b"upgrade"})


class BadInstance(Exception):
    """The instance ended the connection, or did not speak HTTP, before it answered."""


class TimedOut(Exception):
    """The request's time was over before the instance answered."""


@dataclass(slots=True)
class Relay:
    """Carries one exchange to `address`, for `timeout_s` at most."""

    exchange: Exchange
    address: tuple[str, int]
    timeout_s: float
    trace: Trace | None
    _http: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    _late: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Raises `BadInstance` and `TimedOut` where nothing was answered yet."""
        try:
            upstream = socket.create_connection(
                self.address, timeout=min(self.timeout_s, _CONNECT_S)
            )
        except OSError as error:
            raise BadInstance from error
        upstream.settimeout(None)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with upstream, self.exchange.listener.tracking(upstream), self._limited(upstream):
            try:
                self._carry(upstream)
            except (OSError, h11.ProtocolError) as error:
                self._give_up(error)

    @contextmanager
    def _limited(self, upstream: socket.socket) -> Iterator[None]:
        """Cut the instance's side when the time is over, an upgraded client's side too."""

        def over() -> None:
            self._late.set()
            cut(upstream)

        timer = threading.Timer(self.timeout_s, over)
        timer.name = "emulator-request-timeout"
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _give_up(self, error: Exception) -> None:
        if self.exchange.status == 0:
            raise (TimedOut if self._late.is_set() else BadInstance) from error
        cut(self.exchange.peer.socket)  # a half answer is told by its missing end

    def _carry(self, upstream: socket.socket) -> None:
        self._send_request(upstream)
        response = self._response(upstream)
        self.exchange.status = response.status_code
        peer = self.exchange.peer
        if isinstance(response, h11.InformationalResponse):
            peer.send(response)
            self._switch(upstream)
            return
        peer.send(h11.Response(status_code=response.status_code, headers=_headers(response)))
        while isinstance(event := self._next(upstream), h11.Data):
            self.exchange.sent += len(event.data)
            peer.send(h11.Data(data=event.data))
        peer.send(h11.EndOfMessage())

    def _send_request(self, upstream: socket.socket) -> None:
        request = self.exchange.request
        headers = [
            (key, value)
            for key, value in request.headers.raw_items()
            if key.lower() not in _HOP and key.lower() != b"expect"
        ]
        headers += self._added()
        sent = h11.Request(method=request.method, target=request.target, headers=headers)
        self._tell(upstream, sent)
        for chunk in self.exchange.peer.body():
            self.exchange.received += len(chunk)
            self._tell(upstream, h11.Data(data=chunk))
        self._tell(upstream, h11.EndOfMessage())

    def _tell(self, upstream: socket.socket, event: h11.Event) -> None:
        """Send on. An instance may answer, and hear no more, before it has read all."""
        data = self._http.send(event) or b""
        with suppress(BrokenPipeError, ConnectionResetError):
            upstream.sendall(data)

    def _added(self) -> list[tuple[bytes, bytes]]:
        """What Google's front end adds to a request."""
        remote, _ = self.exchange.peer.address
        before = self.exchange.header("x-forwarded-for")
        forwarded = f"{before},{remote}" if before else remote
        added = [
            (b"connection", b"upgrade" if self.exchange.upgrades else b"close"),
            (b"x-forwarded-for", forwarded.encode("latin-1")),
            (b"x-forwarded-proto", b"http"),
        ]
        if self.trace is not None and not self.exchange.header("x-cloud-trace-context"):
            told = f"{self.trace.trace}/{int(self.trace.span, 16)};o=1"
            added.append((b"x-cloud-trace-context", told.encode()))
        return added

    def _response(self, upstream: socket.socket) -> h11.Response | h11.InformationalResponse:
        """The final answer, or the switch of protocols; other 1xx are left out."""
        while True:
            event = self._next(upstream)
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    return event
            else:
                raise ConnectionResetError("the instance ended the connection")

    def _next(self, upstream: socket.socket) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(upstream.recv(_CHUNK))
        return event

    def _switch(self, upstream: socket.socket) -> None:
        """Bytes both ways, until either side ends or the time is over."""
        client = self.exchange.peer.socket
        client.sendall(self._http.trailing_data[0])
        upstream.sendall(self.exchange.peer.remaining())
        both_ways(client, upstream)


def _headers(response: h11.Response) -> list[tuple[bytes, bytes]]:
    kept = [
        (key, value)
        for key, value in response.headers.raw_items()
        if key.lower() not in _HOP | _OURS
    ]
    return [*kept, (b"server", b"Google Frontend")]
