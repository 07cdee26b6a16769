"""VERIFY: the suites on the candidates, and the chain read again after them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import BEGAN, FakePlatform, FakeReceipts, FakeSuite, serving
from loop_rig import RUN_ID, a_case, a_journal, a_service, a_suite, written

from loopctl.model.artifact import Artifact, ArtifactKind, Revision
from loopctl.model.events import (
    ChainChecked,
    Event,
    ImageBuilt,
    RevisionDeployed,
    Routed,
    ServiceObserved,
)
from loopctl.model.evidence import CaseStatus
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import SuiteKind
from loopctl.model.state import OutcomeKind
from loopctl.ports.platform import Dead, PlatformError, Ready, Starting
from loopctl.process import Stop
from loopctl.stages.suite_run import RunFacts, SuiteRunner
from loopctl.stages.suites import Course
from loopctl.stages.traffic import said, shares, traffic_moved
from loopctl.stages.verify import Verify

IMAGE = "sha256:new"
READY = Ready("http://own/chat-new", "ws://own/chat-new")
DEAD = Dead(Fault(FaultKind.SIGNAL, "chat was killed by SIGSEGV", "chat", "11"))


class Trial:
    """A candidate beside what serves, and one suite to run on it."""

    def __init__(self, folder: Path, partial: str | None = None, *, deployed: bool = True) -> None:
        self.services, self.suites = [a_service()], [a_suite()]
        self.platform, self.suite = FakePlatform("chat", "files"), FakeSuite()
        self.suite.cases["p1"] = [a_case()]
        self.partial = partial
        self.events: list[Event] = []
        self.journal = a_journal(
            folder, self.services, self.suites, subscribers=[self.events.append]
        )
        if deployed:
            self._deploy()

    def _deploy(self) -> None:
        state = self.platform.states["chat"]
        assert state is not None
        self.journal.append(ServiceObserved("before", state), service="chat")
        self.artifact = Artifact("chat", ArtifactKind.FOLDER, IMAGE, "images/x", "tree", BEGAN)
        self.journal.append(ImageBuilt(self.artifact, 0.1, "log"), service="chat")
        self.deployed(IMAGE)

    def deployed(self, digest: str) -> None:
        new = Revision("chat", "chat-new", digest, BEGAN, "key")
        state = replace(serving("chat", {"chat-old": 100}), generation="2")
        state = replace(state, revisions=(*state.revisions, new))
        self.platform.states["chat"] = state
        self.journal.append(RevisionDeployed(new, "none"), service="chat")
        self.journal.append(ServiceObserved("deployed", state), service="chat")

    def verify(self) -> Outcome:
        facts = RunFacts(RUN_ID, "local", loopback=True, health_paths={}, gated={})
        runner = SuiteRunner({SuiteKind.PYTEST: self.suite}, FakeReceipts(), facts)
        stage = Verify(
            self.services,
            ["files"],
            {"payments": "https://pay.example/"},
            Course(tuple(self.suites), 1, runner),
            self.platform,
            self.partial,
        )
        return stage(self.journal.fold.cycle(), self.journal, Stop(10.0))

    def chain(self) -> ChainChecked:
        (checked,) = written(self.events, ChainChecked)
        assert isinstance(checked, ChainChecked)
        return checked


def test_the_candidate_is_tested_at_its_own_address_and_its_chain_holds(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    assert trial.verify().kind is OutcomeKind.OK
    assert trial.suite.contexts["p1"].endpoints["chat"].url == "http://own/chat-new"
    assert trial.chain() == ChainChecked("chat-new", 0, None)


def test_tests_meet_what_serves_of_services_that_are_left_alone(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.verify()
    endpoints = trial.suite.contexts["p1"].endpoints
    assert endpoints["files"].url == "http://127.0.0.1/files"
    assert endpoints["payments"].ws_url == "wss://pay.example"


def test_a_partial_run_says_why_it_may_not_promote(tmp_path: Path) -> None:
    outcome = Trial(tmp_path, "partial, by --suite").verify()
    assert outcome.kind is OutcomeKind.PARTIAL
    assert "partial, by --suite" in outcome.detail


def test_a_partial_run_that_is_red_is_red(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "partial, by --suite")
    trial.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    assert trial.verify().kind is OutcomeKind.FAILED


def dies(trial: Trial) -> None:
    trial.platform.statuses["chat-new"] = [DEAD]


def moves(trial: Trial) -> None:
    trial.platform.move("chat", {"stranger": 100})


def vanishes(trial: Trial) -> None:
    trial.platform.states["chat"] = serving("chat", {"chat-old": 100})


def is_taken_down(trial: Trial) -> None:
    trial.platform.states["chat"] = None


def changes(trial: Trial) -> None:
    trial.platform.content = "main.py differs"


def is_silent(trial: Trial) -> None:
    trial.platform.fails["observe"] = PlatformError("the host does not answer")


@pytest.mark.parametrize(
    ("event", "kind", "said_of_it"),
    [
        (dies, OutcomeKind.FAILED, "SIGSEGV"),
        (moves, OutcomeKind.MOVED, "is stranger 100 % now"),
        (vanishes, OutcomeKind.MOVED, "chat-new is gone"),
        (is_taken_down, OutcomeKind.MOVED, "chat-new is gone"),
        (changes, OutcomeKind.UNPROVEN, "main.py differs"),
        (is_silent, OutcomeKind.UNPROVEN, "does not answer"),
    ],
)
def test_what_happens_under_the_tests_is_seen_though_they_passed(
    tmp_path: Path, event: Callable[[Trial], None], kind: OutcomeKind, said_of_it: str
) -> None:
    trial = Trial(tmp_path)
    trial.suite.hooks["run"] = lambda: event(trial)
    outcome = trial.verify()
    assert outcome.kind is kind
    assert said_of_it in outcome.detail


@pytest.mark.parametrize("event", [changes, is_silent])
def test_what_cannot_be_shown_after_the_tests_does_not_launder_their_failure(
    tmp_path: Path, event: Callable[[Trial], None]
) -> None:
    trial = Trial(tmp_path)
    trial.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    trial.suite.hooks["run"] = lambda: event(trial)
    assert trial.verify().kind is OutcomeKind.FAILED


def test_a_revision_of_another_image_breaks_the_chain(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.deployed("sha256:something-else")
    outcome = trial.verify()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert outcome.faults[0].kind is FaultKind.PROVENANCE
    assert "not sha256:new" in (trial.chain().broken or "")


@pytest.mark.parametrize("status", [DEAD, Starting()])
def test_no_suite_runs_on_a_candidate_that_is_not_there(
    tmp_path: Path, status: Dead | Starting
) -> None:
    trial = Trial(tmp_path)
    trial.platform.statuses["chat-new"] = [status]
    assert trial.verify().kind is OutcomeKind.UNPROVEN
    assert trial.suite.effects("run") == []


def test_where_nothing_was_deployed_what_serves_is_tested(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "partial, by --from verify", deployed=False)
    trial.platform.move("chat", {"chat-old": 90, "chat-older": 10})
    assert trial.verify().kind is OutcomeKind.PARTIAL
    assert trial.suite.contexts["p1"].endpoints["chat"].url == "http://own/chat-old"


def test_where_nothing_serves_there_is_nothing_to_test_and_a_hint(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "partial, by --from verify", deployed=False)
    trial.platform.states["chat"] = None
    outcome = trial.verify()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert outcome.faults[0].hint == "run the loop without --from"


def test_a_revision_without_a_share_is_nobodys_traffic(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    record = trial.journal.fold.cycle().services["chat"]
    seen = trial.platform.states["chat"]
    assert seen is not None
    assert traffic_moved(record, replace(seen, traffic={"chat-old": 100, "chat-new": 0})) is None
    moved = replace(seen, traffic={"chat-old": 99, "chat-new": 1})
    assert traffic_moved(record, moved) is not None
    assert shares(serving("chat", {"a": 100, "b": 0})) == {"a": 100}
    assert said({"a": 0}) == "nobody's"


def test_what_this_run_wrote_last_is_what_counts_as_unmoved(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.journal.append(Routed(serving("chat", {"chat-new": 100}), "promote"), service="chat")
    record = trial.journal.fold.cycle().services["chat"]
    assert traffic_moved(record, serving("chat", {"chat-new": 100})) is None
    assert traffic_moved(record, serving("chat", {"chat-old": 100})) is not None
