"""A suite against its tolerances: what is red, what is unproven, and what is neither."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from loopctl.evidence.judge import judge
from loopctl.evidence.status import NOT_COLLECTED
from loopctl.model.evidence import CaseStatus, Grade, GradedCase, SuiteEnd, SuiteOutcome
from loopctl.model.plan import (
    EvidenceSpec,
    Limit,
    Priority,
    Quarantined,
    SuiteKind,
    SuitePhase,
    SuiteSpec,
    Tolerance,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = SuiteSpec(
    id="p1",
    title="p1",
    priority=Priority.P1,
    phase=SuitePhase.VERIFY,
    kind=SuiteKind.PYTEST,
    run="tests",
    cwd=Path("/nowhere"),
)


def cases(status: CaseStatus, count: int, grade: Grade | None = None) -> list[GradedCase]:
    if status in (CaseStatus.PASSED, CaseStatus.FLAKY) and grade is None:
        grade = Grade.PROVEN
    return [
        GradedCase(f"t::{status}_{grade}_{n}", status, 0.1, NOW, grade, "its reason")
        for n in range(count)
    ]


def end(collected: int | None, *, complete: bool = True, **more: str) -> SuiteEnd:
    whole = SuiteEnd(complete, 0, 1.5, collected=collected, deselected=0)
    return replace(whole, **more)  # type: ignore[arg-type]


PASSES = cases(CaseStatus.PASSED, 10)


def test_all_passed_and_proven_is_passed_without_reasons() -> None:
    found = judge(SPEC, PASSES, end(10))
    assert (found.outcome, found.reasons) == (SuiteOutcome.PASSED, ())
    assert (found.collected, found.grade, found.duration_s) == (10, Grade.PROVEN, 1.5)
    assert found.counts == {CaseStatus.PASSED: 10}
    assert found.grades == {Grade.PROVEN: 10}


@pytest.mark.parametrize("status", [CaseStatus.FAILED, CaseStatus.TIMEOUT, CaseStatus.FLAKY])
def test_failed_timeout_and_flaky_beyond_tolerance_are_red(status: CaseStatus) -> None:
    bad = cases(status, 1)
    found = judge(SPEC, [*PASSES, *bad], end(11))
    assert found.outcome is SuiteOutcome.FAILED
    assert found.reasons == (f"1 {status}: {bad[0].id}",)


@pytest.mark.parametrize("status", [CaseStatus.BROKEN, CaseStatus.SKIPPED])
def test_broken_and_skipped_are_unproven(status: CaseStatus) -> None:
    found = judge(SPEC, [*PASSES, *cases(status, 1)], end(11))
    assert found.outcome is SuiteOutcome.UNPROVEN
    assert found.reasons == (f"1 {status}: t::{status}_None_0",)


def test_a_lost_case_is_unproven_and_what_else_it_cost_is_told() -> None:
    lost = cases(CaseStatus.LOST, 1)
    found = judge(SPEC, [*PASSES, *lost], end(11))
    assert found.outcome is SuiteOutcome.UNPROVEN
    assert found.reasons == (
        "1 lost: t::lost_None_0; the other 10 ended"
        " (with `repeatable: true` it would run again, alone)",
    )
    (reason,) = judge(replace(SPEC, repeatable=True), [*PASSES, *lost], end(11)).reasons
    assert reason == "1 lost: t::lost_None_0; the other 10 ended"
    (reason,) = judge(SPEC, [*PASSES, *cases(CaseStatus.LOST, 2)], end(20)).reasons
    assert "the other" not in reason, "some of them never ran"
    assert reason.endswith(" (with `repeatable: true` they would run again, alone)")
    command = replace(SPEC, kind=SuiteKind.COMMAND)
    assert judge(command, [*PASSES, *lost], end(11)).reasons == ("1 lost: t::lost_None_0",)


def test_one_case_may_stand_for_all_that_the_report_of_a_command_lacks() -> None:
    command = replace(SPEC, kind=SuiteKind.COMMAND)
    passed, lost = cases(CaseStatus.PASSED, 3), cases(CaseStatus.LOST, 1)
    found = judge(command, passed + lost, end(6, complete=False, detail="it breaks off"))
    assert found.counts == {CaseStatus.PASSED: 3, CaseStatus.LOST: 3}
    assert found.reasons[1].startswith("3 lost: ")
    whole = judge(command, passed + lost, end(4, complete=False))
    assert whole.counts == {CaseStatus.PASSED: 3, CaseStatus.LOST: 1}


def test_failed_and_timeout_share_one_tolerance() -> None:
    spec = replace(SPEC, tolerance=Tolerance(failed=Limit(1)))
    one, other = cases(CaseStatus.FAILED, 1), cases(CaseStatus.TIMEOUT, 1)
    assert judge(spec, [*PASSES, *one], end(11)).outcome is SuiteOutcome.PASSED
    found = judge(spec, [*PASSES, *one, *other], end(12))
    assert found.outcome is SuiteOutcome.FAILED
    assert found.reasons[0].startswith("1 failed and 1 timeout (1 tolerated): ")


FORGIVING = replace(SPEC, tolerance=Tolerance(flaky=Limit(1)))


def test_a_flaky_case_that_is_tolerated_can_carry_a_suite() -> None:
    found = judge(FORGIVING, cases(CaseStatus.FLAKY, 1), end(1))
    assert (found.outcome, found.reasons) == (SuiteOutcome.PASSED, ())
    assert found.grades == {}, "a grade is of a case that passed"


def test_a_flaky_case_that_is_tolerated_must_prove_as_much_as_a_pass() -> None:
    weak = cases(CaseStatus.FLAKY, 1, Grade.SUSPECT)
    found = judge(FORGIVING, [*PASSES, *weak], end(11))
    assert found.outcome is SuiteOutcome.UNPROVEN
    assert found.reasons == (
        "1 of 11 passes proves less than observed: t::flaky_suspect_0 is suspect: its reason",
    )


def test_a_percentage_is_of_collected_rounded_down() -> None:
    spec = replace(SPEC, tolerance=Tolerance(skipped=Limit(None, 10.0)))
    skipped = cases(CaseStatus.SKIPPED, 2)
    assert judge(spec, [*PASSES, *skipped], end(19)).outcome is SuiteOutcome.UNPROVEN
    assert judge(spec, [*PASSES, *skipped], end(20)).outcome is SuiteOutcome.PASSED


def test_no_tolerance_covers_a_lost_case() -> None:
    generous = Tolerance(Limit(99), Limit(99), Limit(99), Limit(99))
    found = judge(replace(SPEC, tolerance=generous), [*PASSES, *cases(CaseStatus.LOST, 1)], end(11))
    assert found.outcome is SuiteOutcome.UNPROVEN


def test_red_comes_before_unproven_and_both_are_said() -> None:
    found = judge(SPEC, [*cases(CaseStatus.FAILED, 5), *cases(CaseStatus.BROKEN, 1)], end(6))
    assert found.outcome is SuiteOutcome.FAILED
    assert found.reasons[0].endswith("_0, t::failed_None_1, t::failed_None_2 and 2 more")
    assert found.reasons[1].startswith("1 broken")
    assert found.grade is None


def test_nothing_or_too_little_collected_is_unproven() -> None:
    assert judge(SPEC, [], end(0)).reasons == ("nothing was collected",)
    found = judge(replace(SPEC, collect_min=25), PASSES, end(10))
    assert found.reasons == ("10 collected, at least 25 are required",)
    assert found.outcome is SuiteOutcome.UNPROVEN


def test_a_suite_that_did_not_report_its_end_is_unproven() -> None:
    cut = end(10, complete=False, detail="pytest was killed by SIGSEGV")
    found = judge(SPEC, PASSES, cut)
    assert found.outcome is SuiteOutcome.UNPROVEN
    assert found.reasons == ("the suite did not report its end: pytest was killed by SIGSEGV",)
    stopped = end(10, complete=False, stopped="suite timeout", detail="1 never started")
    assert judge(SPEC, PASSES, stopped).reasons == (
        "the suite was stopped: suite timeout",
        "1 never started",
    )


def test_a_suite_that_could_not_be_run_says_its_own_words_once() -> None:
    found = judge(SPEC, [], end(None, complete=False, usage_error="ERROR: no such file"))
    assert found.reasons == ("the suite could not be run: ERROR: no such file",)


def test_passes_that_prove_less_than_required_are_unproven_and_the_least_is_named() -> None:
    weak = [
        *cases(CaseStatus.PASSED, 2, Grade.PLAUSIBLE),
        *cases(CaseStatus.PASSED, 1, Grade.SUSPECT),
    ]
    found = judge(SPEC, [*PASSES, *weak], end(13))
    assert found.outcome is SuiteOutcome.UNPROVEN
    assert found.reasons == (
        "3 of 13 passes prove less than observed:"
        " t::passed_plausible_0, t::passed_plausible_1, t::passed_suspect_0;"
        " the least of them: t::passed_suspect_0 is suspect: its reason",
    )
    assert found.grade is Grade.SUSPECT
    lax = replace(SPEC, evidence=EvidenceSpec(require=Grade.CONTRADICTED))
    assert judge(lax, [*PASSES, *weak], end(13)).outcome is SuiteOutcome.PASSED


def test_a_pass_that_needs_no_service_proves_nothing_and_says_how_that_was_seen() -> None:
    (vacuous,) = cases(CaseStatus.PASSED, 1, Grade.CONTRADICTED)
    said = "it still passes while web is refused (control run)"
    found = judge(SPEC, [*PASSES, replace(vacuous, reason=said)], end(11))
    assert found.reasons == (
        "1 of 11 passes proves nothing: t::passed_contradicted_0 still passes while web is"
        " refused (control run)",
    )
    mocked = judge(SPEC, [*PASSES, *cases(CaseStatus.PASSED, 2, Grade.CONTRADICTED)], end(12))
    assert mocked.reasons[0].startswith("2 of 12 passes prove nothing: ")
    assert mocked.reasons[0].endswith("t::passed_contradicted_0 is contradicted: its reason")


def test_a_command_that_ran_and_left_nothing_to_read_has_no_result() -> None:
    command = replace(SPEC, kind=SuiteKind.COMMAND)
    unread = end(None, complete=False, usage_error="the report was not read: it has a DOCTYPE")
    assert judge(command, [], unread).reasons == (
        "there is no result: the report was not read: it has a DOCTYPE",
    )
    never = replace(unread, exit_code=None, usage_error="no such shell")
    assert judge(command, [], never).reasons == ("the suite could not be run: no such shell",)


def test_a_pass_that_nobody_graded_counts_as_unproven() -> None:
    ungraded = replace(PASSES[0], grade=None, reason=None)
    found = judge(SPEC, [ungraded], end(1))
    assert (found.outcome, found.grade) == (SuiteOutcome.UNPROVEN, Grade.UNPROVEN)


def test_a_suite_in_which_nothing_passed_is_never_green() -> None:
    lax = replace(SPEC, tolerance=Tolerance(skipped=Limit(None, 100.0)))
    found = judge(lax, cases(CaseStatus.SKIPPED, 3), end(3))
    assert found.outcome is SuiteOutcome.UNPROVEN
    assert "no case passed" in found.reasons[0]


def test_a_quarantined_failure_is_not_counted_but_its_loss_is() -> None:
    failing = cases(CaseStatus.FAILED, 1)
    spec = replace(SPEC, quarantine=(Quarantined(failing[0].id, "ana", date(2026, 12, 31)),))
    assert judge(spec, [*PASSES, *failing], end(11)).outcome is SuiteOutcome.PASSED
    lost = replace(failing[0], status=CaseStatus.LOST)
    assert judge(spec, [*PASSES, lost], end(11)).outcome is SuiteOutcome.UNPROVEN


@pytest.mark.parametrize("status", [CaseStatus.BROKEN, CaseStatus.SKIPPED])
def test_a_quarantine_hides_no_class_whose_tests_nobody_saw(status: CaseStatus) -> None:
    (case,) = cases(status, 1)
    place = replace(case, id="tests/test_a.py::TestAll", message=f"{NOT_COLLECTED}an error in it")
    spec = replace(SPEC, quarantine=(Quarantined(place.id, "ana", date(2026, 12, 31)),))
    assert judge(spec, [*PASSES, place], end(10)).outcome is SuiteOutcome.UNPROVEN


def test_fewer_tests_than_were_collected_beforehand_are_unproven() -> None:
    found = judge(SPEC, PASSES, end(10), expected=12)
    assert found.outcome is SuiteOutcome.UNPROVEN
    assert found.reasons == ("10 collected, and 12 beforehand",)
    for expected in (None, 0, 9, 10):
        assert judge(SPEC, PASSES, end(10), expected).outcome is SuiteOutcome.PASSED
