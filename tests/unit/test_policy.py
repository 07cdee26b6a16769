"""What a run comes to, judged from events that went through the real fold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from loop_rig import run_started

from loopctl.errors import ExitCode
from loopctl.journal.fold import WorklogFold
from loopctl.journal.worklog import Worklog
from loopctl.machine.policy import Judgement, judge
from loopctl.machine.transitions import after
from loopctl.model.events import (
    Event,
    Payload,
    StageEntered,
    StageFinished,
    SuiteFacts,
    SuiteFinished,
)
from loopctl.model.evidence import SuiteJudgement, SuiteOutcome
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.state import OutcomeKind as Kind
from loopctl.model.state import State, StopReason, Verdict

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)

STARTED = replace(
    run_started([], []),
    suites=(
        SuiteFacts("p1", "", "P1", "pytest", "verify", "observed"),
        SuiteFacts("smoke", "", "P0", "pytest", "confirm", "observed"),
    ),
)


class Script:
    """A run as a list of what its stages came to; where it goes is the table's to say."""

    def __init__(self) -> None:
        self._fold = WorklogFold()
        self._seq = 0
        self._cycle = 1
        self._state = State.PREFLIGHT
        self._add(STARTED)

    def _add(self, payload: Payload, suite: str | None = None) -> None:
        self._seq += 1
        self._fold.add(Event(self._seq, NOON, self._cycle, payload, suite=suite))

    def until(self, state: State) -> Script:
        while self._state is not state:
            self.then(Kind.OK)
        return self

    def then(self, *kinds: Kind, detail: str = "", faults: tuple[Fault, ...] = ()) -> Script:
        for kind in kinds:
            here, self._state = self._state, after(self._state, kind)
            self._add(StageEntered(here))
            self._add(StageFinished(here, kind, self._state, 0.1, detail, faults))
            self._cycle += kind.value.startswith("go-")
        return self

    def suite(self, name: str, outcome: SuiteOutcome) -> Script:
        self._add(SuiteFinished(SuiteJudgement(outcome, (), 1), None), suite=name)
        return self

    def to_the_end(self) -> Worklog:
        while not self._state.is_end:
            self.then(Kind.OK)
        return self._fold.snapshot()

    def so_far(self) -> Worklog:
        return self._fold.snapshot()


def failed_in(state: State, kind: Kind) -> Judgement:
    return judge(Script().until(state).then(kind).to_the_end(), None, None)


def test_all_well_is_green() -> None:
    judgement = judge(Script().to_the_end(), None, None)
    assert judgement == Judgement(Verdict.GREEN, ExitCode.GREEN, StopReason.GREEN)


@pytest.mark.parametrize("kind", [Kind.FAILED, Kind.ERRORED])
def test_a_failed_preflight_changed_nothing_and_says_so(kind: Kind) -> None:
    judgement = failed_in(State.PREFLIGHT, kind)
    assert judgement.verdict is Verdict.PREFLIGHT
    assert judgement.exit_code == 4
    assert judgement.stop_reason is StopReason.PREFLIGHT


@pytest.mark.parametrize("state", [State.BUILD, State.VERIFY, State.CONFIRM])
def test_a_disk_that_takes_no_more_ends_the_run_undelivered(state: State) -> None:
    full = Fault(FaultKind.STORAGE, "no space left")
    judgement = judge(
        Script().until(state).then(Kind.ERRORED, faults=(full,)).to_the_end(), None, None
    )
    assert (judgement.verdict, judgement.exit_code) == (Verdict.UNDELIVERED, 5)
    assert judgement.stop_reason is StopReason.FATAL


def test_a_disk_that_is_full_before_anything_was_done_is_a_preflight() -> None:
    full = Fault(FaultKind.STORAGE, "no space left")
    worklog = Script().then(Kind.ERRORED, faults=(full,)).to_the_end()
    assert judge(worklog, None, None).exit_code == 4


@pytest.mark.parametrize("state", [State.BUILD, State.DEPLOY, State.HEALTH, State.PROMOTE])
@pytest.mark.parametrize("kind", [Kind.FAILED, Kind.ERRORED])
def test_what_could_not_be_delivered_is_undelivered(state: State, kind: Kind) -> None:
    judgement = failed_in(state, kind)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.UNDELIVERED, 5)
    assert judgement.stop_reason is StopReason.NEEDS_HUMAN


@pytest.mark.parametrize("state", [State.BUILD, State.VERIFY, State.CONFIRM])
def test_what_was_not_shown_is_unproven(state: State) -> None:
    judgement = failed_in(state, Kind.UNPROVEN)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.UNPROVEN, 3)


def test_failed_suites_are_red() -> None:
    judgement = failed_in(State.VERIFY, Kind.FAILED)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.RED, 1)


def test_a_verification_that_could_not_be_done_is_not_red() -> None:
    assert failed_in(State.VERIFY, Kind.ERRORED).verdict is Verdict.UNPROVEN


def test_a_suite_that_fails_on_the_public_address_is_red() -> None:
    script = Script().until(State.CONFIRM).suite("smoke", SuiteOutcome.FAILED)
    assert judge(script.then(Kind.FAILED).to_the_end(), None, None).verdict is Verdict.RED


def test_a_public_address_that_does_not_answer_is_undelivered() -> None:
    script = Script().until(State.CONFIRM).suite("p1", SuiteOutcome.FAILED)
    assert judge(script.then(Kind.FAILED).to_the_end(), None, None).verdict is Verdict.UNDELIVERED


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_the_run_as_interrupted(signal: str, code: int) -> None:
    worklog = Script().until(State.HEALTH).then(Kind.INTERRUPTED).to_the_end()
    judgement = judge(worklog, signal, None)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.INTERRUPTED, code)
    assert judgement.stop_reason is StopReason.INTERRUPTED


def test_a_signal_that_came_before_the_first_stage_is_told_too() -> None:
    assert judge(Script().so_far(), "SIGINT", None).exit_code == 130


def test_a_restore_that_failed_is_told_whatever_came_before() -> None:
    script = Script().until(State.VERIFY).then(Kind.FAILED, Kind.OK)
    worklog = script.then(Kind.ERRORED, detail="not put back: the door is gone").to_the_end()
    judgement = judge(worklog, None, None)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.UNDELIVERED, 5)
    assert judgement.stop_reason is StopReason.RESTORE_FAILED
    assert judgement.detail == "not put back: the door is gone"


def test_a_restore_that_failed_after_a_signal_is_not_hidden_by_it() -> None:
    worklog = Script().until(State.PROMOTE).then(Kind.INTERRUPTED, Kind.ERRORED).to_the_end()
    judgement = judge(worklog, "SIGINT", None)
    assert (judgement.exit_code, judgement.stop_reason) == (5, StopReason.RESTORE_FAILED)


@pytest.mark.parametrize("state", [State.DEPLOY, State.VERIFY, State.CONFIRM])
def test_a_moved_environment_is_unproven_and_named(state: State) -> None:
    judgement = failed_in(state, Kind.MOVED)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.UNPROVEN, 3)
    assert judgement.stop_reason is StopReason.ENVIRONMENT_MOVED


def test_an_environment_that_moved_goes_before_red() -> None:
    worklog = Script().until(State.VERIFY).then(Kind.FAILED, Kind.OK, Kind.MOVED).to_the_end()
    judgement = judge(worklog, None, None)
    assert (judgement.exit_code, judgement.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)


def test_the_deadline_is_the_reason_and_the_last_failure_the_verdict() -> None:
    worklog = Script().until(State.HEALTH).then(Kind.ERRORED).to_the_end()
    judgement = judge(worklog, "deadline", None)
    assert (judgement.exit_code, judgement.stop_reason) == (5, StopReason.DEADLINE)


def test_a_fault_of_loopctl_is_never_the_services() -> None:
    worklog = Script().until(State.HEALTH).then(Kind.ERRORED).to_the_end()
    judgement = judge(worklog, None, "KeyError: 'chat'")
    assert (judgement.verdict, judgement.exit_code) == (Verdict.INTERNAL, 70)
    assert judgement.stop_reason is StopReason.FATAL
    assert "KeyError" in judgement.detail


def test_a_run_without_a_cycle_is_a_fault_of_loopctl() -> None:
    assert judge(Script().so_far(), None, None).verdict is Verdict.INTERNAL


def test_the_last_cycle_speaks_for_the_run() -> None:
    script = Script().until(State.VERIFY).then(Kind.FAILED).until(State.REMEDIATE)
    worklog = script.then(Kind.GO_BUILD).to_the_end()
    assert len(worklog.cycles) == 2
    assert judge(worklog, None, None).verdict is Verdict.GREEN


def test_a_diagnosis_that_failed_does_not_change_the_verdict() -> None:
    script = Script().until(State.VERIFY).then(Kind.FAILED, Kind.OK, Kind.OK, Kind.ERRORED)
    assert judge(script.to_the_end(), None, None).verdict is Verdict.RED
