"""One run at a time on a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from loopctl.errors import LockedError, PortError
from loopctl.model.artifact import Target
from loopctl.process import Stop


class LeaseError(PortError):
    """The lease's own record cannot be read or written."""


class HeldByOther(LockedError):
    """Another run holds the target; the message names it, since when and until when."""

    @classmethod
    def of(cls, held: Held, target: Target) -> HeldByOther:
        """What the run is told that comes too late."""
        return cls(
            f"{target.service} is held by run {held.run_id} ({held.holder}), since "
            f"{held.since:%Y-%m-%d %H:%M:%S} UTC until {held.until:%H:%M:%S} UTC",
            where=str(target),
            hint="wait for that run or stop it; its lease ends by itself with its process, "
            "and where that cannot be seen when its time is up",
        )


class LeaseLost(PortError):
    """The lease is not ours any more: no more effects."""

    @classmethod
    def to(cls, taker: Held | None, target: Target) -> LeaseLost:
        """What the run is told that held the target before; None: nobody holds it."""
        if taker is None:
            return cls(
                f"the lease on {target.service} is gone: somebody has released it",
                where=str(target),
                hint="this run changes nothing more; see who used `loopctl unlock`",
            )
        return cls(
            f"the lease on {target.service} was taken by run {taker.run_id} ({taker.holder}) "
            f"at {taker.since:%Y-%m-%d %H:%M:%S} UTC",
            where=str(target),
            hint="this run changes nothing more; see what that run did, then run again",
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A lease. `fence` changes with every taking, so that an old holder's writes can be told."""

    targets: tuple[Target, ...]
    run_id: str
    since: datetime
    until: datetime
    fence: str
    holder: str = ""


class Leases(Protocol):
    """Taken in sorted order of target, all or none."""

    def acquire(self, targets: Sequence[Target], run_id: str, ttl: float, stop: Stop) -> Held:
        """Take them for `ttl` seconds; raises `HeldByOther`. A dead holder is taken over."""
        ...

    def renew(self, held: Held, stop: Stop) -> Held:
        """Hold on; raises `LeaseLost`."""
        ...

    def release(self, held: Held) -> None:
        """Let go; nothing if it was lost already."""
        ...

    def peek(self, target: Target, stop: Stop) -> Held | None:
        """Who holds it now."""
        ...
