"""Cloud Logging's emulator over a socket, and the adapters that read it, over gRPC or REST."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from emulator.dispatch import Dispatcher
from emulator.faults import Faults
from emulator.grpc_server import GrpcServer
from emulator.log_pages import Paging
from emulator.log_quota import ReadQuota as ProjectQuota
from emulator.log_rpcs import log_rpcs
from emulator.log_store import Entry, LogStore
from emulator.rest import RestServer
from loopctl.model.logs import Coverage, LogEntry, LogWindow, RequestEntry
from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.log_window import Pace
from loopctl.platforms.cloud_run.logs import CloudRunLogs
from loopctl.platforms.cloud_run.quota import ReadQuota
from loopctl.platforms.cloud_run.receipts import CloudRunReceipts
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor

PROJECT = "shop-staging"
SERVICE = "shop"
REVISION = "shop-00002-k7q"
SECRET = "s3cr3t-of-the-shop-77"
QUICK = Pace(looks_s=(0.3, 0.6, 1.2, 1.8), settled_s=0.6, limit_s=30.0)
STDOUT, STDERR, REQUESTS = (
    "run.googleapis.com%2Fstdout",
    "run.googleapis.com%2Fstderr",
    ("run.googleapis.com%2Frequests"),
)
SYSTEM = "run.googleapis.com%2Fvarlog%2Fsystem"
SYSTEM_EVENT = "cloudaudit.googleapis.com%2Fsystem_event"

Transport = Literal["grpc", "rest"]


def entry(
    text: str = "",
    at: datetime | None = None,
    log: str = STDOUT,
    *,
    revision: str = REVISION,
    service: str = SERVICE,
    **fields: Any,
) -> Any:
    """A plain entry of a revision, now or then."""
    made = Entry(log_name=f"projects/{PROJECT}/logs/{log}", **fields)
    if text:
        made.text_payload = text
    made.resource.type = "cloud_run_revision"
    made.resource.labels.update(
        service_name=service, revision_name=revision, location="us-central1", project_id=PROJECT
    )
    made.timestamp.FromDatetime(at or utc_now())
    return made


def request(
    path: str = "/rooms",
    at: datetime | None = None,
    *,
    trace: str = "",
    status: int = 200,
    text: str = "",
    agent: str = "python-httpx/0.28",
    method: str = "GET",
    revision: str = REVISION,
) -> Any:
    """An entry of the request log."""
    made = entry(text, at, REQUESTS, revision=revision)
    made.http_request.request_method = method
    made.http_request.request_url = f"https://cand---shop-abc-uc.a.run.app{path}"
    made.http_request.status = status
    made.http_request.user_agent = agent
    made.http_request.latency.FromTimedelta(timedelta(milliseconds=12))
    made.trace = f"projects/{PROJECT}/traces/{trace}" if trace else ""
    return made


@dataclass
class Rig:
    """A project's logs, and what they are read by."""

    transport: Transport
    endpoint: str
    store: LogStore
    project_quota: ProjectQuota
    faults: Faults
    paging: Paging
    dispatcher: Dispatcher
    clients: Clients = field(init=False)
    quota: ReadQuota = field(default_factory=lambda: ReadQuota(10_000))
    redactor: Redactor = field(default_factory=lambda: Redactor({"TOKEN": SECRET}))

    def __post_init__(self) -> None:
        place = CloudRunPlace(
            PROJECT, "us-central1", endpoint=self.endpoint, transport=self.transport
        )
        self.clients = Clients(place)

    def logs(self, pace: Pace = QUICK, poll_s: float = 0.1) -> CloudRunLogs:
        return CloudRunLogs(self.clients, self.redactor, quota=self.quota, pace=pace, poll_s=poll_s)

    def receipts(self, pace: Pace = QUICK, late_s: float = 1.5) -> CloudRunReceipts:
        return CloudRunReceipts(
            self.clients, self.redactor, quota=self.quota, pace=pace, late_s=late_s
        )

    def read(
        self, window: LogWindow | None = None, pace: Pace = QUICK, stop: Stop | None = None
    ) -> tuple[list[LogEntry], Coverage]:
        found: list[LogEntry] = []
        coverage = self.logs(pace).read(window or a_window(), found.append, stop or Stop(60.0))
        return found, coverage

    def asked(self, window: LogWindow | None = None) -> tuple[list[RequestEntry], Coverage]:
        found: list[RequestEntry] = []
        coverage = self.receipts().requests(window or a_window(), found.append, Stop(60.0))
        return found, coverage

    @property
    def queries(self) -> list[str]:
        """The filters asked for so far."""
        return [
            call.request.filter for call in self.dispatcher.calls if call.method == "ListLogEntries"
        ]


def a_window(
    seconds_ago: float = 600, until: datetime | None = None, revision: str | None = REVISION
) -> LogWindow:
    return LogWindow(SERVICE, datetime.now(UTC) - timedelta(seconds=seconds_ago), until, revision)


@contextmanager
def a_rig(transport: Transport) -> Iterator[Rig]:
    """The emulator's Logging, up as long as the block lasts."""
    store, quota, paging = LogStore(PROJECT), ProjectQuota(10_000), Paging.full()
    store.ingestion(0, 0)
    faults = Faults()
    dispatcher = Dispatcher(log_rpcs(store, quota=quota, paging=paging), faults)
    server = GrpcServer(dispatcher) if transport == "grpc" else RestServer(dispatcher)
    rig = Rig(
        transport,
        f"http://127.0.0.1:{server.port}",
        store,
        quota,
        faults,
        paging,
        dispatcher,
    )
    try:
        yield rig
    finally:
        rig.clients.close()
        dispatcher.closing.set()
        server.close()
