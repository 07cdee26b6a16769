"""Tests that fail for one reason are one finding, also where their texts differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from triage_fixtures import START, entries

from loopctl.model.evidence import CaseStatus, GradedCase
from loopctl.model.finding import Finding
from loopctl.model.logs import RequestEntry
from loopctl.model.state import State
from loopctl.triage.alike import path_of
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import load_catalogue
from loopctl.triage.symptoms import RequestLog, ServiceLog, SuiteResult, Symptoms

CATALOGUE = load_catalogue()


def case(number: int, message: str, detail: str | None = None, trace: str = "") -> GradedCase:
    return GradedCase(
        f"tests/test_a.py::test_{number}",
        CaseStatus.FAILED,
        0.1,
        START + timedelta(seconds=number),
        message=message,
        where=f"tests/test_a.py:{number}",
        detail=detail,
        trace=trace or None,
    )


def findings(
    cases: Sequence[GradedCase],
    requests: Sequence[RequestEntry] = (),
    lines: Sequence[str] = (),
) -> tuple[Finding, ...]:
    symptoms = Symptoms(
        State.VERIFY,
        logs=(ServiceLog("chat", "logs/1/chat.jsonl", entries(lines)),),
        requests=(RequestLog("chat", "logs/1/chat.requests.jsonl", tuple(requests)),),
        suites=(SuiteResult("p1", "suites/1/p1", tuple(cases), service="chat"),),
    )
    return diagnose(symptoms, CATALOGUE).findings


def answered(number: int, status: int, path: str) -> RequestEntry:
    return RequestEntry(START, "chat", "chat-1", "GET", path, status, trace=f"t{number}")


ALIKE = {
    "ids": "LookupError: order {n} of user-{n}x is lost",
    "identifiers of letters and digits": "LookupError: item k{n}q is lost",
    "uuids": "LookupError: 123e4567-e89b-12d3-a456-4266141740{n} is lost",
    "paths": "FileNotFoundError: /srv/data/{n}/ledger.db",
    "compared values": "AssertionError: assert {{'sum': {n}}} == {{'sum': 1{n}}} of the ledger",
    "quoted keys": "KeyError: 'user_{n}'",
    "answers": "AssertionError: the ledger says 'entry {n}'",
    "durations": "AssertionError: nothing came in {n}.{n} s",
}


@pytest.mark.parametrize("what", ALIKE)
def test_forty_texts_that_differ_in_values_alone_are_one_finding(what: str) -> None:
    cases = [case(n, ALIKE[what].format(n=n)) for n in range(10, 50)]
    (finding,) = findings(cases)
    assert len(finding.cases) == 40


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("assert 500 == 200", "assert 404 == 200"),
        ("KeyError: 'type'", "KeyError: 'answer'"),
        ("HTTP 503 from the ledger", "HTTP 429 from the ledger"),
        ("TypeError: f() got an argument 'a'", "ValueError: f() got an argument 'a'"),
        ("AssertionError: no answer", "AssertionError: two answers"),
    ],
)
def test_two_reasons_are_two_findings(one: str, other: str) -> None:
    assert len(findings([case(1, one), case(2, other)])) == 2


def test_an_assertion_of_bare_values_is_told_by_the_line_that_asserts() -> None:
    ledger = [
        case(n, f"assert 'e{n}' == 'f{n}'", f">       assert ledger.head == x\nE  {n}")
        for n in range(4)
    ]
    users = [
        case(n, f"assert 'e{n}' == 'f{n}'", f">       assert user.name == x\nE  {n}")
        for n in range(10, 13)
    ]
    assert [len(found.cases) for found in findings([*ledger, *users])] == [4, 3]


def test_a_bare_assertion_without_its_line_is_told_by_its_place() -> None:
    shared = [replace(case(n, f"assert {n} == 1"), where="tests/checks.py:9") for n in (2, 3)]
    assert [len(found.cases) for found in findings([*shared, case(7, "assert 5 == 1")])] == [2, 1]


def test_tests_that_one_service_answers_502_fail_for_one_reason_whatever_they_say() -> None:
    cases = [case(n, f"reason{'x' * n}", trace=f"t{n}") for n in range(40)]
    requests = [answered(n, 502, f"/of/{'y' * n}") for n in range(40)]
    (finding,) = findings(cases, requests)
    assert (len(finding.cases), finding.service) == (40, "chat")
    assert finding.signature is None
    assert [quote.kind for quote in finding.evidence] == ["test", "request"] * 2
    assert finding.evidence[1].quote.startswith("GET /of/ 502 in ")


def test_a_500_is_one_reason_unless_the_log_shows_two_and_the_paths_differ() -> None:
    cases = [case(n, f"reason{'x' * n}", trace=f"t{n}") for n in range(6)]
    requests = [answered(n, 500, f"/{'orders' if n % 2 else 'users'}/{n}") for n in range(6)]
    assert len(findings(cases, requests, ["ERROR ledger out of balance"])) == 1
    two = ["ERROR ledger out of balance", "ERROR no such tenant"]
    assert [len(found.cases) for found in findings(cases, requests, two)] == [3, 3]


def test_a_test_whose_requests_were_all_answered_is_told_by_its_own_text() -> None:
    (finding,) = findings([case(1, "no greeting", trace="t1")], [answered(1, 200, "/")])
    assert {quote.kind for quote in finding.evidence} == {"test"}


def test_ids_in_a_path_are_no_part_of_it() -> None:
    assert path_of("/orders/7/items/a1b2") == path_of("/orders/812/items/c3d4")
    assert path_of("/orders") != path_of("/users")
