"""Events to worklog: the frozen view of a run, the same whenever it is folded."""

from __future__ import annotations

import pytest
from fakes import BEGAN, revision, serving
from loop_rig import a_service, a_suite, run_started

from loopctl.journal.codec import JournalError
from loopctl.journal.fold import WorklogFold, fold
from loopctl.model.events import (
    VERSION,
    CasesGraded,
    Event,
    NotChecked,
    Note,
    Payload,
    RevisionDeployed,
    Routed,
    ServiceObserved,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFinished,
    Unrecognised,
)
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteJudgement, SuiteOutcome
from loopctl.model.state import OutcomeKind, State


class Tale:
    """Events, numbered as they are told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.cycle = 0
        self.tell(run_started([a_service()], [a_suite()]))
        self.cycle = 1

    def tell(self, payload: Payload, service: str | None = None, suite: str | None = None) -> Tale:
        number = len(self.events) + 1
        self.events.append(Event(number, BEGAN, self.cycle, payload, None, service, suite))
        return self

    def stage(self, state: State, kind: OutcomeKind = OutcomeKind.OK) -> Tale:
        self.tell(StageEntered(state))
        return self.tell(StageFinished(state, kind, State.STOPPED, 1.5, "said"))


def graded(name: str, status: CaseStatus) -> GradedCase:
    return GradedCase(name, status, 0.1, BEGAN)


def test_a_stage_is_there_as_it_begins_and_complete_when_it_ends() -> None:
    accumulator = WorklogFold()
    for event in Tale().tell(StageEntered(State.BUILD)).events:
        accumulator.add(event)
    assert accumulator.cycle().stages[0].kind is None
    accumulator.add(
        Event(3, BEGAN, 1, StageFinished(State.BUILD, OutcomeKind.OK, State.DEPLOY, 1.5, "said"))
    )
    (stage,) = accumulator.cycle().stages
    assert (stage.kind, stage.duration_s, stage.detail) == (OutcomeKind.OK, 1.5, "said")


def test_a_snapshot_does_not_change_when_more_is_told() -> None:
    accumulator = WorklogFold()
    for event in Tale().stage(State.BUILD).events:
        accumulator.add(event)
    before = accumulator.snapshot()
    accumulator.add(Event(4, BEGAN, 1, StageEntered(State.DEPLOY)))
    assert len(before.cycles[0].stages) == 1
    assert len(accumulator.snapshot().cycles[0].stages) == 2


def test_every_cycle_begins_with_nothing_of_the_one_before() -> None:
    tale = Tale().stage(State.VERIFY, OutcomeKind.FAILED)
    tale.tell(RevisionDeployed(revision("chat", "chat-new"), "none"), service="chat")
    tale.cycle = 2
    tale.stage(State.BUILD)
    worklog = fold(tale.events)
    assert [cycle.number for cycle in worklog.cycles] == [1, 2]
    assert worklog.last is not None
    assert worklog.last.services["chat"].revision is None
    assert worklog.last.failed_stage is None


def test_a_service_nobody_looked_at_is_told_from_one_that_was_not_there() -> None:
    tale = Tale().stage(State.BUILD)
    seen = fold(tale.events).cycles[0].services["chat"]
    assert (seen.observed_before, seen.before) == (False, None)
    tale.tell(ServiceObserved("before", None), service="chat")
    seen = fold(tale.events).cycles[0].services["chat"]
    assert (seen.observed_before, seen.before) == (True, None)


def test_who_serves_at_the_end_is_not_who_served_before() -> None:
    tale = Tale().tell(ServiceObserved("before", serving("chat", {"a": 100})), service="chat")
    tale.tell(ServiceObserved("end", serving("chat", {"b": 100})), service="chat")
    before = fold(tale.events).cycles[0].services["chat"].before
    assert before is not None
    assert before.traffic == {"a": 100}


@pytest.mark.parametrize(
    ("ways", "promoted", "restored"),
    [
        (["promote"], True, False),
        (["first"], True, False),
        (["promote", "restore"], False, True),
        (["first", "promote"], True, False),
    ],
)
def test_a_restore_undoes_a_promotion(ways: list[str], promoted: bool, restored: bool) -> None:
    tale = Tale()
    for why in ways:
        tale.tell(Routed(serving("chat", {"a": 100}), why), service="chat")  # type: ignore[arg-type]
    record = fold(tale.events).cycles[0].services["chat"]
    assert (record.promoted, record.restored) == (promoted, restored)


def test_cases_come_together_from_their_batches() -> None:
    tale = Tale().tell(SuiteCollected(3), suite="p1")
    tale.tell(CasesGraded((graded("a", CaseStatus.PASSED),)), suite="p1")
    two = (graded("b", CaseStatus.FAILED), graded("c", CaseStatus.SKIPPED))
    tale.tell(CasesGraded(two), suite="p1")
    judgement = SuiteJudgement(SuiteOutcome.FAILED, ("1 failed",), 3)
    tale.tell(SuiteFinished(judgement, None), suite="p1")
    cycle = fold(tale.events).cycles[0]
    assert [case.id for case in cycle.suites["p1"].cases] == ["a", "b", "c"]
    assert list(cycle.failed_cases()) == ["p1::b"]
    assert cycle.suites["p1"].judgement == judgement


def test_what_changed_between_two_cycles_is_named() -> None:
    tale = Tale()
    first = (graded("mended", CaseStatus.FAILED), graded("stays", CaseStatus.FAILED))
    tale.tell(CasesGraded(first), suite="p1")
    tale.cycle = 2
    second = (graded("stays", CaseStatus.FAILED), graded("broke", CaseStatus.TIMEOUT))
    tale.tell(CasesGraded(second), suite="p1")
    changes = fold(tale.events).changes()
    assert changes.fixed == ("p1::mended",)
    assert changes.new == ("p1::broke",)
    assert changes.persisting == ("p1::stays",)


def test_the_first_stage_off_the_path_is_the_one_that_failed() -> None:
    tale = Tale().stage(State.BUILD).stage(State.HEALTH, OutcomeKind.FAILED)
    tale.stage(State.COLLECT, OutcomeKind.ERRORED)
    failed = fold(tale.events).cycles[0].failed_stage
    assert failed is not None
    assert failed.stage is State.HEALTH


def test_what_was_not_checked_is_named_once() -> None:
    tale = Tale().tell(NotChecked("a", "b")).tell(NotChecked("a", "b")).tell(Note("n"))
    worklog = fold(tale.events)
    assert worklog.not_checked == (NotChecked("a", "b"),)
    assert [n.text for n in worklog.notes] == ["n"]


def test_what_is_not_understood_is_passed_over() -> None:
    tale = Tale().tell(Unrecognised("from.the.future", {"a": 1}))
    tale.tell(RevisionDeployed(revision("x", "x-1"), "none"), service="a-service-nobody-named")
    assert set(fold(tale.events).cycles[0].services) == {"chat"}


def test_a_journal_that_does_not_begin_with_its_run_is_none() -> None:
    with pytest.raises(JournalError):
        fold([Event(1, BEGAN, 1, StageEntered(State.BUILD))])
    with pytest.raises(JournalError):
        fold([])


def test_a_run_that_begins_twice_is_no_run() -> None:
    events = Tale().events
    with pytest.raises(JournalError, match="a second time"):
        fold([events[0], events[0]])


def test_a_stage_that_ends_without_a_beginning_is_an_error_with_its_number() -> None:
    ends = StageFinished(State.BUILD, OutcomeKind.OK, State.DEPLOY, 0.1)
    with pytest.raises(JournalError, match=r"event \d+ of the journal ends build"):
        fold(Tale().tell(ends).events)


def test_a_journal_that_a_later_version_began_says_so() -> None:
    began = Event(1, BEGAN, 0, Unrecognised("run.started", {}), v=VERSION + 1)
    with pytest.raises(JournalError, match="later version"):
        fold([began])


def test_what_a_later_version_wrote_is_named_with_its_version() -> None:
    tale = Tale()
    later = Event(2, BEGAN, 1, Unrecognised("intent", {}), v=VERSION + 1)
    unknown = Event(3, BEGAN, 1, Unrecognised("dream", {}))
    worklog = fold([tale.events[0], later, unknown])
    assert worklog.unrecognised == (f"intent of version {VERSION + 1}", "dream")


def test_before_the_first_cycle_there_is_none_to_show() -> None:
    accumulator = WorklogFold()
    accumulator.add(Tale().events[0])
    with pytest.raises(JournalError):
        accumulator.cycle()
    assert accumulator.snapshot().last is None
