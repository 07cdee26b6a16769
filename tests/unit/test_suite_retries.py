"""Cases that are run again: which, how often, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import BEGAN, FakeReceipts, FakeSuite, an_end, revision
from loop_rig import RUN_ID, a_case, a_journal, a_suite, written

from loopctl.errors import Stopped
from loopctl.model.events import CasesGraded, Event, Intent
from loopctl.model.evidence import Case, CaseStatus, Grade, GradedCase, SuiteEnd, SuiteOutcome
from loopctl.model.plan import Limit, SuiteKind, SuiteSpec, Tolerance
from loopctl.model.references import Endpoint
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop
from loopctl.stages.suite_run import Ran, RunFacts, SuiteRunner, UnderTest

FORGIVING = Tolerance(flaky=Limit(1))
ONCE_MORE = a_suite("p1", retries=1)


def bad(status: CaseStatus = CaseStatus.FAILED, message: str = "1 == 2") -> Case:
    return replace(a_case("test_bad", status), message=message)


GOOD = a_case("test_bad")


def beside(folder: Path) -> Path:
    other = folder / "other"
    other.mkdir()
    return other


class Suite:
    """One suite with scripted attempts: the first run, then a case for each retry."""

    def __init__(self, folder: Path, spec: SuiteSpec, first: Case, *retries: Case) -> None:
        self.spec = spec
        self.adapter = FakeSuite()
        self.adapter.cases = {"p1": [a_case("test_fine"), first]}
        for number, case in enumerate(retries, start=1):
            self.adapter.cases[f"p1/retry-{number}"] = [case]
        self.events: list[Event] = []
        self.journal = a_journal(folder, suites=[spec], subscribers=[self.events.append])

    def run(self, stop: Stop | None = None) -> Ran:
        facts = RunFacts(RUN_ID, "local", loopback=True, health_paths={}, gated={})
        runner = SuiteRunner({SuiteKind.PYTEST: self.adapter}, FakeReceipts(), facts)
        where = UnderTest(
            {"chat": Endpoint.of("http://own")}, {"chat": revision("chat", "chat-new")}
        )
        return runner.run(self.spec, where, self.journal, stop or Stop(10.0))

    @property
    def ran(self) -> Sequence[str]:
        return [call.removeprefix("run ") for call in self.adapter.effects("run")]

    def case(self) -> GradedCase:
        """What the fold shows of the case that was bad."""
        cases = self.journal.fold.cycle().suites["p1"].cases
        return next(case for case in cases if case.id.endswith("::test_bad"))


def test_a_case_that_passes_on_a_retry_is_flaky_and_counts(tmp_path: Path) -> None:
    failed = replace(bad(), longrepr="assert 1 == 2", output="what it printed")
    suite = Suite(tmp_path, ONCE_MORE, failed, GOOD)
    judged = suite.run().judgement
    case = suite.case()
    assert (case.status, case.message) == (
        CaseStatus.FLAKY,
        "failed first: 1 == 2; passed on retry 1",
    )
    assert (case.detail, case.output) == ("assert 1 == 2", "what it printed")
    assert case.grade is Grade.OBSERVED, "the retry's own evidence"
    assert judged.outcome is SuiteOutcome.FAILED
    assert judged.reasons == ("1 flaky: tests/test_chat.py::test_bad",)
    assert judged.collected == sum(judged.counts.values()) == 2


def test_a_flaky_case_that_is_tolerated_lets_its_suite_pass(tmp_path: Path) -> None:
    suite = Suite(tmp_path, replace(ONCE_MORE, tolerance=FORGIVING), bad(), GOOD)
    assert suite.run().judgement.outcome is SuiteOutcome.PASSED


def test_a_retry_that_met_nobody_shows_nothing(tmp_path: Path) -> None:
    passed = a_case("test_bad", target=None)
    suite = Suite(tmp_path, replace(ONCE_MORE, tolerance=FORGIVING), bad(), passed)
    judged = suite.run().judgement
    assert suite.case().status is CaseStatus.FLAKY
    assert judged.outcome is SuiteOutcome.UNPROVEN
    assert "proves less than observed" in judged.reasons[0]


def test_only_the_bad_case_is_run_again_apart_from_its_first_run(tmp_path: Path) -> None:
    suite = Suite(tmp_path, ONCE_MORE, bad(), GOOD)
    suite.run()
    first, retry = suite.adapter.contexts["p1"], suite.adapter.contexts["p1/retry-1"]
    assert (first.only, retry.only) == (None, ("tests/test_chat.py::test_bad",))
    assert retry.folder == first.folder / "retry-1"
    assert retry.trace_seed != first.trace_seed
    assert retry.variables["TRACEPARENT"].split("-")[1] == retry.trace_seed
    assert retry.variables["LOOPCTL_SUITE"] == "p1"
    keys = [p.key for p in written(suite.events, Intent) if isinstance(p, Intent)]
    assert keys == ["1/p1", "1/p1/retry-1"]


def test_a_case_that_never_passes_stays_as_it_was(tmp_path: Path) -> None:
    spec = replace(ONCE_MORE, retries=2)
    suite = Suite(tmp_path, spec, bad(), bad(message="1 == 3"), bad(message="1 == 4"))
    assert suite.run().judgement.reasons == ("1 failed: tests/test_chat.py::test_bad",)
    assert suite.case().status is CaseStatus.FAILED
    assert suite.case().message == "1 == 4 (run 3 times, never passed)"


def test_the_second_retry_is_only_for_what_the_first_left(tmp_path: Path) -> None:
    suite = Suite(tmp_path, replace(ONCE_MORE, retries=2), bad(), bad(message="1 == 3"), GOOD)
    suite.run()
    assert suite.case().status is CaseStatus.FLAKY
    suite = Suite(beside(tmp_path), replace(ONCE_MORE, retries=2), bad(), GOOD)
    suite.run()
    assert suite.ran == ["p1", "p1/retry-1"]


@pytest.mark.parametrize("status", [CaseStatus.SKIPPED, CaseStatus.LOST, CaseStatus.BROKEN])
def test_a_retry_that_ends_otherwise_changes_no_status(tmp_path: Path, status: CaseStatus) -> None:
    suite = Suite(tmp_path, ONCE_MORE, bad(), bad(status, "so it went"))
    assert suite.run().judgement.outcome is SuiteOutcome.FAILED
    assert suite.case().status is CaseStatus.FAILED
    assert suite.case().message == f"1 == 2; {status} on retry 1: so it went"


@pytest.mark.parametrize("status", [CaseStatus.TIMEOUT, CaseStatus.LOST])
def test_what_may_have_been_cut_short_is_run_again_only_where_that_harms_nothing(
    tmp_path: Path, status: CaseStatus
) -> None:
    suite = Suite(tmp_path, ONCE_MORE, bad(status), GOOD)
    suite.run()
    assert (suite.ran, suite.case().status) == (["p1"], status)
    suite = Suite(beside(tmp_path), replace(ONCE_MORE, repeatable=True), bad(status), GOOD)
    suite.run()
    assert suite.case().message == f"{status} first: 1 == 2; passed on retry 1"
    assert suite.case().status is CaseStatus.FLAKY


@pytest.mark.parametrize("status", [CaseStatus.BROKEN, CaseStatus.SKIPPED, CaseStatus.PASSED])
def test_nothing_else_is_run_again(tmp_path: Path, status: CaseStatus) -> None:
    suite = Suite(tmp_path, replace(ONCE_MORE, repeatable=True, retries=3), bad(status))
    suite.run()
    assert suite.ran == ["p1"]


@pytest.mark.parametrize(
    ("spec", "end"),
    [
        (a_suite("p1"), an_end()),
        (ONCE_MORE, an_end(usage_error="no such file", complete=False)),
        (ONCE_MORE, an_end(stopped="suite timeout", complete=False)),
        (ONCE_MORE, an_end(duration_s=ONCE_MORE.suite_timeout_s)),
    ],
    ids=["no retries", "usage error", "stopped", "no time left"],
)
def test_a_suite_that_may_not_or_cannot_go_on_is_not_retried(
    tmp_path: Path, spec: SuiteSpec, end: SuiteEnd
) -> None:
    suite = Suite(tmp_path, spec, bad(), GOOD)
    suite.adapter.ends["p1"] = end
    suite.run()
    assert suite.ran == ["p1"]


def test_what_reached_nobody_is_no_flake(tmp_path: Path) -> None:
    suite = Suite(tmp_path, ONCE_MORE, a_case("test_bad", CaseStatus.FAILED, target=None), GOOD)
    suite.adapter.cases["p1"] = suite.adapter.cases["p1"][1:]
    assert suite.run().nobody_met
    assert suite.ran == ["p1"]


def test_a_retry_has_the_time_that_is_left(tmp_path: Path) -> None:
    suite = Suite(tmp_path, replace(ONCE_MORE, suite_timeout_s=30.0), bad(), GOOD)
    suite.adapter.ends = {"p1": an_end(collected=2, duration_s=20.0)}
    judged = suite.run().judgement
    assert suite.adapter.specs["p1/retry-1"].suite_timeout_s == 10.0
    assert judged.duration_s > 20.0


def test_a_retry_that_did_not_report_its_end_leaves_the_suite_unproven(tmp_path: Path) -> None:
    suite = Suite(tmp_path, replace(ONCE_MORE, tolerance=FORGIVING), bad(), GOOD)
    suite.adapter.ends["p1/retry-1"] = an_end(complete=False, detail="pytest was killed")
    judged = suite.run().judgement
    assert judged.outcome is SuiteOutcome.UNPROVEN
    assert judged.reasons == ("the suite did not report its end: retry 1: pytest was killed",)


def test_a_retry_that_cannot_be_started_leaves_the_case_as_it_was(tmp_path: Path) -> None:
    suite = Suite(tmp_path, ONCE_MORE, bad())
    suite.adapter.cases["p1/retry-1"] = []
    suite.adapter.fails["run p1/"] = SuiteError("the disk is full")
    judged = suite.run().judgement
    assert suite.case().message == "1 == 2"
    assert judged.reasons[1] == "the suite did not report its end: retry 1: the disk is full"


def test_a_run_that_is_stopped_retries_nothing(tmp_path: Path) -> None:
    suite = Suite(tmp_path, ONCE_MORE, bad(), GOOD)
    stop = Stop()
    suite.adapter.hooks["run p1"] = lambda: stop.stop("SIGINT")
    with pytest.raises(Stopped):
        suite.run(stop)
    assert suite.ran == ["p1"]


def test_a_case_that_comes_twice_in_one_run_is_flaky_too(tmp_path: Path) -> None:
    suite = Suite(tmp_path, a_suite("p1"), bad())
    suite.adapter.cases["p1"] = [bad(), GOOD]
    assert suite.run().judgement.counts == {CaseStatus.FLAKY: 1}
    assert suite.case().message == "failed first: 1 == 2; passed when it was run again"


def test_what_passes_in_a_suite_that_is_run_again_on_the_same_image_is_flaky(
    tmp_path: Path,
) -> None:
    suite = Suite(tmp_path, a_suite("p1"), bad())
    suite.run()
    suite.adapter.cases["p1"] = [a_case("test_fine"), GOOD]
    judged = suite.run().judgement
    assert judged.counts == {CaseStatus.PASSED: 1, CaseStatus.FLAKY: 1}
    assert "failed earlier in this run on the same image: 1 == 2" in (suite.case().message or "")
    assert suite.case().grade is Grade.OBSERVED


def test_a_flake_that_pytest_itself_ran_again_is_graded_like_a_pass(tmp_path: Path) -> None:
    rerun = replace(GOOD, status=CaseStatus.FLAKY, message="passed when run again; before: 1 == 2")
    suite = Suite(tmp_path, a_suite("p1", tolerance=FORGIVING), rerun)
    assert suite.run().judgement.outcome is SuiteOutcome.PASSED
    assert suite.case().grade is Grade.OBSERVED
    assert suite.case().at == BEGAN


def test_the_journal_keeps_the_first_failure_and_the_fold_the_last_word(tmp_path: Path) -> None:
    suite = Suite(tmp_path, ONCE_MORE, bad(), GOOD)
    suite.run()
    batches = [b for b in written(suite.events, CasesGraded) if isinstance(b, CasesGraded)]
    told = [(c.id.rpartition("::")[2], c.status) for batch in batches for c in batch.cases]
    assert told == [
        ("test_fine", CaseStatus.PASSED),
        ("test_bad", CaseStatus.FAILED),
        ("test_bad", CaseStatus.FLAKY),
    ]
    assert len(suite.journal.fold.cycle().suites["p1"].cases) == 2


LOST = bad(CaseStatus.LOST, "pytest was killed by SIGSEGV under it")


def test_a_lost_case_of_a_repeatable_suite_is_run_once_more_by_itself(tmp_path: Path) -> None:
    suite = Suite(tmp_path, a_suite("p1", repeatable=True), LOST, GOOD)
    judged = suite.run().judgement
    assert suite.ran == ["p1", "p1/retry-1"]
    assert suite.adapter.contexts["p1/retry-1"].only == ("tests/test_chat.py::test_bad",)
    assert suite.case().status is CaseStatus.FLAKY
    assert "SIGSEGV" in (suite.case().message or "")
    assert judged.outcome is SuiteOutcome.FAILED, "flaky, and nothing is tolerated"


def test_a_case_that_is_lost_again_stays_lost(tmp_path: Path) -> None:
    suite = Suite(tmp_path, a_suite("p1", repeatable=True), LOST, LOST, LOST)
    assert suite.run().judgement.outcome is SuiteOutcome.UNPROVEN
    assert suite.ran == ["p1", "p1/retry-1"]
    assert suite.case().status is CaseStatus.LOST


@pytest.mark.parametrize("status", [CaseStatus.FAILED, CaseStatus.TIMEOUT])
def test_without_retries_only_what_was_lost_is_run_again(
    tmp_path: Path, status: CaseStatus
) -> None:
    suite = Suite(tmp_path, a_suite("p1", repeatable=True), bad(status), GOOD)
    suite.run()
    assert suite.ran == ["p1"]
