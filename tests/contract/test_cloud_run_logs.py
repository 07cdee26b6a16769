"""Cloud Logging read whole, late entries and all, over gRPC and REST, whatever goes wrong."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import grpc  # type: ignore[import-untyped]
import pytest
from cloud_run_log_rig import (
    PROJECT,
    QUICK,
    REQUESTS,
    REVISION,
    SECRET,
    SERVICE,
    STDERR,
    SYSTEM,
    SYSTEM_EVENT,
    Rig,
    Transport,
    a_rig,
    a_window,
    entry,
    request,
)
from google.cloud.audit.audit_log_pb2 import AuditLog

from emulator.faults import Drop, Fault, permission_denied, unavailable
from emulator.log_quota import exhausted
from emulator.rpc import RpcFault
from loopctl.errors import Stopped
from loopctl.model.artifact import Revision
from loopctl.model.logs import LogEntry, LogWindow
from loopctl.platforms.cloud_run.log_window import Pace
from loopctl.platforms.cloud_run.quota import ReadQuota
from loopctl.ports.logs import LogError
from loopctl.process import Stop, utc_now

LIST = "ListLogEntries"
NEW = Revision(SERVICE, REVISION, "sha256:new", utc_now())
DENIED = permission_denied("logging.logEntries.list", f"projects/{PROJECT}")


@pytest.fixture(params=["grpc", pytest.param("rest", marks=pytest.mark.slow)])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    transport: Transport = request.param
    with a_rig(transport) as made:
        yield made


def texts(lines: list[LogEntry]) -> list[str]:
    return [line.text for line in lines]


def test_what_is_read_at_once_waits_for_nothing_and_says_up_to_when_it_is_whole(rig: Rig) -> None:
    now = utc_now()
    rig.store.write([entry("long ago", now - timedelta(minutes=9)), entry("just now", now)])
    window = LogWindow(SERVICE, now - timedelta(hours=1), revision=REVISION, at_once=True)
    lines: list[LogEntry] = []
    # A read that waits for what comes late would have no time for it, and say so.
    coverage = rig.logs(pace=Pace()).read(window, lines.append, Stop(4))
    assert texts(lines) == ["long ago", "just now"]
    assert coverage.complete, coverage.gap
    assert coverage.until <= now - timedelta(seconds=9)


def test_all_that_a_revision_said_is_read_in_order_and_redacted(rig: Rig) -> None:
    now = utc_now()
    audit = entry("", now - timedelta(seconds=90), SYSTEM_EVENT, severity=500)
    message = AuditLog(method_name="/Services.ReplaceService")
    message.status.message = "Ready condition status changed to False"
    audit.proto_payload.Pack(message)
    rig.store.write(
        [
            audit,
            entry("Container called exit(3).", now - timedelta(seconds=91), SYSTEM, severity=400),
            entry(f"my token is {SECRET}", now - timedelta(seconds=100)),
            entry("Traceback (most recent call last):\n  here\nKeyError: 1", now, STDERR),
            entry("of another revision", now, revision="shop-00001-abc"),
            entry("of another service", now, service="cart"),
            request("/rooms?key=1", now),
            request("/slow", now, status=504, text="The request has been terminated"),
            entry("too old", now - timedelta(hours=2)),
        ]
    )
    lines, coverage = rig.read()
    assert texts(lines) == [
        "my token is [redacted:TOKEN]",
        "Container called exit(3).",
        "Ready condition status changed to False",
        "Traceback (most recent call last):",
        "  here",
        "KeyError: 1",
        "The request has been terminated",
    ]
    assert coverage.complete
    assert [line.number for line in lines] == list(range(1, 8))
    assert {line.stream for line in lines[-4:-1]} == {"stderr"}


def test_a_payload_of_an_unknown_type_breaks_no_page() -> None:
    now = utc_now()
    odd = entry("", now - timedelta(seconds=2), SYSTEM_EVENT)
    odd.proto_payload.type_url = "type.googleapis.com/google.cloud.future.Event"
    odd.proto_payload.value = b"\xff"
    with a_rig("grpc") as rig:
        rig.store.write([entry("before", now - timedelta(seconds=3)), odd, entry("after", now)])
        lines, coverage = rig.read()
    assert coverage.complete
    assert texts(lines) == ["before", "(a payload of type google.cloud.future.Event)", "after"]


def test_entries_that_come_late_are_waited_for_and_told_in_order(rig: Rig) -> None:
    now = utc_now()
    rig.store.write([entry("first", now - timedelta(seconds=3))])
    rig.store.ingestion(delay_s=0.45, jitter_s=0)
    rig.store.write([entry("second, late", now - timedelta(seconds=2))])
    rig.store.ingestion(0, 0)
    rig.store.write([entry("third", now - timedelta(seconds=1))])
    lines, coverage = rig.read()
    assert texts(lines) == ["first", "second, late", "third"]
    assert coverage.complete


@pytest.mark.slow
def test_while_entries_still_come_it_goes_on_and_says_when_it_gave_up(rig: Rig) -> None:
    stop = threading.Event()
    began = utc_now()

    def late() -> None:
        while not stop.is_set():
            rig.store.write([entry("late", began - timedelta(seconds=1))])
            time.sleep(0.05)

    writer = threading.Thread(target=late)
    writer.start()
    try:
        _, coverage = rig.read()
    finally:
        stop.set()
        writer.join()
    assert not coverage.complete
    assert str(coverage.gap).startswith("may be incomplete: entries still came")


def test_a_window_of_the_past_is_read_at_once(rig: Rig) -> None:
    rig.store.write([entry("old", utc_now() - timedelta(seconds=200))])
    slow = Pace(limit_s=20.0)
    began = time.monotonic()
    lines, coverage = rig.read(a_window(until=utc_now() - timedelta(seconds=100)), slow)
    assert time.monotonic() - began < 3
    assert texts(lines) == ["old"]
    assert coverage.complete
    assert len(rig.queries) == 2, "what is settled, and the end once"


def test_short_and_empty_pages_are_read_over(rig: Rig) -> None:
    rig.paging.short_every, rig.paging.empty_every = 3, 2
    now = utc_now()
    rig.store.write(
        [entry(str(n), now - timedelta(seconds=300, milliseconds=-n)) for n in range(5000)]
    )
    lines, coverage = rig.read()
    assert texts(lines) == [str(n) for n in range(5000)]
    assert coverage.complete


def test_a_first_page_that_is_empty_is_not_the_end(rig: Rig) -> None:
    rig.paging.empty_every = 2
    rig.store.write([entry("there", utc_now() - timedelta(seconds=1))])
    assert texts(rig.read()[0]) == ["there"]


@pytest.mark.parametrize("fault", [unavailable(), Drop()], ids=["unavailable", "dropped"])
def test_what_may_pass_is_tried_again(rig: Rig, fault: RpcFault | Drop) -> None:
    rig.store.write([entry("there", utc_now() - timedelta(seconds=100))])
    rig.faults.on(LIST, fault, times=3)
    lines, coverage = rig.read()
    assert texts(lines) == ["there"]
    assert coverage.complete


@pytest.mark.slow
def test_what_never_passes_is_an_error_and_after_some_entries_a_gap(rig: Rig) -> None:
    pace = Pace(looks_s=QUICK.looks_s, settled_s=QUICK.settled_s, limit_s=60.0)
    rig.faults.on(LIST, unavailable(), times=None)
    with pytest.raises(LogError, match="cannot read the logs"):
        rig.read(pace=pace)
    rig.faults.clear()
    rig.store.write([entry("there", utc_now() - timedelta(seconds=100))])
    found: list[LogEntry] = []

    def take(line: LogEntry) -> None:
        found.append(line)
        rig.faults.on(LIST, RpcFault(grpc.StatusCode.INVALID_ARGUMENT, "bad"), times=None)

    coverage = rig.logs(pace).read(a_window(), take, Stop(60.0))
    assert texts(found) == ["there"]
    assert not coverage.complete
    assert coverage.until == found[0].at


def test_a_permission_that_is_missing_is_a_gap_and_a_problem_beforehand(rig: Rig) -> None:
    assert rig.logs().problems(Stop(10.0)) == []
    rig.faults.on(LIST, DENIED, times=None)
    lines, coverage = rig.read()
    assert (lines, coverage.complete) == ([], False)
    assert "may be incomplete: cannot read the logs: Permission" in str(coverage.gap)
    (problem,) = rig.logs().problems(Stop(10.0))
    assert "--role=roles/logging.viewer" in str(problem.hint)


def test_a_quota_that_is_used_up_is_waited_for_and_its_limit_learnt(rig: Rig) -> None:
    rig.store.write([entry("there", utc_now() - timedelta(seconds=100))])
    rig.quota = ReadQuota(60)
    rig.quota._pause_s = 0.2
    rig.faults.on(LIST, exhausted("123", 7), times=2)
    lines, coverage = rig.read()
    assert texts(lines) == ["there"]
    assert coverage.complete
    assert rig.quota.limit == 7


def test_a_quota_that_costs_entries_is_told(rig: Rig) -> None:
    rig.quota = ReadQuota(60)
    rig.faults.on(LIST, exhausted("123", 7), times=None)
    pace = Pace(looks_s=QUICK.looks_s, settled_s=QUICK.settled_s, limit_s=1.0)
    lines, coverage = rig.read(pace=pace)
    assert (lines, coverage.complete) == ([], False)
    assert str(coverage.gap) == (
        "may be incomplete: in 1 s it was read up to nowhere; "
        "the project's quota of 7 log reads a minute was used up"
    )


@pytest.mark.slow
def test_where_time_or_quota_is_short_the_end_is_read_all_the_same(rig: Rig) -> None:
    now = utc_now()
    rig.store.write(
        [entry(str(n), now - timedelta(seconds=500, milliseconds=-n)) for n in range(9000)]
    )
    rig.store.write([entry("the last words", now - timedelta(seconds=1))])
    rig.quota = ReadQuota(12)
    lines, coverage = rig.read(stop=Stop(4.0))
    *first, last = texts(lines)
    assert last == "the last words"
    assert first == [str(n) for n in range(len(first))]
    assert 1000 <= len(first) <= 5000, "what the budget leaves beside the end's reads"
    assert not coverage.complete
    assert coverage.until == lines[-2].at
    assert "there was no time to read it from" in str(coverage.gap)


def test_a_stop_with_little_time_is_not_waited_out_for_late_entries(rig: Rig) -> None:
    rig.store.write([entry("the last words", utc_now() - timedelta(seconds=1))])
    lines, coverage = rig.read(pace=Pace(), stop=Stop(1.0))
    assert texts(lines) == ["the last words"]
    assert not coverage.complete
    assert str(coverage.gap).startswith("may be incomplete: ")


def test_a_stop_ends_a_read_that_waits(rig: Rig) -> None:
    stop = Stop()
    timer = threading.Timer(0.2, stop.stop, ["SIGTERM"])
    timer.start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        rig.read(pace=Pace(), stop=stop)
    assert time.monotonic() - began < 2
    timer.join()


def test_without_a_beginning_a_window_still_has_a_bound_in_time(rig: Rig) -> None:
    rig.store.write([entry("there", utc_now() - timedelta(hours=3))])
    forever = LogWindow(SERVICE, utc_now() - timedelta(days=4000), revision=REVISION)
    lines, coverage = rig.read(forever)
    assert texts(lines) == ["there"]
    assert coverage.complete
    assert all("timestamp>=" in query for query in rig.queries)


def test_following_tells_what_is_there_and_then_what_comes_each_once(rig: Rig) -> None:
    rig.store.write([entry("one", utc_now() - timedelta(seconds=50)), entry("two")])
    stop = Stop(20.0)
    told = rig.logs(poll_s=0.05).follow(a_window(), stop)
    assert [next(told).text for _ in range(2)] == ["one", "two"]
    rig.store.write([entry(f"now {SECRET}")])
    assert next(told).text == "now [redacted:TOKEN]"
    rig.store.write([entry("late", utc_now() - timedelta(seconds=8)), entry("last")])
    assert [next(told).text for _ in range(2)] == ["late", "last"]
    stop.stop("SIGINT")
    assert list(told) == []


def test_following_outlives_what_passes_and_keeps_off_a_short_quota(rig: Rig) -> None:
    rig.quota = ReadQuota(16)
    stop = Stop(20.0)
    told = rig.logs(poll_s=0.02).follow(a_window(), stop)
    rig.faults.on(LIST, unavailable(), times=2)
    rig.store.write([entry("there")])
    assert next(told).text == "there"
    threading.Timer(1.0, stop.stop, ["SIGINT"]).start()
    assert list(told) == []
    assert len(rig.queries) <= 4, "a quarter of the budget, and what was refused"


def test_following_what_may_not_be_read_is_an_error(rig: Rig) -> None:
    rig.faults.on(LIST, DENIED, times=None)
    with pytest.raises(LogError, match="Permission"):
        next(rig.logs().follow(a_window(), Stop(5.0)))


def test_requests_are_told_without_their_queries(rig: Rig) -> None:
    now = utc_now()
    rig.store.write(
        [
            request("/rooms?key=1", now - timedelta(seconds=9), trace="ab" * 16),
            request(f"/of/{SECRET}", now - timedelta(seconds=8), status=404),
            request("/ws", now - timedelta(seconds=7), status=101),
            request("/x", now - timedelta(seconds=6), status=503, text="connection had an error"),
            entry("no request", now),
        ]
    )
    found, coverage = rig.asked()
    assert coverage.complete
    assert [(e.path, e.status, e.event) for e in found] == [
        ("/rooms", 200, "request"),
        ("/of/[redacted:TOKEN]", 404, "request"),
        ("/ws", 101, "open"),
        ("/x", 503, "request"),
    ]
    assert (found[0].trace, found[0].latency_s) == ("ab" * 16, 0.012)
    assert (found[2].age_s, found[3].error) == (0.012, "connection had an error")


def trace(number: int) -> str:
    return f"{number:032x}"


def met(rig: Rig, *traces: str, awaited: tuple[str, ...] | None = None, late_s: float = 1.5):  # type: ignore[no-untyped-def]
    window = LogWindow(SERVICE, utc_now() - timedelta(seconds=60), utc_now())
    wanted = frozenset(traces if awaited is None else awaited)
    return rig.receipts(late_s=late_s).of(NEW, frozenset(traces), window, Stop(30.0), wanted)


def test_receipts_by_trace_are_read_at_once_where_all_are_there(rig: Rig) -> None:
    rig.store.write([request(trace=trace(1)), request("/b", trace=trace(2)), request("/c")])
    began = time.monotonic()
    found = met(rig, trace(1), trace(2))
    assert time.monotonic() - began < 1
    assert found.coverage.complete
    assert sorted((r.trace, r.path, r.by, r.revision) for r in found.receipts) == [
        (trace(1), "/rooms", "trace", REVISION),
        (trace(2), "/b", "trace", REVISION),
    ]
    assert len(rig.queries) == 1


def test_a_receipt_that_comes_late_is_waited_for_and_no_longer(rig: Rig) -> None:
    rig.store.ingestion(delay_s=0.7, jitter_s=0)
    rig.store.write([request(trace=trace(1))])
    began = time.monotonic()
    found = met(rig, trace(1), late_s=20.0)
    assert time.monotonic() - began < 5
    assert [r.trace for r in found.receipts] == [trace(1)]


def test_what_was_never_asked_for_by_a_known_request_is_not_waited_for(rig: Rig) -> None:
    began = time.monotonic()
    assert met(rig, trace(1), awaited=(), late_s=20.0).receipts == ()
    assert time.monotonic() - began < 2


def test_a_trace_at_another_revision_is_told_as_such(rig: Rig) -> None:
    rig.store.write([request(trace=trace(1), revision="shop-00001-abc")])
    (receipt,) = met(rig, trace(1)).receipts
    assert (receipt.by, receipt.revision) == ("trace", "shop-00001-abc")


def test_where_no_trace_was_kept_the_requests_are_told_without(rig: Rig) -> None:
    rig.store.write([request(), request("/own", trace=trace(99))])
    found = met(rig, trace(1)).receipts
    assert [(r.trace, r.by, r.path, r.agent) for r in found] == [
        ("", "request", "/rooms", "python-httpx/0.28"),
        ("", "request", "/own", "python-httpx/0.28"),
    ]


def test_where_traces_are_kept_anothers_trace_is_anothers_request(rig: Rig) -> None:
    rig.store.write([request(trace=trace(1)), request("/own", trace=trace(99)), request("/bare")])
    found = met(rig, trace(1), trace(2)).receipts
    assert [(r.trace, r.path) for r in found] == [(trace(1), "/rooms"), ("", "/bare")]


def test_thousands_of_traces_are_looked_for_in_pages_of_all_requests(rig: Rig) -> None:
    traces = [trace(number) for number in range(2500)]
    rig.store.write([request(trace=each) for each in traces])
    found = met(rig, *traces)
    assert len(found.receipts) == 2500
    assert len(rig.queries) == 3


def test_receipts_that_may_not_be_read_leave_a_gap(rig: Rig) -> None:
    rig.faults.on(LIST, DENIED, times=None)
    found = met(rig, trace(1))
    assert found.receipts == ()
    assert not found.coverage.complete
    assert "Permission" in str(found.coverage.gap)


@pytest.mark.slow
def test_a_hundred_thousand_entries_are_read_in_flat_memory(rig: Rig) -> None:
    now = utc_now()
    for first in range(0, 100_000, 10_000):
        rig.store.write(
            [
                entry(f"line {n}", now - timedelta(seconds=500, microseconds=-n * 100))
                for n in range(first, first + 10_000)
            ]
        )
    numbers = 0

    def take(line: LogEntry) -> None:
        nonlocal numbers
        assert line.text == f"line {numbers}"
        numbers += 1

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    patient = Pace(looks_s=QUICK.looks_s, settled_s=QUICK.settled_s, limit_s=240.0)
    coverage = rig.logs(patient).read(a_window(), take, Stop(300.0))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert coverage.complete
    assert numbers == 100_000
    assert grown < 60 * 1024, "kilobytes; the emulator's own pages among them"


def test_a_slow_answer_is_asked_for_again(rig: Rig) -> None:
    rig.store.write([entry("there", utc_now() - timedelta(seconds=100))])
    rig.faults.on(LIST, Fault(RpcFault(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded")))
    assert texts(rig.read()[0]) == ["there"]
    assert REQUESTS in rig.queries[0]
