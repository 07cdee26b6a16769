"""A green that a remedy made by relaxing what judges it is no green, whatever may_edit names."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import BEGAN, an_end
from remedy_rig import Failure

from loopctl.model.events import CasesGraded, SuiteFinished
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteJudgement, SuiteOutcome
from loopctl.model.plan import RemedyRule
from loopctl.model.state import StopReason
from loopctl.stages.collected import relaxed_since

FIX = RemedyRule({"verdict": "red"}, "run", ("./fix.sh",))
CASE = "tests/test_chat.py::test_it"
OTHER = "tests/test_other.py::test_that"


def graded(case: str, status: CaseStatus) -> GradedCase:
    return GradedCase(case, status, 0.01, BEGAN)


def after(
    folder: Path, changed: str, then: CaseStatus | None, before: CaseStatus = CaseStatus.FAILED
) -> Failure:
    """The case did `before`; a remedy changed that file; now it does `then`, None: it is gone."""
    failure = Failure(folder, may_edit=("**",))
    failure.journal.append(CasesGraded((graded(CASE, before),)), suite="p1")
    failure.command.after["run"] = lambda: failure.tree.files.update({changed: "2"})
    outcome = failure.remediate(FIX)
    assert failure.decided.result == "done", failure.decided.detail
    failure.again(outcome, tree="tree-2")
    passed = SuiteJudgement(SuiteOutcome.PASSED, (), 5)
    cases = [graded(OTHER, CaseStatus.PASSED)] + ([graded(CASE, then)] if then else [])
    failure.journal.append(CasesGraded(tuple(cases)), suite="p1")
    failure.journal.append(SuiteFinished(passed, an_end()), suite="p1")
    return failure


@pytest.mark.parametrize("changed", ["tests/test_chat.py", "tests/conftest.py", "tests/help.py"])
@pytest.mark.parametrize("then", [CaseStatus.PASSED, CaseStatus.FLAKY, None])
def test_a_failed_case_that_passes_or_is_gone_once_its_judge_was_changed_is_refused(
    tmp_path: Path, changed: str, then: CaseStatus | None
) -> None:
    failure = after(tmp_path, changed, then)
    found = relaxed_since(failure.journal.fold.snapshot().cycles)
    assert found is not None
    assert found.detail.startswith(f"{CASE} failed before a remedy changed what judges it")
    failure.remediate()
    assert failure.decided.ends is StopReason.REMEDY_REFUSED


@pytest.mark.parametrize(
    ("changed", "then", "before"),
    [
        ("chat/main.py", CaseStatus.PASSED, CaseStatus.FAILED),
        ("tests/test_other.py", CaseStatus.PASSED, CaseStatus.FAILED),
        ("tests/test_chat.py", CaseStatus.FAILED, CaseStatus.FAILED),
        ("tests/test_chat.py", CaseStatus.PASSED, CaseStatus.BROKEN),
    ],
)
def test_what_was_mended_and_what_was_broken_is_not_meant(
    tmp_path: Path, changed: str, then: CaseStatus, before: CaseStatus
) -> None:
    failure = after(tmp_path, changed, then, before)
    assert relaxed_since(failure.journal.fold.snapshot().cycles) is None
