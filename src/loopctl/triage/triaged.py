"""What `triage` comes to: who serves what, what is wrong with it, what is new, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from loopctl.model.finding import Change, Fault, Finding
from loopctl.triage.diagnose import NovelLine

State = Literal["healthy", "unhealthy", "absent", "unknown"]


@dataclass(frozen=True, slots=True)
class ServiceLook:
    """One service as it was met just now.

    `traffic` are percent by revision; `verified` the revisions among them that a green run has
    verified. `latency_s` is that of the answer to the health check. `faults` say what is wrong with
    it, or why it could not be looked at. `changes` are those since the last green run.
    """

    name: str
    state: State
    traffic: Mapping[str, int] = field(default_factory=dict)
    verified: frozenset[str] = frozenset()
    since: datetime | None = None
    url: str | None = None
    latency_s: float | None = None
    faults: tuple[Fault, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Captured:
    """What was read of one log: `source` names it, `lines` were read of it.

    `gap` says what is missing of it, None: nothing is.
    """

    service: str
    source: str
    lines: int
    gap: str | None = None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run that is going on at the environment, by whom, and since when."""

    run_id: str
    holder: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Triaged:
    """A look at an environment, or at an export of logs.

    `loop` and `environment` are None for an export, `green_run` without an earlier green run.
    `next` are commands, the most useful first; at least one works without loopctl. `under_way` is a
    run that is going on there. `troubled` says of an export whether anything in it, however well
    known, is an error; None where services were looked at, whose state says it.
    """

    at: datetime
    findings: tuple[Finding, ...]
    novel: tuple[NovelLine, ...]
    unknown: tuple[str, ...]
    ranked_by: str
    loop: str | None = None
    environment: str | None = None
    services: tuple[ServiceLook, ...] = ()
    captured: tuple[Captured, ...] = ()
    changes: tuple[Change, ...] = ()
    green_run: str | None = None
    next: tuple[str, ...] = ()
    owner: str | None = None
    runbook: str | None = None
    under_way: UnderWay | None = None
    troubled: bool | None = None

    @property
    def exit_code(self) -> int:
        """0: nothing is wrong, 1: something is, 3: it cannot be told."""
        if self.findings or any(map(_is_wrong, self.services)):
            return 1
        return 0 if self._is_seen else 3

    @property
    def _is_seen(self) -> bool:
        """Whether all was looked at, and nothing there needs an explanation that is missing.

        A healthy service may well say something new; what is new and bad it has to explain.
        """
        if not self.services:
            open_ = bool(self.novel) if self.troubled is None else self.troubled
            return any(each.lines for each in self.captured) and not open_
        unread = any(each.gap and not each.lines for each in self.captured)
        unseen = any(look.state == "unknown" for look in self.services)
        return not unread and not unseen and not any(line.is_severe for line in self.novel)


def _is_wrong(look: ServiceLook) -> bool:
    return look.state in ("unhealthy", "absent") or (look.state == "healthy" and bool(look.faults))
