"""What green runs looked like: what a failing one is held against. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a template was seen, and at which revision first."""

    count: int
    first_seen: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """The templates of green logs: service → template → how often. `lines` is by service."""

    templates: Mapping[str, Mapping[str, Seen]]
    lines: Mapping[str, int]

    def merged(self, other: Baseline) -> Baseline:
        """Both together, `self` the older: several green windows are better than one."""
        templates = {service: dict(seen) for service, seen in self.templates.items()}
        lines = dict(self.lines)
        for service, theirs in other.templates.items():
            ours = templates.setdefault(service, {})
            for template, seen in theirs.items():
                before = ours.get(template, Seen(0, seen.first_seen))
                ours[template] = Seen(before.count + seen.count, before.first_seen)
            lines[service] = lines.get(service, 0) + other.lines.get(service, 0)
        return Baseline(templates, lines)
