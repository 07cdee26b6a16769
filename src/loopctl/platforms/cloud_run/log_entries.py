"""From an entry of Cloud Logging to what it says: a line, a request, or both. Pure.

Nothing here is redacted yet: `log_lines` and `receipts` do that before anything leaves them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from loopctl.platforms.cloud_run.log_filter import REQUESTS, STDERR, STDOUT

Stream = Literal["stdout", "stderr", "system"]

_STREAMS: Final[Mapping[str, Stream]] = {STDOUT: "stdout", STDERR: "stderr"}
_SEVERITIES: Final = {
    100: "DEBUG",
    200: "INFO",
    300: "NOTICE",
    400: "WARNING",
    500: "ERROR",
    600: "CRITICAL",
    700: "ALERT",
    800: "EMERGENCY",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AUDIT: Final = ".AuditLog"
_LARGEST_EXACT: Final = 2.0**53


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the platform logged it. `trace` is the bare id, `path` has no query.

    A WebSocket is one entry, written when its stream has ended: `latency_s` is how long it was
    open.
    """

    method: str
    path: str
    status: int | None
    latency_s: float
    trace: str | None
    agent: str | None


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry. `order` is its time in nanoseconds and its id: by that entries are told in order.

    `text` is empty where it has none, as most requests do. `source` tells apart who wrote into one
    log. `identity` is the same only for the same entry.
    """

    order: tuple[int, str]
    log: str
    at: datetime
    service: str
    revision: str
    source: str
    severity: str | None
    text: str
    asked: Asked | None

    @property
    def stream(self) -> Stream:
        """Where its text belongs: all that the platform itself says is `system`."""
        return _STREAMS.get(self.log, "system")

    @property
    def identity(self) -> int:
        """By log, time and insert id; by its text too where it has no id."""
        name = self.order[1] or self.text
        return hash((self.log, self.order[0], name))


def logged(entry: Any) -> Logged:
    """What a `LogEntry`, a plain protobuf message, holds."""
    nanoseconds = _nanoseconds(entry)
    log = unquote(entry.log_name.rpartition("/logs/")[2])
    labels = entry.resource.labels
    return Logged(
        order=(nanoseconds, entry.insert_id),
        log=log,
        at=_EPOCH + timedelta(microseconds=nanoseconds // 1000),
        service=labels.get("service_name", ""),
        revision=labels.get("revision_name", ""),
        source=entry.labels.get("instanceId", ""),
        severity=_SEVERITIES.get(entry.severity),
        text=_text(entry),
        asked=_asked(entry) if log == REQUESTS else None,
    )


def _nanoseconds(entry: Any) -> int:
    # An entry without a time of its own was given that of its arrival.
    stamp = entry.timestamp if entry.HasField("timestamp") else entry.receive_timestamp
    return int(stamp.seconds) * 1_000_000_000 + int(stamp.nanos)


def _text(entry: Any) -> str:
    match entry.WhichOneof("payload"):
        case "text_payload":
            return str(entry.text_payload)
        case "json_payload":
            return _said_in_json(_fields(entry.json_payload))
        case "proto_payload":
            return _audited(entry.proto_payload)
        case _:
            return ""


def _said_in_json(fields: dict[str, Any]) -> str:
    """The message, then all else: short fields as JSON beside it, texts of several lines below."""
    said = fields.pop("message", "")
    message = said if isinstance(said, str) else _compact(said)
    long = {k: v for k, v in fields.items() if isinstance(v, str) and "\n" in v.strip()}
    short = {k: v for k, v in fields.items() if k not in long}
    beside = _compact(short) if short else ""
    joint = "\n" if "\n" in message else " "
    head = joint.join(part for part in (message, beside) if part)
    return "\n".join([part for part in (head, *long.values()) if part])


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _fields(struct: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in sorted(struct.fields.items())}


def _value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _fields(value.struct_value)
        case "list_value":
            return [_value(each) for each in value.list_value.values]
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "number_value":
            return _number(value.number_value)
        case _:
            return None


def _number(number: float) -> float | int:
    """A whole number as it was written: on its way it became a float."""
    whole = number.is_integer() and abs(number) < _LARGEST_EXACT
    return int(number) if whole else number


def _audited(payload: Any) -> str:
    """What an audit entry says; of another payload only what type it has."""
    if not payload.type_url.endswith(_AUDIT):
        return f"(a payload of type {payload.type_url.rpartition('/')[2] or 'unknown'})"
    from google.cloud.audit.audit_log_pb2 import AuditLog  # noqa: PLC0415 - few entries need it
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    audit = AuditLog()
    try:
        audit.ParseFromString(payload.value)
    except DecodeError:
        return "(an audit entry that cannot be read)"
    did = f"{audit.method_name} {audit.resource_name}".strip()
    return str(audit.status.message) or did


def _asked(entry: Any) -> Asked:
    request = entry.http_request
    return Asked(
        method=request.request_method,
        path=_path(request.request_url),
        status=request.status or None,
        latency_s=request.latency.seconds + request.latency.nanos / 1e9,
        trace=entry.trace.rpartition("/")[2] or None,
        agent=request.user_agent or None,
    )


def _path(url: str) -> str:
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        # Whatever a stranger has asked for: what stands before the query is shown.
        return "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]
