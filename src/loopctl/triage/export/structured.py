"""Reads JSON lines that are none of Cloud Logging's: ours, docker's, an application's own."""

from __future__ import annotations

import json
from typing import Any, Final

from loopctl.model.logs import RequestEntry
from loopctl.triage.export.closes import close_of
from loopctl.triage.export.cloud_logging import is_entry, path_of, piece_of
from loopctl.triage.export.fields import first, level, said, status_of
from loopctl.triage.export.pieces import Piece, Stream
from loopctl.triage.export.text import TextReader
from loopctl.triage.export.times import UNKNOWN, stamp

_TIMES: Final = ("timestamp", "time", "@timestamp", "ts", "at", "datetime", "asctime", "eventTime")
_SERVICE: Final = (
    *("service", "service_name", "serviceName", "service.name", "serviceContext.service", "app"),
    *("kubernetes.labels.app", "kubernetes.container_name", "container_name", "container"),
)
_REVISION: Final = ("revision", "revision_name", "k_revision", "serviceContext.version")
_INSTANCE: Final = (
    *("instance", "instanceId", "instance_id", "kubernetes.pod_name", "pod", "pod_name"),
    *("container_id", "hostname"),
)
_METHOD: Final = ("method", "http_method", "request_method", "http.request.method", "req.method")
_PATH: Final = ("path", "url", "request_path", "http_path", "url.path", "req.url", "uri")
_STATUS: Final = ("status", "status_code", "statusCode", "http_status", "res.statusCode")

_FAILED: Final = "CONDITION_FAILED"

Object = dict[str, Any]


def read_object(number: int, value: Object, texts: TextReader) -> Piece:
    """The piece that an object is."""
    if isinstance(value.get("_source"), dict):
        value = value["_source"]
    if is_entry(value):
        return piece_of(number, value)
    if isinstance(value.get("log"), str) and ("stream" in value or "time" in value):
        return _docker(number, value, texts)
    if (failed := _failed_condition(value)) is not None:
        return _failed_piece(number, value, failed)
    return _structured(number, value)


def _failed_condition(value: Object) -> Object | None:
    """The condition that failed, of a service or revision as `gcloud run … describe` prints it."""
    status = value.get("status")
    inner = status.get("conditions") if isinstance(status, dict) else None
    conditions = inner or value.get("conditions")
    if not isinstance(conditions, list):
        return None
    failed = [each for each in conditions if isinstance(each, dict) and each.get("message")]
    failed = [e for e in failed if e.get("status") == "False" or e.get("state") == _FAILED]
    return next((each for each in failed if each.get("type") == "Ready"), next(iter(failed), None))


def _failed_piece(number: int, value: Object, failed: Object) -> Piece:
    """What a failed condition says, as the audit log would say it."""
    name = first(value, "metadata.name", "name").rpartition("/")[2]
    labels = "metadata.labels.serving.knative.dev/service"
    service = first(value, "service", labels).rpartition("/")[2] or name
    at, fine = stamp(failed.get("lastTransitionTime")) or (UNKNOWN, 0)
    text = str(failed["message"])
    return Piece(
        number, text, at, fine, service=service, stream="system", severity="ERROR", audit=True
    )


def _docker(number: int, value: Object, texts: TextReader) -> Piece:
    """A line of docker's json-file driver: what is within may be text, or JSON once more."""
    text = str(value["log"]).removesuffix("\n").removesuffix("\r")
    inner = json_within(text)
    piece = _structured(number, inner) if inner else texts.piece(number, text)
    found = stamp(value.get("time"))
    if found is not None:
        piece.at, piece.fine = found
    piece.stream = _stream(value.get("stream"))
    attributes = value.get("attrs")
    if not piece.service and isinstance(attributes, dict):
        piece.service = first(attributes, "com.docker.compose.service", "name", "tag")
    return piece


def json_within(text: str) -> Object | None:
    """The object that a line of text is."""
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _structured(number: int, value: Object) -> Piece:
    at, fine = next(filter(None, (stamp(value.get(name)) for name in _TIMES)), (UNKNOWN, 0))
    service, revision = first(value, *_SERVICE), first(value, *_REVISION)
    piece = Piece(
        number,
        said(value),
        at,
        fine,
        service=service,
        revision=revision,
        instance=first(value, *_INSTANCE),
        stream=_stream(value.get("stream")),
        severity=level(value),
    )
    if (request := _request(value, piece)) is not None:
        piece.request = request
        if "text" not in value and "event" in value:
            piece.text = ""  # a line of our own request log, of which nothing was said in words
    else:
        piece.request = close_of(value, piece.at, service, revision)
    return piece


def _request(value: Object, piece: Piece) -> RequestEntry | None:
    method, path = first(value, *_METHOD), first(value, *_PATH)
    status, event = status_of(first(value, *_STATUS)), value.get("event")
    if not method or not path or (status is None and event not in ("request", "open", "close")):
        return None
    closed_by = value.get("closed_by")
    return RequestEntry(
        piece.at,
        piece.service,
        piece.revision,
        method,
        path_of(path),
        status,
        event if event in ("open", "close") else "request",
        _seconds(value.get("latency_s")),
        first(value, "trace", "trace_id") or None,
        value["close_code"] if isinstance(value.get("close_code"), int) else None,
        first(value, "close_reason") or None,
        closed_by if closed_by in ("client", "service") else None,
        _seconds(value.get("age_s")) if "age_s" in value else None,
        first(value, "error") if "latency_s" in value and first(value, "error") else None,
    )


def _seconds(value: object) -> float:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if usable else 0.0  # type: ignore[arg-type]


def _stream(value: object) -> Stream:
    return value if value in ("stdout", "stderr", "system") else "stderr"
