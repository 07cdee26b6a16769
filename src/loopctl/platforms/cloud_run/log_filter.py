"""What Cloud Logging is asked for: one query a view, in its query language. Pure.

Indexed fields come first, and there is always a lower bound in time: facts/cloud-run.md section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from loopctl.model.plan import CloudRunPlace

STDOUT: Final = "run.googleapis.com/stdout"
STDERR: Final = "run.googleapis.com/stderr"
REQUESTS: Final = "run.googleapis.com/requests"
SYSTEM: Final = "run.googleapis.com/varlog/system"
AUDIT: Final = "cloudaudit.googleapis.com/"

SAID: Final = (STDOUT, STDERR, REQUESTS, SYSTEM, f"{AUDIT}system_event", f"{AUDIT}activity")
"""The logs of all that a service said and that was said of it; of requests, what went wrong."""

ASKED: Final = (REQUESTS,)
"""The log of what it was asked."""

_LONGEST: Final = 18_000
"""Characters of a query; the service takes 20,000."""


@dataclass(frozen=True, slots=True)
class View:
    """Entries of one service, or of one revision of it, from some of its logs."""

    place: CloudRunPlace
    service: str
    revision: str | None
    logs: Sequence[str]

    def between(self, since: datetime, until: datetime | None, *, before: bool = False) -> str:
        """The query for the entries from `since` up to `until`, or only `before` it."""
        return _joined([*self._terms(), *_times(since, until, before=before)])

    def of_traces(
        self, traces: Sequence[str], since: datetime, until: datetime | None
    ) -> Iterator[str]:
        """Queries for the entries of requests that carried one of these trace ids."""
        rest = [*self._terms(), *_times(since, until, before=False)]
        room = _LONGEST - len(_joined(rest))
        names = [quoted(f"projects/{self.place.project}/traces/{trace}") for trace in traces]
        for part in _parts(names, room):
            yield _joined([*rest, f"trace=({' OR '.join(part)})"])

    def _terms(self) -> list[str]:
        labels = {"service_name": self.service, "location": self.place.region}
        if self.revision is not None:
            labels["revision_name"] = self.revision
        names = (quoted(log_name(self.place.project, log)) for log in self.logs)
        return [
            'resource.type="cloud_run_revision"',
            *(f"resource.labels.{label}={quoted(value)}" for label, value in labels.items()),
            f"logName=({' OR '.join(names)})",
        ]


def log_name(project: str, log: str) -> str:
    """The full name of a log, as entries carry it."""
    return f"projects/{project}/logs/{quote(log, safe='')}"


def quoted(text: str) -> str:
    """Text as a string of the query language: nothing in it ends it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def stamp(at: datetime) -> str:
    """A moment as the query language has it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _times(since: datetime, until: datetime | None, *, before: bool) -> Iterator[str]:
    yield f'timestamp>="{stamp(since)}"'
    if until is not None:
        yield f'timestamp{"<" if before else "<="}"{stamp(until)}"'


def _joined(terms: Sequence[str]) -> str:
    return " AND ".join(terms)


def _parts(names: Sequence[str], room: int) -> Iterator[Sequence[str]]:
    """The names in as few parts as fit, each with its OR."""
    part: list[str] = []
    length = 0
    for name in names:
        if part and length + len(name) + 4 > room:
            yield part
            part, length = [], 0
        part.append(name)
        length += len(name) + 4
    if part:
        yield part
