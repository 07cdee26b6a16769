"""Reads entries of Cloud Logging as JSON: what `gcloud logging read --format=json` prints."""

from __future__ import annotations

import itertools
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from loopctl.model.logs import RequestEntry
from loopctl.triage.export.closes import close_of
from loopctl.triage.export.fields import level, said, status_of
from loopctl.triage.export.pieces import Piece, Stream
from loopctl.triage.export.times import UNKNOWN, stamp

_STREAMS: Final[dict[str, Stream]] = {"stdout": "stdout", "stderr": "stderr"}
_NAMES: Final = (
    *("service_name", "configuration_name", "job_name", "function_name"),
    *("container_name", "module_id", "build_id"),
)
_MARKS: Final = frozenset({"logName", "textPayload", "jsonPayload", "protoPayload", "insertId"})
_NUMBERS: Final = {
    0: "DEFAULT",
    100: "DEBUG",
    200: "INFO",
    300: "NOTICE",
    400: "WARNING",
    500: "ERROR",
    600: "CRITICAL",
    700: "ALERT",
    800: "EMERGENCY",
}
_RUN: Final = "run.googleapis.com/"

Object = dict[str, Any]


def is_entry(value: Object) -> bool:
    """Whether the object is an entry of Cloud Logging."""
    if "httpRequest" in value and ("timestamp" in value or "resource" in value):
        return True
    return not _MARKS.isdisjoint(value)


def piece_of(number: int, entry: Object) -> Piece:
    """What the entry says. Fields of another type than they should have are passed over."""
    resource = _object(entry.get("resource"))
    labels = _object(resource.get("labels"))
    own = _object(entry.get("labels"))
    at, fine = stamp(entry.get("timestamp")) or stamp(entry.get("receiveTimestamp")) or (UNKNOWN, 0)
    audit = _object(entry.get("protoPayload"))
    service, revision = _names(labels, audit)
    piece = Piece(
        number,
        _text(entry, audit),
        at,
        fine,
        str(entry.get("insertId") or ""),
        service,
        revision,
        str(own.get("instanceId") or labels.get("pod_name") or ""),
        _stream(str(entry.get("logName") or "")),
        _severity(entry.get("severity")) or _own_level(entry.get("jsonPayload")),
        audit=bool(audit),
        project=str(labels.get("project_id") or ""),
    )
    asked = _object(entry.get("httpRequest"))
    if asked:
        piece.request = _request(asked, entry, at, service, revision)
    elif isinstance(payload := entry.get("jsonPayload"), dict):
        piece.request = close_of(payload, at, service, revision)
    return piece


def _names(labels: Object, audit: Object) -> tuple[str, str]:
    """Service and revision, by the resource's labels or by the name of what was audited."""
    service = str(next((labels[name] for name in _NAMES if labels.get(name)), ""))
    revision = str(labels.get("revision_name") or "")
    if not audit:
        return service, revision
    parts = str(audit.get("resourceName") or "").split("/")
    for kind, name in itertools.pairwise(parts):
        if kind == "services" and not service and name:
            service = name
        if kind == "revisions" and not revision:
            revision = name
    return service, revision


@lru_cache(maxsize=1024)
def _stream(log_name: str) -> Stream:
    """An application's own log is its output; what the platform says is `system`."""
    log = unquote(log_name.rpartition("/logs/")[2])
    name = log.rpartition("/")[2]
    if name in _STREAMS:
        return _STREAMS[name]
    platform = log.startswith((_RUN, "cloudaudit.", "cloudbuild", "events"))
    return "system" if platform else "stderr"


def _severity(value: object) -> str | None:
    name = _NUMBERS.get(value) if isinstance(value, int) else value
    return str(name) if name and name != "DEFAULT" else None


def _own_level(payload: object) -> str | None:
    return level(payload) if isinstance(payload, dict) else None


def _text(entry: Object, audit: Object) -> str:
    if isinstance(text := entry.get("textPayload"), str):
        return text
    payload = entry.get("jsonPayload")
    if isinstance(payload, dict):
        return said(payload)
    if isinstance(payload, str):
        return payload
    if audit:
        status = _object(audit.get("status"))
        did = f"{audit.get('methodName') or ''} {audit.get('resourceName') or ''}".strip()
        return str(status.get("message") or did)
    return ""


def _request(
    asked: Object, entry: Object, at: datetime, service: str, revision: str
) -> RequestEntry:
    return RequestEntry(
        at,
        service,
        revision,
        str(asked.get("requestMethod") or "GET"),
        path_of(str(asked.get("requestUrl") or "/")),
        status_of(asked.get("status")),
        latency_s=_latency(asked.get("latency")),
        trace=str(entry.get("trace") or "").rpartition("/")[2] or None,
    )


def _latency(value: object) -> float:
    if isinstance(value, dict):
        found = _number(value.get("seconds")) + _number(value.get("nanos")) / 1e9
    else:
        found = _number(str(value or "0").removesuffix("s"))
    return found if 0 <= found < 1e9 else 0.0


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def path_of(url: str) -> str:
    """The path of a URL, without its query, which may hold a secret."""
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}
