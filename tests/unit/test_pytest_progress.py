"""What the adapter makes of a test process's events, the corrupted and the secret ones too."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loopctl.model.evidence import Case, CaseStatus
from loopctl.redact import Redactor
from loopctl.suites.progress import Progress

KINDS = st.sampled_from([
    "session-start", "collected", "collection-end", "collect-error", "collect-skip", "test-start",
    "phase", "subtest", "child-contact", "revised", "crash", "test-end", "internal-error",
    "session-end",
])  # fmt: skip
FIELDS = st.sampled_from([
    "t", "phase", "outcome", "duration_s", "exc", "contacts", "http", "mocks", "children",
    "sections", "longrepr", "ids", "deselected", "rootdir", "contact", "worker", "own_traces",
    "wasxfail", "type", "frames", "chained", "message",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["setup", "call", "failed", "passed"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.builds(
    lambda kind, test, more: {**more, "e": kind, "id": test},
    KINDS,
    st.sampled_from(["a", "b", 7, None]),
    st.dictionaries(FIELDS, VALUES, max_size=4),
)


def progress(cases: list[Case], kept: list[dict[str, Any]]) -> Progress:
    return Progress(Redactor({"TOKEN": "s3cr3t-value-9"}), cases.append, kept.append, "/proj")


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_no_event_however_corrupted_stops_the_run(events: list[dict[str, Any]]) -> None:
    cases: list[Case] = []
    progress(cases, []).take(events)


def test_a_test_whose_phases_never_came_has_not_passed() -> None:
    cases: list[Case] = []
    progress(cases, []).take([{"e": "test-start", "id": "a"}, {"e": "test-end", "id": "a"}])
    assert [case.status for case in cases] == [CaseStatus.LOST]


def test_a_failed_subtest_fails_its_test() -> None:
    cases: list[Case] = []
    wrong = {"type": "AssertionError", "message": "1 == 2", "frames": []}
    progress(cases, []).take([
        {"e": "test-start", "id": "a"},
        {"e": "phase", "id": "a", "phase": "setup", "outcome": "passed"},
        {"e": "subtest", "id": "a", "phase": "call", "outcome": "failed", "exc": wrong},
        {"e": "phase", "id": "a", "phase": "call", "outcome": "passed"},
        {"e": "phase", "id": "a", "phase": "teardown", "outcome": "passed"},
        {"e": "test-end", "id": "a"},
    ])  # fmt: skip
    assert [(case.status, case.message) for case in cases] == [
        (CaseStatus.FAILED, "AssertionError: 1 == 2")
    ]


def test_ids_that_redaction_makes_equal_stay_two_and_no_event_keeps_the_value() -> None:
    kept: list[dict[str, Any]] = []
    watched = progress([], kept)
    watched.take([{"e": "collected", "ids": ["t[s3cr3t-value-9]", "t[[redacted:TOKEN]]"]}])
    names = [watched.name_of(test) for test in watched.not_started]
    assert names == ["t[[redacted:TOKEN]]", "t[[redacted:TOKEN]]#2"]
    assert "s3cr3t" not in repr(kept)


def line(event: str, seq: int, pid: int = 7) -> dict[str, Any]:
    return {"e": event, "seq": seq, "pid": pid}


def test_a_stream_is_whole_when_every_line_of_a_session_came_once() -> None:
    session = [line("session-start", 1), line("collection-end", 2), line("session-end", 3)]
    child = [line("child-contact", 3, pid=8), line("child-contact", 4, pid=8)]
    for told, whole in (
        (session, True),
        ([session[0], session[2], session[1]], True),
        ([*session, *child], True),
        (session[:2], True),
        ([session[0], session[2]], False),
        ([*session, line("test-end", 1)], False),
        ([*session, line("test-end", 9)], False),
        ([*session, line("test-end", 1, pid=8)], False),
    ):
        found = progress([], [])
        found.take(told)
        assert found.is_whole is whole, told
