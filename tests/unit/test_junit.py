"""`junit.xml` is well-formed whatever was printed, and shows no unproven pass as a pass."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import worklogs

from loopctl.model.events import CasesGraded, CriteriaJudged
from loopctl.model.evidence import CaseStatus, CriterionJudgement, Grade, SuiteOutcome
from loopctl.model.state import OutcomeKind, State
from loopctl.reports.junit import junit


def _suite(script: worklogs.Script) -> ET.Element:
    (suite,) = ET.fromstring(junit(script.worklog())).iter("testsuite")
    return suite


def _only(status: CaseStatus, **facts: object) -> ET.Element:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    cases = [worklogs.case("test_x", status, **facts)]
    script.verify(cases, SuiteOutcome.UNPROVEN, ("so",), OutcomeKind.UNPROVEN)
    return next(_suite(script).iter("testcase"))


@pytest.mark.parametrize(
    ("status", "element"),
    [
        (CaseStatus.FAILED, "failure"),
        (CaseStatus.TIMEOUT, "failure"),
        (CaseStatus.BROKEN, "error"),
        (CaseStatus.LOST, "error"),
        (CaseStatus.SKIPPED, "skipped"),
        (CaseStatus.FLAKY, "flakyFailure"),
    ],
)
def test_each_status_has_its_element(status: CaseStatus, element: str) -> None:
    grade = Grade.PROVEN if status is CaseStatus.FLAKY else None
    case = _only(status, grade=grade)

    assert [child.tag for child in case if child.tag != "properties"] == [element]
    assert case.find(element).get("message") == f"it {status}"  # type: ignore[union-attr]


def test_a_pass_below_the_required_grade_is_not_shown_as_one() -> None:
    case = _only(CaseStatus.PASSED, grade=Grade.UNPROVEN, reason="no contact with the target")

    skipped = case.find("skipped")
    assert skipped is not None
    assert skipped.get("message") == (
        "passed, but unproven, and observed is required: no contact with the target"
    )


def test_a_flaky_case_shows_its_first_failure_and_what_its_pass_is_worth() -> None:
    case = _only(CaseStatus.FLAKY, grade=Grade.UNPROVEN, detail="assert 1 == 2", reason="no bytes")

    assert case.findtext("flakyFailure/stackTrace") == "assert 1 == 2"
    assert case.find("skipped").get("message", "").endswith("is required: no bytes")  # type: ignore[union-attr]


def test_grade_and_reason_are_properties_of_a_case() -> None:
    case = next(_suite(worklogs.green()).iter("testcase"))

    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert properties["grade"] == "proven"
    assert properties["reason"] == "1 receipt of chat-00002-new: GET /rooms 200"


@pytest.mark.parametrize("name", worklogs.ALL)
def test_the_totals_are_those_of_the_document(name: str) -> None:
    root = ET.fromstring(junit(worklogs.ALL[name]().worklog()))

    for element in (root, *root.iter("testsuite")):
        assert int(element.get("tests", "")) == len(list(element.iter("testcase")))
        assert int(element.get("failures", "")) == len(list(element.iter("failure")))
        assert int(element.get("errors", "")) == len(list(element.iter("error")))
        assert int(element.get("skipped", "")) == len(list(element.iter("skipped")))


def test_a_suite_that_collected_nothing_is_an_error_not_an_empty_success() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    reasons = ("nothing was collected",)
    script.verify([], SuiteOutcome.UNPROVEN, reasons, OutcomeKind.UNPROVEN)

    (case,) = _suite(script).iter("testcase")

    error = case.find("error")
    assert error is not None
    assert error.get("message") == "unproven: nothing was collected"


def test_a_suite_that_was_not_run_is_there_as_skipped() -> None:
    (case,) = _suite(worklogs.preflight()).iter("testcase")

    assert case.find("skipped") is not None


def test_text_that_xml_forbids_is_shown_and_adds_no_element() -> None:
    data = junit(worklogs.hostile().worklog())

    root = ET.fromstring(data)
    assert "script" not in {element.tag for element in root.iter()}
    assert "\x1b" not in data.decode()
    assert "\\x1b[31mred" in root.get("name", "")


def test_criteria_are_a_suite_of_their_own_in_which_a_missed_one_is_a_failure() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    judged = (
        CriterionJudgement("http.p95", "<=", "2s", 2.3141, 200, 20, met=False),
        CriterionJudgement("http.p50", "<=", "2s", 0.1, 200, 20, met=True),
        CriterionJudgement("ws.connect.p95", "<=", "500ms", None, 0, 5, met=None),
    )
    script.stage(State.VERIFY, inside=[(CriteriaJudged(judged), None, None)])
    root = ET.fromstring(junit(script.worklog()))

    suite = root.find("testsuite[@name='criteria']")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    missed, met, few = suite.iter("testcase")
    assert missed.get("name") == "http.p95 <= 2s"
    assert missed.find("failure").get("message") == (  # type: ignore[union-attr]
        "criterion missed: http.p95 is 2.31 s, wanted <= 2s (200 samples)"
    )
    assert [child.tag for child in met] == ["properties"]
    assert few.find("skipped") is not None


def test_a_quarantined_failure_is_skipped_and_says_whose_it_is() -> None:
    *_, case = _suite(worklogs.quarantined()).iter("testcase")

    assert case.find("failure") is None
    assert case.find("skipped").get("message") == (  # type: ignore[union-attr]
        "not counted: quarantined until 2026-12-31 (ana); failed: it failed"
    )


def test_what_a_reader_of_texts_alone_is_told_is_the_same() -> None:
    case = _only(CaseStatus.FAILED, message="no event came", detail="assert 1 == 2")
    assert case.findtext("failure") == "no event came\n\nassert 1 == 2"
    told_in_detail = _only(CaseStatus.FAILED, message="assert 1 == 2", detail="E  assert 1 == 2")
    assert told_in_detail.findtext("failure") == "E  assert 1 == 2"
    assert _only(CaseStatus.SKIPPED).findtext("skipped") == "it skipped"


def test_a_case_names_its_file_from_the_projects_root() -> None:
    suite = replace(worklogs.RUN.suites[0], cwd="examples/chat")
    script = worklogs.Script(replace(worklogs.RUN, suites=(suite,)))
    script.until_health({worklogs.OLD: 100}).healthy().verify(worklogs.PASSES, SuiteOutcome.PASSED)
    assert next(_suite(script).iter("testcase")).get("file") == "examples/chat/tests/test_chat.py"
    assert next(_suite(worklogs.green()).iter("testcase")).get("file") is None


def test_a_case_of_two_suites_is_told_of_both_by_names_of_their_own() -> None:
    suites = (worklogs.RUN.suites[0], replace(worklogs.RUN.suites[0], id="p2-all"))
    script = worklogs.Script(replace(worklogs.RUN, suites=suites))
    script.until_health({worklogs.OLD: 100}).healthy()
    for suite, failing in zip(suites, (CaseStatus.PASSED, CaseStatus.FAILED), strict=True):
        cases = CasesGraded((worklogs.case("test_x", failing), worklogs.case(f"test_{suite.id}")))
        script.stage(State.VERIFY, inside=[(cases, None, suite.id)])
    found = [
        (case.get("classname"), case.get("name"))
        for case in ET.fromstring(junit(script.worklog())).iter("testcase")
    ]
    assert len(found) == len(set(found)) == 5
    assert ("tests/test_chat.py", "test_p2-all") in found


def test_what_a_test_printed_offers_no_file_of_the_job() -> None:
    printed = "[[ATTACHMENT|secrets/key.json]]"
    data = junit_of(_red_with(printed))
    assert "[[ATTACHMENT|" not in data


def _red_with(text: str) -> worklogs.Script:
    failed = worklogs.case("test_x", CaseStatus.FAILED, output=text, detail=text)
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    return script.verify([failed], SuiteOutcome.FAILED, (text,), OutcomeKind.FAILED)


def junit_of(script: worklogs.Script) -> str:
    return "".join(ET.fromstring(junit(script.worklog())).itertext())
