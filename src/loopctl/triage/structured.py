"""Log lines that are JSON objects: what they say, how bad they call it, and what was thrown.

Every logger has names of its own for these: Cloud Logging, python-json-logger, structlog, loguru,
pino, bunyan, winston, zap, logback, ECS, GELF, Serilog, OpenTelemetry. What an agent wraps around a
line (docker's json-file, journald) is taken off.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

_LONGEST: Final = 262_144
_DECODE: Final = json.JSONDecoder(strict=False).raw_decode
_DEEPEST: Final = 4
_MOST_VALUES: Final = 200
_LEVEL_DIGITS: Final = 9

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
_NESTED: Final = ("record", "log", "jsonPayload", "fields", "httpRequest", "res", "http")
_DOCKER: Final = frozenset({"log", "stream", "time", "attrs"})
_STACKS: Final = ("Traceback (most recent", "\n    at ", "\n\tat ", "\n   at ", "goroutine ")


class Structured(NamedTuple):
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


def fields_of(text: str, start: int) -> dict[str, Any] | None:
    """The object that the text is from `start` on, None where it is none."""
    if len(text) > _LONGEST or text[start : start + 1] != "{":
        return None
    try:
        read, end = _DECODE(text, start)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) and not text[end:].strip() else None


def unwrapped(fields: Mapping[str, Any]) -> str | None:
    """The line that docker or journald wrapped; None where neither did."""
    line = fields.get("log")
    if isinstance(line, str) and _DOCKER.issuperset(fields):
        return line.rstrip("\n")
    line = fields.get("MESSAGE")
    return line if isinstance(line, str) and "_HOSTNAME" in fields else None


def may_throw(text: str) -> bool:
    """Whether the text of an object may hold an error or a stack: a cheap look beforehand."""
    return "rr" in text or "xc" in text or "stack" in text or "\\n" in text


def read_structured(fields: Mapping[str, Any], *, throws: bool = True) -> Structured:
    """What the fields say; an object without a message says all that it holds.

    `throws`: an error or a stack may be among them, and is looked for.
    """
    message, level, status = _read(fields)
    if throws:
        return _with_error(fields, message, level, status)
    said = f"{message} {status}" if message and status else message
    return Structured(said, level, (message,) if message else ())


def _with_error(
    fields: Mapping[str, Any], message: str, level: str | None, status: str
) -> Structured:
    kind, thrown = _thrown(fields)
    head, _, below = message.partition("\n")
    said = _joined(head or thrown, thrown if head and thrown not in head else "")
    return Structured(
        said=f"{said} {status}" if said and status else said,
        level=level,
        texts=tuple(dict.fromkeys(part for part in (head, *below.split("\n"), thrown) if part)),
        stack=_stack(fields),
        kind=kind,
        message=thrown or head,
    )


class _Plan(NamedTuple):
    """Which of an object's names say what, those that are asked for first in front."""

    messages: tuple[str, ...]
    levels: tuple[str, ...]
    statuses: tuple[str, ...]
    nested: tuple[str, ...]


@lru_cache(maxsize=500)
def _plan(names: tuple[str, ...]) -> _Plan:
    """A logger writes the same names in the same order, line after line."""
    kinds = (_MESSAGES, _LEVELS, _STATUSES, _NESTED)
    return _Plan(*(tuple(name for name in kind if name in names) for kind in kinds))


def _read(fields: Mapping[str, Any]) -> tuple[str, str | None, str]:
    """Message, level and status."""
    messages, levels, statuses, nested = _plan(tuple(fields))
    message, level, status = "", None, ""
    for name in messages:
        if message := _text(name, fields[name]):
            break
    for name in levels:
        if level := _level(name, fields[name]):
            break
    for name in statuses:
        if isinstance(code := fields[name], int) and 100 <= code < 600:
            status = f"status={code}"
    for name in nested:
        if isinstance(inner := fields[name], dict) and not (message and level and status):
            found = _read(inner)
            message, level, status = message or found[0], level or found[1], status or found[2]
    return message, level, status


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((said for name in names if (said := _text(name, fields.get(name)))), "")


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict) and value and name in ("message", "msg"):
        with contextlib.suppress(RecursionError):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return ""


def _level(name: str, value: object) -> str | None:
    if isinstance(value, dict):  # loguru
        value = value.get("name")
    if isinstance(value, str) and not (value.isdecimal() and len(value) <= _LEVEL_DIGITS):
        return value.upper()
    if isinstance(value, int | str) and not isinstance(value, bool):
        return _by_number(name, int(value))
    return None


@lru_cache(maxsize=500)
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
            if 0 <= number < 5
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
