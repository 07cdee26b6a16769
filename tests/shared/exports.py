"""Log exports as they come from the world, for tests: Cloud Run's in the shape of gcloud."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2025, 9, 7, 10, 0, tzinfo=UTC)
PROJECT = "acme-staging"

Entry = dict[str, Any]


def stamp(seconds: float) -> str:
    """So many seconds after START, as Cloud Logging writes it."""
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def said(
    text: str,
    seconds: float,
    log: str = "stderr",
    severity: str | None = None,
    revision: str = "chat-00002-kxh",
    service: str = "chat",
    instance: str = "0087244a80",
) -> Entry:
    """A line of text, of the container or (`varlog/system`) of the platform."""
    name = log.replace("/", "%2F")
    entry: Entry = {
        "insertId": f"{int(seconds * 1e6):020x}",
        "labels": {"instanceId": instance},
        "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2F{name}",
        "receiveTimestamp": stamp(seconds + 0.3),
        "resource": _resource(service, revision),
        "textPayload": text,
        "timestamp": stamp(seconds),
    }
    return entry | ({"severity": severity} if severity else {})


def asked(
    path: str,
    status: int,
    seconds: float,
    method: str = "GET",
    latency: str = "0.012s",
    text: str | None = None,
    revision: str = "chat-00002-kxh",
    service: str = "chat",
) -> Entry:
    """A request, as the platform logs it."""
    severity = "ERROR" if status >= 500 else "WARNING" if status >= 400 else "INFO"
    entry = said(text or "", seconds, "requests", severity, revision, service)
    if text is None:
        del entry["textPayload"]
    return entry | {
        "httpRequest": {
            "latency": latency,
            "protocol": "HTTP/1.1",
            "remoteIp": "203.0.113.9",
            "requestMethod": method,
            "requestUrl": f"https://chat-abc-uc.a.run.app{path}",
            "status": status,
            "userAgent": "curl/8.5.0",
        },
        "trace": f"projects/{PROJECT}/traces/{int(seconds * 1000):032x}",
    }


def audited(message: str, seconds: float, revision: str = "chat-00002-kxh") -> Entry:
    """What the audit log says of a revision that did not become ready."""
    entry = said("", seconds, severity="ERROR", revision=revision)
    del entry["textPayload"], entry["labels"]
    entry["logName"] = f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Fsystem_event"
    entry["protoPayload"] = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "methodName": "/Services.ReplaceService",
        "resourceName": f"namespaces/{PROJECT}/revisions/{revision}",
        "serviceName": "run.googleapis.com",
        "status": {
            "code": 9,
            "message": "Ready condition status changed to False for Revision "
            f"{revision} with message: {message}",
        },
    }
    return entry


def traceback(lines: str, seconds: float, **of: str) -> list[Entry]:
    """Text of several lines, an entry each, as most of it reaches Cloud Logging."""
    return [
        said(line, seconds + number / 10_000, **of)
        for number, line in enumerate(lines.strip("\n").split("\n"))
    ]


def _resource(service: str, revision: str) -> Mapping[str, Any]:
    return {
        "type": "cloud_run_revision",
        "labels": {
            "configuration_name": service,
            "location": "us-central1",
            "project_id": PROJECT,
            "revision_name": revision,
            "service_name": service,
        },
    }


def served(revision: str, seconds: float, requests: int = 30) -> list[Entry]:
    """A revision that started and answers, with the noise that healthy ones make."""
    of = {"revision": revision}
    entries = [
        said(
            "Starting new instance. Reason: DEPLOYMENT_ROLLOUT - Instance started due to traffic "
            "shifting between revisions due to deployment, traffic split adjustment, or deployment "
            "health check.",
            seconds,
            "varlog/system",
            "INFO",
            **of,
        ),
        *traceback(
            "INFO:     Started server process [1]\n"
            "INFO:     Waiting for application startup.\n"
            "loaded 12 prompts in 0.41 s\n"
            "DeprecationWarning: on_event is deprecated, use lifespan event handlers instead.\n"
            "INFO:     Application startup complete.\n"
            "INFO:     Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)",
            seconds + 2,
            **of,
        ),
        said(
            'Default STARTUP TCP probe succeeded after 1 attempt for container "chat-1" on port '
            "8080.",
            seconds + 3,
            "varlog/system",
            "INFO",
            **of,
        ),
    ]
    for number in range(requests):
        at = seconds + 5 + number
        path = ("/health", "/api/threads", "/api/agents", "/api/login?token=abc")[number % 4]
        status = 401 if number % 11 == 10 else 200
        entries.append(asked(path, status, at, **of))
        entries.append(
            said(f'INFO:     169.254.1.1:{40000 + number} - "GET {path} HTTP/1.1" {status} OK', at,
                 "stdout", **of)
        )  # fmt: skip
        entries.append(said(f"thread {number * 7919:08x} answered in {number * 3} ms", at, **of))
        if number % 7 == 3:
            entries.append(said("cache miss, 0 errors, retrying once", at, "stdout", **of))
    return entries


def write_array(path: Path, entries: Iterable[Entry]) -> Path:
    """As `gcloud logging read --format=json` prints them: the newest first, two blanks deep."""
    newest_first = sorted(entries, key=lambda entry: str(entry["timestamp"]), reverse=True)
    path.write_text(json.dumps(newest_first, indent=2), encoding="utf-8")
    return path


def write_lines(path: Path, entries: Iterable[Entry]) -> Path:
    """One a line, the oldest first."""
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


STARTUP_TRACE = """
Traceback (most recent call last):
  File "/usr/local/lib/python3.11/site-packages/starlette/routing.py", line 734, in lifespan
    async with self.lifespan_context(app) as maybe_state:
  File "/app/main.py", line 41, in lifespan
    app.state.manager = create_manager(None)
  File "/app/ws/manager.py", line 88, in create_manager
    raise RuntimeError(NO_CONTEXT)
RuntimeError: WebSocket manager creation requires valid UserExecutionContext.

ERROR:    Application startup failed. Exiting.
"""

LISTEN = (
    "The user-provided container failed to start and listen on the port defined provided by the "
    "PORT=8080 environment variable within the allocated timeout. This can happen when the "
    "container port is misconfigured or if the timeout is too short. The health check timeout can "
    "be extended. Logs for this revision might contain more information."
)


def startup_crash(at: float = 100, revision: str = "chat-00003-6kk", code: int = 3) -> list[Entry]:
    """The timeline of a start-up crash, facts/cloud-run.md section 2.4."""
    of = {"revision": revision}
    return [
        said("Starting new instance. Reason: DEPLOYMENT_ROLLOUT - Instance started due to traffic "
             "shifting between revisions due to deployment, traffic split adjustment, or "
             "deployment health check.", at, "varlog/system", "INFO", **of),
        *traceback("INFO:     Started server process [1]\n"
                   "INFO:     Waiting for application startup.", at + 6.49, **of),
        *traceback(STARTUP_TRACE, at + 6.52, **of),
        said(f"Container called exit({code}).", at + 7.17, "varlog/system", "WARNING", **of),
        said('Default STARTUP TCP probe failed 1 time consecutively for container "chat-1" on port '
             "8080. The instance was not started. Connection failed with status CANCELLED.",
             at + 7.30, "varlog/system", "ERROR", **of),
        audited(f"Revision '{revision}' is not ready and cannot serve traffic. {LISTEN}",
                at + 7.31, revision),
    ]  # fmt: skip


def wrong_port(at: float = 100, revision: str = "chat-00003-6kk") -> list[Entry]:
    """A container that listens elsewhere than on $PORT."""
    of = {"revision": revision}
    return [
        *traceback("INFO:     Started server process [1]\n"
                   "INFO:     Application startup complete.\n"
                   "INFO:     Uvicorn running on http://0.0.0.0:8081 (Press CTRL+C to quit)",
                   at, **of),
        said('Default STARTUP TCP probe failed 1 time consecutively for container "chat-1" on port '
             "8080. The instance was not started. Connection failed with status DEADLINE_EXCEEDED.",
             at + 240, "varlog/system", "ERROR", **of),
        audited(f"Revision '{revision}' is not ready and cannot serve traffic. {LISTEN}",
                at + 241, revision),
    ]  # fmt: skip


def out_of_memory(at: float = 100, revision: str = "chat-00003-6kk") -> list[Entry]:
    """An instance that used more memory than it may."""
    return [
        *served(revision, at, 4),
        said("Memory limit of 512 MiB exceeded with 516 MiB used. Consider increasing the memory "
             "limit, see https://cloud.google.com/run/docs/configuring/memory-limits", at + 20,
             "varlog/system", "ERROR", revision=revision),
        asked("/api/threads", 503, at + 20.1, revision=revision,
              text="The request failed because either the HTTP response was malformed or connection"
              " to the instance had an error."),
    ]  # fmt: skip


def unready(message: str) -> Sequence[Entry]:
    """A revision that never was: its image, a secret, a quota or a permission is missing."""
    return [audited(message, 100, "chat-00003-6kk")]
