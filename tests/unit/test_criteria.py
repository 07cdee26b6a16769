"""A criterion is met by enough samples or not at all; what too few say is never called green."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import worklogs
from fakes import BEGAN, FakeLogs, FakePlatform, FakeProber, FakeReceipts, FakeSources, FakeSuite
from loop_rig import CATALOGUE, RUN_ID, a_journal, a_service, a_suite, run_started, written
from loop_rig import a_case as case_of_rig

from loopctl.evidence.criteria import judge_criteria, measured, series_of, told
from loopctl.journal.store import Journal
from loopctl.journal.verdicts import verdict_of
from loopctl.model.artifact import Artifact, ArtifactKind, Revision
from loopctl.model.events import (
    CasesGraded,
    CriteriaJudged,
    Event,
    FindingMade,
    ImageBuilt,
    NotChecked,
    RevisionDeployed,
    Routed,
    ServiceObserved,
    StageEntered,
    StageFinished,
    SuiteFinished,
)
from loopctl.model.evidence import (
    CaseStatus,
    CriterionJudgement,
    GradedCase,
    Sample,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import Criterion, SuiteKind, SuitePhase
from loopctl.model.state import OutcomeKind, State, Verdict
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.stages.confirm import Confirm
from loopctl.stages.criteria import CriteriaGate
from loopctl.stages.diagnose import Diagnose
from loopctl.stages.keep_logs import LogKeeper
from loopctl.stages.suite_run import RunFacts, SuiteRunner
from loopctl.stages.suites import Course

Op = Literal["<", "<=", ">", ">=", "=="]


def a_case(*values: float, metric: str = "http", name: str = "test_it") -> GradedCase:
    samples = tuple(Sample(metric, value) for value in values)
    return GradedCase(f"t.py::{name}", CaseStatus.PASSED, 0.1, BEGAN, samples=samples)


def wanted(
    metric: str, value: float = 2.0, *, op: Op = "<=", limit: str = "2s", least: int = 1
) -> Criterion:
    return Criterion(metric, op, value, limit, least)


def judged(criterion: Criterion, *values: float, series: str = "http") -> CriterionJudgement:
    (only,) = judge_criteria([criterion], {series: values})
    return only


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [("p50", 10.0), ("p95", 19.0), ("p99", 20.0), ("max", 20.0), ("min", 1.0), ("mean", 10.5)],
)
def test_an_aggregate_is_of_all_samples_in_whatever_order_they_came(
    aggregate: str, value: float
) -> None:
    samples = [float(number) for number in (*range(20, 10, -1), *range(1, 11))]
    assert judged(wanted(f"http.{aggregate}"), *samples).value == value


def test_a_percentile_is_always_a_sample_that_was_measured() -> None:
    assert judged(wanted("http.p95"), 0.5).value == 0.5
    assert judged(wanted("http.p50"), 1.0, 9.0).value == 1.0
    assert judged(wanted("http.p99"), *[float(n) for n in range(1, 201)]).value == 198.0


@pytest.mark.parametrize(
    ("op", "value", "met"),
    [
        *(("<", 2.0, False), ("<", 1.9, True), ("<=", 2.0, True), ("<=", 2.1, False)),
        *((">", 2.0, False), (">", 2.1, True), (">=", 2.0, True), (">=", 1.9, False)),
        *(("==", 2.0, True), ("==", 2.1, False), ("==", 2.0 + 1e-12, True)),
    ],
)
def test_every_operator_compares_with_the_limit(op: Op, value: float, met: bool) -> None:
    assert judged(wanted("http.max", op=op), value).met is met


@pytest.mark.parametrize(
    ("op", "value", "met"),
    [("<=", 3.0, False), (">=", 0.5, False), ("==", 0.5, False), ("<", 3.0, False)],
)
def test_of_a_series_alone_every_sample_must_meet_the_limit_and_the_worst_is_shown(
    op: Op, value: float, met: bool
) -> None:
    only = judged(wanted("queue", op=op, limit="2"), 2.0, 3.0, 0.5, series="queue")
    assert (only.value, only.met) == (value, met)
    assert judged(wanted("a.b.c"), 1.0, 2.0, series="a.b.c").met is True


def test_the_rate_of_errors_is_the_share_of_what_failed() -> None:
    limit = wanted("error_rate", 0.05, limit="0.05")
    errors = [1.0] * 3 + [0.0] * 57
    assert (judged(limit, *errors, series="error").value) == 0.05
    assert judged(limit, *errors, series="error").met is True
    assert judged(limit, *errors, 1.0, series="error").met is False


def test_too_few_samples_neither_meet_nor_miss_a_limit_however_good_or_bad_they_are() -> None:
    for value in (0.001, 99.0):
        only = judged(wanted("http.p95", least=3), value, value)
        assert (only.met, only.value, only.samples, only.min_samples) == (None, value, 2, 3)
    none = judged(wanted("ws.connect.p95"))
    assert (none.met, none.value, none.samples) == (None, None, 0)


def test_what_is_no_finite_number_is_no_sample() -> None:
    series = series_of([a_case(1.0, math.nan, math.inf, -math.inf)], [math.nan])
    assert series == {"http": [1.0]}


def test_the_durations_of_suites_are_loopctls_own_to_measure() -> None:
    claimed = [a_case(0.001, metric="suite.duration")]
    assert series_of(claimed, [8.5, 3.0]) == {"suite.duration": [8.5, 3.0]}
    assert series_of(claimed) == {}


def test_samples_of_all_cases_come_together_by_series() -> None:
    cases = [a_case(1.0), a_case(2.0), a_case(0.0, metric="error")]
    assert series_of(cases) == {"http": [1.0, 2.0], "error": [0.0]}


def test_numbers_too_large_to_be_added_still_have_a_mean() -> None:
    assert judged(wanted("http.mean"), 1.7e308, 1.7e308).value == pytest.approx(1.7e308)


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (2.3141, "2s", "2.31 s"),
        (2.0001, "2s", "2.0001 s"),
        (0.0851, "500ms", "0.0851 s"),
        (123456.0, "7", "123456"),
        (0.1 + 0.2, "0.3", "0.30000000000000004"),
        (5.0, "5", "5"),
        (1.5, "not a number", "1.5"),
    ],
)
def test_a_value_is_never_rounded_onto_its_limit(value: float, limit: str, text: str) -> None:
    assert measured(CriterionJudgement("m", "<=", limit, value, 1, 1, met=False)) == text


def test_a_criterion_is_told_in_one_line() -> None:
    missed = CriterionJudgement("http.p95", "<=", "2s", 2.3141, 200, 20, met=False)
    assert told(missed) == "criterion missed: http.p95 is 2.31 s, wanted <= 2s (200 samples)"
    met = CriterionJudgement("http.p95", "<=", "2s", 0.1, 1, 1, met=True)
    assert told(met) == "criterion met: http.p95 is 0.1 s, wanted <= 2s (1 sample)"
    few = CriterionJudgement("http.p95", "<=", "2s", 2.3141, 1, 20, met=None)
    assert told(few) == "criterion undecided: http.p95 has 1 of at least 20 samples"
    none = CriterionJudgement("http.p95", "<=", "2s", None, 0, 20, met=None)
    assert told(none) == "criterion undecided: http.p95 has 0 of at least 20 samples"


class Cycle:
    """A cycle in a journal, with what its suites have measured so far."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        suites = [a_suite(), a_suite("smoke", phase=SuitePhase.CONFIRM)]
        self.journal = a_journal(folder, [a_service()], suites, [self.events.append])

    def ran(
        self,
        *values: float,
        suite: str = "p1",
        outcome: SuiteOutcome = SuiteOutcome.PASSED,
        **facts: str,
    ) -> Cycle:
        self.journal.append(CasesGraded((a_case(*values, name=suite),)), suite=suite)
        judgement = SuiteJudgement(outcome, (), 1, duration_s=8.5)
        end = SuiteEnd(
            complete=True, exit_code=0, duration_s=8.5, usage_error=facts.get("usage_error")
        )
        self.journal.append(SuiteFinished(judgement, end), suite=suite)
        return self

    def judge(self, gate: CriteriaGate) -> Outcome:
        return gate.judge(self.journal)

    def events_of(self) -> list[tuple[CriterionJudgement, ...]]:
        found = written(self.events, CriteriaJudged)
        return [payload.criteria for payload in found if isinstance(payload, CriteriaJudged)]


def gate(*criteria: Criterion, more: bool = False, partial: str | None = None) -> CriteriaGate:
    return CriteriaGate(criteria, more_to_come=more, partial=partial)


def test_without_criteria_nothing_is_judged_or_written(tmp_path: Path) -> None:
    cycle = Cycle(tmp_path).ran(1.0)
    assert cycle.judge(gate()) == Outcome(OutcomeKind.OK)
    assert cycle.events_of() == []


def test_criteria_that_are_met_are_written_down_with_their_values(tmp_path: Path) -> None:
    cycle = Cycle(tmp_path).ran(0.5, 1.0)
    assert cycle.judge(gate(wanted("http.max"), wanted("suite.duration", 9.0))).kind is (
        OutcomeKind.OK
    )
    (criteria,) = cycle.events_of()
    assert [(c.metric, c.value, c.met) for c in criteria] == [
        ("http.max", 1.0, True),
        ("suite.duration", 8.5, True),
    ]
    assert cycle.journal.fold.cycle().criteria == criteria


def test_a_missed_criterion_fails_and_is_quoted(tmp_path: Path) -> None:
    outcome = Cycle(tmp_path).ran(0.5, 2.3141).judge(gate(wanted("http.max")))
    said = "criterion missed: http.max is 2.31 s, wanted <= 2s (2 samples)"
    assert (outcome.kind, outcome.detail) == (OutcomeKind.FAILED, said)
    (fault,) = outcome.faults
    assert (fault.kind, fault.summary, fault.value) == (FaultKind.CRITERION, said, "2.31 s")
    (quote,) = fault.quotes
    assert (quote.source, quote.quote) == (
        "criteria/http.max",
        "furthest from it: 2.31 s at t.py::p1",
    )


@pytest.mark.parametrize(
    ("metric", "op", "value", "quoted"),
    [
        ("http.mean", "<", 1.0, "2.5 s at t.py::p1"),
        ("http.p50", ">", 2.0, "0.5 s at t.py::p1"),
        ("http", "==", 2.0, "0.5 s at t.py::p1"),
        ("suite.duration", "<", 1.0, "8.5 s at suite p1"),
    ],
)
def test_a_missed_criterion_quotes_the_sample_that_is_furthest_from_its_limit(
    tmp_path: Path, metric: str, op: Op, value: float, quoted: str
) -> None:
    missed = wanted(metric, value, op=op)
    outcome = Cycle(tmp_path).ran(0.5, 2.5, 1.45, suite="p1").judge(gate(missed))
    assert [quote.quote for fault in outcome.faults for quote in fault.quotes] == [
        f"furthest from it: {quoted}"
    ]


def test_too_few_samples_leave_the_cycle_unproven(tmp_path: Path) -> None:
    outcome = Cycle(tmp_path).ran(0.5).judge(gate(wanted("http.max", least=2)))
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert outcome.detail == "criterion undecided: http.max has 1 of at least 2 samples"
    assert outcome.faults[0].kind is FaultKind.CRITERION


def test_one_missed_beside_one_undecided_is_a_failure_that_names_both(tmp_path: Path) -> None:
    criteria = (wanted("http.p95", least=9), wanted("http.max", 0.1))
    outcome = Cycle(tmp_path).ran(0.5).judge(gate(*criteria))
    assert outcome.kind is OutcomeKind.FAILED
    assert len(outcome.faults) == 2
    assert "http.max" in outcome.detail
    assert "http.p95" in outcome.detail


def test_too_few_samples_are_left_to_the_suites_that_are_still_to_come(tmp_path: Path) -> None:
    cycle, few = Cycle(tmp_path), wanted("http.max", least=2)
    assert cycle.ran(0.5).judge(gate(few, more=True)).kind is OutcomeKind.OK
    assert cycle.ran(0.6, suite="smoke").judge(gate(few)).kind is OutcomeKind.OK
    assert [c.met for (c,) in cycle.events_of()] == [None, True]


def test_what_is_missed_already_waits_for_no_other_suite(tmp_path: Path) -> None:
    cycle = Cycle(tmp_path).ran(9.0)
    assert cycle.judge(gate(wanted("http.max"), more=True)).kind is OutcomeKind.FAILED


def test_in_a_partial_run_too_few_samples_decide_nothing_and_are_listed(tmp_path: Path) -> None:
    cycle = Cycle(tmp_path).ran(0.5)
    few = gate(wanted("http.max", least=2), more=True, partial="partial, by --suite")
    assert cycle.judge(few).kind is OutcomeKind.OK
    (listed,) = written(cycle.events, NotChecked)
    assert isinstance(listed, NotChecked)
    assert listed.what == "criterion http.max <= 2s"
    assert "has 1 of at least 2 samples" in listed.why
    missed = gate(wanted("http.max", 0.1), partial="partial, by --suite")
    assert cycle.judge(missed).kind is OutcomeKind.FAILED


def test_beside_a_suite_that_failed_missing_samples_are_no_fault_of_their_own(
    tmp_path: Path,
) -> None:
    cycle = Cycle(tmp_path).ran(outcome=SuiteOutcome.FAILED)
    outcome = cycle.judge(gate(wanted("http.max")))
    assert (outcome.kind, outcome.faults) == (OutcomeKind.UNPROVEN, ())


def test_a_suite_that_could_not_be_started_took_no_time(tmp_path: Path) -> None:
    cycle = Cycle(tmp_path).ran(usage_error="no pytest", outcome=SuiteOutcome.UNPROVEN)
    cycle.judge(gate(wanted("suite.duration")))
    assert cycle.events_of()[0][0].samples == 0


PROMOTED = Revision("chat", "chat-new", "sha256:x", BEGAN, "key")


def confirmed(folder: Path, criteria: Sequence[Criterion], values: Sequence[float]) -> Outcome:
    """CONFIRM of a promoted service, whose smoke suite has measured `values`."""
    smoke = a_suite("smoke", phase=SuitePhase.CONFIRM)
    service, platform, suite = a_service(), FakePlatform("chat"), FakeSuite()
    suite.cases["smoke"] = [replace(case_of_rig(), samples=a_case(*values).samples)]
    journal = a_journal(folder, [service], [smoke])
    platform.move("chat", {"chat-new": 100})
    state = platform.states["chat"]
    assert state is not None
    image = Artifact("chat", ArtifactKind.FOLDER, "sha256:x", "images/x", "tree", BEGAN)
    journal.append(ServiceObserved("before", state), service="chat")
    journal.append(ImageBuilt(image, 0.1, "log"), service="chat")
    journal.append(RevisionDeployed(PROMOTED, "none"), service="chat")
    journal.append(Routed(state, "promote"), service="chat")
    facts = RunFacts(RUN_ID, "local", loopback=True, health_paths={}, gated={})
    course = Course((smoke,), 1, SuiteRunner({SuiteKind.PYTEST: suite}, FakeReceipts(), facts))
    keeper = LogKeeper(FakeLogs(), FakeReceipts())
    stage = Confirm([service], course, platform, FakeProber(), keeper, criteria)
    return stage(journal.fold.cycle(), journal, Stop(5.0))


def test_confirm_judges_again_with_what_its_own_suites_have_measured(tmp_path: Path) -> None:
    missed = confirmed(tmp_path, [wanted("http.max")], [9.0])
    assert missed.kind is OutcomeKind.FAILED
    assert [fault.kind for fault in missed.faults] == [FaultKind.CRITERION]


def test_confirm_is_content_with_criteria_that_are_met(tmp_path: Path) -> None:
    assert confirmed(tmp_path, [wanted("http.max")], [1.0]).kind is OutcomeKind.OK


def test_samples_that_are_still_too_few_in_confirm_are_told(tmp_path: Path) -> None:
    few = confirmed(tmp_path, [wanted("http.max", least=5)], [0.1])
    assert few.kind is OutcomeKind.UNPROVEN
    assert "has 1 of at least 5 samples" in few.detail


@pytest.mark.parametrize(
    ("stage", "met", "kind", "verdict"),
    [
        (State.VERIFY, False, OutcomeKind.FAILED, Verdict.RED),
        (State.VERIFY, None, OutcomeKind.UNPROVEN, Verdict.UNPROVEN),
        (State.CONFIRM, False, OutcomeKind.FAILED, Verdict.RED),
        (State.CONFIRM, None, OutcomeKind.UNPROVEN, Verdict.UNPROVEN),
        # Met, and the public address has failed.
        (State.CONFIRM, True, OutcomeKind.FAILED, Verdict.UNDELIVERED),
    ],
)
def test_a_missed_criterion_is_red_wherever_it_was_missed(
    stage: State, met: bool | None, kind: OutcomeKind, verdict: Verdict
) -> None:
    judged = CriterionJudgement("http.p95", "<=", "2s", 3.0, 9, 9, met)
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.stage(stage, kind, inside=[(CriteriaJudged((judged,)), None, None)])
    cycle = script.worklog().last
    assert cycle is not None
    assert verdict_of(cycle) is verdict


def test_a_latency_that_missed_its_limit_is_a_known_cause(tmp_path: Path) -> None:
    cycle = Cycle(tmp_path).ran(2.3141)
    cycle.journal.append(StageEntered(State.VERIFY))
    outcome = cycle.judge(gate(wanted("http.p95")))
    end = StageFinished(State.VERIFY, outcome.kind, State.COLLECT, 1.0, "", outcome.faults)
    cycle.journal.append(end)
    stage = Diagnose([a_service()], CATALOGUE, None, FakeSources())
    stage(cycle.journal.fold.cycle(), cycle.journal, Stop(5.0))
    found = [p.finding for p in written(cycle.events, FindingMade) if isinstance(p, FindingMade)]
    assert found[0].signature == "health.latency"
    assert (
        found[0].evidence[0].quote
        == "http.p95 is 2.31 s, the limit 2s; furthest from it: 2.31 s at t.py::p1"
    )


def test_nothing_follows_for_the_diagnosis_from_a_quarantined_failure(tmp_path: Path) -> None:
    events: list[Event] = []
    began = run_started([a_service()], [a_suite()])
    known = (("t.py::test_known", "ana", "2026-12-31"),)
    began = replace(began, suites=(replace(began.suites[0], quarantine=known),))
    journal = Journal(tmp_path / "journal.jsonl", Redactor({}), [events.append])
    journal.append(began)
    journal.cycle = 1
    journal.append(StageEntered(State.VERIFY))
    failed = [replace(a_case(name=n), status=CaseStatus.FAILED) for n in ("test_known", "test_new")]
    said = [replace(case, message=f"{case.id} broke") for case in failed]
    journal.append(CasesGraded(tuple(said)), suite="p1")
    journal.append(StageFinished(State.VERIFY, OutcomeKind.FAILED, State.COLLECT, 1.0))
    stage = Diagnose([a_service()], CATALOGUE, None, FakeSources())
    stage(journal.fold.cycle(), journal, Stop(5.0))
    found = [p.finding for p in written(events, FindingMade) if isinstance(p, FindingMade)]
    assert [finding.cases for finding in found] == [("t.py::test_new",)]
