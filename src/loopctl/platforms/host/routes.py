"""Who gets the next request, and who still has how many."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loopctl.platforms.host.upstreams import Upstream

Shares = Sequence[tuple[Upstream, int]]


class Routes:
    """The shares of a service's traffic, in percent; without any there is nobody to ask."""

    def __init__(self) -> None:
        self._shares: tuple[tuple[Upstream, int], ...] = ()
        self._credit: list[int] = []

    @property
    def upstreams(self) -> frozenset[Upstream]:
        """Everyone who may get the next request."""
        return frozenset(upstream for upstream, _ in self._shares)

    def switch(self, shares: Shares) -> None:
        """Let the next request follow `shares`. Raises ValueError unless they add up to 100."""
        percents = [percent for _, percent in shares]
        if shares and (sum(percents) != 100 or min(percents) < 0):
            raise ValueError(f"shares must add up to 100 percent, not {percents}")
        self._shares = tuple((upstream, percent) for upstream, percent in shares if percent)
        self._credit = [0] * len(self._shares)

    def choose(self) -> Upstream | None:
        """Return who gets the next request: exact over any hundred, and evenly spread."""
        if not self._shares:
            return None
        for at, (_, percent) in enumerate(self._shares):
            self._credit[at] += percent
        chosen = max(range(len(self._credit)), key=self._credit.__getitem__)
        self._credit[chosen] -= 100
        return self._shares[chosen][0]


class InFlight:
    """Counts the requests and tunnels that each revision still has."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._drained: dict[str, asyncio.Event] = {}

    @contextmanager
    def one(self, revision: str) -> Iterator[None]:
        """Count one more while the block runs."""
        self._counts[revision] += 1
        try:
            yield
        finally:
            self._counts[revision] -= 1
            if not self._counts[revision]:
                del self._counts[revision]
                self._drained.pop(revision, asyncio.Event()).set()

    def of(self, revision: str) -> int:
        """Return how many are going on."""
        return self._counts[revision]

    async def drained(self, revision: str, timeout_s: float) -> bool:
        """Wait until none is going on; False when some still are after `timeout_s`."""
        if not self._counts[revision]:
            return True
        event = self._drained.setdefault(revision, asyncio.Event())
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True
