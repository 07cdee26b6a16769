"""`triage --watch`: what is news, how it is told, and what the exit code says of a look."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loopctl.api.surveying import since_of
from loopctl.console.triage_view import LineView
from loopctl.errors import UsageError
from loopctl.model.finding import Fault, FaultKind, Finding, Quote
from loopctl.process import Stop, in_time
from loopctl.reports.triaged_text import triaged_lines
from loopctl.reports.triaged_watch import line_of, news_of
from loopctl.triage.diagnose import NovelLine
from loopctl.triage.triaged import Captured, ServiceLook, Triaged, UnderWay

AT = datetime(2025, 9, 10, 3, 0, tzinfo=UTC)
WEB = ServiceLook(
    "web", "healthy", {"web-1": 100}, frozenset({"web-1"}), AT, "http://127.0.0.1:1", 0.1
)
WELL = Triaged(AT, (), (), (), "", "web", "staging", (WEB,), green_run="RUN")
FAULT = Fault(FaultKind.STATUS, "web: /health answers 503", "web")
ILL = replace(WELL, services=(replace(WEB, state="unhealthy", faults=(FAULT,)),))
FOUND = Finding("health.unstable", "It was healthy", "critical", 0.75, "v1|f", service="web")
LINE = NovelLine("t", 1, Quote("log", "web/web-1#1", "KeyError: 1"), "web")


def test_only_what_a_person_would_call_a_change_is_told() -> None:
    stream, aside = io.StringIO(), io.StringIO()
    view = LineView(stream, aside)
    slower = replace(WELL, at=AT + timedelta(minutes=1), services=(replace(WEB, latency_s=2.0),))
    for look in (WELL, slower, ILL, ILL, replace(ILL, findings=(FOUND,)), WELL):
        view(look)
    said = stream.getvalue().splitlines()
    assert [line.partition(", exit code ")[2][:1] for line in said] == ["0", "1", "1", "0"]
    assert said[0] == (
        "03:00:00Z nothing is seen to be wrong, exit code 0; web healthy, web-1 100 %, verified"
    )
    assert "likely cause: It was healthy" in said[2]
    assert aside.getvalue() == ""


def test_a_sign_of_life_is_given_where_nothing_changes() -> None:
    stream, aside = io.StringIO(), io.StringIO()
    view = LineView(stream, aside, heartbeat_s=0.0)
    for _ in range(3):
        view(WELL)
    assert len(stream.getvalue().splitlines()) == 1
    assert aside.getvalue().count("no change; exit code 0") == 2


def test_a_run_that_begins_is_news() -> None:
    going = replace(WELL, under_way=UnderWay("RUN-2", "somebody", AT))
    assert news_of(going) != news_of(WELL)
    assert "run RUN-2 is going on" in line_of(going)


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (WELL, 0),
        (ILL, 1),
        (replace(WELL, services=(replace(WEB, state="absent"),)), 1),
        (replace(WELL, services=(replace(WEB, faults=(FAULT,)),)), 1),
        (replace(WELL, services=(replace(WEB, state="unknown", faults=(FAULT,)),)), 3),
        (replace(WELL, captured=(Captured("web", "web/web-1", 0, "permission denied"),)), 3),
        (replace(WELL, captured=(Captured("web", "web/web-1", 9, "only the last lines"),)), 0),
        (replace(WELL, novel=(LINE,)), 0),
        (replace(WELL, novel=(replace(LINE, is_severe=True),)), 3),
    ],
)
def test_the_exit_code_tells_wrong_from_not_known(look: Triaged, code: int) -> None:
    assert look.exit_code == code


def test_the_first_screen_has_room_for_all_that_matters() -> None:
    services = tuple(replace(ILL.services[0], name=f"s{n}") for n in range(9))
    long = replace(
        ILL,
        services=services,
        findings=(replace(FOUND, evidence=(Quote("log", "x#1", "boom"),)),),
        novel=(LINE,),
        unknown=("what it logged",),
        next=("one", "two", "three", "four"),
        under_way=UnderWay("RUN-2", "somebody", AT),
        owner="#web",
    )
    lines = triaged_lines(long)
    first = lines[: lines.index("")]
    assert len(first) <= 15
    assert first[0].startswith("USERS: ")
    assert [line for line in first if line.startswith("NEXT: ")] == [
        "NEXT: one",
        "NEXT: two",
        "NEXT: three",
    ]
    assert first[-1] == "OWNER: #web, runbook: none named"


def test_a_time_is_a_duration_or_an_iso_time() -> None:
    assert since_of("30m", AT) == AT - timedelta(minutes=30)
    assert since_of("2025-09-10T02:00:00Z", AT) == AT - timedelta(hours=1)
    assert since_of("2025-09-10T02:00:00", AT) == AT - timedelta(hours=1), "UTC if unsaid"
    beyond = ("99999999h", "0001-01-01T00:00:00+14:00")
    for wrong in ("yesterday", "2025-09-10T03:00:01Z", *beyond):
        with pytest.raises(UsageError):
            since_of(wrong, AT)


def test_looks_that_hear_no_stop_are_left_behind() -> None:
    released, stop = threading.Event(), Stop(0.2)
    tasks = {"deaf": lambda _: released.wait(30), "quick": lambda _: True}
    try:
        assert in_time(stop, tasks) == {"quick": True}
    finally:
        released.set()


def test_a_look_that_fails_is_not_hushed_up() -> None:
    def fails(_: Stop) -> bool:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault of ours"):
        in_time(Stop(), {"fails": fails, "quick": lambda _: True})
