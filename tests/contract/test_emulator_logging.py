"""The emulator of Cloud Logging answers Google's own client as the facts say the service does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from cloud_logging_rig import (
    NUMBER,
    PARENT,
    PROJECT,
    REQUESTS,
    STDERR,
    STDOUT,
    SYSTEM,
    Rig,
    entry,
    serve,
)
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.cloud.logging_v2.types import TailLogEntriesRequest
from google.protobuf.duration_pb2 import Duration

from emulator import log_faults
from emulator.log_filter_kinds import SECOND, instant
from emulator.log_store import LogStore

NOON = "2026-10-12T12:00:0"


class Clock:
    """The server's time, moved by hand."""

    def __init__(self, at: str = "2026-10-12T12:30:00Z") -> None:
        self.now = instant(at) or 0

    def __call__(self) -> int:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logging(clock: Clock) -> Iterator[Rig]:
    yield from serve(Rig(LogStore(PROJECT, number=NUMBER, clock=clock)))


def _texts(found: list[Any]) -> list[str]:
    return [one.text_payload for one in found]


def _numbered(count: int) -> list[Any]:
    return [
        entry(f"{n}", f"2026-10-12T12:00:00.{n:06d}Z", insert_id=f"{n:06d}") for n in range(count)
    ]


# What is written is read


def test_written_entries_are_listed_with_what_the_server_adds(logging: Rig, clock: Clock) -> None:
    logging.client.write_log_entries(
        log_name=STDERR,
        resource={"type": "cloud_run_revision", "labels": {"service_name": "shop"}},
        labels={"instanceId": "i1", "kept": "request"},
        entries=[{"text_payload": "one", "labels": {"kept": "entry"}}, {"text_payload": "two"}],
    )
    one, two = logging.listed()
    assert (one.text_payload, two.text_payload) == ("one", "two")
    assert one.log_name == STDERR
    assert one.resource.labels["service_name"] == "shop"
    assert dict(one.labels) == {"instanceId": "i1", "kept": "entry"}
    assert one.insert_id
    assert one.insert_id < two.insert_id
    assert one.timestamp.timestamp() == clock.now / SECOND
    assert one.receive_timestamp == one.timestamp


def test_a_timestamp_keeps_its_nanoseconds(logging: Rig) -> None:
    logging.store.write([entry("x", f"{NOON}0.123456789Z")])
    (found,) = logging.listed(f'timestamp="{NOON}0.123456789Z"')
    assert found.timestamp.nanosecond == 123456789
    assert logging.listed(f'timestamp>"{NOON}0.123456789Z"') == []


def test_a_dry_run_writes_nothing(logging: Rig) -> None:
    logging.client.write_log_entries(
        {"log_name": STDOUT, "resource": {"type": "global"}, "entries": [{}], "dry_run": True}
    )
    assert logging.listed() == []


def test_one_bad_entry_fails_all_unless_partial_success_is_allowed(logging: Rig) -> None:
    request: dict[str, Any] = {
        "resource": {"type": "global"},
        "entries": [
            {"log_name": STDOUT, "text_payload": "good"},
            {"log_name": STDOUT, "text_payload": "x" * (256 * 1024)},
        ],
    }
    with pytest.raises(exceptions.InvalidArgument, match=r"exceeds maximum size of 256\.0K"):
        logging.client.write_log_entries(request)
    assert logging.listed() == []
    with pytest.raises(exceptions.InvalidArgument):
        logging.client.write_log_entries({**request, "partial_success": True})
    assert _texts(logging.listed()) == ["good"]


def test_logs_are_listed_by_name_and_deleted(logging: Rig) -> None:
    logging.store.write([entry("a"), entry("b", log=STDERR), entry("c", log=STDERR)])
    assert list(logging.client.list_logs(parent=PARENT)) == [STDERR, STDOUT]
    logging.client.delete_log(log_name=STDERR)
    assert list(logging.client.list_logs(parent=PARENT)) == [STDOUT]
    assert _texts(logging.listed()) == ["a"]


# Order, pages


def test_the_order_is_by_timestamp_then_insert_id(logging: Rig) -> None:
    logging.store.write(
        [
            entry("3", f"{NOON}2Z", insert_id="a"),
            entry("2", f"{NOON}1Z", insert_id="b"),
            entry("1", f"{NOON}1Z", insert_id="a"),
        ]
    )
    assert _texts(logging.listed()) == ["1", "2", "3"]
    assert _texts(logging.listed(order_by="timestamp asc")) == ["1", "2", "3"]
    assert _texts(logging.listed(order_by="timestamp desc")) == ["3", "1", "2"]
    with pytest.raises(exceptions.InvalidArgument):
        logging.listed(order_by="severity desc")


@pytest.mark.parametrize(("order", "first"), [("timestamp asc", "a"), ("timestamp desc", "b")])
def test_pages_may_end_amid_one_timestamp(logging: Rig, order: str, first: str) -> None:
    for second, name in enumerate("ab"):
        at = f"{NOON}{second}Z"
        logging.store.write([entry(f"{name}{n}", at, insert_id=f"{n}") for n in range(5)])
    found = logging.listed(order_by=order, page_size=3)
    names = [first, "b" if first == "a" else "a"]
    assert _texts(found) == [f"{name}{n}" for name in names for n in range(5)]


def test_entries_of_one_timestamp_and_insert_id_are_told_once(logging: Rig) -> None:
    twice = entry("x", f"{NOON}0Z", insert_id="same")
    logging.store.write([twice, twice])
    assert _texts(logging.listed()) == ["x"]


def test_a_page_has_fifty_entries_by_default_and_a_thousand_at_most(logging: Rig) -> None:
    logging.store.write(_numbered(1200))
    assert len(logging.page().entries) == 50
    assert len(logging.page(page_size=1000).entries) == 1000
    for size in (-1, 1001):
        with pytest.raises(exceptions.InvalidArgument):
            logging.page(page_size=size)


@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc"])
def test_pages_that_come_short_or_empty_still_lead_to_the_end(logging: Rig, order: str) -> None:
    logging.paging.short_every, logging.paging.empty_every = 2, 3
    logging.store.write(_numbered(100))
    pages = list(
        logging.client.list_log_entries(
            {"resource_names": [PARENT], "order_by": order, "page_size": 20}, retry=None
        ).pages
    )
    sizes = [len(page.entries) for page in pages]
    assert 0 in sizes
    assert 10 in sizes
    told = [one.text_payload for page in pages for one in page.entries]
    wanted = [f"{n}" for n in range(100)]
    assert told == (wanted if order == "timestamp asc" else wanted[::-1])


def test_a_page_token_belongs_to_its_other_parameters(logging: Rig) -> None:
    logging.store.write(_numbered(100))
    token = logging.page(filter="timestamp>=2026-10-12", page_size=10).next_page_token
    again = logging.page(filter="timestamp>=2026-10-12", page_size=10, page_token=token)
    assert again.entries[0].text_payload == "10"
    with pytest.raises(exceptions.InvalidArgument, match="page_token doesn't match arguments"):
        logging.page(filter="timestamp>=2026-10-11", page_size=10, page_token=token)
    with pytest.raises(exceptions.InvalidArgument):
        logging.page(page_token="no token")


def test_a_page_token_lives_a_day(logging: Rig, clock: Clock) -> None:
    logging.store.write(_numbered(100))
    token = logging.page().next_page_token
    clock.pass_(24 * 3600 + 1)
    with pytest.raises(exceptions.ClientError):
        logging.page(page_token=token)


def test_nothing_is_listed_of_other_projects_or_of_none(logging: Rig) -> None:
    for name in ("projects/elsewhere", "folders/1"):
        with pytest.raises(exceptions.ClientError):
            logging.page(resource_names=[name])
    for names in ([], ["shop"]):
        with pytest.raises(exceptions.InvalidArgument):
            logging.page(resource_names=names)
    logging.store.write([entry("x")])
    view = f"{PARENT}/locations/global/buckets/_Default/views/_AllLogs"
    assert len(logging.page(resource_names=[view]).entries) == 1


def test_a_hundred_thousand_entries_are_found_by_time(logging: Rig) -> None:
    start = instant(f"{NOON}0Z") or 0
    many = []
    for n in range(100_000):
        one = entry(f"{n}", insert_id=f"{n:06d}")
        one.timestamp.FromNanoseconds(start + n * 1_000_000)
        many.append(one)
    logging.store.write(many)
    found = logging.listed(f'timestamp>="{NOON}0.5Z" timestamp<"{NOON}0.75Z"', page_size=1000)
    assert _texts(found) == [f"{n}" for n in range(500, 750)]
    assert logging.page(order_by="timestamp desc", page_size=1).entries[0].text_payload == "99999"


# Ingestion


def test_entries_turn_up_late_and_out_of_order(logging: Rig, clock: Clock) -> None:
    logging.store.ingestion(delay_s=1, jitter_s=4)
    logging.store.write(_numbered(50))
    assert logging.listed() == []
    clock.pass_(3)
    early = [int(text) for text in _texts(logging.listed())]
    assert 0 < len(early) < 50
    assert early != list(range(len(early)))
    clock.pass_(3)
    found = logging.listed()
    assert len(found) == 50
    for one in found:
        way = one.receive_timestamp.timestamp() - (clock.now / SECOND - 6)
        assert 1 <= way <= 5


def test_a_share_of_entries_is_much_later(logging: Rig, clock: Clock) -> None:
    logging.store.ingestion(delay_s=0, jitter_s=0, late_share=0.5, late_s=60)
    logging.store.write(_numbered(100))
    assert 20 < len(logging.listed()) < 80
    clock.pass_(60)
    assert len(logging.listed()) == 100


def test_entries_beyond_the_retention_are_not_listed(logging: Rig, clock: Clock) -> None:
    logging.store.write([entry("old", "2026-09-12T12:00:00Z"), entry("new", f"{NOON}0Z")])
    logging.store.write([entry("future", "2026-10-14T12:00:00Z")])
    assert _texts(logging.listed()) == ["new"]
    clock.pass_(24 * 3600)
    assert _texts(logging.listed()) == ["new", "future"]


# Quota


def test_the_sixty_first_page_of_a_minute_is_refused_with_its_reason(logging: Rig) -> None:
    logging.store.write(_numbered(70))
    with pytest.raises(exceptions.ResourceExhausted) as refused:
        logging.listed(page_size=1)
    assert refused.value.message == (
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of "
        f"service 'logging.googleapis.com' for consumer 'project_number:{NUMBER}'."
    )
    assert refused.value.reason == "RATE_LIMIT_EXCEEDED"
    assert refused.value.domain == "googleapis.com"
    assert dict(refused.value.metadata).items() >= {
        ("quota_limit", "ReadRequestsPerMinutePerProject"),
        ("quota_limit_value", "60"),
        ("quota_metric", "logging.googleapis.com/read_requests"),
    }
    assert logging.quota.spent == 60


def test_the_quota_can_be_set(logging: Rig) -> None:
    logging.quota.limit = 2
    logging.listed()
    logging.listed()
    with pytest.raises(exceptions.ResourceExhausted):
        logging.listed()
    logging.client.write_log_entries({"entries": []})


# Faults


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (log_faults.unavailable(), exceptions.ServiceUnavailable),
        (log_faults.deadline(), exceptions.DeadlineExceeded),
        (log_faults.dropped(), exceptions.ServiceUnavailable),
        (log_faults.permission_denied(PROJECT), exceptions.PermissionDenied),
    ],
)
def test_faults_come_as_often_as_they_were_asked_for(
    logging: Rig, fault: log_faults.LogFault, raised: type[Exception]
) -> None:
    logging.faults.next("list", fault, times=2)
    for _ in range(2):
        with pytest.raises(raised):
            logging.listed()
    assert logging.listed() == []


def test_the_clients_own_retry_outlives_unavailable(logging: Rig) -> None:
    logging.faults.next("list", log_faults.unavailable(), times=2)
    quick = Retry(
        predicate=lambda error: isinstance(error, exceptions.ServiceUnavailable), initial=0.01
    )
    assert list(logging.client.list_log_entries({"resource_names": [PARENT]}, retry=quick)) == []


def test_a_disabled_api_says_where_to_enable_it(logging: Rig) -> None:
    logging.faults.next("list", log_faults.service_disabled(NUMBER))
    with pytest.raises(exceptions.PermissionDenied) as refused:
        logging.listed()
    assert refused.value.reason == "SERVICE_DISABLED"
    assert f"Logging API has not been used in project {NUMBER} before" in refused.value.message


def test_a_dropped_write_may_have_been_written(logging: Rig) -> None:
    logging.faults.next("write", log_faults.dropped())
    with pytest.raises(exceptions.ServiceUnavailable):
        logging.client.write_log_entries(
            {
                "entries": [{"text_payload": "x"}],
                "log_name": STDOUT,
                "resource": {"type": "global"},
            },
            retry=None,
        )
    assert _texts(logging.listed()) == ["x"]


def test_a_call_that_hangs_meets_its_deadline(logging: Rig) -> None:
    logging.faults.next("list", log_faults.deadline(hangs_s=30))
    with pytest.raises(exceptions.DeadlineExceeded):
        logging.client.list_log_entries({"resource_names": [PARENT]}, retry=None, timeout=0.1)


# Tail


class Tail:
    """A session whose responses are read in a thread.

    Of the client's transport: the client's own method answers only with the first response.
    """

    def __init__(self, rig: Rig, **request: Any) -> None:
        asked = TailLogEntriesRequest({"resource_names": [PARENT], **request})
        self.stream = rig.client.transport.tail_log_entries(iter([asked]), timeout=30)
        self.responses: queue.Queue[Any] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            for response in self.stream:
                self.responses.put(response)
        except grpc.RpcError as error:
            self.responses.put(exceptions.from_grpc_error(error))  # type: ignore[no-untyped-call]

    def next(self) -> Any:
        return self.responses.get(timeout=10)

    def end(self) -> None:
        self.stream.cancel()
        self._reader.join()


def _until_open(rig: Rig, sessions: int) -> None:
    assert rig.tails.wait_open(sessions, timeout_s=10)


def test_a_tail_tells_what_arrives_after_it_opened_in_order(logging: Rig) -> None:
    logging.store.write([entry("before", f"{NOON}0Z")])
    tail = Tail(logging, filter='textPayload!="hidden"', buffer_window=Duration(nanos=100000000))
    _until_open(logging, 1)
    logging.store.write([entry("2", f"{NOON}2Z"), entry("1", f"{NOON}1Z"), entry("hidden")])
    assert _texts(tail.next().entries) == ["1", "2"]
    tail.end()


def test_ten_tails_may_be_open(logging: Rig) -> None:
    tails = [Tail(logging) for _ in range(10)]
    _until_open(logging, 10)
    one_more = Tail(logging)
    assert isinstance(one_more.next(), exceptions.ClientError)
    for tail in (*tails, one_more):
        tail.end()
    _until_open(logging, 0)


def test_a_tail_spends_read_quota(logging: Rig) -> None:
    logging.quota.limit = 1
    tail = Tail(logging)
    _until_open(logging, 1)
    with pytest.raises(exceptions.ResourceExhausted):
        logging.listed()
    tail.end()


def test_entries_above_the_rate_are_counted_as_suppressed(logging: Rig) -> None:
    logging.tails.most_a_minute = 3
    tail = Tail(logging, buffer_window=Duration(seconds=0))
    _until_open(logging, 1)
    logging.store.write(_numbered(5))
    response = tail.next()
    assert len(response.entries) == 3
    (told,) = response.suppression_info
    assert (told.reason.name, told.suppressed_count) == ("RATE_LIMIT", 2)
    tail.end()


def test_a_window_above_a_minute_is_refused(logging: Rig) -> None:
    tail = Tail(logging, buffer_window=Duration(seconds=61))
    assert isinstance(tail.next(), exceptions.InvalidArgument)
    tail.end()


def test_a_tail_is_dropped_on_demand(logging: Rig) -> None:
    logging.faults.next("tail", log_faults.dropped(after_responses=1))
    tail = Tail(logging, buffer_window=Duration(seconds=0))
    _until_open(logging, 1)
    logging.store.write([entry("x")])
    assert _texts(tail.next().entries) == ["x"]
    assert isinstance(tail.next(), exceptions.ServiceUnavailable)
    tail.end()


# Filters, through the whole of it; their table is in test_emulator_log_filter.py


def test_the_efficient_read_of_the_facts(logging: Rig) -> None:
    logging.store.write(
        [
            entry("out", f"{NOON}1Z", log=STDOUT),
            entry("err", f"{NOON}2Z", log=STDERR),
            entry("system", f"{NOON}3Z", log=SYSTEM),
            entry("request", f"{NOON}4Z", log=REQUESTS),
        ]
    )
    found = logging.listed(
        'resource.type="cloud_run_revision" AND resource.labels.service_name="shop" '
        'AND resource.labels.revision_name="shop-00001-dhj" '
        f'AND logName=("{STDERR}" OR "{SYSTEM}") AND timestamp>="{NOON}0Z"',
        order_by="timestamp desc",
        page_size=1000,
    )
    assert _texts(found) == ["system", "err"]


def test_a_bad_filter_is_refused_with_its_place(logging: Rig) -> None:
    with pytest.raises(exceptions.InvalidArgument) as refused:
        logging.listed("severity>=ERROR\ntimestamp>=2026-06-12T03:23:45Z")
    assert refused.value.message == (
        "Unparseable filter: syntax error at line 2, column 25, token ':'"
    )


def test_a_filter_has_twenty_thousand_characters_at_most(logging: Rig) -> None:
    longest = 'textPayload:"' + "x" * (20_000 - 14) + '"'
    assert logging.listed(longest) == []
    with pytest.raises(exceptions.InvalidArgument):
        logging.listed(longest + " ")
