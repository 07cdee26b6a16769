"""One client's connection to the front door: its requests, one after another."""

from __future__ import annotations

import asyncio
from typing import Final

import h11

from loopctl.platforms.host import own_answers
from loopctl.platforms.host.exchange import ClientGoneError, Desk, Exchange
from loopctl.platforms.host.http_wire import HttpWire, Pulled
from loopctl.platforms.host.own_answers import OwnAnswer
from loopctl.platforms.host.request_log import OpenRequest
from loopctl.platforms.host.upstreams import UpstreamError
from loopctl.platforms.host.wire import Wire

# Between requests a client may be silent for ever; a head once begun has to come to its end.
HEAD_LIMIT_S: Final = 30.0
# How long what a client still sends is read away, so that closing does not destroy the answer.
_LINGER_S: Final = 2.0


class Relay:
    """Serves a client connection until either side wants it closed."""

    def __init__(self, desk: Desk, wire: Wire) -> None:
        self._desk = desk
        self._wire = wire
        self._client = HttpWire(wire, h11.SERVER)
        self._address, self._port = wire.peer

    async def serve(self) -> None:
        """Relay requests; at the end the connection is closed, or cut when an answer is not whole.

        A cut is what tells the client that the answer it has is not all of it.
        """
        try:
            while (request := await self._next_request()) is not None:
                await Exchange(self._desk, self._client, request, self._address).run()
                if not self._client.next_cycle():
                    break
            await self._hang_up()
        except (ClientGoneError, UpstreamError, ConnectionResetError):
            self._wire.abort()
        except BaseException:
            self._wire.abort()
            raise

    async def _next_request(self) -> h11.Request | None:
        """Return the next request; None when there is none, or it was refused."""
        try:
            event = await self._head()
        except h11.RemoteProtocolError as error:
            self._refuse(own_answers.for_bad_request(error.error_status_hint))
            return None
        except TimeoutError:
            self._refuse(own_answers.HEAD_TIMEOUT)
            return None
        return event if isinstance(event, h11.Request) else None

    async def _head(self) -> Pulled:
        event = self._client.conn.next_event()
        if event is not h11.NEED_DATA:
            return event
        if not self._client.conn.trailing_data[0]:
            await self._client.receive()
        async with asyncio.timeout(HEAD_LIMIT_S):
            return await self._client.event()

    def _refuse(self, answer: OwnAnswer) -> None:
        """Answer what never became a request; its record has no method and no path."""
        note = OpenRequest(service=self._desk.service, remote_port=self._port)
        note.answered(answer.status)
        note.error = answer.mark
        self._desk.log(note.record("request"))
        self._client.send(*answer.events(head_only=False, closing=True))

    async def _hang_up(self) -> None:
        if self._client.conn.their_state in (h11.SEND_BODY, h11.ERROR) and not self._wire.gone:
            self._wire.write_eof()
            try:
                async with asyncio.timeout(_LINGER_S):
                    while await self._wire.read():
                        pass
            except TimeoutError:
                pass
        self._wire.close()
