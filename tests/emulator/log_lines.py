"""The entries of one Cloud Run revision, each in the shape and log in which Cloud Run writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from google.cloud.audit import audit_log_pb2

from emulator.log_store import Entry

DEFAULT, INFO, WARNING, ERROR = 0, 200, 400, 500


@dataclass(frozen=True, slots=True)
class Revision:
    """Whose entries they are."""

    project: str
    service: str
    name: str
    location: str = "us-central1"
    labels: Mapping[str, str] = field(default_factory=dict)
    """The service's own labels: every entry carries them."""

    def line(
        self, stream: str, text: str, at: int, instance: str = "", severity: int = DEFAULT
    ) -> Any:
        """A line of `stdout` or `stderr`, at nanoseconds since the epoch."""
        return self._entry(f"run.googleapis.com/{stream}", at, severity, instance, text)

    def structured(self, payload: Mapping[str, Any], at: int, instance: str, severity: int) -> Any:
        """A line of stdout that was JSON."""
        entry = self._entry("run.googleapis.com/stdout", at, severity, instance)
        entry.json_payload.update(payload)
        return entry

    def system(self, text: str, at: int, severity: int, instance: str = "") -> Any:
        """What the platform says of an instance."""
        return self._entry("run.googleapis.com/varlog/system", at, severity, instance, text)

    def request(
        self, method: str, url: str, status: int, latency_ns: int, at: int, trace: str, agent: str
    ) -> Any:
        """A request that was answered."""
        severity = ERROR if status >= 500 else WARNING if status >= 400 else INFO
        entry = self._entry("run.googleapis.com/requests", at, severity)
        http = entry.http_request
        http.request_method, http.request_url, http.status = method, url, status
        http.user_agent, http.remote_ip, http.protocol = agent, "203.0.113.7", "HTTP/1.1"
        http.request_size, http.response_size = 412, 1893
        http.latency.FromNanoseconds(latency_ns)
        entry.trace = f"projects/{self.project}/traces/{trace}"
        entry.span_id, entry.trace_sampled = trace[:16], True
        return entry

    def not_ready(self, message: str, at: int) -> Any:
        """The audit entry of a revision that did not become ready."""
        entry = self._entry("cloudaudit.googleapis.com/system_event", at, ERROR)
        log = audit_log_pb2.AuditLog(
            service_name="run.googleapis.com",
            method_name="/Services.ReplaceService",
            resource_name=f"namespaces/{self.project}/revisions/{self.name}",
        )
        log.status.message = (
            f"Ready condition status changed to False for Revision {self.name} "
            f"with message: {message}"
        )
        entry.proto_payload.Pack(log)
        return entry

    def _entry(
        self, log: str, at: int, severity: int, instance: str = "", text: str | None = None
    ) -> Any:
        name = f"projects/{self.project}/logs/{quote(log, safe='')}"
        entry = Entry(log_name=name, severity=severity)
        entry.timestamp.FromNanoseconds(at)
        entry.resource.type = "cloud_run_revision"
        entry.resource.labels.update(
            project_id=self.project,
            location=self.location,
            service_name=self.service,
            revision_name=self.name,
            configuration_name=self.service,
        )
        entry.labels.update(self.labels)
        if instance:
            entry.labels["instanceId"] = instance
        if text is not None:
            entry.text_payload = text
        return entry
