"""Holding a lease for as long as a run goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

from loopctl.errors import Stopped
from loopctl.model.artifact import Target
from loopctl.ports.leases import Held, LeaseError, LeaseLost, Leases
from loopctl.process import Stop, TaskScope

LEASE_LOST = "lease lost"
TTL_S = 90.0
RENEW_EVERY_S = 30.0


class Lease:
    """The lease as the stages see it: `held()` is the newest, or raises `LeaseLost`."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._lost: str | None = None
        self._lock = threading.Lock()

    def held(self) -> Held:
        """The lease to hand to the next effect; raises `LeaseLost` once it is not ours."""
        with self._lock:
            if self._lost is not None:
                raise LeaseLost(self._lost, hint="no more effects; look who holds it: loopctl plan")
            return self._held

    def renew(self, leases: Leases, stop: Stop) -> None:
        """Hold on; notes the loss for everyone who asks."""
        try:
            fresh = leases.renew(self.held(), stop)
        except LeaseLost as error:
            with self._lock:
                self._lost = str(error)
            raise
        with self._lock:
            self._held = fresh


@contextlib.contextmanager
def holding(leases: Leases, targets: Sequence[Target], run_id: str, stop: Stop) -> Iterator[Lease]:
    """Take the lease, renew it in the background, let it go at the end.

    A lease that is lost stops the run (`stop.reason` is `LEASE_LOST`).
    """
    lease = Lease(leases.acquire(targets, run_id, TTL_S, stop))
    keeper = Stop()

    def renew(_: Stop) -> None:
        with contextlib.suppress(Stopped):
            while True:
                keeper.wait(RENEW_EVERY_S)
                _renew_or_stop(lease, leases, keeper, stop)

    try:
        with TaskScope(Stop()) as scope:
            scope.start("lease", renew)
            try:
                yield lease
            finally:
                keeper.stop("the run is over")
    finally:
        with contextlib.suppress(LeaseLost):
            leases.release(lease.held())


def _renew_or_stop(lease: Lease, leases: Leases, keeper: Stop, run: Stop) -> None:
    try:
        lease.renew(leases, keeper)
    except LeaseLost:
        run.stop(LEASE_LOST)
        keeper.stop(LEASE_LOST)
    except LeaseError:
        # One record that cannot be written now is tried again well before the lease runs out.
        return
