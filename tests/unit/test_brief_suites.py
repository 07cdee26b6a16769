"""The first screen tells of suites what a person needs: which, why, what to do, what to open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import worklogs

from loopctl.journal.brief import MOST_LINES, Brief, Role, brief
from loopctl.model.events import (
    CasesGraded,
    FindingMade,
    Payload,
    SuiteFacts,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.model.evidence import CaseStatus, Grade, GradedCase, SuiteEnd, SuiteOutcome
from loopctl.model.finding import Fault, FaultKind, Finding, ProposedRemedy, Quote
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict

FOLDER = f".loopctl/runs/{worklogs.RUN_ID}"
WORKLOG = f"less {FOLDER}/worklog.md"
MISSED = "criterion missed: http.p95 is 2.31 s, wanted <= 2s (200 samples)"
FEW = "criterion undecided: cart.total has 0 of at least 3 samples"
Inside = tuple[Payload, str | None, str | None]
ENDED = SuiteEnd(complete=True, exit_code=0, duration_s=1.0)


@dataclass(frozen=True)
class Suite:
    """A suite as a run left it; `end` is how its process ended."""

    id: str
    cases: Sequence[GradedCase] = worklogs.PASSES
    outcome: SuiteOutcome = SuiteOutcome.PASSED
    reasons: tuple[str, ...] = ()
    kind: str = "pytest"
    priority: str = "P1"
    end: SuiteEnd = ENDED

    def inside(self) -> list[Inside]:
        judged = worklogs.judged(self.cases, self.outcome, self.reasons)
        return [
            (SuiteStarted(f"suites/1/{self.id}", len(self.cases)), None, self.id),
            (CasesGraded(tuple(self.cases)), None, self.id),
            (SuiteFinished(judged, self.end), None, self.id),
        ]


def criterion(said: str) -> Fault:
    quote = Quote("condition", "criteria/x", said)
    return Fault(FaultKind.CRITERION, said, quotes=(quote,))


def told(
    *suites: Suite,
    faults: tuple[Fault, ...] = (),
    kind: OutcomeKind = OutcomeKind.FAILED,
    finding: Finding | None = None,
) -> Brief:
    """The brief of a run that ended in VERIFY, with these suites."""
    facts = [
        SuiteFacts(each.id, each.id, each.priority, each.kind, "verify", "observed")
        for each in suites
    ]
    script = worklogs.Script(replace(worklogs.RUN, suites=tuple(facts)))
    script.until_health({worklogs.OLD: 100}).healthy()
    inside = [event for each in suites for event in each.inside()]
    faults += tuple(
        Fault(FaultKind.SUITE, f"{each.id}: {each.reasons[0]}") for each in suites if each.reasons
    )
    script.stage(State.VERIFY, kind, "it is not green", faults, inside).collected_logs()
    if finding is not None:
        script.stage(State.DIAGNOSE, inside=[(FindingMade(finding), finding.service, None)])
    script.ended(Verdict.RED, 1, StopReason.NEEDS_HUMAN)
    return brief(script.worklog())


def failing(name: str, **facts: object) -> GradedCase:
    return worklogs.case(name, CaseStatus.FAILED, **facts)


def red(name: str, **keys: object) -> Suite:
    case = failing(f"test_{name}")
    suite = Suite(name, (case,), SuiteOutcome.FAILED, (f"1 failed: {case.id}",))
    return replace(suite, **keys)  # type: ignore[arg-type]


def unproven(name: str, *cases: GradedCase, why: str = "proves too little") -> Suite:
    return Suite(name, cases or worklogs.PASSES, SuiteOutcome.UNPROVEN, (why,))


def test_suites_that_failed_come_before_those_that_show_nothing() -> None:
    failed = told(unproven("a"), red("z"), red("late", priority="P2")).of(Role.FAILED)
    assert [line.partition(" ")[0] for line in failed[:3]] == ["z", "late", "a"]


def test_suites_and_criteria_that_have_no_room_are_named_and_cases_are_not_counted_twice() -> None:
    proof = tuple(Quote("log", f"logs/1/chat.jsonl#{n}", f"line {n}") for n in (1, 2))
    known = Finding("x.y", "It broke", "high", 0.9, "v1|x", "chat", proof)
    told_of = told(red("a"), red("b"), red("c"), faults=(criterion(MISSED),), finding=known)
    assert len(told_of.lines) == MOST_LINES
    (*_, last) = failed = told_of.of(Role.FAILED)
    assert [line.partition(" ")[0] for line in failed] == ["a", "b", "c"][: len(failed)]
    left_out = ["b (P1)", "c (P1)", "x"][len(failed) - 1 :]
    assert last.endswith(f" (and {', '.join(left_out)} in the report)")


def test_a_criterion_that_failing_tests_have_missed_comes_after_them() -> None:
    failed = told(red("smoke"), faults=(criterion(MISSED),)).of(Role.FAILED)
    assert failed[0].startswith("smoke (P1) failed, 0 of 1 passed: 1 failed: ")
    assert failed[1].startswith(MISSED)
    assert "every test passed" not in failed[1]


def test_a_criterion_that_made_the_run_red_comes_before_what_is_only_unproven() -> None:
    failed = told(unproven("smoke"), faults=(criterion(MISSED),)).of(Role.FAILED)
    assert failed == (MISSED, "smoke (P1) unproven: proves too little")


def test_a_criterion_beside_tests_that_have_all_passed_says_that_they_did() -> None:
    assert told(Suite("smoke"), faults=(criterion(MISSED),)).of(Role.FAILED) == (
        f"{MISSED}; every test passed",
    )
    skipped = (*worklogs.PASSES, worklogs.case("test_s", CaseStatus.SKIPPED))
    assert told(Suite("smoke", skipped), faults=(criterion(MISSED),)).of(Role.FAILED) == (MISSED,)


def test_what_was_not_measured_is_looked_up_in_the_worklog() -> None:
    few = told(Suite("smoke"), faults=(criterion(FEW),), kind=OutcomeKind.UNPROVEN)
    assert few.of(Role.FAILED) == (f"{FEW}; every test passed",)
    assert few.of(Role.NEXT)[0] == WORKLOG


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_suite_without_a_process_is_looked_up_in_the_worklog(kind: str) -> None:
    assert told(red("close", kind=kind)).of(Role.NEXT)[0] == WORKLOG


def test_passes_that_prove_nothing_are_looked_up_in_the_worklog() -> None:
    vacuous = worklogs.case("test_v", grade=Grade.CONTRADICTED, reason="it still passes")
    suite = unproven("smoke", *worklogs.PASSES, vacuous, why="1 of 5 passes proves nothing: it")
    found = told(suite, kind=OutcomeKind.UNPROVEN)
    assert found.of(Role.FAILED) == ("smoke (P1) unproven: 1 of 5 passes proves nothing: it",)
    assert found.of(Role.NEXT)[0] == WORKLOG


LOST = worklogs.case("test_l", CaseStatus.LOST)
NO_FILE = SuiteEnd(complete=False, exit_code=4, duration_s=0.1, usage_error="no such file")


@pytest.mark.parametrize(
    "suite",
    [
        unproven("smoke", *worklogs.PASSES, LOST, why="1 lost"),
        Suite(
            "smoke", (), SuiteOutcome.UNPROVEN, ("it could not be run: no such file",), end=NO_FILE
        ),
    ],
    ids=["died", "never ran"],
)
def test_what_a_process_that_died_or_never_began_said_is_on_stderr(suite: Suite) -> None:
    place = f"{FOLDER}/suites/1/smoke"
    assert told(suite).of(Role.NEXT)[0] == f"less {place}/stderr.txt {place}/stdout.txt"


def test_where_nothing_was_collected_no_number_of_passes_is_told() -> None:
    suite = Suite("smoke", (), SuiteOutcome.UNPROVEN, ("there is no result: none",), end=NO_FILE)
    assert told(suite).of(Role.FAILED) == ("smoke (P1) unproven: there is no result: none",)


FOUND = replace(worklogs.FINDING, whys=())


@pytest.mark.parametrize(
    "finding",
    [
        replace(FOUND, cases=(failing("test_close").id,)),
        replace(FOUND, evidence=(Quote("test", "suites/1/close#any", "closed 1011"),)),
        replace(FOUND, evidence=(Quote("test", "suites/1/close", "there is no result"),)),
    ],
    ids=["its case", "a line of its test", "itself"],
)
def test_the_suite_that_the_likely_cause_is_about_is_the_one_to_look_at(finding: Finding) -> None:
    found = told(red("agents"), red("close"), finding=finding)
    assert found.of(Role.NEXT)[0] == f"less {FOLDER}/suites/1/close/stdout.txt"
    elsewhere = told(red("zoo"), red("close"), finding=FOUND)
    assert elsewhere.of(Role.NEXT)[0] == f"less {FOLDER}/suites/1/close/stdout.txt"
    assert elsewhere.of(Role.FAILED)[0].startswith("close ")


def test_what_a_person_has_to_do_stands_beside_the_cause() -> None:
    mend = ProposedRemedy("person", "mend the test, not the service")
    (cause,) = told(red("smoke"), finding=replace(FOUND, remedy=mend)).of(Role.CAUSE)
    assert cause.endswith("confidence 0.90); to do: mend the test, not the service")
    again = replace(mend, action="retry")
    (cause,) = told(red("smoke"), finding=replace(FOUND, remedy=again)).of(Role.CAUSE)
    assert cause.endswith("confidence 0.90)")
