"""Reads a structured log line: which of its fields is the message, the level, the time. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

_MESSAGE: Final = (
    *("message", "msg", "@message", "text", "log", "textPayload", "event", "short_message"),
    *("MESSAGE", "body", "line"),
)
_NOISE: Final = frozenset(
    {
        *("severity", "level", "levelname", "log_level", "loglevel", "lvl", "levelno", "@level"),
        *(
            "time",
            "timestamp",
            "@timestamp",
            "ts",
            "asctime",
            "datetime",
            "eventTime",
            "at",
            "date",
        ),
        *("trace", "spanId", "span_id", "trace_id", "traceId", "traceSampled", "insertId"),
        *("sourceLocation", "labels", "hostname", "pid", "process", "thread", "threadName", "v"),
        *("created", "msecs", "relativeCreated", "processName", "taskName", "@version"),
        *("service", "service_name", "serviceContext", "revision", "instanceId", "container"),
        *("stream", "resource", "logName", "kubernetes", "docker"),
    }
)
_TROUBLE: Final = (
    *("exception", "exc_info", "stack_trace", "stacktrace", "stack", "traceback", "exc_text"),
    *("error", "err", "exc"),
)
_LONGEST_BESIDE: Final = 1000
_STATUS_DIGITS: Final = 3

Object = Mapping[str, Any]


def said(fields: Object) -> str:
    """The message, the short other fields beside it as JSON, then what has several lines.

    As `platforms.cloud_run` writes a payload that is JSON, without what every line has.
    """
    name = next((n for n in _MESSAGE if fields.get(n) not in (None, "")), None)
    message = "" if name is None else _text(fields[name])
    rest = {
        key: value
        for key, value in fields.items()
        if key != name and key not in _NOISE and not key.startswith("logging.googleapis.com/")
    }
    stacks = [_stack(rest.pop(key)) for key in _TROUBLE if key in rest]
    long = [v for v in rest.values() if isinstance(v, str) and "\n" in v.strip()]
    short = {k: v for k, v in rest.items() if not (isinstance(v, str) and "\n" in v.strip())}
    beside = _compact(short)[:_LONGEST_BESIDE] if short else ""
    joint = "\n" if "\n" in message else " "
    head = joint.join(part for part in (message, beside) if part)
    below = [stack for stack in stacks if stack and stack not in message]
    return "\n".join(part for part in (head, *below, *long) if part)


def level(fields: Object) -> str | None:
    """The level as a name of Cloud Logging; pino's and Python's numbers are read too."""
    for name in ("severity", "level", "levelname", "log_level", "loglevel", "lvl", "@level"):
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            found = value.strip().upper()
            return {"WARN": "WARNING", "ERR": "ERROR", "E": "ERROR", "W": "WARNING"}.get(
                found, found
            )
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _numbered(value)
    nested = fields.get("log")
    return level(nested) if isinstance(nested, dict) else None


def first(fields: Object, *paths: str) -> str:
    """The first of the fields that is there, `a.b` for one within another; else empty."""
    for path in paths:
        value: Any = fields.get(path)
        if value is None and "." in path:
            value = fields
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value)
    return ""


def status_of(value: object) -> int | None:
    """The status of a response; None where it is no number of three digits at the most."""
    text = str(value) if isinstance(value, (str, int)) else ""
    return int(text) if text.isdecimal() and len(text) <= _STATUS_DIGITS else None


def _numbered(value: float) -> str:
    """Ten a step as in pino and Python; both call 40 and above what matters, one step apart."""
    if value >= 60:
        return "CRITICAL"
    if value >= 50:
        return "ERROR"
    return "WARNING" if value >= 40 else "INFO"


def _text(value: object) -> str:
    return value if isinstance(value, str) else _compact(value)


def _stack(value: object) -> str:
    """An exception as text; bunyan, pino, ECS and the like write it as an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        stack = value.get("stack") or value.get("stack_trace") or value.get("stacktrace")
        if isinstance(stack, str):
            return stack
        kind = value.get("type") or value.get("name") or value.get("class")
        message = value.get("message") or value.get("msg")
        if message:
            return f"{kind}: {message}" if kind else str(message)
    if isinstance(value, Sequence) and value and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    return "" if value in (None, False, True, [], {}) else _compact(value)


def _compact(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except RecursionError:
        return "[nested too deep]"
