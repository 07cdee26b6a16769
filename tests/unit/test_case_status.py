"""Broken is told from failed by whose fault it is; the other statuses by what the phases did."""

from __future__ import annotations

from typing import Literal

import pytest

from loopctl.evidence.blame import where_of
from loopctl.evidence.status import status_of
from loopctl.model.evidence import CaseStatus, Contact, Frame, PhaseRecord, Raised, TestPhase

SETUP, CALL, TEARDOWN = TestPhase.SETUP, TestPhase.CALL, TestPhase.TEARDOWN
OWN = Frame("tests/test_a.py", 7, "test_x", "x()")
CLIENT = Frame("/usr/lib/python3/site-packages/httpx/_client.py", 99, "send")
LIBRARY = Frame("/usr/lib/python3/site-packages/yaml/reader.py", 5, "read")
MET = (Contact("127.0.0.1", 80, "chat", loopback=True, sent=10, received=20),)


def phase(
    which: TestPhase,
    type_: str | None = None,
    message: str = "",
    *frames: Frame,
    met: bool = False,
    outcome: Literal["passed", "failed", "skipped"] | None = None,
    wasxfail: str | None = None,
    longrepr: str | None = None,
) -> PhaseRecord:
    raised = Raised(type_, message, frames or (OWN,)) if type_ else None
    return PhaseRecord(
        which,
        outcome or ("failed" if raised else "passed"),
        0.1,
        raised=raised,
        wasxfail=wasxfail,
        longrepr=longrepr,
        contacts=MET if met else (),
    )


def ended(bad: PhaseRecord) -> str:
    phases = {
        SETUP: [bad, phase(TEARDOWN)],
        CALL: [phase(SETUP), bad, phase(TEARDOWN)],
        TEARDOWN: [phase(SETUP), phase(CALL), bad],
    }
    return str(status_of(phases[bad.phase]).status)


@pytest.mark.parametrize("which", list(TestPhase))
@pytest.mark.parametrize(
    "type_",
    ["NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError",
     "FixtureLookupError", "FileNotFoundError", "SystemExit"],
)  # fmt: skip
def test_wrong_code_is_broken_in_every_phase_whomever_it_met(which: TestPhase, type_: str) -> None:
    assert ended(phase(which, type_, "x", met=True)) == "broken"


@pytest.mark.parametrize("which", list(TestPhase))
@pytest.mark.parametrize(
    "type_",
    ["ConnectionRefusedError", "ConnectError", "ReadTimeout", "HTTPStatusError", "HTTPError",
     "ConnectionClosedError", "ConnectionClosedOK", "gaierror", "TimeoutError", "SSLError",
     "RemoteDisconnected", "ClientConnectorError", "InvalidStatus", "URLError"],
)  # fmt: skip
def test_a_network_error_is_the_services_failure_in_every_phase(
    which: TestPhase, type_: str
) -> None:
    assert ended(phase(which, type_, "x")) == "failed"


@pytest.mark.parametrize("type_", ["UnsupportedProtocol", "MissingSchema", "InvalidURL"])
def test_an_address_that_no_client_accepts_is_broken(type_: str) -> None:
    assert ended(phase(CALL, type_, "x", OWN, CLIENT)) == "broken"


@pytest.mark.parametrize(
    ("type_", "message", "met", "status"),
    [
        ("AssertionError", "assert 1 == 2", False, "failed"),
        ("Failed", "by pytest.fail", False, "failed"),
        ("ChatError", "no answer", True, "failed"),
        ("KeyError", "'data'", True, "failed"),
        ("KeyError", "'data'", False, "broken"),
        ("JSONDecodeError", "Expecting value", True, "failed"),
        ("ValueError", "invalid literal", False, "broken"),
        ("TypeError", "'NoneType' object is not subscriptable", True, "failed"),
        ("TypeError", "'NoneType' object is not subscriptable", False, "broken"),
        ("TypeError", "get() takes 1 positional argument", True, "broken"),
        ("AttributeError", "'list' object has no attribute 'items'", True, "failed"),
        ("AttributeError", "'NoneType' object has no attribute 'text'", True, "failed"),
        ("AttributeError", "'dict' object has no attribute 'mesage'", True, "broken"),
        ("AttributeError", "'TestChat' object has no attribute 'url'", True, "broken"),
    ],
)
def test_in_the_call_it_depends_on_the_error_and_on_whom_it_met(
    type_: str, message: str, met: bool, status: str
) -> None:
    assert ended(phase(CALL, type_, message, met=met)) == status


@pytest.mark.parametrize("which", [SETUP, TEARDOWN])
@pytest.mark.parametrize("type_", ["AssertionError", "Failed", "RuntimeError"])
def test_outside_the_call_what_met_nobody_is_the_tests_fault(which: TestPhase, type_: str) -> None:
    assert ended(phase(which, type_, "x")) == "broken"
    assert ended(phase(which, type_, "x", met=True)) == "failed"


def test_a_fixture_error_that_is_repeated_keeps_the_blame_of_its_first_time() -> None:
    repeated = [phase(SETUP, "AssertionError", "401"), phase(TEARDOWN)]
    assert status_of(repeated, met_before=True).status is CaseStatus.FAILED
    assert status_of(repeated).status is CaseStatus.BROKEN


def test_an_error_inside_a_client_is_not_the_tests_even_without_a_known_name() -> None:
    assert ended(phase(CALL, "OddError", "x", OWN, CLIENT)) == "failed"
    assert ended(phase(SETUP, "OddError", "x", OWN, CLIENT)) == "failed"
    assert ended(phase(SETUP, "OddError", "x", OWN, LIBRARY)) == "broken"


def test_a_failed_call_outweighs_a_broken_teardown() -> None:
    phases = [phase(SETUP), phase(CALL, "AssertionError"), phase(TEARDOWN, "NameError")]
    assert status_of(phases).status is CaseStatus.FAILED


def test_the_message_says_phase_type_and_words() -> None:
    phases = [phase(SETUP, "ConnectError", "refused\nmore"), phase(TEARDOWN)]
    assert status_of(phases).message == (
        "ConnectError while talking to a service (in set-up): refused"
    )


def test_skips_and_expected_failures_are_skipped_with_their_reason() -> None:
    skipped = [phase(SETUP, "Skipped", "not today", outcome="skipped"), phase(TEARDOWN)]
    xfailed = [phase(SETUP), phase(CALL, "AssertionError", "1 == 2", outcome="skipped",
                                   wasxfail="bug 7")]  # fmt: skip
    assert (status_of(skipped).status, status_of(skipped).message) == ("skipped", "not today")
    assert (status_of(xfailed).status, status_of(xfailed).message) == (
        "skipped",
        "xfail: bug 7 (1 == 2)",
    )


def test_an_unexpected_pass_fails_only_when_strict() -> None:
    strict = phase(CALL, outcome="failed", longrepr="[XPASS(strict)] bug 7")
    assert status_of([phase(SETUP), strict]).status is CaseStatus.FAILED
    assert status_of([phase(SETUP), strict]).message == "[XPASS(strict)] bug 7"
    assert status_of([phase(SETUP), phase(CALL, wasxfail="x")]).status is CaseStatus.PASSED


def test_a_rerun_that_passes_is_flaky_and_says_what_failed_before() -> None:
    first = [phase(SETUP), phase(CALL, "AssertionError", "assert 0"), phase(TEARDOWN)]
    second = [phase(SETUP), phase(CALL), phase(TEARDOWN)]
    found = status_of([*first, *second])
    assert found.status is CaseStatus.FLAKY
    assert "assert 0" in (found.message or "")
    assert status_of([*second, *first]).status is CaseStatus.FAILED


def test_a_test_that_reported_no_call_has_not_passed() -> None:
    assert status_of([]).status is CaseStatus.LOST
    assert status_of([phase(SETUP), phase(TEARDOWN)]).status is CaseStatus.LOST


def test_where_is_the_innermost_frame_of_the_suites_own_code() -> None:
    assert where_of(Raised("X", "", (OWN, CLIENT))) == "tests/test_a.py:7 in test_x"
    assert where_of(Raised("X", "", (CLIENT,))) == f"{CLIENT.file}:99 in send"
    assert where_of(None) is None


@pytest.mark.parametrize("which", list(TestPhase))
def test_what_raised_has_not_passed_whatever_a_hook_of_the_suite_reports(which: TestPhase) -> None:
    phases = [phase(each) for each in TestPhase if each is not which]
    said = status_of([*phases, phase(which, "AssertionError", "no", met=True, outcome="passed")])
    assert said.status is CaseStatus.FAILED
    assert said.message is not None
    assert said.message.endswith(
        "(a hook of the suite, as in a conftest.py, reported it as passed)"
    )
