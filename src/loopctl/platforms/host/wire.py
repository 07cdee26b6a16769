"""One TCP connection: bytes in and out with backpressure, and word when the peer is gone."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

_HOLD_AT_MOST: Final = 256 * 1024
# struct linger {on, 0 seconds}: without it the kernel ends a cut connection politely (socket(7)).
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Wire(asyncio.Protocol):
    """A connection that one task reads and one task writes.

    asyncio's own streams cannot tell that a peer has gone while nobody reads; a proxy must know,
    to stop the work behind an answer that nobody waits for.
    """

    def __init__(self, on_open: Callable[[Wire], None] | None = None) -> None:
        #: Called once, when the peer has ended its side or the connection is lost.
        self.on_gone: Callable[[], None] | None = None
        #: True when the peer will send nothing more.
        self.gone = False
        self._on_open = on_open
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._held = 0
        self._lost = False
        self._reset = False
        self._choked = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    @property
    def peer(self) -> tuple[str, int]:
        """The peer's address and port; empty and 0 when it went before it was asked."""
        name = self._open_transport.get_extra_info("peername")
        return (str(name[0]), int(name[1])) if name else ("", 0)

    @property
    def quiet(self) -> bool:
        """True while the connection is up and everything the peer sent has been read."""
        return not self.gone and not self._chunks and not self._open_transport.is_closing()

    async def read(self) -> bytes:
        """Return what has come since the last read, empty at the end.

        Raises ConnectionResetError when the connection broke, once all that came is read.
        """
        if not self._chunks and not self.gone:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if not self._chunks and self._reset:
            raise ConnectionResetError("the peer broke the connection")
        data = b"".join(self._chunks)
        self._chunks.clear()
        if self._held > _HOLD_AT_MOST and not self._lost:
            self._open_transport.resume_reading()
        self._held = 0
        return data

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer; they are dropped when the connection is lost."""
        if data and not self._lost:
            self._open_transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer keeps up. Raises ConnectionResetError when it is lost."""
        if self._choked and not self._lost:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        if self._lost:
            raise ConnectionResetError("the connection is lost")

    def write_eof(self) -> None:
        """End our side; the peer may go on sending."""
        if not self._lost and not self._open_transport.is_closing():
            self._open_transport.write_eof()

    def close(self) -> None:
        """Close once everything queued has been sent."""
        self._open_transport.close()

    def abort(self) -> None:
        """Cut the connection now, by a reset: the peer cannot take it for an end."""
        if not self._open_transport.is_closing():
            peer = self._open_transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._open_transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio calls this)."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._on_open is not None:
            self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Hold bytes until they are read (asyncio calls this)."""
        self._chunks.append(data)
        self._held += len(data)
        if self._held > _HOLD_AT_MOST:
            self._open_transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        """Keep our side open: the peer may still want its answer (asyncio calls this)."""
        self._peer_gone()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits (asyncio calls this)."""
        self._lost = True
        self._reset = exc is not None
        self._peer_gone()
        _wake(self._writer)

    def pause_writing(self) -> None:
        """Make `drain` wait (asyncio calls this)."""
        self._choked = True

    def resume_writing(self) -> None:
        """Let `drain` go on (asyncio calls this)."""
        self._choked = False
        _wake(self._writer)

    def _peer_gone(self) -> None:
        if self.gone:
            return
        self.gone = True
        _wake(self._reader)
        if self.on_gone is not None:
            self.on_gone()

    @property
    def _open_transport(self) -> asyncio.Transport:
        assert self._transport is not None, "used before it was connected"
        return self._transport


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
