"""The contract's table of grades, row by row, and what must not be graded better than it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from loopctl.evidence.grade import grade, met_target
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Contact,
    Grade,
    Grading,
    HttpExchange,
    MockUse,
    PhaseRecord,
    Receipt,
    TestPhase,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNDER_TEST = "chat-00002-k7q"
MOCK = MockUse("requests.sessions.Session.send", "mock.patch")


def chat(
    sent: int | None = 12,
    received: int | None = 84,
    *,
    failed: str | None = None,
    ports: tuple[int, ...] = (),
) -> Contact:
    return Contact(
        "127.0.0.1",
        8080,
        "chat",
        loopback=True,
        sent=sent,
        received=received,
        failed=failed,
        local_ports=ports,
    )


def other(host: str = "127.0.0.1", port: int = 9999, target: str | None = None) -> Contact:
    return Contact(host, port, target, loopback=host.startswith("127."), sent=10, received=10)


def asked(path: str = "/messages", status: int | None = 200) -> HttpExchange:
    return HttpExchange("chat", "POST", path, status)


def receipt(
    trace: str = "call",
    revision: str = UNDER_TEST,
    status: int | None = 200,
    path: str = "/messages",
    by: Literal["trace", "request"] = "trace",
) -> Receipt:
    return Receipt(trace, NOW, "chat", revision, "POST", path, status, by)


def case(
    *contacts: Contact,
    exchanges: Sequence[HttpExchange] = (),
    mocks: Sequence[MockUse] = (),
    children: Sequence[str] = (),
    setup: Sequence[Contact] = (),
) -> Case:
    phases = (
        PhaseRecord(TestPhase.SETUP, "passed", 0.1, "setup", contacts=tuple(setup)),
        PhaseRecord(
            TestPhase.CALL,
            "passed",
            0.1,
            "call",
            ("own",),
            contacts=contacts,
            exchanges=tuple(exchanges),
            mocks=tuple(mocks),
            children=tuple(children),
            began=NOW,
            ended=NOW + timedelta(seconds=1),
        ),
    )
    return Case("tests/t.py::test", CaseStatus.PASSED, 0.2, NOW, phases=phases)


def graded(
    of: Case,
    *receipts: Receipt,
    local: bool = True,
    available: bool = True,
    revisions: Mapping[str, str | None] | None = None,
) -> Grading:
    return grade(
        of,
        receipts=receipts,
        revisions=revisions or {"chat": UNDER_TEST},
        loopback_is_target=local,
        health_paths=("/health",),
        receipts_available=available,
    )


@pytest.mark.parametrize(
    ("at_s", "port", "is_mine"),
    [
        (0.5, None, True),
        (2.5, None, True),  # the clock of another machine
        (-60, None, False),
        (60, None, False),
        (0.5, 40001, True),
        (0.5, 40002, False),  # another test's, at the same time
        (1.5, 40001, False),  # the next test's, over the same connection
    ],
)
def test_a_trace_id_that_many_tests_share_proves_the_one_that_asked(
    at_s: float, port: int | None, is_mine: bool
) -> None:
    other_tests = replace(receipt("own"), at=NOW + timedelta(seconds=at_s), port=port)
    asked = HttpExchange("chat", "GET", "/health", 200)
    of = case(chat(ports=(40001,)), exchanges=[asked])
    assert graded(of, other_tests).grade is (Grade.PROVEN if is_mine else Grade.SUSPECT)


def test_a_receipt_of_the_call_on_the_revision_under_test_proves() -> None:
    assert graded(case(chat()), receipt()) == Grading(
        Grade.PROVEN, "receipt: POST /messages 200 on chat-00002-k7q"
    )


def test_a_trace_id_of_the_tests_own_proves_as_well() -> None:
    assert graded(case(chat()), receipt("own")).grade is Grade.PROVEN


def test_a_receipt_proves_what_no_channel_of_the_process_saw() -> None:
    assert graded(case(), receipt()).grade is Grade.PROVEN


def test_a_receipt_of_the_set_up_proves_nothing() -> None:
    found = graded(case(setup=[chat(12, 0)]), receipt("setup"))
    assert found == Grading(Grade.UNPROVEN, "12 B out, 0 B in, in set-up only")


def test_a_receipt_of_another_revision_contradicts() -> None:
    found = graded(case(chat()), receipt(revision="chat-00001-abc"))
    assert found.grade is Grade.CONTRADICTED
    assert found.reason == (
        "receipt from chat-00001-abc, not the revision under test, chat-00002-k7q"
    )


def test_a_receipt_of_another_service_is_none() -> None:
    found = graded(case(chat()), receipt(), revisions={"auth": "auth-00001-abc"})
    assert found.grade is Grade.CONTRADICTED
    assert found.reason == "only chat, which is not auth"


def test_a_service_that_loopctl_did_not_deploy_proves_with_any_revision() -> None:
    found = graded(case(chat()), receipt(revision="whatever"), revisions={"chat": None})
    assert found.grade is Grade.PROVEN


def test_a_receipt_matched_without_its_trace_is_only_observed() -> None:
    assert graded(case(chat(None, None)), receipt(by="request")).grade is Grade.OBSERVED


def test_bytes_both_ways_are_observed_and_say_why_not_more() -> None:
    assert graded(case(chat())) == Grading(Grade.OBSERVED, "12 B out, 84 B in; no receipt of it")
    assert "no request log" in graded(case(chat()), available=False).reason


def test_traffic_elsewhere_beside_the_target_takes_nothing_away() -> None:
    assert graded(case(other(), chat())).grade is Grade.OBSERVED


def test_bytes_out_on_one_connection_and_in_on_another_are_no_exchange() -> None:
    assert graded(case(chat(12, 0), chat(0, 84))).grade is Grade.PLAUSIBLE


@pytest.mark.parametrize(
    ("of", "grade_", "reason"),
    [
        (
            case(chat(None, None)),
            Grade.PLAUSIBLE,
            "connected to chat, bytes could not be counted",
        ),
        (case(chat(0, 54)), Grade.PLAUSIBLE, "0 B out, 54 B in"),
        (
            case(children=["curl"]),
            Grade.PLAUSIBLE,
            "a child process ran (curl), its bytes unseen",
        ),
        (case(chat(12, 0)), Grade.UNPROVEN, "12 B out, 0 B in"),
        (case(chat(0, 0)), Grade.UNPROVEN, "connect only: 0 B out, 0 B in"),
        (case(), Grade.UNPROVEN, "no connection was made"),
        (
            case(chat(None, None, failed="ECONNREFUSED")),
            Grade.UNPROVEN,
            "no connection was made: chat refused it (ECONNREFUSED)",
        ),
        (case(setup=[chat(40, 90)]), Grade.UNPROVEN, "40 B out, 90 B in, in set-up only"),
        (
            case(chat(), exchanges=[asked("/health")]),
            Grade.SUSPECT,
            "only health paths (/health)",
        ),
        (
            case(chat(), mocks=[MOCK]),
            Grade.SUSPECT,
            "met chat, but requests.sessions.Session.send was mocked too",
        ),
        (
            case(mocks=[MOCK]),
            Grade.CONTRADICTED,
            "mocked requests.sessions.Session.send, no contact with chat",
        ),
        (
            case(other()),
            Grade.CONTRADICTED,
            "only 127.0.0.1:9999, which is not chat",
        ),
        (
            case(chat(), exchanges=[asked(status=503)]),
            Grade.CONTRADICTED,
            "only 503 answers",
        ),
    ],
)
def test_each_row_has_its_reason(of: Case, grade_: Grade, reason: str) -> None:
    assert graded(of) == Grading(grade_, reason)


def test_a_set_up_that_met_the_target_does_not_prove_a_mocked_call() -> None:
    assert graded(case(mocks=[MOCK], setup=[chat()])).grade is Grade.CONTRADICTED


def test_a_connection_kept_from_the_set_up_and_silent_in_the_call_is_no_contact() -> None:
    idle = Contact("127.0.0.1", 8080, "chat", loopback=True, sent=0, received=0, reused=True)
    assert graded(case(idle, setup=[chat()])).reason.endswith("in set-up only")


def test_a_mock_spoils_even_a_receipt() -> None:
    assert graded(case(chat(), mocks=[MOCK]), receipt()).grade is Grade.SUSPECT


def test_receipts_of_health_paths_alone_are_suspect() -> None:
    assert graded(case(chat()), receipt(path="/health?deep=1")).grade is Grade.SUSPECT
    both = graded(case(chat()), receipt(path="/health"), receipt())
    assert both.grade is Grade.PROVEN


def test_only_5xx_contradicts_whoever_saw_them_and_one_good_answer_clears_it() -> None:
    assert graded(case(chat()), receipt(status=502)).grade is Grade.CONTRADICTED
    retried = graded(case(chat()), receipt(status=502), receipt(status=200))
    assert retried.reason == "receipt: POST /messages 200 on chat-00002-k7q"
    assert graded(case(chat(), exchanges=[asked(status=404)])).grade is Grade.OBSERVED


def test_this_machine_instead_of_a_remote_target_is_named_as_such() -> None:
    found = graded(case(other("10.0.0.9", 443), other()), local=False)
    assert found.grade is Grade.CONTRADICTED
    assert found.reason == "only 127.0.0.1:9999, which is not chat but this machine"


def test_a_refused_connection_elsewhere_is_not_traffic() -> None:
    refused = Contact("127.0.0.1", 9999, None, loopback=True, failed="ECONNREFUSED")
    assert graded(case(refused)) == Grading(Grade.UNPROVEN, "no connection was made")


def test_a_child_process_keeps_us_from_contradicting() -> None:
    found = graded(case(other(), children=["curl"]))
    assert found.grade is Grade.PLAUSIBLE


def test_a_case_without_a_call_phase_is_unproven() -> None:
    empty = Case("t", CaseStatus.PASSED, 0.1, NOW)
    assert graded(empty).grade is Grade.UNPROVEN


def test_meeting_the_target_counts_in_any_phase_but_not_when_it_was_refused() -> None:
    assert met_target(case(setup=[chat()]), {"chat"})
    assert not met_target(case(chat(failed="ECONNREFUSED"), other()), {"chat"})


def untraced(port: int, after_s: float = 0.5, status: int = 200, path: str = "/say") -> Receipt:
    at = NOW + timedelta(seconds=after_s)
    return Receipt("", at, "chat", UNDER_TEST, "GET", path, status, "request", port)


def test_a_request_without_a_trace_is_the_tests_own_by_port_and_time() -> None:
    mine = case(chat(ports=(4711,)))
    assert "GET /say 200 on chat-00002-k7q" in graded(mine, untraced(4711)).reason
    assert graded(mine, untraced(4711, status=500)).grade is Grade.CONTRADICTED
    assert graded(mine, untraced(4711, path="/health")).grade is Grade.SUSPECT
    for strange in (untraced(4712, status=500), untraced(4711, 1.5, status=500)):
        assert graded(mine, strange).reason.endswith("no receipt of it")


def test_a_childs_request_is_observed_by_the_targets_record_of_the_call() -> None:
    curl = case(children=["curl"])
    assert graded(curl, untraced(4711)).grade is Grade.OBSERVED
    assert graded(curl, untraced(4711, 1.5)).grade is Grade.PLAUSIBLE
    assert graded(curl, untraced(4711, status=500)).grade is Grade.PLAUSIBLE


def test_a_child_process_does_not_make_errors_or_health_a_proof() -> None:
    for shown in (receipt(status=500), receipt(path="/health")):
        found = graded(case(chat(), children=["true"]), shown)
        assert found.grade is Grade.PLAUSIBLE
        assert "its bytes unseen" in found.reason


def test_a_health_path_does_not_clear_what_only_ever_failed() -> None:
    found = graded(case(chat()), receipt(status=500), receipt(path="/health"))
    assert found == Grading(Grade.CONTRADICTED, "only 500 answers")


def test_a_redirect_to_somebody_else_is_suspect_and_one_that_is_not_followed_is_not() -> None:
    found = graded(case(chat(), other()), receipt(status=307))
    assert found.grade is Grade.SUSPECT
    assert found.reason == "chat only redirected (307), 127.0.0.1:9999 was met instead"
    assert graded(case(chat()), receipt(status=307)).grade is Grade.PROVEN
    assert graded(case(chat(), other()), receipt(status=307), receipt()).grade is Grade.PROVEN


def test_a_request_whose_answer_nobody_took_proves_nothing() -> None:
    assert graded(case(chat(12, 0)), receipt()) == Grading(Grade.UNPROVEN, "12 B out, 0 B in")
    assert graded(case(chat(12, 0)), receipt(status=None)).grade is Grade.UNPROVEN


def test_what_the_front_door_answers_itself_is_no_answer_of_the_revision() -> None:
    found = graded(case(chat()), receipt(revision="", status=431))
    assert found.grade is Grade.CONTRADICTED
    assert "the front door itself (431)" in found.reason


def by_child(*ports: int, failed: str | None = None) -> Contact:
    return Contact("127.0.0.1", 8080, "chat", failed=failed, local_ports=ports, via="child")


def test_a_child_that_connected_is_plausible_and_one_that_did_not_is_unproven() -> None:
    assert graded(case(by_child(4711), children=["curl"])) == Grading(
        Grade.PLAUSIBLE, "a child process (curl) connected to chat, its bytes unseen"
    )
    assert graded(case(by_child(failed="not-seen"), children=["true"])) == Grading(
        Grade.UNPROVEN, "a child process ran (true), and was not seen to connect to chat"
    )
    # One that was not looked for may have.
    assert graded(case(children=["curl"])).grade is Grade.PLAUSIBLE


def test_a_childs_request_is_known_by_its_port_where_ports_were_seen() -> None:
    seen = case(by_child(4711), children=["curl"])
    assert graded(seen, untraced(4711)) == Grading(
        Grade.OBSERVED,
        "a request like this test's, without its trace id: GET /say 200 on chat-00002-k7q",
    )
    assert graded(seen, untraced(4712)).grade is Grade.PLAUSIBLE
    silent = case(by_child(failed="not-seen"), children=["true"])
    assert graded(silent, untraced(4711)).grade is Grade.UNPROVEN


def test_a_log_without_ports_says_nothing_of_a_child_and_a_fork_without_one_goes_by_time() -> None:
    no_port = Receipt("", NOW, "chat", UNDER_TEST, "GET", "/say", 200, "request", None)
    # Anybody may have asked that meanwhile: the address is public.
    assert graded(case(by_child(4711), children=["curl"]), no_port).grade is Grade.PLAUSIBLE
    assert graded(case(by_child(), children=["python"]), untraced(4711)).grade is Grade.OBSERVED


def test_beside_other_tests_a_childs_request_is_plausible_and_its_own_is_observed() -> None:
    def beside(of: Case, *receipts: Receipt) -> Grading:
        return grade(
            of,
            receipts=receipts,
            revisions={"chat": UNDER_TEST},
            loopback_is_target=True,
            health_paths=(),
            receipts_available=True,
            alone=False,
        )

    theirs = "other tests ran at the same time, and it may be theirs"
    curl = case(by_child(4711), children=["curl"])
    assert beside(curl, untraced(4711)) == Grading(
        Grade.PLAUSIBLE,
        f"a child process ran (curl), and GET /say 200 came without a trace id; {theirs}",
    )
    assert beside(curl) == Grading(
        Grade.PLAUSIBLE, f"a child process ran (curl), and chat was connected to; {theirs}"
    )
    silent = case(by_child(failed="not-seen"), children=["true"])
    assert beside(silent).grade is Grade.UNPROVEN
    assert beside(case(chat(ports=(4711,))), untraced(4711)).grade is Grade.OBSERVED
    assert beside(case(chat()), receipt()).grade is Grade.PROVEN
    # Neither does what may be another test's contradict.
    wrong = Receipt("", NOW, "chat", "chat-00001-abc", "GET", "/", 200, "request", 4711)
    assert beside(curl, wrong).grade is Grade.PLAUSIBLE


def test_workers_of_one_pytest_process_are_beside_each_other() -> None:
    curl = case(by_child(failed="not-alone"), children=["curl"])
    found = graded(curl, untraced(4711))
    assert found.grade is Grade.PLAUSIBLE
    assert found.reason.endswith("other tests ran at the same time, and it may be theirs")
    assert graded(curl) == Grading(Grade.PLAUSIBLE, "a child process ran (curl), its bytes unseen")


def test_what_code_in_c_did_unseen_is_plausible_and_says_so() -> None:
    in_c = Contact("127.0.0.1", 8080, "chat", via="c")
    found = Grading(Grade.PLAUSIBLE, "connected to chat, by code in C, its bytes unseen")
    assert graded(case(in_c)) == found
