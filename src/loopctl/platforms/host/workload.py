"""What a revision runs: a process or a container, as all the rest of the host sees it."""

from __future__ import annotations

import asyncio
import select
from dataclasses import dataclass
from typing import Protocol

from loopctl.model.quantity import size
from loopctl.platforms.host.log_file import LogFile
from loopctl.process import signal_name
from loopctl.redact import Redactor


@dataclass(frozen=True, slots=True)
class Ended:
    """How a workload ended. `code` is negative for a signal; `stopped`: we asked for it.

    `memory_limit`: it needed more than that many bytes, 0 for all that the machine had. `lost`:
    why nobody knows how it ended; `code` means nothing then.
    """

    code: int
    after_s: float
    stopped: bool
    memory_limit: int | None = None
    lost: str | None = None

    @property
    def words(self) -> str:
        """`exited with 3 after 0.21 s`."""
        after = f"after {self.after_s:.2f} s"
        if self.lost is not None:
            return f"is lost {after}: {self.lost}"
        if self.memory_limit is not None:
            limit = f"its {size(self.memory_limit)} of " if self.memory_limit else ""
            return f"ran out of {limit}memory and was killed {after}"
        if self.code < 0:
            return f"ended by {signal_name(-self.code)} {after}"
        return f"exited with {self.code} {after}"

    def sentence(self, service: str) -> str:
        """The same of a service: `chat was ended by SIGKILL after 0.21 s`."""
        by_signal = self.code < 0 and self.lost is None and self.memory_limit is None
        return f"{service} {'was ' if by_signal else ''}{self.words}"


class Workload(Protocol):
    """Something that was started and serves, until it has ended."""

    @property
    def ended(self) -> asyncio.Future[Ended]:
        """Done once nothing of it runs any more and its log is whole."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        ...

    @property
    def ending(self) -> bool:
        """Whether its first process has gone, and how is being found out: `ended` comes soon."""
        ...

    @property
    def told(self) -> int:
        """The port that it was told to listen on."""
        ...

    @property
    def address(self) -> tuple[str, int]:
        """Host and port at which the front doors reach it."""
        ...

    @property
    def listening(self) -> frozenset[int]:
        """The ports that it listens on."""
        ...

    @property
    def loopback_only(self) -> frozenset[int]:
        """Those of them on which nobody outside of it is heard."""
        ...

    @property
    def accepting(self) -> bool:
        """Whether the port it was told takes connections."""
        ...

    async def stop(self) -> Ended:
        """SIGTERM, some grace, SIGKILL; how it ended."""
        ...


class Launch(Protocol):
    """All that is needed to start a revision's workload, again and again."""

    async def prepare(self) -> None:
        """See that all it needs is there. Raises `PlatformError`, and then leaves nothing."""
        ...

    async def start(self, log: LogFile, redactor: Redactor) -> Workload:
        """Start it, in place of the one that has ended. Raises `PlatformError`."""
        ...

    async def remove(self) -> None:
        """Remove what it has left, its end supposed. Raises `PlatformError` if it cannot."""
        ...


def has_exited(process: int) -> bool:
    """Whether the process of that descriptor (`pidfd_open`) has ended, as the kernel knows it now.

    An event loop hears of it a moment later.
    """
    look = select.poll()
    look.register(process, select.POLLIN)
    return bool(look.poll(0))
