"""Whether a run's lease still allows a write: looked for as part of every write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from google.cloud.run_v2 import Service

from loopctl.errors import Problem
from loopctl.platforms.cloud_run.api import Paths
from loopctl.ports.leases import Held, Leases
from loopctl.process import Stop


class Fence(Protocol):
    """Stands before every write of a run."""

    def fence(self, service: Service, held: Held, stop: Stop) -> Paths:
        """Let a write to what was just read pass; the paths changed for it, in place.

        Raises `LeaseLost`.
        """
        ...

    def new_service(self, service: Service, held: Held, stop: Stop) -> None:
        """Make a service that is about to be made as much the run's as others. Raises `LeaseLost`.

        Nobody else can have made it: that is what making it finds out.
        """
        ...

    def problems(self) -> Sequence[Problem]:
        """Why the lease could not be written, where this account may not."""
        ...


class LeaseElsewhere:
    """The fence of leases that are kept apart from the services: each write renews them first."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    def fence(self, service: Service, held: Held, stop: Stop) -> Paths:
        """Renew; the service itself is left alone."""
        self._leases.renew(held, stop)
        return []

    def new_service(self, service: Service, held: Held, stop: Stop) -> None:
        """Renew."""
        self._leases.renew(held, stop)

    def problems(self) -> Sequence[Problem]:
        """None: what cannot be taken ends the run before its first step."""
        return ()
