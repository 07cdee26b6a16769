"""A bounded load on 127.0.0.1: a few kept-alive connections, each asking as fast as it is answered.

It is one asyncio loop over plain sockets, so that the client costs little beside what it measures.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise

_ASK = b"GET /thing HTTP/1.1\r\nHost: bench\r\n\r\n"


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
    """Ask for so long over so many connections."""
    until = time.perf_counter() + duration_s
    began = time.perf_counter()
    answered: list[tuple[float, float]] = []
    failures = await asyncio.gather(*(_ask(port, until, answered) for _ in range(connections)))
    took = time.perf_counter() - began
    moments = sorted(at for at, _ in answered)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    latencies = tuple(latency for _, latency in answered)
    return Load(latencies, sum(failures), max(gaps, default=took), took)


async def _ask(port: int, until: float, answered: list[tuple[float, float]]) -> int:
    failed = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < until:
        try:
            writer.write(_ASK)
            good = await asyncio.wait_for(_answer(reader), timeout=5)
        except (OSError, EOFError, TimeoutError):
            good = False
        if good:
            ended = time.perf_counter()
            answered.append((ended, ended - began))
        else:
            failed += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return failed


async def _answer(reader: asyncio.StreamReader) -> bool:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return b" 200 " in lines[0]
