"""A suite whose target writes its request log late: asked once, at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import BEGAN, FakeReceipts, FakeSuite, an_end, revision
from loop_rig import RUN_ID, a_case, a_journal, a_suite, written

from loopctl.errors import Stopped
from loopctl.model.artifact import Revision
from loopctl.model.events import CasesGraded, Event, Intent, SuiteFinished
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Grade,
    GradedCase,
    HttpExchange,
    SuiteOutcome,
)
from loopctl.model.logs import Coverage, LogWindow
from loopctl.model.plan import EvidenceSpec, Limit, SuiteKind, SuiteSpec, Tolerance
from loopctl.model.references import Endpoint
from loopctl.ports.logs import LogError, Met
from loopctl.process import Stop, utc_now
from loopctl.stages.suite_run import Ran, RunFacts, SuiteRunner, UnderTest


class LateLog(FakeReceipts):
    """A log that is read late; `before` happens first, `gap` says that it is incomplete."""

    def __init__(self) -> None:
        super().__init__()
        self.late_s = 20.0
        self.gap: str | None = None
        self.awaited: list[frozenset[str]] = []
        self.windows: list[LogWindow] = []
        self.before: Callable[[Stop], object] = lambda stop: stop.remaining(0)

    def of(
        self,
        revision: Revision,
        traces: frozenset[str],
        window: LogWindow,
        stop: Stop,
        awaited: frozenset[str] = frozenset(),
    ) -> Met:
        self.awaited.append(awaited)
        self.windows.append(window)
        self.before(stop)
        met = super().of(revision, traces, window, stop, awaited)
        if self.gap is None:
            return met
        return replace(met, coverage=Coverage(complete=False, until=utc_now(), gap=self.gap))


def asked(name: str, status: CaseStatus = CaseStatus.PASSED) -> Case:
    """A case whose client told what it asked."""
    case = a_case(name, status)
    (phase,) = case.phases
    exchanged = (HttpExchange("chat", "GET", "/rooms", 200),)
    return replace(case, phases=(replace(phase, exchanges=exchanged),))


class Suite:
    """A suite of two tests against a late log."""

    def __init__(self, folder: Path, spec: SuiteSpec, *cases: Case) -> None:
        self.spec = spec
        self.adapter, self.log = FakeSuite(), LateLog()
        self.adapter.cases = {"p1": cases}
        self.log.traces = {"trace-of-test_a", "trace-of-test_b"}
        self.events: list[Event] = []
        self.journal = a_journal(folder, suites=[spec], subscribers=[self.events.append])

    def run(self, stop: Stop | None = None) -> Ran:
        facts = RunFacts(RUN_ID, "staging", loopback=False, health_paths={}, gated={})
        runner = SuiteRunner({SuiteKind.PYTEST: self.adapter}, self.log, facts)
        where = UnderTest(
            {"chat": Endpoint.of("http://own")}, {"chat": revision("chat", "chat-new")}
        )
        return runner.run(self.spec, where, self.journal, stop or Stop(10.0))

    @property
    def batches(self) -> Sequence[Sequence[GradedCase]]:
        return [p.cases for p in written(self.events, CasesGraded) if isinstance(p, CasesGraded)]

    def last(self, name: str) -> GradedCase:
        cases = self.journal.fold.cycle().suites["p1"].cases
        return next(case for case in cases if case.id.endswith(f"::{name}"))


PROVEN = EvidenceSpec(target=("chat",), require=Grade.PROVEN)
SPEC = a_suite("p1", evidence=PROVEN)


def test_cases_are_told_at_once_and_proven_at_the_end(tmp_path: Path) -> None:
    suite = Suite(tmp_path, SPEC, asked("test_a"), asked("test_b"))
    assert suite.run().judgement.outcome is SuiteOutcome.PASSED
    assert suite.log.effects("of") == ["of chat-new"], "one read for all"
    first, second = suite.batches
    assert {case.grade for case in first} == {Grade.OBSERVED}
    assert {case.grade for case in second} == {Grade.PROVEN}
    assert suite.log.awaited == [{"trace-of-test_a", "trace-of-test_b"}]
    (window,) = suite.log.windows
    assert window.since < BEGAN
    assert window.until is not None


def test_only_what_has_changed_is_written_again(tmp_path: Path) -> None:
    suite = Suite(tmp_path, a_suite("p1"), asked("test_a"), asked("test_c", CaseStatus.FAILED))
    suite.run()
    assert [[case.id[-6:] for case in batch] for batch in suite.batches] == [
        ["test_a", "test_c"],
        ["test_a"],
    ]
    assert suite.last("test_c").status is CaseStatus.FAILED


def test_a_pass_without_a_record_is_not_proven(tmp_path: Path) -> None:
    suite = Suite(tmp_path, SPEC, asked("test_a"), asked("test_z"))
    judged = suite.run().judgement
    assert judged.outcome is SuiteOutcome.UNPROVEN
    assert suite.last("test_z").reason == "12 B out, 34 B in; no receipt of it"


def test_an_incomplete_log_says_so_beside_the_grade(tmp_path: Path) -> None:
    suite = Suite(tmp_path, SPEC, asked("test_a"), asked("test_z"))
    suite.log.gap = "may be incomplete: the project's quota of 60 log reads a minute was used up"
    suite.run()
    assert suite.last("test_a").grade is Grade.PROVEN
    said = suite.last("test_z").reason or ""
    assert "the request log of chat may be incomplete: the project's quota" in said


def test_a_log_that_cannot_be_read_takes_only_the_proof_away(tmp_path: Path) -> None:
    suite = Suite(tmp_path, a_suite("p1"), asked("test_a"))

    def refuse(_stop: Stop) -> None:
        raise LogError("cannot read the logs: denied")

    suite.log.before = refuse
    assert suite.run().judgement.outcome is SuiteOutcome.PASSED
    assert suite.last("test_a").grade is Grade.OBSERVED
    assert "cannot read the logs: denied" in (suite.last("test_a").reason or "")


def test_a_signal_does_not_wait_for_late_records(tmp_path: Path) -> None:
    suite = Suite(tmp_path, SPEC, asked("test_a"))
    stop = Stop()

    def interrupt(given: Stop) -> None:
        stop.stop("SIGINT")
        given.wait(60.0)

    suite.log.before = interrupt
    assert suite.run(stop).judgement.outcome is SuiteOutcome.UNPROVEN
    assert suite.last("test_a").grade is Grade.OBSERVED


def test_the_log_is_read_before_the_control_run_and_the_judgement(tmp_path: Path) -> None:
    spec = a_suite("p1", evidence=replace(PROVEN, control="always"), repeatable=True)
    suite = Suite(tmp_path, spec, asked("test_a"))
    suite.adapter.cases["p1/control"] = [asked("test_a", CaseStatus.FAILED)]
    suite.run()
    kinds = [
        event.payload
        for event in suite.events
        if isinstance(event.payload, CasesGraded | SuiteFinished | Intent)
    ]
    proven = next(
        n
        for n, p in enumerate(kinds)
        if isinstance(p, CasesGraded) and p.cases[0].grade is Grade.PROVEN
    )
    controls = [n for n, p in enumerate(kinds) if isinstance(p, Intent) and "control" in p.key]
    assert controls
    assert proven < controls[0]
    assert isinstance(kinds[-1], SuiteFinished)
    assert suite.last("test_a").grade is Grade.PROVEN
    assert suite.last("test_a").control is not None


def test_a_flaky_case_keeps_its_first_failure_and_gets_the_proof_of_its_pass(
    tmp_path: Path,
) -> None:
    spec = a_suite("p1", evidence=PROVEN, retries=1, tolerance=Tolerance(flaky=Limit(1)))
    failed = replace(asked("test_a", CaseStatus.FAILED), message="1 == 2", longrepr="assert 1 == 2")
    suite = Suite(tmp_path, spec, failed)
    suite.adapter.cases["p1/retry-1"] = [asked("test_a")]
    assert suite.run().judgement.outcome is SuiteOutcome.PASSED
    case = suite.last("test_a")
    assert (case.status, case.grade) == (CaseStatus.FLAKY, Grade.PROVEN)
    assert case.message == "failed first: 1 == 2; passed on retry 1"
    assert case.detail == "assert 1 == 2"
    assert suite.log.effects("of") == ["of chat-new"]


@pytest.mark.parametrize("late_s", [0.0, 20.0])
def test_a_suite_that_wants_no_receipts_asks_for_none(tmp_path: Path, late_s: float) -> None:
    spec = a_suite("p1", evidence=EvidenceSpec(target=("chat",), receipts=False))
    suite = Suite(tmp_path, spec, asked("test_a"))
    suite.log.late_s = late_s
    suite.run()
    assert suite.log.effects("of") == []
    assert len(suite.batches) == 1


def test_a_log_that_is_never_late_is_asked_with_each_batch(tmp_path: Path) -> None:
    suite = Suite(tmp_path, SPEC, asked("test_a"), asked("test_b"))
    suite.log.late_s = 0.0
    suite.run()
    assert [{case.grade for case in batch} for batch in suite.batches] == [{Grade.PROVEN}]


def test_a_suite_that_its_time_ended_is_joined_all_the_same(tmp_path: Path) -> None:
    suite = Suite(tmp_path, SPEC, asked("test_a"))
    suite.adapter.ends["p1"] = an_end(stopped="timeout")
    suite.run()
    assert suite.last("test_a").grade is Grade.PROVEN


def test_stopping_is_no_error_of_the_suite(tmp_path: Path) -> None:
    suite = Suite(tmp_path, SPEC, asked("test_a"))

    def expire(_stop: Stop) -> None:
        raise Stopped("deadline")

    suite.log.before = expire
    assert suite.run().judgement.outcome is SuiteOutcome.UNPROVEN
