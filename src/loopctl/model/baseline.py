"""What green runs looked like: what a failing one is held against. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

_MOST_LATENCIES = 20
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a template was seen, and at which revision first."""

    count: int
    first_seen: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one green run showed, or several merged.

    `templates` is service → template → how often; by service too are `lines`, the `seconds` from
    the first of them to the last, `health_ms`, how long the health check took to answer (one a run,
    the oldest first), and `traffic`, percent by revision, of the newest. `shapes` are those of each
    suite's messages, as the suite wrote them: names and types of fields, never a value. `version`
    is that of how lines became templates: those of another one do not compare.
    """

    templates: Mapping[str, Mapping[str, Seen]]
    lines: Mapping[str, int]
    seconds: Mapping[str, float] = field(default_factory=dict)
    health_ms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    traffic: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    shapes: Mapping[str, str] = field(default_factory=dict)
    version: int = 0

    def merged(self, other: Baseline) -> Baseline:
        """Both together, `self` the older: several green windows are better than one."""
        templates = {service: dict(seen) for service, seen in self.templates.items()}
        for service, theirs in other.templates.items():
            ours = templates.setdefault(service, {})
            for template, seen in theirs.items():
                before = ours.get(template)
                first = seen.first_seen if before is None else before.first_seen
                ours[template] = Seen((before.count if before else 0) + seen.count, first)
        latencies = {
            service: (*self.health_ms.get(service, ()), *other.health_ms.get(service, ()))
            for service in (*self.health_ms, *other.health_ms)
        }
        return Baseline(
            templates,
            _sums(self.lines, other.lines),
            _sums(self.seconds, other.seconds),
            {service: each[-_MOST_LATENCIES:] for service, each in latencies.items()},
            {**self.traffic, **other.traffic},
            {**self.shapes, **other.shapes},
            other.version,
        )

    def bounded(self, templates: int, characters: int) -> Baseline:
        """With at most so many templates a service, and characters of all of them together.

        The frequent ones stay: those are likely to be met again.
        """
        ranked = sorted(
            (
                (service, template, seen)
                for service, known in self.templates.items()
                for template, seen in known.items()
            ),
            key=lambda each: -each[2].count,
        )
        kept: dict[str, dict[str, Seen]] = {service: {} for service in self.templates}
        left = characters
        for service, template, seen in ranked:
            if len(template) <= left and len(kept[service]) < templates:
                kept[service][template] = seen
                left -= len(template)
        return replace(self, templates=kept)


def _sums(one: Mapping[str, _Number], other: Mapping[str, _Number]) -> dict[str, _Number]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}
