"""One reading of a revision's log in a process of its own; prints entries, seconds and peak MB.

`python -m bench.log_reading ours|client|json grpc|rest PORT`: by loopctl, redacted and in order; by
Google's own client; or by plain HTTP and JSON. The last two keep nothing and redact nothing.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from loopctl.model.logs import LogEntry, LogWindow
from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.log_filter import SAID, View
from loopctl.platforms.cloud_run.logs import CloudRunLogs
from loopctl.platforms.cloud_run.quota import ReadQuota
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor

PROJECT, REGION, SERVICE, REVISION = "bench", "us-central1", "chat", "chat-00001-abc"
_PAGE = 1000


def _ours(clients: Clients) -> int:
    found = 0

    def take(_line: LogEntry) -> None:
        nonlocal found
        found += 1

    redactor = Redactor({"TOKEN": "a-secret-of-the-benchmark"})
    logs = CloudRunLogs(clients, redactor, quota=ReadQuota(1_000_000))
    now = utc_now()
    window = LogWindow(SERVICE, now - timedelta(hours=1), now - timedelta(seconds=60), REVISION)
    coverage = logs.read(window, take, Stop(600.0))
    assert coverage.complete, coverage.gap
    return found


def _request(clients: Clients) -> dict[str, object]:
    view = View(clients.place, SERVICE, REVISION, SAID)
    return {
        "resource_names": [f"projects/{PROJECT}"],
        "filter": view.between(utc_now() - timedelta(hours=1), None),
        "order_by": "timestamp asc",
        "page_size": _PAGE,
    }


def _client(clients: Clients) -> int:
    return sum(1 for _ in clients.logging.list_log_entries(_request(clients), retry=None))


def _json(clients: Clients) -> int:
    asked = _request(clients)
    body = {
        "resourceNames": asked["resource_names"],
        "filter": asked["filter"],
        "orderBy": asked["order_by"],
        "pageSize": _PAGE,
    }
    found, token = 0, ""
    while True:
        more = {"pageToken": token} if token else {}
        url = f"{clients.logging_url}/v2/entries:list"
        page = clients.session.post(url, json={**body, **more}, timeout=60).json()
        found += len(page.get("entries", ()))
        token = page.get("nextPageToken", "")
        if not token:
            return found


def _measured(work: Callable[[Clients], int], transport: str, port: str) -> None:
    endpoint = f"http://127.0.0.1:{port}"
    place = CloudRunPlace(
        PROJECT, REGION, endpoint=endpoint, transport="rest" if transport == "rest" else "grpc"
    )
    clients = Clients(place)
    began = time.perf_counter()
    entries = work(clients)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"entries": entries, "seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    _measured({"ours": _ours, "client": _client, "json": _json}[sys.argv[1]], *sys.argv[2:])
