"""Log entries and requests as a platform captured them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One captured line, redacted. `number` is its 1-based line in the capture it was read from.

    `instance` tells apart who wrote into one stream of a revision; empty where the platform has one
    instance, or does not say.
    """

    at: datetime
    service: str
    revision: str
    stream: Literal["stdout", "stderr", "system"]
    text: str
    number: int = 0
    severity: str | None = None
    instance: str = ""


@dataclass(frozen=True, slots=True)
class LogWindow:
    """Which entries are meant; None for `until` is now, for `revision` all of them.

    `at_once`: entries that come late are not waited for; `Coverage.until` tells up to when all of
    them are there.
    """

    service: str
    since: datetime
    until: datetime | None = None
    revision: str | None = None
    at_once: bool = False

    def is_over(self, at: datetime) -> bool:
        """Whether what was written at that time came after the window."""
        return self.until is not None and at > self.until


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a source of records can be trusted: complete up to `until`, or with a `gap`."""

    complete: bool
    until: datetime
    gap: str | None = None


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """One request in the target's own request log; `path` has no query.

    `event` is `open` for a WebSocket handshake, `close` for its end, `request` for all else.
    `remote_port` is the client's. `line` is the line of a log that it was read from, where it was.
    """

    at: datetime
    service: str
    revision: str
    method: str
    path: str
    status: int | None
    event: Literal["request", "open", "close"] = "request"
    latency_s: float = 0.0
    trace: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    closed_by: Literal["client", "service"] | None = None
    age_s: float | None = None
    error: str | None = None
    remote_port: int | None = None
    line: str | None = None
