"""How times, durations, counts and digests are written, the same in every report and view."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from loopctl.inert import one_line

_DIGEST = 12
_LONGEST_S = 1e12


def utc(at: datetime) -> str:
    """A time for people: `2025-09-10 20:30:00Z`."""
    return _in_utc(at).strftime("%Y-%m-%d %H:%M:%SZ")


def clock(at: datetime) -> str:
    """The time of day alone: `20:30:00Z`."""
    return _in_utc(at).strftime("%H:%M:%SZ")


NO_COMMITS = "commits since green"
"""What was not checked, where git does not tell what came after the last green run."""


def iso(at: datetime) -> str:
    """A time for machines: `2025-09-10T20:30:00.123Z`."""
    return _in_utc(at).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _in_utc(at: datetime) -> datetime:
    """As it is written, at the ends of time: what a stranger's journal says of its clock may be
    anything.
    """
    try:
        return at.astimezone(UTC)
    except (OverflowError, ValueError):
        return at.replace(tzinfo=UTC)


def seconds(value: float | None) -> str:
    """A duration: `85 ms`, `8.2 s`, `2 min 05 s`, `2 h 00 min`; `not measured` for what is none."""
    if value is None or not -_LONGEST_S < value < _LONGEST_S:
        return "not measured"
    if value < 0.9995:
        return f"{round(value * 1000)} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, what: str, plural: str | None = None) -> str:
    """A number with its noun: `1 case`, `2 cases`."""
    return f"{number} {what if number == 1 else plural or what + 's'}"


def short(digest: str) -> str:
    """Enough of a digest or commit to tell it apart: `sha256:0123456789ab`."""
    scheme, colon, body = digest.rpartition(":")
    return one_line(f"{scheme}{colon}{body[:_DIGEST]}", 40)


def traffic(shares: Mapping[str, int]) -> str:
    """Who serves what share, the greatest first: `chat-00001-k7q 100 %`."""
    serving = sorted(shares.items(), key=lambda share: (-share[1], share[0]))
    said = [f"{one_line(name, 63)} {percent} %" for name, percent in serving if percent]
    return ", ".join(said) or "no revision serves"
