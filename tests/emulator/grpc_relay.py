"""Bytes between a gRPC client and the server, so that a connection can be cut as a network does."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final

from emulator.listener import Listener, cut

_CHUNK: Final = 262_144


class GrpcRelay:
    """`port` is the one that clients are told of."""

    def __init__(self, inner: int, port: int = 0) -> None:
        self._inner = inner
        self._by_peer: dict[int, socket.socket] = {}
        self._listener = Listener(self._serve, "emulator-relay", port)
        self.port = self._listener.port

    def drop(self, peer: str) -> None:
        """Cut the connection that the server knows as `ipv4:127.0.0.1:PORT`."""
        client = self._by_peer.get(int(peer.rpartition(":")[2]))
        if client is not None:
            cut(client)

    def close(self) -> None:
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with (
            socket.create_connection(("127.0.0.1", self._inner)) as server,
            self._listener.tracking(server),
        ):
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            own = int(server.getsockname()[1])
            self._by_peer[own] = client
            try:
                both_ways(client, server)
            finally:
                self._by_peer.pop(own, None)


def both_ways(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes until either side ends; then both have ended."""
    back = threading.Thread(target=_carry, args=(other, one), name="emulator-relay-back")
    back.start()
    _carry(one, other)
    back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    cut(source)
    cut(target)
