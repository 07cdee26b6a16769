"""Which revisions were verified, where the environment itself keeps that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loopctl.model.artifact import Revision, ServiceState
from loopctl.ports.leases import Held
from loopctl.process import Stop


class VerifiedMarks(Protocol):
    """What runs on any machine learn of each other's greens. Raises `PlatformError`.

    Where there is no such place, the runs of one machine know only their own.
    """

    def recall(self, service: str, stop: Stop) -> Sequence[str]:
        """The names of the revisions that were verified, the newest first."""
        ...

    def record(self, revision: Revision, run_id: str, held: Held, stop: Stop) -> ServiceState:
        """Note that a run has verified it, and let traffic be as it is to be after a green run.

        Idempotent; the state as read back. Raises `LeaseLost`.
        """
        ...
