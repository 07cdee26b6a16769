"""Holding a lease for as long as a run goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loopctl.errors import Stopped
from loopctl.model.artifact import Target
from loopctl.ports.leases import Held, LeaseError, LeaseLost, Leases
from loopctl.process import Stop, TaskScope

LEASE_LOST = "lease lost"

TTL_S = 90.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a lease lasts, and between two renewals of it."""

    ttl_s: float = TTL_S
    renew_every_s: float = 30.0


PACE = Pace()


class Lease:
    """The lease as the stages see it: `held()` is the newest, or raises `LeaseLost`."""

    def __init__(self, held: Held, ttl_s: float = TTL_S) -> None:
        self._held = held
        self._ttl_s = ttl_s
        self._renewed = time.monotonic()
        self._lost: str | None = None
        self._lock = threading.Lock()

    def held(self) -> Held:
        """The lease to hand to the next effect; raises `LeaseLost` once it is not ours."""
        with self._lock:
            if self.has_lapsed:
                self._lost = self._lost or "the lease ran out before it could be renewed"
            if self._lost is not None:
                raise LeaseLost(self._lost, hint="no more effects; look who holds it: loopctl plan")
            return self._held

    @property
    def has_lapsed(self) -> bool:
        """Whether it was not renewed in time: whoever asked since may hold it."""
        return time.monotonic() - self._renewed > self._ttl_s

    def renew(self, leases: Leases, stop: Stop) -> None:
        """Hold on; notes the loss for everyone who asks."""
        asked = time.monotonic()
        try:
            fresh = leases.renew(self.held(), stop)
        except LeaseLost as error:
            with self._lock:
                self._lost = error.what
            raise
        with self._lock:
            self._held, self._renewed = fresh, asked


@contextlib.contextmanager
def holding(
    leases: Leases, targets: Sequence[Target], run_id: str, stop: Stop, pace: Pace = PACE
) -> Iterator[Lease]:
    """Take the lease, renew it in the background, let it go at the end.

    A lease that is lost stops the run (`stop.reason` is `LEASE_LOST`). Raises `HeldByOther` and
    `LeaseError` when it cannot be taken.
    """
    lease = Lease(leases.acquire(targets, run_id, pace.ttl_s, stop), pace.ttl_s)
    keeper = Stop()

    def renew(_: Stop) -> None:
        with contextlib.suppress(Stopped):
            while True:
                keeper.wait(pace.renew_every_s)
                _renew_or_stop(lease, leases, keeper, stop)

    try:
        with TaskScope(Stop()) as scope:
            scope.start("lease", renew)
            try:
                yield lease
            finally:
                keeper.stop("the run is over")
    finally:
        # One that cannot be let go of runs out by itself.
        with contextlib.suppress(LeaseLost, LeaseError):
            leases.release(lease.held())


def _renew_or_stop(lease: Lease, leases: Leases, keeper: Stop, run: Stop) -> None:
    try:
        lease.renew(leases, keeper)
    except LeaseLost:
        run.stop(LEASE_LOST)
        keeper.stop(LEASE_LOST)
    except LeaseError:
        # One record that cannot be written now is tried again well before the lease runs out.
        if lease.has_lapsed:
            run.stop(LEASE_LOST)
            keeper.stop(LEASE_LOST)
