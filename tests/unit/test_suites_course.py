"""Which suites run, in what order, and what they come to together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fakes import FakeReceipts, FakeSuite, an_end, revision
from loop_rig import RUN_ID, a_case, a_journal, a_suite, written

from loopctl.errors import Stopped
from loopctl.model.events import CasesGraded, Event, Intent, Result, SuiteFinished, SuiteStarted
from loopctl.model.evidence import Case, CaseStatus, Grade, SuiteEnd, SuiteOutcome
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import EvidenceSpec, Limit, Priority, SuiteKind, SuiteSpec, Tolerance
from loopctl.model.references import Endpoint
from loopctl.model.state import OutcomeKind
from loopctl.ports.logs import LogError
from loopctl.ports.suite import SuiteContext, SuiteError
from loopctl.process import Stop
from loopctl.stages.suite_run import RunFacts, SuiteRunner, UnderTest
from loopctl.stages.suites import Course

FAILED = [a_case("test_bad", CaseStatus.FAILED)]
LOST_WAY = [a_case("test_bad", CaseStatus.FAILED, target=None)]


class School:
    """A course of suites with scripted cases; all pass unless told otherwise."""

    def __init__(self, folder: Path, *suites: SuiteSpec, jobs: int = 1) -> None:
        self.suites, self.jobs = suites, jobs
        self.suite, self.receipts = FakeSuite(), FakeReceipts()
        self.suite.cases = {spec.id: [a_case()] for spec in suites}
        self.events: list[Event] = []
        self.journal = a_journal(folder, suites=suites, subscribers=[self.events.append])

    def run(self, stop: Stop | None = None) -> Outcome:
        facts = RunFacts(RUN_ID, "local", loopback=True, health_paths={"chat": "/health"}, gated={})
        runner = SuiteRunner({SuiteKind.PYTEST: self.suite}, self.receipts, facts)
        where = UnderTest(
            {"chat": Endpoint.of("http://own")}, {"chat": revision("chat", "chat-new")}
        )
        return Course(self.suites, self.jobs, runner).run(where, self.journal, stop or Stop(10.0))

    @property
    def ran(self) -> list[str]:
        return [call.split()[1] for call in self.suite.effects("run")]

    def outcomes(self) -> dict[str, SuiteOutcome]:
        return {
            e.suite or "": e.payload.judgement.outcome
            for e in self.events
            if isinstance(e.payload, SuiteFinished)
        }

    def reasons(self, suite: str) -> Sequence[str]:
        judgement = self.journal.fold.cycle().suites[suite].judgement
        assert judgement is not None
        return judgement.reasons


def test_suites_run_by_priority(tmp_path: Path) -> None:
    suites = [a_suite("a", Priority.P0), a_suite("b", Priority.P1), a_suite("c", Priority.P2)]
    school = School(tmp_path, *suites, jobs=3)
    assert school.run() == Outcome(OutcomeKind.OK, "3 cases in 3 suites")
    assert school.ran == ["a", "b", "c"]


def test_one_suite_is_no_suites(tmp_path: Path) -> None:
    assert School(tmp_path, a_suite("a")).run().detail == "1 case in 1 suite"


def test_suites_of_one_priority_run_side_by_side(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"), a_suite("b"), jobs=2)
    together = threading.Barrier(2, timeout=5.0)

    def meet() -> None:
        together.wait()

    school.suite.hooks["run"] = meet
    assert school.run().kind is OutcomeKind.OK


def test_never_more_run_at_once_than_there_are_jobs(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"), a_suite("b"), a_suite("c"), jobs=1)
    alone = threading.Lock()
    crowded: list[bool] = []

    def enter() -> None:
        crowded.append(not alone.acquire(blocking=False))
        alone.release()

    school.suite.hooks["run"] = enter
    school.run()
    assert crowded == [False, False, False]


def test_a_suite_waits_for_what_it_needs_whatever_its_priority(tmp_path: Path) -> None:
    needy = a_suite("needy", Priority.P0, needs=("base",))
    school = School(tmp_path, a_suite("base", Priority.P3), needy)
    school.run()
    assert school.ran == ["base", "needy"]


def test_a_suite_whose_need_failed_is_not_run_and_says_which(tmp_path: Path) -> None:
    base = a_suite("base", on_fail="continue")
    school = School(tmp_path, base, a_suite("needy", Priority.P2, needs=("base",)))
    school.suite.cases["base"] = FAILED
    assert school.run().kind is OutcomeKind.FAILED
    assert school.outcomes()["needy"] is SuiteOutcome.NOT_RUN
    assert school.reasons("needy") == ("it needs base, which has not passed",)


def test_a_need_that_was_not_run_holds_back_those_behind_it(tmp_path: Path) -> None:
    suites = [
        a_suite("a", on_fail="continue"),
        a_suite("b", needs=("a",)),
        a_suite("c", needs=("b",)),
    ]
    school = School(tmp_path, *suites)
    school.suite.cases["a"] = FAILED
    school.run()
    assert school.ran == ["a"]
    assert school.outcomes()["c"] is SuiteOutcome.NOT_RUN


def test_after_a_suite_that_stops_later_ones_are_not_run_and_say_why(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a", Priority.P0), a_suite("b"), a_suite("c", Priority.P2))
    school.suite.cases["a"] = FAILED
    assert school.run().kind is OutcomeKind.FAILED
    assert school.ran == ["a"]
    assert "a (P0) is failed, and its on_fail is stop" in school.reasons("b")[0]
    assert school.outcomes()["c"] is SuiteOutcome.NOT_RUN


def test_after_a_suite_that_lets_others_go_on_they_run(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a", Priority.P0, on_fail="continue"), a_suite("b"))
    school.suite.cases["a"] = FAILED
    assert school.run().kind is OutcomeKind.FAILED
    assert school.ran == ["a", "b"]


def test_an_unproven_suite_stops_the_course_too(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"), a_suite("b", Priority.P2))
    school.suite.cases["a"] = [a_case(status=CaseStatus.BROKEN)]
    outcome = school.run()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert school.ran == ["a"]


@pytest.mark.parametrize("priority", list(Priority))
def test_every_suite_gates_whatever_its_priority(tmp_path: Path, priority: Priority) -> None:
    school = School(tmp_path, a_suite("a", priority, on_fail="continue"))
    school.suite.cases["a"] = FAILED
    assert school.run().kind is OutcomeKind.FAILED


def test_tolerated_failures_are_no_failure(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a", tolerance=Tolerance(failed=Limit(percent=50.0))))
    school.suite.cases["a"] = [a_case(), *FAILED]
    assert school.run().kind is OutcomeKind.OK


def test_a_suite_of_which_no_case_reached_a_healthy_target_is_not_red(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.suite.cases["a"] = LOST_WAY
    outcome = school.run()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert outcome.faults[0].kind is FaultKind.CANNOT_REACH
    assert outcome.faults[0].hint


def test_a_suite_that_cannot_reach_does_not_launder_one_that_is_red(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a", on_fail="continue"), a_suite("b", on_fail="continue"))
    school.suite.cases = {"a": FAILED, "b": LOST_WAY}
    outcome = school.run()
    assert outcome.kind is OutcomeKind.FAILED
    assert {f.kind for f in outcome.faults} == {FaultKind.SUITE, FaultKind.CANNOT_REACH}


def test_a_suite_that_cannot_be_started_is_unproven_with_its_reason(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.suite.fails["run"] = SuiteError("no module named pytest")
    outcome = school.run()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert "no module named pytest" in outcome.detail
    (result,) = written(school.events, Result)
    assert isinstance(result, Result)
    assert not result.ok


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (an_end(complete=False, detail="killed by SIGKILL"), "did not report its end"),
        (an_end(stopped="deadline"), "was stopped: deadline"),
        (an_end(usage_error="no such file"), "could not be run"),
    ],
)
def test_a_suite_that_did_not_end_well_is_unproven(
    tmp_path: Path, end: SuiteEnd, said: str
) -> None:
    school = School(tmp_path, a_suite("a"))
    school.suite.ends["a"] = end
    outcome = school.run()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert said in outcome.detail


def test_one_lost_case_is_enough_to_be_unproven(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a", tolerance=Tolerance(failed=Limit(9))))
    school.suite.cases["a"] = [a_case(), a_case("test_gone", CaseStatus.LOST)]
    assert school.run().kind is OutcomeKind.UNPROVEN


def test_a_suite_that_collected_nothing_is_not_green(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.suite.cases["a"] = []
    assert school.run().kind is OutcomeKind.UNPROVEN


def test_a_pass_that_met_nobody_is_not_green(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.suite.cases["a"] = [a_case(target=None)]
    outcome = school.run()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert "proves less than observed" in outcome.detail


def graded(school: School) -> list[tuple[Grade | None, str | None]]:
    return [
        (case.grade, case.reason)
        for batch in written(school.events, CasesGraded)
        if isinstance(batch, CasesGraded)
        for case in batch.cases
    ]


def test_a_receipt_of_the_target_proves_a_pass(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.receipts.traces = {"trace-of-test_it"}
    school.run()
    assert [grade for grade, _ in graded(school)] == [Grade.PROVEN]


def test_a_request_log_that_cannot_be_read_leaves_what_was_observed(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.receipts.fails["of"] = LogError("gone")
    assert school.run().kind is OutcomeKind.OK
    assert [grade for grade, _ in graded(school)] == [Grade.OBSERVED]


def test_where_receipts_are_not_asked_for_none_are_looked_up(tmp_path: Path) -> None:
    evidence = EvidenceSpec(target=("chat",), receipts=False)
    school = School(tmp_path, a_suite("a", evidence=evidence))
    school.run()
    assert school.receipts.calls == []


def test_cases_are_written_in_batches_of_a_hundred(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.suite.cases["a"] = [a_case(f"test_{n}") for n in range(250)]
    school.run()
    sizes = [len(b.cases) for b in written(school.events, CasesGraded) if hasattr(b, "cases")]
    assert sum(sizes) == 250
    assert max(sizes) <= 100


def test_a_suite_is_told_its_run_and_a_trace_of_its_own(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"), a_suite("b"))
    school.run()
    a, b = school.suite.contexts["a"], school.suite.contexts["b"]
    assert a.variables["LOOPCTL_RUN_ID"] == RUN_ID
    assert a.variables["LOOPCTL_SUITE"] == "a"
    assert a.variables["TRACEPARENT"].startswith(f"00-{a.trace_seed}-")
    assert a.trace_seed != b.trace_seed
    assert a.health_paths == ("/health",)
    assert a.folder == tmp_path / "suites" / "1" / "a"


def test_a_suite_stands_between_its_intent_and_its_result(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"))
    school.run()
    kinds = [type(e.payload) for e in school.events if e.suite == "a"]
    assert kinds == [SuiteStarted, Intent, CasesGraded, Result, SuiteFinished]


def test_the_cases_of_a_suite_that_was_stopped_are_kept(tmp_path: Path) -> None:
    school = School(tmp_path, a_suite("a"), a_suite("b", Priority.P2))
    stop = Stop()
    school.suite.hooks["run"] = lambda: stop.stop("SIGINT")
    with pytest.raises(Stopped, match="SIGINT"):
        school.run(stop)
    assert len(graded(school)) == 1
    assert school.ran == ["a"]


class Streaming(FakeSuite):
    """Hands a case over, waits until it was written down, and only then ends."""

    def __init__(self, seen: threading.Event) -> None:
        super().__init__()
        self._seen = seen

    def run(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], stop: Stop
    ) -> SuiteEnd:
        on(a_case())
        assert self._seen.wait(5.0), "a case is written while its suite still runs"
        return an_end(collected=1)


def test_cases_are_written_while_their_suite_still_runs(tmp_path: Path) -> None:
    seen = threading.Event()
    school = School(tmp_path, a_suite("a"))
    school.suite = Streaming(seen)
    school.events = []

    def heard(event: Event) -> None:
        if isinstance(event.payload, CasesGraded):
            seen.set()

    again = tmp_path / "again"
    again.mkdir()
    school.journal = a_journal(again, suites=school.suites, subscribers=[heard])
    assert school.run().kind is OutcomeKind.OK
