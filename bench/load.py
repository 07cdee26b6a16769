"""A bounded load on 127.0.0.1: a few connections, each asking as fast as it is answered.

It is one asyncio loop over plain sockets, so that the client costs little beside what it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

_KEPT = b"GET /thing HTTP/1.1\r\nHost: bench\r\n\r\n"
_CLOSED = b"GET /thing HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
# Whoever is refused tries again, yet not as fast as it is refused.
_PAUSE_S = 0.01
_LIMIT_S = 5


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: seconds of each answered request, failures, the longest silence."""

    latencies: tuple[float, ...]
    failed: int
    longest_gap_s: float
    seconds: float

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return len(self.latencies) / self.seconds


async def load(port: int, connections: int, duration_s: float) -> Load:
    """Ask for so long over so many connections, which are kept."""
    until = time.perf_counter() + duration_s
    clients = [_Client(port, keep_alive=True) for _ in range(connections)]
    return await _all(clients, lambda: time.perf_counter() >= until)


async def load_during(
    work: Callable[[], None], port: int, connections: int, *, keep_alive: bool
) -> Load:
    """Ask for as long as `work`, in a thread, takes; without `keep_alive` each request connects."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    clients = [_Client(port, keep_alive=keep_alive) for _ in range(connections)]
    asked = await _all(clients, working.done)
    await working
    return asked


async def _all(clients: list[_Client], over: Callable[[], bool]) -> Load:
    began = time.perf_counter()
    await asyncio.gather(*(client.ask_until(over) for client in clients))
    took = time.perf_counter() - began
    answered = [each for client in clients for each in client.answered]
    moments = sorted(at for at, _ in answered)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    latencies = tuple(latency for _, latency in answered)
    failed = sum(client.failed for client in clients)
    return Load(latencies, failed, max(gaps, default=took), took)


class _Client:
    """One user, with at most one connection at a time."""

    def __init__(self, port: int, *, keep_alive: bool) -> None:
        self.answered: list[tuple[float, float]] = []
        self.failed = 0
        self._port = port
        self._keep_alive = keep_alive
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_until(self, over: Callable[[], bool]) -> None:
        """One request after the other."""
        while not over():
            began = time.perf_counter()
            try:
                good = await asyncio.wait_for(self._exchange(), timeout=_LIMIT_S)
            except (OSError, EOFError, TimeoutError):
                good = False
            if good:
                ended = time.perf_counter()
                self.answered.append((ended, ended - began))
            else:
                self.failed += 1
                await asyncio.sleep(_PAUSE_S)
            if not (good and self._keep_alive):
                self._close()
        self._close()

    async def _exchange(self) -> bool:
        if self._connection is None:
            self._connection = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._connection
        writer.write(_KEPT if self._keep_alive else _CLOSED)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        return b" 200 " in lines[0]

    def _close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None
