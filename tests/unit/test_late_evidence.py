"""Whose a request is that was recorded late: never promoted wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loopctl.evidence.case_rules import CaseRules
from loopctl.evidence.late import Joined, awaited, joined
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Contact,
    Grade,
    GradedCase,
    HttpExchange,
    PhaseRecord,
    Receipt,
    TestPhase,
)
from loopctl.model.plan import EvidenceSpec

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEW, OLD = "chat-00002-k7q", "chat-00001-abc"
MET = Contact("cand.run.app", 443, "chat", sent=12, received=84)
UNCOUNTED = Contact("cand.run.app", 443, "chat", via="c")
ASKED = HttpExchange("chat", "POST", "/messages", 200)


def call(
    name: str,
    at_s: float = 0.0,
    *,
    contacts: Sequence[Contact] = (MET,),
    exchanges: Sequence[HttpExchange] = (ASKED,),
    own: tuple[str, ...] = (),
    children: tuple[str, ...] = (),
) -> Case:
    """A case that passed, one second long."""
    began = NOW + timedelta(seconds=at_s)
    phase = PhaseRecord(
        TestPhase.CALL,
        "passed",
        1.0,
        f"trace-{name}",
        own,
        contacts=tuple(contacts),
        exchanges=tuple(exchanges),
        children=children,
        began=began,
        ended=began + timedelta(seconds=1),
    )
    return Case(name, CaseStatus.PASSED, 1.0, began, phases=(phase,))


def record(trace: str = "", at_s: float = 0.5, **facts: object) -> Receipt:
    at = NOW + timedelta(seconds=at_s)
    by = "trace" if trace else "request"
    made = Receipt(trace, at, "chat", NEW, "POST", "/messages", 200, by)  # type: ignore[arg-type]
    return replace(made, **facts)  # type: ignore[arg-type]


def graded(case: Case, found: Joined) -> GradedCase:
    rules = CaseRules(
        EvidenceSpec(target=("chat",)), {"chat": NEW}, loopback=False, health_paths=()
    )
    trace = (case.call.trace if case.call else None) or ""
    unclear = [found.unclear[trace]] if trace in found.unclear else []
    return rules.graded(case, found.by_trace, {"chat"}, unclear)


def grade_of(case: Case, *receipts: Receipt, beside: Sequence[Case] = ()) -> Grade | None:
    return graded(case, joined([case, *beside], receipts, alone=True)).grade


def test_a_record_with_the_tests_trace_proves_it_whatever_the_clocks_say() -> None:
    assert grade_of(call("a"), record("trace-a", at_s=300)) is Grade.PROVEN


def test_a_record_with_the_trace_of_another_proves_only_the_other() -> None:
    one, other = call("a"), call("b")
    found = joined([one, other], [record("trace-b")], alone=True)
    assert graded(one, found).grade is Grade.OBSERVED
    assert graded(other, found).grade is Grade.PROVEN


def test_a_trace_that_reached_another_revision_alone_contradicts() -> None:
    assert grade_of(call("a"), record("trace-a", revision=OLD)) is Grade.CONTRADICTED
    both = grade_of(call("a"), record("trace-a", revision=OLD), record("trace-a"))
    assert both is Grade.PROVEN


def test_a_record_without_a_trace_is_the_only_ones_that_asked_it_and_never_proves() -> None:
    uncounted = call("a", contacts=[UNCOUNTED])
    assert grade_of(uncounted) is Grade.PLAUSIBLE
    found = joined([uncounted], [record()], alone=True)
    assert graded(uncounted, found).grade is Grade.OBSERVED
    assert graded(uncounted, found).reason == (
        "a request like this test's, without its trace id: POST /messages 200 on chat-00002-k7q"
    )


@pytest.mark.parametrize(
    "other",
    [
        record(at_s=-3),
        record(at_s=4),
        record(path="/other"),
        record(method="GET"),
        record(status=201),
        record(service="auth"),
    ],
)
def test_a_record_of_another_time_or_request_is_not_its_own(other: Receipt) -> None:
    uncounted = call("a", contacts=[UNCOUNTED])
    assert grade_of(uncounted, other) is Grade.PLAUSIBLE


def test_a_request_that_two_tests_can_have_made_is_nobodys() -> None:
    one, other = call("a", contacts=[UNCOUNTED]), call("b", 0.5, contacts=[UNCOUNTED])
    found = joined([one, other], [record()], alone=True)
    for case in (one, other):
        assert graded(case, found).grade is Grade.PLAUSIBLE
        assert str(graded(case, found).reason).endswith("and 2 tests asked it")
        assert not found.by_trace
    apart = call("b", 60, contacts=[UNCOUNTED])
    assert grade_of(one, record(), beside=[apart]) is Grade.OBSERVED


def test_other_tests_at_the_same_time_may_have_asked_it_unseen() -> None:
    uncounted = call("a", contacts=[UNCOUNTED])
    found = joined([uncounted], [record()], alone=False)
    assert graded(uncounted, found).grade is Grade.PLAUSIBLE
    assert "other tests ran then" in str(graded(uncounted, found).reason)


def test_two_kinds_of_clients_that_asked_alike_are_not_told_apart() -> None:
    uncounted = call("a", contacts=[UNCOUNTED])
    browser, client = record(agent="Mozilla/5.0"), record(agent="python-httpx")
    assert grade_of(uncounted, client) is Grade.OBSERVED
    assert grade_of(uncounted, client, browser) is Grade.PLAUSIBLE


@pytest.mark.parametrize(
    "contacts",
    [
        (),
        (replace(MET, target=None),),
        (replace(MET, failed="ECONNREFUSED"),),
        (replace(MET, received=0),),
        (replace(MET, sent=None, received=None, via="child"),),
    ],
)
def test_a_fake_client_is_not_borne_out_by_a_strangers_request(
    contacts: Sequence[Contact],
) -> None:
    fake = call("a", contacts=contacts)
    honest = graded(fake, joined([fake], [record()], alone=True)).grade
    assert honest is graded(fake, Joined()).grade
    assert honest is not None
    assert honest.rank < Grade.OBSERVED.rank


def test_a_childs_request_is_not_known_by_its_time_alone() -> None:
    curl = call("a", contacts=(), exchanges=(), children=("curl",))
    assert grade_of(curl, record()) is Grade.PLAUSIBLE


def test_a_trace_that_several_sent_proves_none_of_those_it_may_be_from() -> None:
    one, other = call("a", own=("shared",)), call("b", 0.5, own=("shared",))
    found = joined([one, other], [record("shared")], alone=True)
    assert graded(one, found).grade is Grade.OBSERVED
    assert graded(other, found).grade is Grade.OBSERVED
    apart = call("b", 60, own=("shared",))
    assert grade_of(one, record("shared"), beside=[apart]) is Grade.PROVEN
    elsewhere = call("b", 0.5, own=("shared",), exchanges=[replace(ASKED, path="/rooms")])
    assert grade_of(one, record("shared"), beside=[elsewhere]) is Grade.PROVEN
    assert grade_of(elsewhere, record("shared", path="/rooms"), beside=[one]) is Grade.PROVEN


def test_only_errors_and_health_are_as_bad_late_as_in_time() -> None:
    bad = call("a", contacts=[UNCOUNTED], exchanges=[replace(ASKED, status=503)])
    assert grade_of(bad, record("trace-a", status=503)) is Grade.CONTRADICTED


def test_what_is_awaited_is_what_the_service_is_known_to_have_answered() -> None:
    answered, silent = call("a"), call("b", exchanges=())
    chosen, unmet = call("c", own=("mine",)), call("d", own=("sent",), contacts=(), exchanges=())
    unanswered = call("e", exchanges=[replace(ASKED, status=None)])
    elsewhere = call("f", exchanges=[replace(ASKED, target="auth")])
    cases = [answered, silent, chosen, unmet, unanswered, elsewhere]
    assert awaited(cases, "chat", only=False) == {"trace-a", "mine"}
    assert awaited(cases, "chat", only=True) == {"trace-a", "mine", "sent"}
    assert awaited(cases, "auth", only=False) == {"trace-f"}
