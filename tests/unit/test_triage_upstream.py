"""Upstream first: who fails only for want of another is not blamed, and who fails by itself is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from triage_fixtures import START, entries

from loopctl.model.evidence import CaseStatus, GradedCase
from loopctl.model.finding import Fault, FaultKind, Finding, Quote
from loopctl.model.logs import RequestEntry
from loopctl.model.state import State
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import load_catalogue
from loopctl.triage.symptoms import RequestLog, ServiceLog, SuiteResult, Symptoms
from loopctl.triage.upstream import Located, reach, upstream_first

CATALOGUE = load_catalogue()
CHAIN: Mapping[str, tuple[str, ...]] = {"web": ("store",), "store": ("ledger",), "ledger": ()}
REFUSED = "ConnectionRefusedError: [Errno 111] Connection refused"


def located(
    service: str | None,
    said: str,
    signature: str | None = "a.cause",
    after_s: float = 0.0,
    *,
    is_cause: bool = True,
    title: str = "A cause",
) -> Located:
    at: datetime = START + timedelta(seconds=after_s)
    evidence = (Quote("log" if is_cause else "test", f"logs/1/{service}.jsonl#1", said),)
    found = Finding(
        signature, title, "high", 0.9, f"v1|{service}|{said}|{signature}", service, evidence
    )
    return Located(found, at, is_cause)


def roots(found: Sequence[Located], needs: Mapping[str, tuple[str, ...]] = CHAIN) -> list[str]:
    return [f.service or "" for f in upstream_first(found, needs) if f.under is None]


def test_the_connection_errors_of_a_chain_hang_under_what_broke_at_its_end() -> None:
    found = [
        located("web", "httpx.ConnectError: all connection attempts failed"),
        located("store", REFUSED),
        located("ledger", "OSError: [Errno 28] No space left on device"),
    ]
    first, *symptoms = upstream_first(found, CHAIN)
    assert first.service == "ledger"
    assert [each.under for each in symptoms] == [first.fingerprint] * 2
    for each in symptoms:
        assert each.whys[-1].status == "inferred"
        assert each.whys[-1].answer == "ledger's: A cause"


def test_a_fault_of_its_own_is_blamed_on_nobody_else() -> None:
    found = [located("web", "TypeError: 'NoneType' object is not iterable"), located("store", "x")]
    assert roots(found) == ["store", "web"]


def test_who_failed_long_before_the_other_is_no_symptom_of_it() -> None:
    found = [located("web", REFUSED), located("store", "disk full", after_s=600)]
    assert sorted(roots(found)) == ["store", "web"]


def test_a_store_that_is_not_among_the_services_is_not_taken_for_one() -> None:
    lost = f"psycopg.OperationalError: connection to postgres failed: {REFUSED}"
    assert sorted(roots([located("web", lost), located("store", "disk full")])) == ["store", "web"]
    named = "connect to http://billing.example:80 refused: Connection refused"
    assert sorted(roots([located("web", named), located("store", "disk full")])) == ["store", "web"]


def test_without_needs_only_a_line_that_names_the_other_service_ties_them() -> None:
    cause = located("auth", "disk full")
    assert roots([located("web", f"GET http://auth:8080/me: {REFUSED}"), cause], {}) == ["auth"]
    on_cloud_run = f"GET https://auth-pnovr5vsba-uc.a.run.app/me: {REFUSED}"
    assert roots([located("web", on_cloud_run), cause], {}) == ["auth"]
    assert len(roots([located("web", f"https://author.example: {REFUSED}"), cause], {})) == 2
    assert len(roots([located("web", REFUSED), cause], {})) == 2
    assert len(roots([located("web", "auth is a word"), cause], {})) == 2


def test_whom_a_service_asked_may_be_named_in_another_line_of_its_log() -> None:
    lost = replace(located("web", REFUSED), beside=("token check failed for http://auth:8080/me",))
    assert roots([lost, located("auth", "disk full")], {}) == ["auth"]
    database = located("web", f"postgres: {REFUSED}")
    assert len(roots([replace(database, beside=lost.beside), located("auth", "x")], {})) == 2


def test_of_two_that_name_each_other_both_stay() -> None:
    found = [
        located("web", f"http://auth:80 {REFUSED}"),
        located("auth", f"http://web:80 {REFUSED}"),
    ]
    assert sorted(roots(found, {})) == ["auth", "web"]


def test_tests_that_got_502_hang_under_the_failure_of_what_their_service_needs() -> None:
    tests = located("web", "assert 502 == 200", None, is_cause=False, title="No known cause")
    found = upstream_first([tests, located("store", "disk full")], CHAIN)
    assert [each.service for each in found] == ["store", "web"]
    assert found[1].under == found[0].fingerprint


def test_tests_of_a_service_with_a_failure_of_its_own_hang_under_that_one() -> None:
    tests = located("web", "assert 502 == 200", None, is_cause=False)
    own = located("web", "TypeError: it", title="Its own")
    found = upstream_first([tests, own, located("store", "disk full")], CHAIN)
    under = {each.fingerprint: each.under for each in found}
    assert under[tests.finding.fingerprint] == own.finding.fingerprint


def test_an_assertion_about_content_is_nobody_elses_failure() -> None:
    tests = located("web", "assert 'hello' == 'bye'", None, is_cause=False)
    assert sorted(roots([tests, located("store", "disk full")])) == ["store", "web"]


def test_a_run_that_proves_nothing_explains_nothing() -> None:
    empty = located("store", "nothing was collected")
    empty = replace(empty, finding=replace(empty.finding, not_evidence=True))
    assert sorted(roots([located("web", REFUSED), empty])) == ["store", "web"]


def test_independent_failures_stand_in_the_order_of_needs_then_of_time() -> None:
    found = [
        located("web", "TypeError: a"),
        located("late", "TypeError: b", after_s=60),
        located("early", "TypeError: c", after_s=5),
        located("store", "TypeError: d", after_s=90),
    ]
    assert roots(found, {"web": ("store",)}) == ["early", "late", "store", "web"]


def test_needs_reach_through_services_and_end_in_a_ring() -> None:
    assert reach(CHAIN, "web") == {"store", "ledger"}
    assert reach({"a": ("b",), "b": ("a",)}, "a") == {"b"}


BROKEN = """\
ERROR request failed
Traceback (most recent call last):
  File "/srv/app/store/books.py", line 41, in balance
    return self.sum + entry
RuntimeError: ledger out of balance
"""


def test_dozens_of_tests_of_a_service_whose_upstream_raises_have_one_cause_the_upstream() -> None:
    cases = tuple(
        GradedCase(
            f"tests/test_web.py::test_{n}",
            CaseStatus.FAILED,
            0.1,
            START + timedelta(seconds=n),
            message=f"AssertionError: page {n}: assert 502 == 200",
            trace=f"t{n}",
        )
        for n in range(40)
    )
    passed_on = [
        RequestEntry(START, "web", "web-1", "GET", f"/page/{n}", 502, trace=f"t{n}")
        for n in range(40)
    ]
    failed = [RequestEntry(START, "store", "store-1", "GET", "/balance", 500) for _ in range(40)]
    symptoms = Symptoms(
        State.VERIFY,
        faults=(Fault(FaultKind.SUITE, "p1 failed: 40 of 40"),),
        logs=(
            ServiceLog("web", "logs/1/web.jsonl", entries(["ERROR store answered 500"], "web")),
            ServiceLog("store", "logs/1/store.jsonl", entries(BROKEN.splitlines(), "store")),
        ),
        requests=(
            RequestLog("web", "logs/1/web.requests.jsonl", tuple(passed_on)),
            RequestLog("store", "logs/1/store.requests.jsonl", tuple(failed)),
        ),
        suites=(SuiteResult("p1", "suites/1/p1", cases, service="web"),),
        needs={"web": ("store",), "store": ()},
    )
    found = diagnose(symptoms, CATALOGUE).findings
    (cause,) = [finding for finding in found if finding.under is None]
    assert (cause.service, cause.signature) == ("store", "http.500-novel")
    (symptom,) = [finding for finding in found if finding.under is not None]
    assert (symptom.service, len(symptom.cases)) == ("web", 40)
    assert symptom.under == cause.fingerprint
