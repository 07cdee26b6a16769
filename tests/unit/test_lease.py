"""A lease is held for as long as a run goes on, and no longer believed in than that."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from fakes import FakeLeases

from loopctl.machine.lease import LEASE_LOST, Lease, Pace, holding
from loopctl.model.artifact import Target
from loopctl.ports.leases import Held, HeldByOther, LeaseError, LeaseLost
from loopctl.process import Stop

TARGETS = [Target("fake", "here", "chat")]
QUICK = Pace(ttl_s=30.0, renew_every_s=0.01)


class Renewing(FakeLeases):
    """Gives every renewal a fence of its own, and tells when there have been some."""

    def __init__(self, enough: int = 2) -> None:
        super().__init__()
        self.renewed = threading.Event()
        self.released: list[str] = []
        self._enough = enough
        self._count = 0

    def renew(self, held: Held, stop: Stop) -> Held:
        self._count += 1
        if self._count >= self._enough:
            self.renewed.set()
        super().renew(held, stop)
        self.held = replace(held, fence=f"fence-{self._count + 1}")
        return self.held

    def release(self, held: Held) -> None:
        self.released.append(held.fence)
        super().release(held)


def stopped(stop: Stop) -> str | None:
    """Why it was stopped; waits for that at most five seconds."""
    told = threading.Event()
    for _ in range(500):
        if stop.reason is not None:
            break
        told.wait(0.01)
    return stop.reason


def test_it_is_renewed_in_the_background_and_the_newest_is_let_go_of() -> None:
    leases, stop = Renewing(), Stop()
    with holding(leases, TARGETS, "run-1", stop, QUICK) as lease:
        assert leases.renewed.wait(5.0)
        assert lease.held().run_id == "run-1"
    assert stop.reason is None
    assert leases.held is None
    assert leases.released != ["fence-1"]


def test_a_lease_that_is_lost_stops_the_run_and_is_not_handed_out_again() -> None:
    leases, stop = Renewing(), Stop()
    leases.fails["renew"] = LeaseLost("taken by run 8", where="chat", hint="see run 8")
    with holding(leases, TARGETS, "run-1", stop, QUICK) as lease:
        assert stopped(stop) == LEASE_LOST
        with pytest.raises(LeaseLost) as lost:
            lease.held()
    assert lost.value.what == "taken by run 8", "place and hint are not part of what happened"
    assert leases.released == [], "what is another's is not let go of"


def test_a_renewal_that_fails_once_is_tried_again() -> None:
    leases, stop = Renewing(enough=3), Stop()
    leases.fails["renew"] = LeaseError("the record cannot be written")
    with holding(leases, TARGETS, "run-1", stop, QUICK) as lease:
        assert leases.renewed.wait(5.0)
        assert lease.held().fence == "fence-1"
        assert stop.reason is None


def test_a_lease_that_could_not_be_renewed_in_time_is_lost() -> None:
    leases, stop = Renewing(), Stop()
    leases.fails["renew"] = LeaseError("the record cannot be written")
    with holding(leases, TARGETS, "run-1", stop, Pace(0.05, 0.01)) as lease:
        assert stopped(stop) == LEASE_LOST
        with pytest.raises(LeaseLost, match="ran out"):
            lease.held()


def test_what_another_holds_is_not_begun() -> None:
    leases = FakeLeases()
    leases.fails["acquire"] = HeldByOther("held by run 8")
    with pytest.raises(HeldByOther), holding(leases, TARGETS, "run-1", Stop()):
        pytest.fail("nothing may be done without a lease")
    assert leases.calls == ["acquire"]


def test_it_is_let_go_of_when_the_run_breaks() -> None:
    leases = FakeLeases()
    with pytest.raises(KeyError), holding(leases, TARGETS, "run-1", Stop()):
        raise KeyError("x")
    assert leases.held is None


@pytest.mark.parametrize("error", [LeaseLost("gone"), LeaseError("no space")])
def test_one_that_cannot_be_let_go_of_runs_out_by_itself(error: Exception) -> None:
    leases = FakeLeases()
    leases.fails["release"] = error
    with holding(leases, TARGETS, "run-1", Stop()):
        pass


def test_a_lease_says_what_to_do_when_it_is_lost() -> None:
    lease = Lease(FakeLeases().acquire(TARGETS, "run-1", 1.0, Stop()), ttl_s=-1.0)
    with pytest.raises(LeaseLost) as raised:
        lease.held()
    assert raised.value.hint
