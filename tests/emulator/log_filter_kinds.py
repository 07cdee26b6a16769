"""The types of a log entry's fields, and what the value of a filter means for each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from emulator.log_filter_grammar import Value

SECOND = 1_000_000_000
"""In nanoseconds, the unit of every instant and duration here."""

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"([Zz]|[+-]\d\d:?\d\d)?)?"
)
_DURATION = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(ns|us|ms|s|m|h)")
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}


@dataclass(frozen=True, slots=True, eq=False)
class FieldKind:
    """A type: how a filter's value becomes one, None where it cannot."""

    name: str
    convert: Callable[[Value], Any]
    key: Callable[[Any], Any] = lambda value: value
    """What of a field's value is compared."""


def folded(text: str) -> str:
    """Text as the language compares it: letter case and compatible forms are one."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def instant(text: str) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 or ISO 8601 text; a date alone is its midnight.

    A text without a zone is UTC; the zone's colon may be left out, as Google's Python client does.
    """
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        return None
    *whole, fraction, zone = match.groups()
    try:
        parts = [int(part or 0) for part in whole]
        seconds = datetime(*parts[:3], *parts[3:], tzinfo=_zone(zone))  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    return int((seconds - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) * SECOND + int(
        (fraction or "0").ljust(9, "0")
    )


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def duration(text: str) -> int | None:
    """Nanoseconds of `3.2s`, `250ms`, `1h`."""
    match = _DURATION.fullmatch(text)
    return int(Decimal(match.group(1)) * _UNITS[match.group(2)]) if match else None


def _number(value: Value) -> float | int | None:
    try:
        return int(value.text)
    except ValueError:
        pass
    try:
        return float(value.text)
    except ValueError:
        return None


def _integer(value: Value) -> int | Decimal | None:
    try:
        number = Decimal(value.text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _boolean(value: Value) -> bool | None:
    return {"true": True, "false": False}.get(value.text.lower())


def enumeration(names: Mapping[str, int]) -> FieldKind:
    """The kind of an enumeration's fields; its names ignore case, its order is the numbers'."""
    numbers = {name.upper(): number for name, number in names.items()}

    def convert(value: Value) -> int | None:
        if value.text.isdigit():
            return int(value.text)
        return numbers.get(value.text.upper())

    return FieldKind("enum", convert)


STRING = FieldKind("string", lambda v: None if v.is_null else folded(v.text), folded)
BYTES = FieldKind("bytes", lambda value: value.text.encode("latin-1", "ignore"))
BOOL = FieldKind("bool", _boolean)
DOUBLE = FieldKind("double", _number)
INTEGER = FieldKind("int", _integer)
TIMESTAMP = FieldKind("timestamp", lambda value: instant(value.text))
DURATION = FieldKind("duration", lambda value: duration(value.text))
NULL = FieldKind("null", lambda value: 0 if value.is_null else None, lambda _value: 0)
