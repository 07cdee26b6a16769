"""The emulator of Cloud Logging over HTTP and JSON, asked by Google's hand-written client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cloud_logging_rig import NUMBER, PARENT, PROJECT, REQUESTS, STDERR, STDOUT, entry
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.logging import Client

from emulator.dispatch import Dispatcher
from emulator.faults import Faults
from emulator.log_faults import LogFaults, service_disabled
from emulator.log_fill import crash_at_start
from emulator.log_lines import Revision
from emulator.log_pages import Paging
from emulator.log_quota import ReadQuota
from emulator.log_rpcs import log_rpcs
from emulator.log_store import LogStore
from emulator.rest import RestServer


class Http:
    """A project's logs behind the emulator's HTTP server."""

    def __init__(self) -> None:
        self.store = LogStore(PROJECT, number=NUMBER)
        self.store.ingestion(0, 0)
        self.faults, self.quota = LogFaults(), ReadQuota()
        rpcs = log_rpcs(self.store, self.faults, self.quota, Paging.full())
        self._server = RestServer(Dispatcher(rpcs, Faults()))
        self.url = f"http://127.0.0.1:{self._server.port}"
        self.client: Any = Client(  # type: ignore[no-untyped-call]
            project=PROJECT,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            _use_grpc=False,
            client_options={"api_endpoint": self.url},
        )

    def listed(self, filter_: str | None = None, **more: Any) -> list[Any]:
        return list(self.client.list_entries(filter_=filter_, **more))

    def asked(self, **request: Any) -> httpx.Response:
        body = {"resourceNames": [PARENT], **request}
        return httpx.post(f"{self.url}/v2/entries:list", json=body)

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def logging() -> Iterator[Http]:
    served = Http()
    yield served
    served.close()


def _ago(seconds: float) -> str:
    at = time.time() - seconds
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".123456789Z"


def test_what_the_client_writes_it_reads_again(logging: Http) -> None:
    log = logging.client.logger("checkout")
    log.log_text("plain")
    log.log_struct({"message": "told", "count": 3}, severity="WARNING", labels={"a": "b"})
    # The client's first write brings an entry of its own: which library wrote it.
    plain, told = logging.listed(
        'log_id("checkout") AND NOT jsonPayload."logging.googleapis.com/diagnostic":*'
    )
    assert (plain.payload, plain.severity) == ("plain", None)
    assert (told.payload, told.severity) == ({"message": "told", "count": 3.0}, "WARNING")
    assert told.labels == {"a": "b"}
    assert told.insert_id
    assert told.received_timestamp >= told.timestamp


def test_the_client_alone_asks_for_the_last_day(logging: Http) -> None:
    logging.store.write([entry("old", _ago(25 * 3600)), entry("new", _ago(60))])
    assert [one.payload for one in logging.listed("severity=DEFAULT")] == ["new"]
    both = logging.listed('severity=DEFAULT AND receiveTimestamp>"2020-01-01"')
    assert [one.payload for one in both] == ["old", "new"]


def test_pages_are_followed(logging: Http) -> None:
    logging.store.write([entry(f"{n}", insert_id=f"{n:04d}") for n in range(120)])
    assert len(logging.listed(page_size=50)) == 120
    assert logging.quota.spent == 3


def test_json_has_the_forms_of_the_real_service(logging: Http) -> None:
    request = entry(at=_ago(1), log=REQUESTS)
    request.ClearField("text_payload")
    request.http_request.status, request.http_request.response_size = 503, 1893
    request.http_request.latency.FromMicroseconds(7_334_302)
    request.severity = 500
    logging.store.write([request])
    (told,) = logging.asked(filter="httpRequest.status>=500").json()["entries"]
    assert told["httpRequest"] == {"status": 503, "responseSize": "1893", "latency": "7.334302s"}
    assert told["timestamp"].endswith(".123456789Z")
    assert told["severity"] == "ERROR"
    assert told["logName"] == REQUESTS
    assert "textPayload" not in told


def test_an_audit_entry_arrives_as_what_it_is(logging: Http) -> None:
    broken = Revision(PROJECT, "shop", "shop-00003-6kk")
    logging.store.write(crash_at_start(broken, time.time_ns() - 60 * 10**9))
    (audit,) = logging.listed('log_id("cloudaudit.googleapis.com/system_event")')
    assert audit.payload["methodName"] == "/Services.ReplaceService"
    assert "Ready condition status changed to False" in audit.payload["status"]["message"]


def test_one_read_too_many_is_429_without_retry_after(logging: Http) -> None:
    logging.quota.limit = 0
    answer = logging.asked()
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers
    error = answer.json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    (info,) = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["reason"] == "RATE_LIMIT_EXCEEDED"
    assert info["metadata"]["quota_limit"] == "ReadRequestsPerMinutePerProject"
    with pytest.raises(exceptions.TooManyRequests, match="Quota exceeded for quota metric"):
        logging.listed()


def test_a_disabled_api_is_403(logging: Http) -> None:
    logging.faults.next("list", service_disabled(NUMBER))
    with pytest.raises(exceptions.Forbidden, match="has not been used in project"):
        logging.listed()


def test_a_bad_filter_is_400_with_its_place(logging: Http) -> None:
    with pytest.raises(exceptions.BadRequest, match="syntax error at line 1, column 15, token ':'"):
        logging.listed("insertId = abc:def")


def test_logs_are_listed_by_pages(logging: Http) -> None:
    logging.store.write([entry("a"), entry("b", log=STDERR)])
    names = httpx.get(f"{logging.url}/v2/{PARENT}/logs", params={"pageSize": 1}).json()
    assert names["logNames"] == [STDERR]
    more = {"pageToken": names["nextPageToken"]}
    assert httpx.get(f"{logging.url}/v2/{PARENT}/logs", params=more).json() == {
        "logNames": [STDOUT]
    }
