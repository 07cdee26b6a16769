"""Reads the times that logs are stamped with, in their many forms. All become UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

UNKNOWN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time of a line that has none, and comes after none that has."""

_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\d*(?: ?(Z|[+-]\d\d:?\d\d)|\b)?"
)
_COMMON: Final = re.compile(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?")
_SLASHED: Final = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d")
_SYSLOG: Final = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d")
_HEAD: Final = 64


def stamp(value: object) -> tuple[datetime, int] | None:
    """A time from a field, with what is finer than microseconds in nanoseconds.

    None where it is no time: an export's fields may hold anything.
    """
    try:
        return _stamp(value)
    except (ValueError, TypeError, OverflowError):
        return None


def _stamp(value: object) -> tuple[datetime, int] | None:
    if isinstance(value, str):
        return _iso(value) or _epoch(float(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _epoch(float(value))
    if isinstance(value, dict) and isinstance(value.get("seconds"), (int, float)):
        return _epoch(float(value["seconds"]) + float(value.get("nanos") or 0) / 1e9)
    return None


def found_in(text: str) -> datetime | None:
    """The time that stands near the start of a line of text."""
    head = text[:_HEAD]
    if (match := _ISO.search(head)) is not None:
        found = _iso(match[0])
        return found[0] if found else None
    for regex, form in (
        (_COMMON, "%d/%b/%Y:%H:%M:%S %z"),
        (_SLASHED, "%Y/%m/%d %H:%M:%S"),
        (_SYSLOG, "%b %d %H:%M:%S"),
    ):
        if (match := regex.search(head)) is not None:
            return _formed(match[0], form)
    return None


def _iso(text: str) -> tuple[datetime, int] | None:
    match = _ISO.match(text.strip(" []"))
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    digits = (fraction or "").ljust(9, "0")
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}.{digits[:6]}{zone or '+00:00'}")
        return whole.astimezone(UTC), int(digits[6:])
    except (ValueError, OverflowError):
        return None


def _epoch(number: float) -> tuple[datetime, int] | None:
    """Seconds, or what is so large that it must be milli-, micro- or nanoseconds."""
    for _ in range(3):
        if number < 1e11:
            break
        number /= 1000
    if not 1e8 < number < 1e11:
        return None
    return datetime.fromtimestamp(number, UTC), 0


@lru_cache(maxsize=4096)
def _formed(text: str, form: str) -> datetime | None:
    if "%Y" not in form:
        text, form = f"{UNKNOWN.year} {text}", f"%Y {form}"
    if "%z" in form and " " not in text:
        text += " +0000"
    if "%z" not in form:
        text, form = f"{text} +0000", f"{form} %z"
    try:
        return datetime.strptime(text, form).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
