"""A stage that is entered a second time, by a process that goes on: nothing counts twice."""

from __future__ import annotations

import pytest
from fakes import BEGAN, revision, serving
from loop_rig import a_service, a_suite, run_started

from loopctl.journal.fold import WorklogFold
from loopctl.journal.worklog import CycleRecord, ServiceRecord, SuiteRecord
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof
from loopctl.model.events import (
    BuildStep,
    CasesGraded,
    ContentProven,
    Event,
    FindingMade,
    HealthJudged,
    ImageBuilt,
    Intent,
    Payload,
    RemedyDecided,
    Result,
    RevisionDeployed,
    Routed,
    RunEnded,
    RunResumed,
    ServiceObserved,
    SourceRead,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteJudgement, SuiteOutcome
from loopctl.model.finding import Finding
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict

HEALTHY = HealthJudged("chat-new", True, "http://own", "ws://own", 1, 0.1)  # noqa: FBT003


class Past:
    """Events of a run with one service and one suite."""

    def __init__(self) -> None:
        self.fold = WorklogFold()
        self._seq, self.cycle = 0, 0
        self.tell(run_started([a_service()], [a_suite()]))
        self.cycle = 1

    def tell(self, *payloads: Payload, wave: int | None = None) -> Past:
        for payload in payloads:
            self._seq += 1
            suite = isinstance(payload, SuiteStarted | SuiteFinished | CasesGraded | SuiteCollected)
            event = Event(
                self._seq,
                BEGAN,
                self.cycle,
                payload,
                wave,
                None if suite else "chat",
                "p1" if suite else None,
            )
            self.fold.add(event)
        return self

    def built(self, digest: str = "sha256:1") -> Past:
        image = Artifact("chat", ArtifactKind.FOLDER, digest, "images/x", digest, BEGAN)
        source = SourceRead("tree", "c0ffee", dirty=False, files=1)
        step, proof = BuildStep("copy", 0.1, cached=False), ContentProof("chat", "tree", "tree")
        built = ImageBuilt(image, 0.1, "log")
        return self.tell(StageEntered(State.BUILD), source, step, built, ContentProven(proof))

    def tested(self, *statuses: CaseStatus, folder: str = "suites/1/p1") -> Past:
        cases = [GradedCase(f"test_{n}", s, 0.1, BEGAN) for n, s in enumerate(statuses)]
        return self.tell(SuiteStarted(folder), *(CasesGraded((case,)) for case in cases))

    def goes_round(self, kind: OutcomeKind) -> Past:
        self.tell(StageEntered(State.REMEDIATE))
        self.tell(StageFinished(State.REMEDIATE, kind, State.BUILD, 0.1))
        self.cycle += 1
        return self

    @property
    def now(self) -> CycleRecord:
        return self.fold.cycle()

    @property
    def chat(self) -> ServiceRecord:
        return self.now.services["chat"]

    @property
    def p1(self) -> SuiteRecord:
        return self.now.suites["p1"]


def test_a_build_that_is_done_again_leaves_nothing_of_the_first() -> None:
    past = Past().built().tell(StageEntered(State.BUILD))
    assert past.chat.source is None
    assert past.chat.artifact is None
    assert past.chat.build_steps == ()
    assert past.chat.proof is None


def test_a_build_done_again_has_its_steps_once() -> None:
    assert len(Past().built().built().chat.build_steps) == 1


def test_a_first_wave_that_is_deployed_again_forgets_what_was_seen_of_it() -> None:
    past = Past().built().tell(HEALTHY, SuiteCollected(1)).tested(CaseStatus.FAILED)
    past.tell(SuiteFinished(SuiteJudgement(SuiteOutcome.FAILED, (), 1), None))
    past.tell(StageEntered(State.DEPLOY), wave=0)
    assert past.chat.health is None
    assert past.p1.judgement is None
    assert past.p1.cases == ()
    assert past.p1.collected == 1, "that is of the source, not of the revision"


def test_the_next_wave_forgets_nothing_of_the_first() -> None:
    past = Past().built().tell(HEALTHY).tell(StageEntered(State.DEPLOY), wave=1)
    assert past.chat.health == HEALTHY


def test_a_suite_that_is_run_again_has_each_case_once() -> None:
    past = Past().built().tested(CaseStatus.FAILED, CaseStatus.PASSED).tested(CaseStatus.PASSED)
    assert [case.status for case in past.p1.cases] == [CaseStatus.PASSED]


def test_a_diagnosis_that_is_made_again_has_each_finding_once() -> None:
    made = FindingMade(Finding(None, "It exits", "high", 0.5, "v1:x"))
    past = Past().tell(StageEntered(State.DIAGNOSE), made, StageEntered(State.DIAGNOSE), made)
    assert len(past.now.findings) == 1


@pytest.mark.parametrize(
    ("kind", "carried"),
    [
        (OutcomeKind.GO_DEPLOY, True),
        (OutcomeKind.GO_HEALTH, True),
        (OutcomeKind.GO_VERIFY, True),
        (OutcomeKind.GO_BUILD, False),
    ],
)
def test_a_cycle_that_does_not_build_goes_on_with_the_images_of_the_one_before(
    kind: OutcomeKind, carried: bool
) -> None:
    past = Past().built().tell(SuiteCollected(7, 2), HEALTHY)
    past.tell(RevisionDeployed(revision("chat", "chat-new"), "none"))
    past.goes_round(kind).tell(StageEntered(State.DEPLOY), wave=0)
    assert (past.chat.artifact is not None) is carried
    assert (past.chat.proof is not None) is carried
    assert (past.p1.collected, past.p1.deselected) == ((7, 2) if carried else (None, 0))
    assert past.chat.revision is None, "what was deployed is the cycle's own"
    assert past.chat.health is None


def test_a_case_that_failed_on_the_same_image_is_remembered_over_cycles() -> None:
    past = Past().built().tested(CaseStatus.FAILED, CaseStatus.PASSED, CaseStatus.LOST)
    past.goes_round(OutcomeKind.GO_DEPLOY).tell(StageEntered(State.DEPLOY), wave=0)
    assert past.fold.failed_earlier("p1", "test_0") == "failed"
    assert past.fold.failed_earlier("p1", "test_1") is None
    assert past.fold.failed_earlier("p1", "test_2") is None, "lost is no failure of the service"


def test_on_another_image_a_case_that_failed_has_been_mended() -> None:
    past = Past().built().tested(CaseStatus.FAILED).goes_round(OutcomeKind.GO_BUILD)
    past.built("sha256:2")
    assert past.fold.failed_earlier("p1", "test_0") is None
    past.goes_round(OutcomeKind.GO_BUILD).built("sha256:1")
    assert past.fold.failed_earlier("p1", "test_0") == "failed", "the first image once more"


def test_what_failed_before_a_kill_is_remembered_on_the_image_that_stays() -> None:
    past = Past().built().tested(CaseStatus.TIMEOUT)
    past.tell(RunResumed("0.1.0", 2, 2, "killed", State.VERIFY), StageEntered(State.VERIFY))
    assert past.fold.failed_earlier("p1", "test_0") == "timeout"


def test_a_remedy_is_begun_until_somebody_has_written_down_what_it_did() -> None:
    begun = Intent("remedy", "1/rule", {"rule": "rule"})
    past = Past().tell(StageEntered(State.REMEDIATE), begun)
    assert past.now.remedy_begun == begun
    past.tell(Result("remedy", "1/rule", ok=True))
    assert past.now.remedy_begun == begun, "its result says that it ended, not what it changed"
    decided = past.tell(RemedyDecided("run", "auto", "done", result="done")).now
    assert decided.remedy_begun is None
    assert past.fold.remedies_begun("rule") == 1


def test_a_write_is_open_until_it_has_been_read_back() -> None:
    state = serving("chat", {"chat-new": 100})
    past = Past().tell(Intent("deploy", "run/1/chat/x"))
    assert (past.chat.writing, past.chat.deploy_key) == (True, "run/1/chat/x")
    past.tell(ServiceObserved("deployed", state))
    assert (past.chat.writing, past.chat.seen) == (False, state)
    past.tell(Intent("route", "1/chat/promote", {"chat-new": 100}))
    assert (past.chat.writing, past.chat.wanted) == (True, {"chat-new": 100})
    past.tell(Routed(state, "promote"))
    assert (past.chat.writing, past.chat.wanted) == (False, None)
    assert past.tell(Intent("discard", "1/chat/chat-new")).chat.writing


def test_a_run_that_goes_on_has_not_ended() -> None:
    ended = RunEnded(Verdict.INTERRUPTED, 130, StopReason.INTERRUPTED, 0.1)
    resumed = RunResumed("0.1.0", 2, 2, "interrupted", State.PREFLIGHT)
    worklog = Past().tell(ended, resumed).fold.snapshot()
    assert worklog.ended is None
    assert worklog.ended_at is None
    assert worklog.resumed == (resumed,)
