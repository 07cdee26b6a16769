"""Log lines that are JSON objects: what they say, how bad they call it, and what was thrown.

Every logger has names of its own for these: Cloud Logging, python-json-logger, structlog, loguru,
pino, bunyan, winston, zap, logback, ECS, GELF, Serilog, OpenTelemetry. What an agent wraps around a
line (docker's json-file, journald) is taken off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_LONGEST: Final = 262_144
_DEEPEST: Final = 4
_MOST_VALUES: Final = 200

_MESSAGES: Final = (
    "message", "msg", "event", "@m", "RenderedMessage", "short_message", "MESSAGE", "@mt",
    "MessageTemplate", "text", "body", "textPayload", "log",
)  # fmt: skip
_LEVELS: Final = (
    "level", "severity", "levelname", "log.level", "lvl", "loglevel", "LogLevel", "log_level", "@l",
    "Level", "severityText", "severity_text", "levelno", "severityNumber", "severity_number",
    "PRIORITY", "level_value",
)  # fmt: skip
_ERRORS: Final = (
    "err", "error", "exception", "exc_info", "exc", "cause", "errorMessage", "error.message",
    "exception.message", "errorVerbose", "Exception", "reason",
)  # fmt: skip
_STATUSES: Final = ("status", "statusCode", "status_code", "responseStatus")
_NESTED: Final = (
    "record",
    "log",
    "jsonPayload",
    "fields",
    "httpRequest",
    "res",
    "response",
    "http",
)
_DOCKER: Final = frozenset({"log", "stream", "time", "attrs"})
_STACKS: Final = ("Traceback (most recent", "\n    at ", "\n\tat ", "\n   at ", "goroutine ")


@dataclass(frozen=True, slots=True)
class Structured:
    """One structured entry. `texts` are its decoded values that a person reads, message first.

    `said` is one line of the message, the error and the status. `stack` is a stack of several
    lines, `kind` and `message` what was thrown, where they stand by themselves.
    """

    said: str
    level: str | None
    texts: tuple[str, ...]
    stack: str | None = None
    kind: str | None = None
    message: str | None = None


def fields_of(text: str) -> dict[str, Any] | None:
    """The object that the text is, None where it is none."""
    if len(text) > _LONGEST:
        return None
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def unwrapped(fields: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """The line that an agent wrapped, and its level; None where nothing was."""
    line = fields.get("log")
    if isinstance(line, str) and _DOCKER.issuperset(fields):
        return line.rstrip("\n"), None
    line = fields.get("MESSAGE")
    if isinstance(line, str) and ("PRIORITY" in fields or "_HOSTNAME" in fields):
        return line, _level(fields)
    return None


def read_structured(fields: Mapping[str, Any]) -> Structured:
    """What the fields say; an object without a message says all that it holds."""
    layers = [fields, *(inner for name in _NESTED if isinstance(inner := fields.get(name), dict))]
    message = next((said for each in layers if (said := _first(each, _MESSAGES))), "")
    level = next((named for each in layers if (named := _level(each))), None)
    kind, thrown = _thrown(fields)
    status = next((code for each in layers if (code := _status(each))), "")
    head = message.partition("\n")[0]
    also = thrown if head and thrown not in head else ""
    return Structured(
        said=" ".join(part for part in (_joined(head or thrown, also), status) if part),
        level=level,
        texts=tuple(dict.fromkeys(part for part in (*message.split("\n"), thrown) if part)),
        stack=_stack(fields),
        kind=kind,
        message=thrown or head,
    )


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, dict) and value and name in ("message", "msg"):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return ""


def _level(fields: Mapping[str, Any]) -> str | None:
    for name in _LEVELS:
        value = fields.get(name)
        if isinstance(value, dict):  # loguru
            value = value.get("name")
        if isinstance(value, str) and value and not value.isdigit():
            return value.upper()
        if isinstance(value, int | str) and not isinstance(value, bool) and value != "":
            return _by_number(name, int(value))
    return None


def _by_number(name: str, number: int) -> str:
    """The name of a numeric level: each family counts in steps of its own."""
    if name.startswith("severity") and "umber" in name:
        steps: tuple[tuple[int, str], ...] = (
            (13, "INFO"),
            (17, "WARNING"),
            (21, "ERROR"),
        )  # OpenTelemetry
    elif name == "PRIORITY" or number < 8:
        return (
            ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING")[number]
            if number < 5
            else "INFO"
        )
    elif name == "levelno":
        steps = ((30, "INFO"), (40, "WARNING"), (50, "ERROR"))
    elif number < 100:
        steps = ((40, "INFO"), (50, "WARNING"), (60, "ERROR"))  # pino, bunyan
    elif number < 1000:
        steps = ((400, "INFO"), (500, "WARNING"), (600, "ERROR"))  # Cloud Logging
    else:
        steps = ((30_000, "INFO"), (40_000, "WARNING"), (50_000, "ERROR"))  # logback
    return next((level for below, level in steps if number < below), "CRITICAL")


def _thrown(fields: Mapping[str, Any]) -> tuple[str | None, str]:
    """The type of what was thrown, where it is named, and its one line."""
    for name in _ERRORS:
        value = fields.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict):  # structlog
            value = value[0]
        if isinstance(value, dict):
            kind = _first(value, ("type", "name", "exc_type", "class", "className", "kind"))
            said = _first(value, ("message", "msg", "exc_value", "value", "reason"))
            if kind or said:
                return kind or None, _joined(kind, said)
        elif isinstance(value, str) and value.strip() and "\n" not in value.strip():
            kind = _first(fields, ("error.type", "exception.type", "errorType"))
            return kind or None, _joined(kind, value.strip())
    return None, ""


def _status(fields: Mapping[str, Any]) -> str:
    for name in _STATUSES:
        value = fields.get(name)
        if isinstance(value, int) and 100 <= value < 600 and not isinstance(value, bool):
            return f"status={value}"
    return ""


def _stack(fields: Mapping[str, Any]) -> str | None:
    """The first value of several lines that looks like a stack."""
    for name, value in _values(fields, 0):
        if "\n" in value and (any(mark in value for mark in _STACKS) or _is_go(name, value)):
            return value
    return None


def _is_go(name: str, value: str) -> bool:
    return "stack" in name.lower() and "\n\t" in value and ".go:" in value


def _values(fields: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    for name, value in list(fields.items())[:_MOST_VALUES]:
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict) and depth < _DEEPEST:
            yield from _values(value, depth + 1)
        elif isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            yield name, "\n".join(each.rstrip("\n") for each in value[:_MOST_VALUES])
