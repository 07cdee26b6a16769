"""One request through the front door: to an upstream, and its answer back to the client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import h11

from loopctl.platforms.host import own_answers, proxy_headers
from loopctl.platforms.host.http_wire import HttpWire
from loopctl.platforms.host.own_answers import OwnAnswer
from loopctl.platforms.host.request_log import Event, OpenRequest, RequestLog
from loopctl.platforms.host.routes import InFlight, Routes
from loopctl.platforms.host.tunnel import Tunnel
from loopctl.platforms.host.upstreams import Upstream, UpstreamError, UpstreamPool

# A request whose body is at most this long is read whole before it is sent on.
_SMALL_BODY: Final = 64 * 1024
_ENDED: Final = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)
_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))


@dataclass(frozen=True, slots=True)
class Desk:
    """What all exchanges of one front door share."""

    service: str
    routes: Routes
    pool: UpstreamPool
    in_flight: InFlight
    log: RequestLog


class ClientGoneError(Exception):
    """The client does not wait for its answer any more."""


class Exchange:
    """Relays one request. `run` returns with the client's connection in a state that h11 knows:
    done, or in need of closing; it raises ClientGoneError or UpstreamError when it has to be cut.
    """

    def __init__(self, desk: Desk, client: HttpWire, request: h11.Request, address: str) -> None:
        self._desk = desk
        self._client = client
        self._request = request
        self._address = address
        self._note = OpenRequest.of(request, desk.service, client.wire.peer[1])
        self._logged = False
        self._bad_request: h11.RemoteProtocolError | None = None

    async def run(self) -> None:
        """Relay the request. Whatever happens, exactly one record of its end is written."""
        try:
            await self._relay()
        except ConnectionResetError:
            self._note.error = "client-gone"
            raise ClientGoneError from None
        except ClientGoneError:
            self._note.error = "client-gone"
            raise
        except UpstreamError as fault:
            self._note.error = fault.mark
            raise
        except asyncio.CancelledError:
            self._note.error = "front-door-closed"
            raise
        finally:
            if not self._logged:
                self._note.error = self._note.error or "front-door-fault"
                self._log("close" if self._note.upgraded else "request")

    async def _relay(self) -> None:
        if self._request.method == b"CONNECT":
            self._answer_self(own_answers.NO_TUNNEL)
            return
        try:
            body = await self._small_body()
        except h11.RemoteProtocolError as error:
            self._refuse(error)
            return
        # Chosen as late as can be: a slow sender must not be bound to a revision on its way out.
        upstream = self._desk.routes.choose()
        if upstream is None:
            self._answer_self(own_answers.NO_UPSTREAM)
            return
        self._note.revision = upstream.revision
        with self._desk.in_flight.one(upstream.revision):
            await self._relay_to(upstream, body)

    async def _relay_to(self, upstream: Upstream, body: bytes | None) -> None:
        try:
            await self._converse_twice_at_most(upstream, body)
        except UpstreamError as fault:
            if self._client.wire.gone:
                raise ClientGoneError from None
            if self._note.status is not None:
                raise
            if self._bad_request is not None:
                self._refuse(self._bad_request)
            else:
                self._answer_self(own_answers.for_fault(fault.mark))

    async def _small_body(self) -> bytes | None:
        """Return the request's body when it is small; None when it is to be streamed."""
        length = proxy_headers.body_length(self._request)
        expects = self._client.conn.they_are_waiting_for_100_continue
        if length is None or length > _SMALL_BODY or expects:
            return None
        body = bytearray()
        while isinstance(event := await self._client.event(), h11.Data):
            body += event.data
        self._note.bytes_in = len(body)
        return bytes(body)

    async def _converse_twice_at_most(self, upstream: Upstream, body: bytes | None) -> None:
        """Talk over a kept connection, or a fresh one when the server had just closed that.

        Only what may be sent twice goes over a kept connection at all: a POST that got no answer
        may still have been carried out.
        """
        idempotent = self._request.method in _IDEMPOTENT and body is not None
        websocket = proxy_headers.wants_websocket(self._request)
        line = self._desk.pool.take(upstream) if idempotent and not websocket else None
        if line is not None:
            try:
                await self._converse(upstream, line, body)
            except UpstreamError:
                if line.heard or self._client.wire.gone:
                    raise
            else:
                return
        await self._converse(upstream, await self._desk.pool.connect(upstream), body)

    async def _converse(self, upstream: Upstream, line: HttpWire, body: bytes | None) -> None:
        """Send the request over `line` and relay the answer; keep `line` if both are whole."""
        self._client.wire.on_gone = line.wire.abort
        pump: asyncio.Task[None] | None = None
        try:
            if self._client.wire.gone:
                raise ClientGoneError
            pump = self._send(line, upstream, body)
            await self._relay_answer(line)
        except h11.RemoteProtocolError:
            _, ended = line.conn.trailing_data
            raise UpstreamError("upstream-closed" if ended else "upstream-protocol") from None
        finally:
            self._client.wire.on_gone = None
            if pump is not None:
                # Waited for, because two tasks must never read one wire.
                pump.cancel()
                await asyncio.wait([pump])
            self._let_go(upstream, line)

    def _let_go(self, upstream: Upstream, line: HttpWire) -> None:
        """Keep a connection whose exchange is whole; a tunnel has closed its own already.

        A service must not find a reset, and log it, after an exchange that went well.
        """
        if line.conn.our_state is h11.SWITCHED_PROTOCOL and self._logged:
            return
        whole = line.conn.our_state in _ENDED and line.conn.their_state in _ENDED
        if not whole:
            line.wire.abort()
        elif upstream in self._desk.routes.upstreams:
            self._desk.pool.give(upstream, line)
        else:
            line.wire.close()

    def _send(
        self, line: HttpWire, upstream: Upstream, body: bytes | None
    ) -> asyncio.Task[None] | None:
        head = h11.Request(
            method=self._request.method,
            target=self._request.target,
            headers=proxy_headers.for_upstream(self._request, self._address, upstream.authority),
        )
        if body is None:
            line.send(head)
            return asyncio.create_task(self._pump_body(line))
        line.send(head, *([h11.Data(data=body)] if body else []), h11.EndOfMessage())
        return None

    async def _pump_body(self, line: HttpWire) -> None:
        """Stream the request's body to the upstream, as fast as that takes it."""
        try:
            while isinstance(event := await self._client.event(), h11.Data):
                self._note.bytes_in += len(event.data)
                line.send(h11.Data(data=event.data))
                await line.wire.drain()
            if isinstance(event, h11.EndOfMessage):
                line.send(h11.EndOfMessage(headers=list(event.headers.raw_items())))
        except h11.RemoteProtocolError as error:
            self._bad_request = error
            line.wire.abort()
        except ConnectionResetError:
            # Whoever broke it: the side that waits for the answer sees that, and tells which.
            return

    async def _relay_answer(self, line: HttpWire) -> None:
        """Relay the answer as it comes, each burst of events in one write."""
        ready: list[bytes] = []
        while True:
            event = line.conn.next_event()
            match event:
                case h11.NEED_DATA:
                    await self._flush(ready)
                    await _receive(line)
                case h11.InformationalResponse(status_code=101):
                    await self._tunnel(line, event)
                    return
                case h11.InformationalResponse():
                    ready.extend(self._early_news(event))
                case h11.Response():
                    self._note.answered(event.status_code)
                    ready.append(self._translated(_for_client(event)))
                case h11.Data():
                    self._note.bytes_out += len(event.data)
                    ready.append(self._translated(h11.Data(data=event.data)))
                case h11.EndOfMessage():
                    await self._finish(ready, event)
                    return
                case _:
                    raise UpstreamError("upstream-protocol")

    async def _finish(self, ready: list[bytes], end: h11.EndOfMessage) -> None:
        """Send the answer's end, its record first: who has the answer must find the record."""
        if self._client.wire.gone:
            raise ClientGoneError
        self._log("request")
        trailers = list(end.headers.raw_items()) if self._client_is_modern else []
        ready.append(self._translated(h11.EndOfMessage(headers=trailers)))
        await self._flush(ready)

    async def _flush(self, ready: list[bytes]) -> None:
        self._client.wire.write(b"".join(ready))
        ready.clear()
        await self._client.wire.drain()

    def _early_news(self, event: h11.InformationalResponse) -> list[bytes]:
        """Return a 100 or 103 for a client that knows such answers (HTTP/1.1, RFC 9110 15.2)."""
        return [self._translated(_for_client(event))] if self._client_is_modern else []

    def _translated(self, event: h11.Event) -> bytes:
        return self._client.conn.send(event) or b""

    @property
    def _client_is_modern(self) -> bool:
        return self._request.http_version >= b"1.1"

    async def _tunnel(self, line: HttpWire, switch: h11.InformationalResponse) -> None:
        """Pass the handshake on and let the bytes flow; two records, the first before the 101."""
        if line.conn.our_state is not h11.SWITCHED_PROTOCOL:
            raise UpstreamError("upstream-protocol")
        self._note.upgraded = True
        self._note.answered(101)
        self._desk.log(self._note.record("open"))
        self._client.wire.on_gone = None
        self._client.send(_for_client(switch))
        tunnel = Tunnel(self._client.wire, line.wire)
        try:
            await tunnel.run(self._client.conn.trailing_data[0], line.conn.trailing_data[0])
        finally:
            self._note.bytes_in, self._note.bytes_out = tunnel.from_client, tunnel.from_service
            self._note.ws_close = tunnel.close
        if tunnel.close is None:
            self._note.error = "client-gone" if tunnel.ended_by == "client" else "upstream-closed"
        self._log("close")

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        self._answer_self(own_answers.for_bad_request(error.error_status_hint))

    def _answer_self(self, answer: OwnAnswer) -> None:
        if self._client.wire.gone:
            raise ClientGoneError
        self._note.answered(answer.status)
        self._note.error = answer.mark
        self._log("request")
        unread = self._client.conn.their_state in (h11.SEND_BODY, h11.ERROR)
        head_only = self._request.method == b"HEAD"
        self._client.send(*answer.events(head_only=head_only, closing=unread))

    def _log(self, event: Event) -> None:
        self._logged = True
        self._desk.log(self._note.record(event))


async def _receive(line: HttpWire) -> None:
    try:
        await line.receive()
    except ConnectionResetError:
        raise UpstreamError("upstream-closed") from None


def _for_client(
    head: h11.Response | h11.InformationalResponse,
) -> h11.Response | h11.InformationalResponse:
    return type(head)(
        status_code=head.status_code, reason=head.reason, headers=proxy_headers.for_client(head)
    )
