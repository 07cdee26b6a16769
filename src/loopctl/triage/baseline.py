"""Which lines are new: the failing window's templates against those of green runs.

Novelty first, severity second found the telling line in the top three 16 times of 18; severity
and rarity without a baseline twice (facts/log-triage.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Final

from loopctl.model.baseline import Baseline, Seen
from loopctl.triage.assemble import LogEvent
from loopctl.triage.fingerprint import stack_fingerprint
from loopctl.triage.severity import Severity, severity_of
from loopctl.triage.similar import statements
from loopctl.triage.templates import Masker

_MOST_TEMPLATES: Final = 20_000
_MOST_SEVERE: Final = 2_000
"""Kept besides, of lines that call themselves bad: no flood of others may hide them."""

_OVERFLOW: Final = "<more templates than are kept>"
_RATE_CHANGED: Final = 3.0


class Novelty(IntEnum):
    """How a template stands to the green runs, the most telling first."""

    NOVEL_SEVERE = 0
    NOVEL = 1
    RATE_CHANGED = 2
    KNOWN = 3


@dataclass(slots=True)
class Counted:
    """What is known of a template: how often it was seen, how bad it is, and where it was first."""

    count: int
    severity: Severity
    revision: str
    first: LogEvent


@dataclass(frozen=True, slots=True)
class RankedTemplate:
    """A template of the failing window. `novelty` is None without a baseline for the service."""

    service: str
    template: str
    count: int
    severity: Severity
    novelty: Novelty | None
    first: LogEvent


class Window:
    """Counts the templates of one service's events, streaming, in bounded memory."""

    def __init__(self, service: str, baseline: Baseline | None) -> None:
        self.service = service
        known = baseline.templates.get(service) if baseline else None
        self._known: Mapping[str, Seen] | None = known
        self._known_lines = baseline.lines.get(service, 0) if baseline else 0
        self._masker = Masker()
        self._seen: dict[str, Counted] = {}

    def add(self, event: LogEvent) -> str:
        """Count an event; returns its template."""
        if event.trace is None:
            template = self._masker.template(event.said)
        else:
            template = stack_fingerprint(event.trace)
        counted = self._seen.get(template)
        if counted is None:
            return self._add_new(template, event)
        counted.count += 1
        return template

    def _add_new(self, template: str, event: LogEvent) -> str:
        severity = severity_of(event)
        room = _MOST_TEMPLATES + (_MOST_SEVERE if severity >= Severity.WARNING else 0)
        if len(self._seen) >= room:
            template = _OVERFLOW
        counted = self._seen.get(template)
        if counted is None:
            self._seen[template] = Counted(1, severity, event.revision, event.kept())
        else:
            counted.count += 1
        return template

    def counted(self, template: str) -> Counted:
        """Where a template that was added is counted: who knows that a line has it adds one."""
        return self._seen[template]

    def is_novel(self, template: str) -> bool | None:
        """Whether green runs never showed it; None where nobody can tell: without any to compare
        with, and of lines beyond those whose templates are kept.
        """
        if self._known is None or template == _OVERFLOW:
            return None
        return template not in self._known

    def ranked(self) -> list[RankedTemplate]:
        """Every template, the most telling first; novel ones of one statement are one."""
        lines = self._lines()
        ranked = [
            RankedTemplate(
                self.service, t, c.count, c.severity, self._novelty(t, c, lines), c.first
            )
            for t, c in self._seen.items()
        ]
        novel = [each.template for each in ranked if each.novelty in _MAY_BE_ALIKE]
        return sorted(_merged(ranked, statements(novel)), key=rank_key)

    def as_baseline(self) -> Baseline:
        """What a green window leaves for later runs."""
        seen = {t: Seen(c.count, c.revision) for t, c in self._seen.items() if t != _OVERFLOW}
        return Baseline({self.service: seen}, {self.service: self._lines()})

    def _lines(self) -> int:
        return sum(counted.count for counted in self._seen.values())

    def _novelty(self, template: str, counted: Counted, lines: int) -> Novelty | None:
        if self._known is None:
            return None
        if template not in self._known:
            severe = counted.severity >= Severity.WARNING
            return Novelty.NOVEL_SEVERE if severe else Novelty.NOVEL
        then = self._known[template].count / max(1, self._known_lines)
        now = counted.count / max(1, lines)
        changed = now > then * _RATE_CHANGED and counted.count > 3
        return Novelty.RATE_CHANGED if changed else Novelty.KNOWN


_MAY_BE_ALIKE: Final = (Novelty.NOVEL_SEVERE, Novelty.NOVEL, None)


def _merged(
    ranked: Iterable[RankedTemplate], statements: Mapping[str, str]
) -> Iterable[RankedTemplate]:
    """Those of one statement as one, as novel and as severe as the worst of them."""
    kept: dict[str, RankedTemplate] = {}
    for each in ranked:
        template = statements.get(each.template, each.template)
        one = kept.get(template)
        if one is None:
            kept[template] = replace(each, template=template)
            continue
        kept[template] = replace(
            min(one, each, key=rank_key),
            template=template,
            count=one.count + each.count,
        )
    return kept.values()


def rank_key(ranked: RankedTemplate) -> tuple[int, int, int, datetime, int]:
    """Sorts templates: by novelty, then by severity, the rare before the frequent."""
    novelty = Novelty.NOVEL if ranked.novelty is None else ranked.novelty
    return (novelty, -ranked.severity, ranked.count, ranked.first.at, ranked.first.number)


def learn(services: Iterable[tuple[str, Iterable[LogEvent]]]) -> Baseline:
    """The baseline that green logs leave, one pass over each service's events."""
    baseline = Baseline({}, {})
    for service, events in services:
        window = Window(service, None)
        for event in events:
            window.add(event)
        baseline = baseline.merged(window.as_baseline())
    return baseline
