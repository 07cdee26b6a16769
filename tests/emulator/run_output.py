"""Lines that an instance wrote, as the payloads of log entries: facts/cloud-run.md 4."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

_TRACEBACK: Final = "Traceback (most recent call last):"
_TRACE: Final = "logging.googleapis.com/"
_SEVERITIES: Final = (
    "DEFAULT DEBUG INFO NOTICE WARNING ERROR CRITICAL ALERT EMERGENCY".split()  # noqa: SIM905
)


@dataclass(slots=True)
class Written:
    """One entry to be. `at` is nanoseconds since the epoch; `fields` is a JSON line's object."""

    text: str
    at: int
    severity: str = "DEFAULT"
    fields: dict[str, Any] | None = None
    trace: str = ""
    span_id: str = ""
    trace_sampled: bool = False
    insert_id: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    http_request: dict[str, Any] | None = None
    source_location: dict[str, Any] | None = None
    operation: dict[str, Any] | None = None


class Lines:
    """The lines of one stream; `tell` is called for each entry that they make.

    The lines of a Python traceback become one entry.
    """

    def __init__(self, tell: Callable[[Written], None]) -> None:
        self._tell = tell
        self._traceback: list[str] = []
        self._since = 0

    def take(self, line: bytes, at: int) -> None:
        text = line.decode("utf-8", "replace")
        if self._traceback:
            if text.startswith((" ", "\t")):
                self._traceback.append(text)
                return
            if text:
                self._traceback.append(text)
                self.flush()
                return
            self.flush()
        if text.startswith(_TRACEBACK):
            self._traceback, self._since = [text], at
        else:
            self._tell(_read(text, at))

    def flush(self) -> None:
        """The stream ended, or the traceback did."""
        if self._traceback:
            self._tell(Written("\n".join(self._traceback), self._since, "ERROR"))
            self._traceback = []


def _read(text: str, at: int) -> Written:
    written = Written(text, at)
    if text.startswith("{"):
        try:
            parsed = json.loads(text)
        except ValueError:
            return written
        if isinstance(parsed, dict):
            _move_out(parsed, written)
    return written


def _move_out(parsed: dict[str, Any], written: Written) -> None:
    """Take the special fields from a JSON line's object into the entry."""
    severity = str(parsed.get("severity", "")).upper()
    if severity in _SEVERITIES:
        written.severity = severity
        del parsed["severity"]
    for name in ("time", "timestamp"):
        if name in parsed and (at := _nanoseconds(parsed[name])) is not None:
            written.at = at
            del parsed[name]
    if isinstance(parsed.get("httpRequest"), dict):
        written.http_request = parsed.pop("httpRequest")
    written.trace = str(parsed.pop(f"{_TRACE}trace", ""))
    written.span_id = str(parsed.pop(f"{_TRACE}spanId", ""))
    written.trace_sampled = parsed.pop(f"{_TRACE}trace_sampled", False) is True
    written.insert_id = str(parsed.pop(f"{_TRACE}insertId", ""))
    labels = parsed.pop(f"{_TRACE}labels", {})
    if isinstance(labels, dict):
        written.labels = {str(key): str(value) for key, value in labels.items()}
    written.source_location = _object(parsed.pop(f"{_TRACE}sourceLocation", None))
    written.operation = _object(parsed.pop(f"{_TRACE}operation", None))
    written.fields = parsed


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _nanoseconds(value: Any) -> int | None:
    if isinstance(value, dict) and isinstance(value.get("seconds"), int):
        nanos = value.get("nanos", 0)
        return int(value["seconds"]) * 10**9 + (nanos if isinstance(nanos, int) else 0)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
