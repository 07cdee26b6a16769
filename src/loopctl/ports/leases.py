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


class LeaseLost(PortError):
    """The lease is not ours any more: no more effects."""


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
