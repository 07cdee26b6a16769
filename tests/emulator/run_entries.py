"""Log entries as Cloud Run writes them: facts/cloud-run.md 2.4 and 4."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote

from google.api.monitored_resource_pb2 import MonitoredResource
from google.cloud.audit.audit_log_pb2 import AuditLog
from google.cloud.logging_v2.types import LogEntry
from google.logging.type.http_request_pb2 import HttpRequest
from google.logging.type.log_severity_pb2 import LogSeverity
from google.protobuf import json_format

from emulator import run_texts as texts
from emulator.run_messages import LogEntryPb
from emulator.run_names import Place, service_of, short
from emulator.run_output import Written

_NANO: Final = 10**9
STDOUT: Final = "run.googleapis.com/stdout"
STDERR: Final = "run.googleapis.com/stderr"
REQUESTS: Final = "run.googleapis.com/requests"
SYSTEM: Final = "run.googleapis.com/varlog/system"
SYSTEM_EVENT: Final = "cloudaudit.googleapis.com/system_event"


class LogSink(Protocol):
    """Where entries go."""

    def write(self, entries: Sequence[LogEntryPb]) -> object:
        """Keep these entries."""


class Entries:
    """Writes entries of revisions, by their full names. No two have the same time."""

    def __init__(self, place: Place, sink: LogSink) -> None:
        self._place = place
        self._sink = sink
        self._last = 0
        self._lock = threading.Lock()

    def now(self, *, whole_microseconds: bool = False) -> int:
        """A time later than each that was given before, in nanoseconds since the epoch."""
        step = 1000 if whole_microseconds else 1
        with self._lock:
            now = max(time.time_ns(), self._last + step)
            if whole_microseconds:
                now = -(-now // 1000) * 1000
            elif now % 1000 == 0:
                now += 1
            self._last = now
        return now

    def system(self, revision: str, severity: str, text: str, instance: str = "") -> None:
        """What the platform tells of an instance."""
        entry = self._entry(SYSTEM, revision, severity, self.now(), instance)
        entry.text_payload = text
        self._sink.write([entry])

    def line(self, revision: str, stream: str, written: Written, instance: str) -> None:
        """What an instance wrote."""
        log = STDERR if stream == "stderr" else STDOUT
        entry = self._entry(log, revision, written.severity, written.at, instance)
        if written.fields is None:
            entry.text_payload = written.text
        else:
            entry.json_payload.update(written.fields)
        _fill(entry, written)
        self._sink.write([entry])

    def request(
        self,
        revision: str,
        status: int,
        request: HttpRequest,
        *,
        text: str = "",
        trace: str = "",
        span_id: str = "",
        at: int | None = None,
    ) -> None:
        """A request at the front door; `text` where the platform answered it."""
        severity = "ERROR" if status >= 500 else "WARNING" if status >= 400 else "INFO"
        entry = self._entry(REQUESTS, revision, severity, at or self.now())
        entry.http_request.CopyFrom(request)
        if text:
            entry.text_payload = text
        if trace:
            entry.trace = f"projects/{self._place.project}/traces/{trace}"
            entry.span_id = span_id
        self._sink.write([entry])

    def not_ready(self, revision: str, why: str) -> None:
        """The audit log's entry for a revision that failed."""
        audit = AuditLog(
            service_name="run.googleapis.com",
            method_name="/Services.ReplaceService",
            resource_name=f"namespaces/{self._place.project}/revisions/{short(revision)}",
        )
        audit.status.code = 9
        audit.status.message = texts.ready_false(short(revision), why)
        entry = self._entry(SYSTEM_EVENT, revision, "ERROR", self.now())
        entry.proto_payload.Pack(audit)
        self._sink.write([entry])

    def _entry(
        self, log: str, revision: str, severity: str, at: int, instance: str = ""
    ) -> LogEntryPb:
        entry = LogEntry.pb()()
        entry.log_name = f"projects/{self._place.project}/logs/{quote(log, safe='')}"
        entry.severity = LogSeverity.Value(severity)
        entry.insert_id = uuid.uuid4().hex[:24]
        entry.resource.CopyFrom(self._resource(revision))
        entry.timestamp.seconds, entry.timestamp.nanos = divmod(at, _NANO)
        received = max(time.time_ns(), at)
        entry.receive_timestamp.seconds, entry.receive_timestamp.nanos = divmod(received, _NANO)
        if instance:
            entry.labels["instanceId"] = instance
        return entry

    def _resource(self, revision: str) -> MonitoredResource:
        service_id = short(service_of(revision))
        labels: Mapping[str, str] = {
            "project_id": self._place.project,
            "location": self._place.region,
            "service_name": service_id,
            "revision_name": short(revision),
            "configuration_name": service_id,
        }
        return MonitoredResource(type="cloud_run_revision", labels=labels)


def _fill(entry: LogEntryPb, written: Written) -> None:
    """What a JSON line says of its own entry."""
    entry.trace, entry.span_id = written.trace, written.span_id
    entry.trace_sampled = written.trace_sampled
    entry.labels.update(written.labels)
    if written.insert_id:
        entry.insert_id = written.insert_id
    told: dict[str, Any] = {
        "http_request": written.http_request,
        "source_location": written.source_location,
        "operation": written.operation,
    }
    for name, value in told.items():
        if value is not None:
            json_format.ParseDict(value, getattr(entry, name), ignore_unknown_fields=True)
