"""Connections to the processes behind a front door, kept alive between requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import h11

from loopctl.platforms.host.http_wire import HttpWire
from loopctl.platforms.host.wire import Wire

CONNECT_LIMIT_S: Final = 5.0
# Shorter than what servers in common use grant an idle connection (uvicorn and node: 5 s), so
# that it is nearly always us who close, and no request meets a closing server.
IDLE_LIMIT_S: Final = 4.0
IDLE_AT_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Upstream:
    """A revision's process: where it listens."""

    revision: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port, as in a Host header."""
        return f"{self.host}:{self.port}"


class UpstreamError(Exception):
    """The upstream gave no whole answer; `mark` is the word for it in log and header."""

    def __init__(self, mark: str) -> None:
        super().__init__(mark)
        self.mark = mark


class UpstreamPool:
    """Idle connections, by upstream."""

    def __init__(self) -> None:
        self._idle: dict[Upstream, list[_Idle]] = {}

    async def connect(self, upstream: Upstream) -> HttpWire:
        """Open a fresh connection. Raises UpstreamError.

        It takes the place of an idle one: a server that serves one connection at a time would
        else not come to it before that one is let go.
        """
        if (idle := self.take(upstream)) is not None:
            idle.wire.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                _, wire = await loop.create_connection(Wire, upstream.host, upstream.port)
        except TimeoutError:
            raise UpstreamError("upstream-timeout") from None
        except ConnectionRefusedError:
            raise UpstreamError("upstream-refused") from None
        except OSError:
            raise UpstreamError("upstream-unreachable") from None
        return HttpWire(wire, h11.CLIENT)

    def take(self, upstream: Upstream) -> HttpWire | None:
        """Return the idle connection used last, or None."""
        kept = self._idle.get(upstream, [])
        while kept:
            idle = kept.pop()
            idle.wake()
            if idle.line.wire.quiet:
                return idle.line
            idle.line.wire.close()
        return None

    def give(self, upstream: Upstream, line: HttpWire) -> None:
        """Keep a connection whose exchange is complete, or close it when it cannot be kept."""
        kept = self._idle.setdefault(upstream, [])
        rest, _ = line.conn.trailing_data
        if rest or not line.wire.quiet or len(kept) >= IDLE_AT_MOST or not line.next_cycle():
            line.wire.close()
            return
        kept.append(_Idle(line, kept))

    def drop(self, upstream: Upstream) -> None:
        """Close the idle connections to `upstream`."""
        for idle in list(self._idle.pop(upstream, [])):
            idle.expire()

    def close(self) -> None:
        """Close every idle connection."""
        for upstream in list(self._idle):
            self.drop(upstream)


class _Idle:
    """A connection in the pool; it leaves by itself when it gets old or the server ends it."""

    __slots__ = ("_shelf", "_timer", "line")

    def __init__(self, line: HttpWire, shelf: list[_Idle]) -> None:
        self.line = line
        self._shelf = shelf
        self._timer = asyncio.get_running_loop().call_later(IDLE_LIMIT_S, self.expire)
        line.wire.on_gone = self.expire

    def wake(self) -> None:
        self._timer.cancel()
        self.line.wire.on_gone = None

    def expire(self) -> None:
        self.wake()
        if self in self._shelf:
            self._shelf.remove(self)
        self.line.wire.close()
