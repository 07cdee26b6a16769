"""Holds records against signatures, streaming; says which causes were seen, where, by what."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loopctl.model.finding import Quote
from loopctl.triage.assemble import LogEvent
from loopctl.triage.loading import Catalogue
from loopctl.triage.records import TRACE_FIELDS, Record, Value
from loopctl.triage.regexes import compiled, required_literals
from loopctl.triage.signatures import Clause, Comparison, On, Scalar, Signature

_LONGEST: Final = 4096
_MOST_HITS: Final = 500
_MOST_GROUPS: Final = 10
_ORDER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that a clause asked for, what its regex captured, and the quotes that show it."""

    record: Record
    captured: Mapping[str, str]
    quotes: tuple[Quote, ...]

    def value(self, name: str) -> Value:
        """What the hit knows under that name: a capture before a field."""
        return self.captured.get(name) or self.record.fields.get(name)


@dataclass(frozen=True, slots=True)
class Seen:
    """A known cause that was seen on a service. `hits` by clause, those of `all` first."""

    signature: Signature
    service: str | None
    hits: tuple[tuple[Hit, ...], ...]
    key: str

    @property
    def confidence(self) -> float:
        """The signature's base, raised by each clause that corroborates; at most .99."""
        needed = len(self.signature.match.all) or 1
        corroborating = sum(bool(hits) for hits in self.hits) - needed
        return self.signature.confidence.raised(corroborating)


@dataclass(slots=True)
class _Watch:
    """A clause made ready, and what it has hit so far."""

    clause: Clause
    comparisons: tuple[Comparison, ...] = ()
    regex: re.Pattern[str] | None = None
    literals: tuple[str, ...] = ()
    hits: list[Hit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.comparisons = self.clause.comparisons
        if self.clause.regex is not None:
            self.regex = compiled(self.clause.regex)
            self.literals = required_literals(self.clause.regex)

    @property
    def needs_trace(self) -> bool:
        """Whether only a traceback can be hit."""
        return any(comparison.field in TRACE_FIELDS for comparison in self.comparisons)

    def may_hit(self, event: LogEvent) -> bool:
        """A cheap look before a record is made of the event."""
        if self.clause.source is not None and self.clause.source != event.stream:
            return False
        if len(self.hits) >= _MOST_HITS:
            return False
        return self.regex is None or any(self._search(line.text) for line in event.lines)

    def see(self, record: Record) -> None:
        """Remember the record if it is what the clause asks for."""
        if len(self.hits) < _MOST_HITS and (hit := self._hit(record)):
            self.hits.append(hit)

    def _hit(self, record: Record) -> Hit | None:
        if self.clause.source is not None and self.clause.source != record.channel:
            return None
        if not all(_holds(each, record.fields) for each in self.comparisons):
            return None
        if self.regex is None:
            return Hit(record, {}, record.proof or record.lines[:1])
        for line in record.lines:
            if match := self._search(line.quote):
                captured = {
                    name: text.strip(" '\"") for name, text in match.groupdict().items() if text
                }
                return Hit(record, captured, tuple(dict.fromkeys((line, *record.proof))))
        return None

    def _search(self, text: str) -> re.Match[str] | None:
        """The regex, behind a look for the text it cannot do without: most lines end there."""
        assert self.regex is not None
        if self.literals and not any(literal in text for literal in self.literals):
            return None
        return self.regex.search(text[:_LONGEST])


class Matcher:
    """Takes records one after the other, and then says what was seen."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._watches = [
            (
                signature,
                [_Watch(clause) for clause in (*signature.match.all, *signature.match.any)],
                [_Watch(clause) for clause in signature.match.none],
            )
            for signature in catalogue.signatures
        ]
        self._by_on: dict[On, list[_Watch]] = {}
        for _, watches, vetoes in self._watches:
            for watch in (*watches, *vetoes):
                self._by_on.setdefault(watch.clause.on, []).append(watch)
        self._plain = [watch for watch in self._by_on.get("log", ()) if not watch.needs_trace]
        self._eager = [watch for watch in self._plain if not watch.literals]
        self._literals = tuple({text: None for watch in self._plain for text in watch.literals})

    def wants(self, event: LogEvent) -> bool:
        """Whether any signature could be interested in the event."""
        if event.trace is not None:
            return any(watch.may_hit(event) for watch in self._by_on.get("log", ()))
        text = event.lines[0].text
        # A plain loop: this line is run for every line of every log.
        for literal in self._literals:
            if literal in text:
                return any(watch.may_hit(event) for watch in self._plain)
        return any(watch.may_hit(event) for watch in self._eager)

    def see(self, record: Record) -> None:
        """Hold a record against every clause of its kind."""
        for watch in self._by_on.get(record.on, ()):
            watch.see(record)

    def seen(self) -> Iterator[Seen]:
        """Every cause whose signature is satisfied, one for each service and group."""
        for signature, watches, vetoes in self._watches:
            for service in _services(watches):
                if any(_of(service, veto.hits) for veto in vetoes):
                    continue
                yield from _groups(signature, service, [_of(service, w.hits) for w in watches])


def _services(watches: Sequence[_Watch]) -> list[str | None]:
    named = {hit.record.service: None for watch in watches for hit in watch.hits}
    services = [service for service in named if service is not None]
    return [*services] or [None]


def _of(service: str | None, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    return tuple(hit for hit in hits if hit.record.service in (service, None))


def _groups(
    signature: Signature, service: str | None, hits: Sequence[tuple[Hit, ...]]
) -> Iterator[Seen]:
    names = signature.group_by
    keys = dict.fromkeys(key for clause in hits for hit in clause if (key := _key(hit, names)))
    for key in list(keys)[:_MOST_GROUPS] or [""]:
        grouped = tuple(
            tuple(hit for hit in clause if _key(hit, names) in (key, "")) for clause in hits
        )
        if _satisfied(signature, grouped):
            yield Seen(signature, service, grouped, key)


def _key(hit: Hit, names: Sequence[str]) -> str:
    """What tells this hit's cause from another of the signature; empty where it has no say."""
    values = [hit.value(name) for name in names]
    return "|".join(str(value) for value in values) if any(values) else ""


def _satisfied(signature: Signature, hits: Sequence[tuple[Hit, ...]]) -> bool:
    needed = len(signature.match.all)
    return all(hits[:needed]) if needed else any(hits)


def _holds(comparison: Comparison, fields: Mapping[str, Value]) -> bool:
    if comparison.field not in fields:
        return False
    left = fields[comparison.field]
    if isinstance(comparison.value, tuple):
        return any(_equal(left, each) for each in comparison.value)
    right = fields.get(comparison.ref) if comparison.ref is not None else comparison.value
    if comparison.op == "eq":
        return _equal(left, right)
    if comparison.op == "ne":
        return not _equal(left, right)
    one, other = _number(left), _number(right)
    return one is not None and other is not None and _ORDER[comparison.op](one, other)


def _equal(left: Value, right: Scalar) -> bool:
    if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return str(left) == str(right) or (
        _number(left) is not None and _number(left) == _number(right)
    )


def _number(value: Value) -> float | None:
    """Stages give the telling number as text."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except ValueError:
        return None
