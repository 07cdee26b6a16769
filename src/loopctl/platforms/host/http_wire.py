"""HTTP/1.1 over one connection: h11 decides what the bytes mean, the wire moves them."""

from __future__ import annotations

from typing import Final

import h11

from loopctl.platforms.host.wire import Wire

#: Bytes of one head (request line and headers) that either side may send.
LONGEST_HEAD: Final = 32 * 1024

Pulled = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class HttpWire:
    """One side of an HTTP connection: the server's towards a client, or the client's."""

    __slots__ = ("conn", "heard", "wire")

    def __init__(self, wire: Wire, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self.wire = wire
        self.conn = h11.Connection(role, max_incomplete_event_size=LONGEST_HEAD)
        #: True once any byte of the message at hand has come.
        self.heard = False

    async def receive(self) -> None:
        """Wait for bytes and hand them to h11. Raises ConnectionResetError."""
        data = await self.wire.read()
        self.heard = self.heard or bool(data)
        self.conn.receive_data(data)

    async def event(self) -> Pulled:
        """Return the peer's next event, or h11.PAUSED.

        Raises h11.RemoteProtocolError, ConnectionResetError.
        """
        while True:
            event = self.conn.next_event()
            if event is not h11.NEED_DATA:
                return event
            await self.receive()

    def send(self, *events: h11.Event) -> None:
        """Queue events for the peer in one write."""
        self.wire.write(b"".join([self.conn.send(event) or b"" for event in events]))

    def next_cycle(self) -> bool:
        """Make ready for the next request on this connection; False when there can be none."""
        if self.conn.our_state is not h11.DONE or self.conn.their_state is not h11.DONE:
            return False
        self.conn.start_next_cycle()
        self.heard = False
        return True
