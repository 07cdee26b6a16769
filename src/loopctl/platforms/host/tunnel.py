"""A WebSocket connection behind its handshake: bytes both ways, as they come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from loopctl.platforms.host.close_frames import FrameWalker
from loopctl.platforms.host.request_log import Peer, WsClose
from loopctl.platforms.host.wire import Wire

# After one side has ended, a WebSocket has nothing left to say; a dead peer must not keep it.
LINGER_S: Final = 10.0


@dataclass(slots=True)
class _Side:
    name: Peer
    wire: Wire
    walker: FrameWalker
    sent: int = 0


class Tunnel:
    """Carries bytes between two wires until both sides ended; notes who closed, and why."""

    def __init__(self, client: Wire, service: Wire) -> None:
        self.close: WsClose | None = None
        #: Who ended its side first.
        self.ended_by: Peer | None = None
        self._client = _Side("client", client, FrameWalker())
        self._service = _Side("service", service, FrameWalker())

    @property
    def from_client(self) -> int:
        """Bytes that came from the client."""
        return self._client.sent

    @property
    def from_service(self) -> int:
        """Bytes that came from the service."""
        return self._service.sent

    async def run(self, early_client: bytes, early_service: bytes) -> None:
        """Carry everything, beginning with what came together with the handshake."""
        ways = [
            asyncio.create_task(self._carry(self._client, self._service, early_client)),
            asyncio.create_task(self._carry(self._service, self._client, early_service)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            _, stuck = await asyncio.wait(ways, timeout=LINGER_S)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        for side in (self._client, self._service):
            if stuck:
                side.wire.abort()
            else:
                side.wire.close()

    async def _carry(self, source: _Side, target: _Side, data: bytes) -> None:
        """Carry one way until `source` ends, or nobody takes its bytes any more."""
        while data or (data := await _read(source.wire)):
            self._watch(source, data)
            target.wire.write(data)
            data = b""
            try:
                await target.wire.drain()
            except ConnectionResetError:
                # The target's own way sees this end too, and it is the one to tell whose it is.
                return
        self.ended_by = self.ended_by or source.name
        target.wire.write_eof()

    def _watch(self, source: _Side, data: bytes) -> None:
        source.sent += len(data)
        source.walker.feed(data)
        if self.close is None and (seen := source.walker.close) is not None:
            self.close = WsClose(code=seen.code, reason=seen.reason, by=source.name)


async def _read(wire: Wire) -> bytes:
    """Read; a broken connection is an end like any other once the handshake is over."""
    try:
        return await wire.read()
    except ConnectionResetError:
        return b""
