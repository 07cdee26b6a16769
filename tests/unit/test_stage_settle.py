"""SETTLE puts back what this cycle changed, and touches nothing that is not this run's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from fakes import EFFECTS, FakePlatform, revision, serving
from loop_rig import RUN_ID, a_journal, a_service, held, written

from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.events import Event, Intent, Result, RevisionDeployed, Routed, ServiceObserved
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind
from loopctl.ports.leases import Held, LeaseLost
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.stages.settle import Settle

OLD = {"chat-old": 100}
NEW = {"chat-new": 100}


class Aftermath:
    """What a cycle has done to `services` until it failed."""

    def __init__(self, folder: Path, *services: str) -> None:
        self.services = [a_service(name) for name in services or ("chat",)]
        self.platform = FakePlatform(*(s.name for s in self.services))
        self.events: list[Event] = []
        self.journal = a_journal(folder, self.services, subscribers=[self.events.append])

    def observed(self, service: str = "chat") -> Aftermath:
        state = self.platform.states[service]
        self.journal.append(ServiceObserved("before", state), service=service)
        return self

    def deployed(self, service: str = "chat", *, recorded: bool = True) -> Aftermath:
        key = f"{RUN_ID}/{self.journal.cycle}/{service}/sha256:x"
        self.journal.append(Intent("deploy", key, {"share": "none"}), service=service)
        new = Revision(service, f"{service}-new", "sha256:x", revision("", "").created_at, key)
        state = self.platform.states[service] or serving(service, {})
        self.platform.states[service] = ServiceState(
            service, state.url, state.ws_url, state.traffic, (*state.revisions, new), "2"
        )
        if recorded:
            self.journal.append(RevisionDeployed(new, "none"), service=service)
        return self

    def promoted(self, service: str = "chat", *, recorded: bool = True) -> Aftermath:
        self.platform.move(service, {f"{service}-new": 100})
        state = self.platform.states[service]
        if recorded and state is not None:
            self.journal.append(Routed(state, "promote"), service=service)
        return self

    def settle(self, *, keep: bool = False, within: float = 5.0) -> Outcome:
        stage = Settle(self.services, self.platform, held, keep)
        return stage(self.journal.fold.cycle(), self.journal, Stop(within))

    @property
    def effects(self) -> list[str]:
        return self.platform.effects(*EFFECTS)


def test_a_cycle_that_wrote_nothing_is_not_even_looked_at(tmp_path: Path) -> None:
    after = Aftermath(tmp_path)
    assert after.settle() == Outcome(OutcomeKind.OK, "nothing had been changed")
    assert after.platform.calls == []


def test_a_candidate_without_traffic_is_discarded_and_no_traffic_is_sent(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed()
    assert after.settle().kind is OutcomeKind.OK
    assert after.effects == ["discard chat chat-new"]


def test_promoted_traffic_goes_back_and_is_read_back(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed().promoted()
    assert after.settle().kind is OutcomeKind.OK
    assert after.effects == ["route chat chat-old=100", "discard chat chat-new"]
    record = after.journal.fold.cycle().services["chat"]
    assert record.restored
    assert not record.promoted


@pytest.mark.parametrize("recorded", [True, False])
def test_a_promotion_nobody_wrote_down_is_put_back_all_the_same(
    tmp_path: Path, recorded: bool
) -> None:
    after = Aftermath(tmp_path).observed().deployed(recorded=recorded).promoted(recorded=False)
    assert after.settle().kind is OutcomeKind.OK
    assert after.platform.traffic("chat") == OLD
    assert after.platform.revisions("chat") == ["chat-old"]


def test_a_revision_of_another_run_is_never_discarded(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed()
    other = Revision(
        "chat", "chat-other", "sha256:x", revision("", "").created_at, "run-8/1/chat/x"
    )
    state = after.platform.states["chat"]
    assert state is not None
    after.platform.states["chat"] = ServiceState(
        "chat", state.url, state.ws_url, state.traffic, (*state.revisions, other), "2"
    )
    assert after.settle().kind is OutcomeKind.OK
    assert after.effects == []


def test_traffic_goes_back_before_a_deployment_that_is_still_going_on_is_waited_for(
    tmp_path: Path,
) -> None:
    after = Aftermath(tmp_path, "auth", "chat").observed("auth").observed("chat")
    after.deployed("auth").promoted("auth", recorded=False)
    key = f"{RUN_ID}/{after.journal.cycle}/chat/sha256:x"
    after.journal.append(Intent("deploy", key, {"share": "all"}), service="chat")
    after.platform.unsure = 1_000
    outcome = after.settle(within=0.3)
    assert outcome.kind is OutcomeKind.OK
    assert after.effects == ["route auth auth-old=100", "discard auth auth-new"]
    assert "is ending" in outcome.detail


def test_split_traffic_goes_back_as_it_was_split(tmp_path: Path) -> None:
    after = Aftermath(tmp_path)
    after.platform.move("chat", {"chat-old": 90, "chat-older": 10})
    after.observed().deployed().promoted()
    assert after.settle().kind is OutcomeKind.OK
    assert after.platform.traffic("chat") == {"chat-old": 90, "chat-older": 10}


def test_traffic_that_does_not_go_back_is_a_failed_restore(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed().promoted()
    after.platform.stubborn.add("chat")
    outcome = after.settle()
    assert outcome.kind is OutcomeKind.ERRORED
    assert "chat-new 100 %, not chat-old 100 %" in outcome.detail
    assert after.platform.effects("discard") == []


def test_a_candidate_that_cannot_be_discarded_is_told(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed().promoted()
    after.platform.fails["discard"] = PlatformError("it does not stop", hint="kill it")
    outcome = after.settle()
    assert outcome.kind is OutcomeKind.ERRORED
    assert outcome.faults[0].hint == "kill it"
    assert after.platform.traffic("chat") == OLD


def test_a_service_that_is_gone_could_not_be_put_back(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed()
    after.platform.states["chat"] = None
    outcome = after.settle()
    assert outcome.kind is OutcomeKind.ERRORED
    assert "chat is gone" in outcome.detail
    assert after.effects == []


def test_a_service_that_cannot_be_observed_does_not_hold_up_the_other(tmp_path: Path) -> None:
    after = Aftermath(tmp_path, "chat", "worker").observed().deployed().promoted()
    after.observed("worker").deployed("worker").promoted("worker")
    after.platform.fails["observe worker"] = PlatformError("silent")
    assert after.settle().kind is OutcomeKind.ERRORED
    assert after.platform.traffic("chat") == OLD


@pytest.mark.parametrize(
    "traffic", [{"stranger": 100}, {"chat-old": 50, "chat-new": 50}, {"chat-old": 1, "x": 99}]
)
def test_a_strangers_traffic_stays(tmp_path: Path, traffic: Mapping[str, int]) -> None:
    after = Aftermath(tmp_path).observed().deployed().promoted()
    after.platform.move("chat", traffic)
    outcome = after.settle()
    assert outcome.kind is OutcomeKind.MOVED
    assert outcome.faults[0].kind is FaultKind.MOVED
    assert after.effects == []


def test_if_a_stranger_moved_one_service_none_is_touched(tmp_path: Path) -> None:
    after = Aftermath(tmp_path, "chat", "worker").observed().deployed().promoted()
    after.observed("worker").deployed("worker")
    after.platform.move("worker", {"stranger": 100})
    assert after.settle().kind is OutcomeKind.MOVED
    assert after.effects == []


def test_a_first_revision_stays_as_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    after = Aftermath(tmp_path)
    after.platform.states["chat"] = None
    after.observed().deployed().promoted()
    outcome = after.settle()
    assert outcome.kind is OutcomeKind.OK
    assert "first revision" in outcome.detail
    assert after.effects == []


def test_every_effect_stands_between_its_intent_and_its_result(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed().promoted()
    after.settle()
    intents = [e.key for e in written(after.events, Intent) if isinstance(e, Intent)]
    results = [e.key for e in written(after.events, Result) if isinstance(e, Result) and e.ok]
    assert intents[1:] == results == ["1/chat/restore", "1/chat/chat-new"]


def test_without_the_lease_nothing_is_touched(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed().promoted()

    def lost() -> Held:
        raise LeaseLost("taken")

    stage = Settle(after.services, after.platform, lost, keep=False)
    with pytest.raises(LeaseLost):
        stage(after.journal.fold.cycle(), after.journal, Stop(5.0))
    assert after.effects == []


def test_keep_leaves_all_as_it_is(tmp_path: Path) -> None:
    after = Aftermath(tmp_path).observed().deployed().promoted()
    outcome = after.settle(keep=True)
    assert outcome.detail == "left as it is (--keep)"
    assert after.platform.calls == []
