"""PROMOTE sends the traffic, CONFIRM looks at what users meet then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import (
    BEGAN,
    FakeLogs,
    FakePlatform,
    FakeProber,
    FakeReceipts,
    FakeSuite,
)
from loop_rig import RUN_ID, a_case, a_journal, a_service, a_suite, held, written

from loopctl.model.artifact import Artifact, ArtifactKind, Revision
from loopctl.model.events import (
    Event,
    ImageBuilt,
    Intent,
    LogsKept,
    NotChecked,
    RevisionDeployed,
    Routed,
    ServiceObserved,
)
from loopctl.model.evidence import CaseStatus
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import SuiteKind, SuitePhase
from loopctl.model.state import OutcomeKind
from loopctl.ports.leases import Held, LeaseLost
from loopctl.ports.logs import LogError
from loopctl.ports.platform import PlatformError
from loopctl.ports.probe import Answer
from loopctl.process import Stop
from loopctl.stages.confirm import Confirm
from loopctl.stages.keep_logs import LogKeeper
from loopctl.stages.promote import Promote
from loopctl.stages.suite_run import RunFacts, SuiteRunner
from loopctl.stages.suites import Course

SMOKE = a_suite("smoke", phase=SuitePhase.CONFIRM)
PUBLIC = "http://127.0.0.1/chat/health"


class Stand:
    """Verified candidates of `services`, with no traffic yet."""

    def __init__(self, folder: Path, *services: str) -> None:
        self.services = [a_service(name) for name in services or ("chat",)]
        self.platform = FakePlatform(*(s.name for s in self.services))
        self.suite, self.prober, self.logs = FakeSuite(), FakeProber(), FakeLogs()
        self.suite.cases["smoke"] = [a_case()]
        self.events: list[Event] = []
        self.journal = a_journal(folder, self.services, [SMOKE], subscribers=[self.events.append])
        for spec in self.services:
            self._candidate(spec.name)

    def _candidate(self, name: str) -> None:
        image = Artifact(name, ArtifactKind.FOLDER, "sha256:x", "images/x", "tree", BEGAN)
        new = Revision(name, f"{name}-new", "sha256:x", BEGAN, "key")
        before = self.platform.states[name]
        self.platform.move(name, {f"{name}-old": 100, new.name: 0})
        self.journal.append(ServiceObserved("before", before), service=name)
        self.journal.append(ImageBuilt(image, 0.1, "log"), service=name)
        self.journal.append(RevisionDeployed(new, "none"), service=name)
        seen = ServiceObserved("deployed", self.platform.states[name])
        self.journal.append(seen, service=name)

    def promote(self, lease: Callable[[], Held] = held) -> Outcome:
        stage = Promote(self.services, self.platform, lease)
        return stage(self.journal.fold.cycle(), self.journal, Stop(5.0))

    def confirm(self, *, suites: bool = True) -> Outcome:
        facts = RunFacts(RUN_ID, "local", loopback=True, health_paths={}, gated={})
        runner = SuiteRunner({SuiteKind.PYTEST: self.suite}, FakeReceipts(), facts)
        course = Course((SMOKE,) if suites else (), 1, runner)
        keeper = LogKeeper(self.logs, FakeReceipts())
        stage = Confirm(self.services, course, self.platform, self.prober, keeper)
        return stage(self.journal.fold.cycle(), self.journal, Stop(5.0))


def test_all_traffic_goes_to_the_candidate_and_is_read_back(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    assert stand.promote().kind is OutcomeKind.OK
    record = stand.journal.fold.cycle().services["chat"]
    assert record.promoted
    assert record.routed is not None
    assert record.routed.traffic == {"chat-new": 100}


def test_services_are_promoted_in_order_each_after_its_intent(tmp_path: Path) -> None:
    stand = Stand(tmp_path, "chat", "worker")
    stand.promote()
    order = [(type(e.payload), e.service) for e in stand.events if e.service][8:]
    assert [(k, s) for k, s in order if k in (Intent, Routed)] == [
        (Intent, "chat"),
        (Routed, "chat"),
        (Intent, "worker"),
        (Routed, "worker"),
    ]


def test_traffic_that_does_not_go_is_an_error(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.platform.stubborn.add("chat")
    outcome = stand.promote()
    assert outcome.kind is OutcomeKind.ERRORED
    assert "chat-old 100 %, not chat-new 100 %" in outcome.detail


def test_after_one_promotion_failed_the_next_is_not_tried(tmp_path: Path) -> None:
    stand = Stand(tmp_path, "chat", "worker")
    stand.platform.fails["route chat"] = PlatformError("refused")
    assert stand.promote().kind is OutcomeKind.ERRORED
    assert stand.platform.effects("route") == ["route chat chat-new=100"]


@pytest.mark.parametrize("service", ["chat", "worker"])
def test_if_any_service_has_moved_no_traffic_is_sent(tmp_path: Path, service: str) -> None:
    stand = Stand(tmp_path, "chat", "worker")
    stand.platform.move(service, {"stranger": 100})
    outcome = stand.promote()
    assert outcome.kind is OutcomeKind.MOVED
    assert "is stranger 100 % now" in outcome.detail
    assert stand.platform.effects("route") == []


def test_a_service_that_is_gone_is_not_promoted(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.platform.states["chat"] = None
    assert stand.promote().kind is OutcomeKind.MOVED


def test_without_the_lease_no_traffic_is_sent(tmp_path: Path) -> None:
    stand = Stand(tmp_path)

    def lost() -> Held:
        raise LeaseLost("taken")

    with pytest.raises(LeaseLost):
        stand.promote(lost)
    assert stand.platform.effects("route") == []


def test_the_public_address_is_asked_and_the_green_logs_are_kept(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.promote()
    assert stand.confirm().kind is OutcomeKind.OK
    assert f"get {PUBLIC} deny" in stand.prober.calls
    assert stand.suite.contexts["smoke"].endpoints["chat"].url == "http://127.0.0.1/chat"
    assert written(stand.events, LogsKept)


def test_green_logs_that_cannot_be_kept_are_told_and_the_run_stays_green(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.promote()
    stand.logs.fails["read"] = LogError("gone")
    assert stand.confirm().kind is OutcomeKind.OK
    (told,) = written(stand.events, NotChecked)
    assert isinstance(told, NotChecked)
    assert "gone" in told.why


def test_a_public_address_that_does_not_answer_well_is_a_failure(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.promote()
    stand.prober.answers[PUBLIC] = [Answer(503, 0.1, "", own=True)]
    outcome = stand.confirm()
    assert outcome.kind is OutcomeKind.FAILED
    assert "at its public address chat: /health answers 503" in outcome.detail
    assert stand.suite.effects("run") == []


def test_a_confirm_suite_that_fails_is_a_failure(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.promote()
    stand.suite.cases["smoke"] = [a_case(status=CaseStatus.FAILED)]
    assert stand.confirm().kind is OutcomeKind.FAILED


def moves(stand: Stand) -> None:
    stand.platform.move("chat", {"stranger": 100})


def changes(stand: Stand) -> None:
    stand.platform.content = "main.py differs"


def sickens(stand: Stand) -> None:
    stand.prober.answers[PUBLIC] = [Answer(503, 0.1, "")]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (moves, OutcomeKind.MOVED),
        (changes, OutcomeKind.UNPROVEN),
        (sickens, OutcomeKind.FAILED),
    ],
)
@pytest.mark.parametrize("when", ["before", "under the suites"])
def test_what_happens_to_the_public_service_is_seen_before_and_after_the_suites(
    tmp_path: Path, event: Callable[[Stand], None], kind: OutcomeKind, when: str
) -> None:
    stand = Stand(tmp_path)
    stand.promote()
    if when == "before":
        event(stand)
    else:
        stand.suite.hooks["run"] = lambda: event(stand)
    assert stand.confirm().kind is kind


def test_a_platform_that_fails_cannot_confirm_anything(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.promote()
    stand.platform.fails["serves_content"] = PlatformError("gone")
    outcome = stand.confirm(suites=False)
    assert (outcome.kind, outcome.faults[0].kind) == (OutcomeKind.ERRORED, FaultKind.CONTROL_PLANE)
