"""What a cycle comes to, whether going round helps, and whether tests were lost on the way."""

from __future__ import annotations

import pytest
from fakes import BEGAN
from loop_rig import a_service, a_suite, run_started

from loopctl.journal.fold import WorklogFold
from loopctl.journal.progress import is_stuck
from loopctl.journal.verdicts import verdict_of
from loopctl.journal.worklog import CycleRecord
from loopctl.machine.policy import judge
from loopctl.machine.transitions import after
from loopctl.model.events import (
    CasesGraded,
    Event,
    FindingMade,
    Payload,
    RemedyDecided,
    SourceRead,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFinished,
)
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteJudgement, SuiteOutcome
from loopctl.model.finding import FaultKind, Finding
from loopctl.model.state import OutcomeKind as Kind
from loopctl.model.state import State, StopReason, Verdict
from loopctl.stages.collected import fewer_than_before


class Cycles:
    """Cycles that failed in VERIFY, with two suites."""

    def __init__(self) -> None:
        self._fold = WorklogFold()
        self._seq, self._cycle = 0, 0
        self._tell(run_started([a_service()], [a_suite("p1"), a_suite("p2")]))

    def _tell(self, payload: Payload, service: str | None = None, suite: str | None = None) -> None:
        self._seq += 1
        self._fold.add(Event(self._seq, BEGAN, self._cycle, payload, None, service, suite))

    def cycle(
        self,
        tree: str = "tree",
        *,
        finding: str | None = None,
        case: str | None = None,
        kind: Kind = Kind.FAILED,
        collected: int | None = None,
        remedied: bool = False,
    ) -> Cycles:
        """One more; `remedied`: what was done after it changed the source."""
        self._cycle += 1
        self._tell(SourceRead(tree, "c0ffee", dirty=False, files=1), "chat")
        if collected is not None:
            self._tell(SuiteCollected(collected), suite="p1")
        self.stage(State.VERIFY, kind)
        if case is not None:
            graded = GradedCase(case, CaseStatus.FAILED, 0.1, BEGAN)
            self._tell(CasesGraded((graded,)), suite="p1")
        if finding is not None:
            self._tell(FindingMade(Finding(None, "x", "high", 0.5, finding)), "chat")
        if remedied:
            self._tell(RemedyDecided("run", "auto", "", result="done", changed_source=True))
        return self

    def stage(self, state: State, kind: Kind, detail: str = "") -> None:
        self._tell(StageEntered(state))
        self._tell(StageFinished(state, kind, after(state, kind), 0.1, detail))

    def judged(self, suite: str, outcome: SuiteOutcome) -> Cycles:
        self._tell(SuiteFinished(SuiteJudgement(outcome, (), 1), None), suite=suite)
        return self

    def decided(self, ends: StopReason | None) -> Cycles:
        self._tell(RemedyDecided("run", "auto", "", result="done", ends=ends))
        return self

    @property
    def all(self) -> tuple[CycleRecord, ...]:
        return self._fold.snapshot().cycles

    @property
    def counted(self) -> tuple[CycleRecord, ...]:
        return self._fold.snapshot().counted_cycles

    def reason(self, stopped: str | None = None) -> StopReason:
        return judge(self._fold.snapshot(), stopped, None).stop_reason


def test_the_same_findings_on_the_same_source_are_no_progress() -> None:
    cycles = Cycles().cycle(finding="v1:a").cycle(finding="v1:a")
    assert is_stuck(cycles.all, 2)
    assert not is_stuck(cycles.all, 3), "three are asked for"


@pytest.mark.parametrize("changed", [{"finding": "v1:b"}, {"finding": "v1:a", "tree": "other"}])
def test_another_finding_or_source_is_progress(changed: dict[str, str]) -> None:
    assert not is_stuck(Cycles().cycle(finding="v1:a").cycle(**changed).all, 2)  # type: ignore[arg-type]


def test_where_nothing_was_found_the_cases_tell() -> None:
    assert is_stuck(Cycles().cycle(case="a").cycle(case="a").all, 2)
    assert not is_stuck(Cycles().cycle(case="a").cycle(case="b").all, 2)


def test_only_the_last_cycles_count() -> None:
    cycles = Cycles().cycle(case="a").cycle(case="b").cycle(case="b")
    assert is_stuck(cycles.all, 2)


def test_a_cycle_that_was_interrupted_is_not_counted() -> None:
    cycles = Cycles().cycle(case="a").cycle(kind=Kind.INTERRUPTED).cycle(case="a")
    assert [cycle.number for cycle in cycles.counted] == [1, 3]
    assert is_stuck(cycles.counted, 2)


def test_a_suite_that_failed_before_time_was_up_is_red() -> None:
    cycles = Cycles().cycle(kind=Kind.UNPROVEN).judged("p1", SuiteOutcome.FAILED)
    assert verdict_of(cycles.all[-1]) is Verdict.RED
    assert cycles.reason("deadline") is StopReason.DEADLINE


def test_time_that_was_up_before_any_suite_failed_is_unproven() -> None:
    cycles = Cycles().cycle(kind=Kind.UNPROVEN).judged("p1", SuiteOutcome.PASSED)
    assert verdict_of(cycles.all[-1]) is Verdict.UNPROVEN


def test_a_failure_of_a_target_that_nobody_reached_stays_unproven() -> None:
    cycles = Cycles().cycle(kind=Kind.UNPROVEN).judged("p1", SuiteOutcome.FAILED)
    cycles.judged("p2", SuiteOutcome.NOT_RUN)
    assert verdict_of(cycles.all[-1]) is Verdict.UNPROVEN


@pytest.mark.parametrize("ends", list(StopReason))
def test_why_the_loop_ended_is_what_was_decided(ends: StopReason) -> None:
    assert Cycles().cycle().decided(ends).reason() is ends


def test_where_nothing_was_decided_a_person_is_needed() -> None:
    assert Cycles().cycle().decided(None).reason() is StopReason.NEEDS_HUMAN


@pytest.mark.parametrize("signal", [None, "SIGINT", "SIGTERM", "deadline", "lease lost"])
def test_an_environment_that_moved_is_told_whatever_else_stopped_the_run(
    signal: str | None,
) -> None:
    cycles = Cycles().cycle(kind=Kind.INTERRUPTED)
    cycles.stage(State.SETTLE, Kind.MOVED)
    assert cycles.reason(signal) is StopReason.ENVIRONMENT_MOVED


def test_fewer_tests_after_a_remedy_are_no_proof() -> None:
    cycles = Cycles().cycle(collected=5, remedied=True).cycle(collected=4)
    outcome = fewer_than_before(cycles.all)
    assert outcome is not None
    assert outcome.kind is Kind.UNPROVEN
    assert [fault.kind for fault in outcome.faults] == [FaultKind.REMEDY]
    assert outcome.detail == "p1 collects 4 cases after the remedy, and collected 5 before it"


@pytest.mark.parametrize("now", [5, 6])
def test_as_many_tests_or_more_are_fine(now: int) -> None:
    cycles = Cycles().cycle(collected=5, remedied=True).cycle(collected=now)
    assert fewer_than_before(cycles.all) is None


def test_the_most_that_any_cycle_collected_is_what_counts() -> None:
    cycles = Cycles().cycle(collected=5, remedied=True).cycle(collected=None, remedied=True)
    assert fewer_than_before(cycles.cycle(collected=4).all) is not None


def test_without_a_remedy_that_changed_the_source_nobody_is_suspected() -> None:
    assert fewer_than_before(Cycles().cycle(collected=5).cycle(collected=4).all) is None
    assert fewer_than_before(Cycles().cycle(collected=5).all) is None


def test_a_suite_that_cannot_tell_beforehand_is_not_held_to_it() -> None:
    cycles = Cycles().cycle(collected=5, remedied=True).cycle(collected=None)
    assert fewer_than_before(cycles.all) is None
