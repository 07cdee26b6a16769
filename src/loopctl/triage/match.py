"""Holds records against signatures, streaming; says which causes were seen, where, by what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from loopctl.model.finding import Quote
from loopctl.triage.assemble import LogEvent
from loopctl.triage.comparing import asks_for_news, holds
from loopctl.triage.loading import Catalogue
from loopctl.triage.records import Record, Value
from loopctl.triage.regexes import Regex, RegexSet, compiled
from loopctl.triage.shapes import pattern_of_shapes
from loopctl.triage.signatures import Clause, Comparison, On, Signature

_LONGEST: Final = 4096
_MOST_HITS: Final = 500
_MOST_GROUPS: Final = 10


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that a clause asked for, what its regex captured, and the quotes that show it.

    `sure` is the confidence that the clause has of its own, None: the signature's.
    """

    record: Record
    captured: Mapping[str, str]
    quotes: tuple[Quote, ...]
    sure: float | None = None

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
        """The base, raised by each clause that corroborates; at most .99.

        Of `all` the least sure clause gives the base, of `any` the surest that was seen.
        """
        needed = len(self.signature.match.all)
        corroborating = sum(bool(hits) for hits in self.hits) - (needed or 1)
        own = self.signature.confidence
        sure = [
            max(own.base if hit.sure is None else hit.sure for hit in hits)
            for hits in (self.hits[:needed] if needed else self.hits)
            if hits
        ]
        return own.raised(corroborating, min(sure) if needed else max(sure))


@dataclass(slots=True, eq=False)
class _Watch:
    """A clause made ready, and what it has hit so far.

    `ends`: it is no evidence itself, what it sees is the end of what these have hit before.
    """

    clause: Clause
    ends: Sequence[_Watch] = ()
    comparisons: tuple[Comparison, ...] = ()
    regex: Regex | None = None
    unless: Regex | None = None
    news: bool = False
    hits: list[Hit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.comparisons = self.clause.comparisons
        self.news = any(map(asks_for_news, self.comparisons))
        if self.clause.regex is not None:
            self.regex = compiled(self.clause.regex)
        if self.clause.unless is not None:
            self.unless = compiled(self.clause.unless)

    def may_hit(self, stream: str, novel: bool | None) -> bool:
        """A cheap look before a record is made of an event that its regex has found."""
        if self.clause.source is not None and self.clause.source != stream:
            return False
        if self.ends:
            return self.is_looked_for
        return len(self.hits) < _MOST_HITS and not (self.news and novel is False)

    @property
    def is_looked_for(self) -> bool:
        """Whether it says anything now: the end of what was not seen does not."""
        return not self.ends or any(watch.hits for watch in self.ends)

    def see(self, record: Record) -> None:
        """Remember the record if it is what the clause asks for."""
        if self.ends:
            if any(watch.hits for watch in self.ends) and (hit := self._hit(record)):
                for watch in self.ends:
                    watch.forget(hit, self.clause.same)
        elif len(self.hits) < _MOST_HITS and (hit := self._hit(record)):
            self.hits.append(hit)

    def forget(self, end: Hit, same: Sequence[str]) -> None:
        """Drop what was hit before, of the same service and with the same values."""
        self.hits = [
            hit
            for hit in self.hits
            if hit.record.service != end.record.service
            or any(hit.value(name) != end.value(name) for name in same)
        ]

    def _hit(self, record: Record) -> Hit | None:
        if self.clause.source is not None and self.clause.source != record.channel:
            return None
        if not all(holds(each, record.fields) for each in self.comparisons):
            return None
        sure = self.clause.confidence
        if self.regex is None:
            return Hit(record, {}, record.proof or record.lines[:1], sure)
        for line in record.lines:
            text = line.quote[:_LONGEST]
            groups = self.regex.search(text)
            if groups is not None and not self._is_excused(text):
                captured = {name: text.strip(" '\"") for name, text in groups.items() if text}
                return Hit(record, captured, _shown(record, line), sure)
        return None

    def _is_excused(self, text: str) -> bool:
        return self.unless is not None and self.unless.search(text) is not None


def _shown(record: Record, line: Quote) -> tuple[Quote, ...]:
    """The line that matched and what proves the record; words of our own come after proof."""
    ours_last = record.on == "condition"
    shown = (*record.proof, line) if ours_last else (line, *record.proof)
    return tuple(dict.fromkeys(shown))


class _Looked:
    """Clauses that are looked for all at once: those with a regex, and those without."""

    def __init__(self, watches: Sequence[_Watch]) -> None:
        self._found = [watch for watch in watches if watch.clause.regex is not None]
        self._bare = [watch for watch in watches if watch.clause.regex is None]
        self._patterns = [watch.clause.regex or "" for watch in self._found]
        self._set = RegexSet(self._patterns)

    @cached_property
    def _of_shapes(self) -> RegexSet:
        # An empty pattern finds itself everywhere: one that cannot be told may match any line.
        return RegexSet([pattern_of_shapes(pattern) or "" for pattern in self._patterns])

    def may_want(self, shape: str) -> bool:
        """Whether any line of the shape may be hit, with what was hit up to now."""
        found = self._of_shapes.among(shape)
        return any(self._found[at].is_looked_for for at in found)

    def wants(self, event: LogEvent, novel: bool | None) -> bool:
        """Whether a log event may be hit."""
        among = self._set.among_recurring if event.parts else self._set.among
        for text in event.searched:
            found = among(text[:_LONGEST])
            if found and any(self._found[at].may_hit(event.stream, novel) for at in found):
                return True
        # A clause without a regex asks for a traceback: the linter lets no other pass.
        return event.trace is not None and any(
            watch.may_hit(event.stream, novel) for watch in self._bare
        )

    def see(self, record: Record) -> None:
        """Hold the record against the clauses that may hit it, in the catalogue's order."""
        among = self._set.among_recurring
        found = {at for line in record.lines for at in among(line.quote[:_LONGEST])}
        for at in sorted(found):
            self._found[at].see(record)
        for watch in self._bare:
            watch.see(record)


class _Kind:
    """The clauses on one kind of record.

    `awaited` are the ends, by number, of something that was seen.
    """

    def __init__(self, watches: Sequence[_Watch]) -> None:
        self._told = [watch for watch in watches if watch.ends]
        self._evidence = _Looked([watch for watch in watches if not watch.ends])
        self._ends = _Looked(self._told)
        self._either = _Looked(watches) if self._told else self._evidence
        self.awaited: frozenset[int] = frozenset()

    def wants(self, event: LogEvent, novel: bool | None) -> bool:
        """Whether a log event may be hit; run for every line that is not known."""
        return self._either.wants(event, novel)

    def may_want(self, shape: str) -> bool:
        """Whether any line of the shape may be hit while `awaited` is as it is."""
        return self._either.may_want(shape)

    def see(self, record: Record) -> None:
        """Hold the record against every clause; what ends a trouble ends only what was before."""
        if self.awaited:
            self._ends.see(record)
        self._evidence.see(record)
        self.awaited = frozenset(
            at for at, end in enumerate(self._told) if any(watch.hits for watch in end.ends)
        )


@dataclass(frozen=True, slots=True)
class _Watched:
    """A signature with its clauses made ready; a slot is a clause with what its `or` holds."""

    signature: Signature
    slots: tuple[tuple[_Watch, ...], ...]
    vetoes: tuple[_Watch, ...]
    ends: tuple[_Watch, ...]

    @classmethod
    def of(cls, signature: Signature) -> _Watched:
        """The signature, with nothing hit so far."""
        match = signature.match
        slots = tuple(
            tuple(_Watch(look) for look in clause.looks) for clause in (*match.all, *match.any)
        )
        watches = [watch for slot in slots for watch in slot]
        ends = tuple(
            _Watch(look, [watch for watch in watches if watch.clause.on == look.on])
            for clause in match.recovered
            for look in clause.looks
        )
        vetoes = tuple(_Watch(look) for clause in match.none for look in clause.looks)
        return cls(signature, slots, vetoes, ends)

    def watches(self) -> Iterator[_Watch]:
        """Every clause of it."""
        for slot in self.slots:
            yield from slot
        yield from self.vetoes
        yield from self.ends

    def seen(self) -> Iterator[Seen]:
        """One for each service and group in which it is satisfied."""
        slots = [[hit for watch in slot for hit in watch.hits] for slot in self.slots]
        for service in _services(slots):
            if not any(_of(service, veto.hits) for veto in self.vetoes):
                yield from _groups(self.signature, service, [_of(service, s) for s in slots])


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one clause: `name` as in `match.all.1`, and the first quote that hit it."""

    name: str
    clause: Clause
    hit: Quote | None


class Matcher:
    """Takes records one after the other, and then says what was seen."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._watched = [_Watched.of(signature) for signature in catalogue.signatures]
        by_on: dict[On, list[_Watch]] = {"log": []}
        for watched in self._watched:
            for watch in watched.watches():
                by_on.setdefault(watch.clause.on, []).append(watch)
        self._kinds = {on: _Kind(watches) for on, watches in by_on.items()}
        self._logs = self._kinds["log"]

    def wants(self, event: LogEvent, novel: bool | None = None) -> bool:
        """Whether any signature could be interested in the event.

        `novel` is None where there is no green log to compare with.
        """
        return self._logs.wants(event, novel)

    def may_want(self, shape: str) -> bool:
        """Whether any signature could be interested in any line of the shape (triage/shapes.py).

        It holds of lines that are an event by themselves, and while `awaited` is as it is.
        """
        return self._logs.may_want(shape)

    @property
    def awaited(self) -> frozenset[int]:
        """Which ends of what was seen in logs are looked for: lines that tell of them matter."""
        return self._logs.awaited

    def see(self, record: Record) -> None:
        """Hold a record against every clause of its kind."""
        kind = self._kinds.get(record.on)
        if kind is not None:
            kind.see(record)

    def parts(self) -> Iterator[Part]:
        """What became of every clause that was to be seen, or not to be seen."""
        for watched in self._watched:
            needed = len(watched.signature.match.all)
            for at, slot in enumerate(watched.slots):
                name = f"all.{at}" if at < needed else f"any.{at - needed}"
                yield Part(f"match.{name}", slot[0].clause, _first(slot))
            for at, veto in enumerate(watched.vetoes):
                yield Part(f"match.none.{at}", veto.clause, _first((veto,)))

    def seen(self) -> Iterator[Seen]:
        """Every cause whose signature is satisfied, one for each service and group."""
        for watched in self._watched:
            yield from watched.seen()


def _first(watches: Sequence[_Watch]) -> Quote | None:
    quotes = (quote for watch in watches for hit in watch.hits for quote in hit.quotes)
    return next(quotes, None)


def _services(slots: Sequence[Sequence[Hit]]) -> list[str | None]:
    named = {hit.record.service: None for hits in slots for hit in hits}
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
        if signature.match.differ is not None:
            grouped = _differing(signature.match.differ, grouped)
        if _satisfied(signature, grouped):
            yield Seen(signature, service, grouped, key)


def _key(hit: Hit, names: Sequence[str]) -> str:
    """What tells this hit's cause from another of the signature; empty where it has no say."""
    values = [hit.value(name) for name in names]
    return "|".join(str(value) for value in values) if any(values) else ""


def _differing(
    names: tuple[str, str], hits: Sequence[tuple[Hit, ...]]
) -> tuple[tuple[Hit, ...], ...]:
    """The hits without those that know one of the names, unless the other's values are others."""
    one, other = ({str(v) for h in _all(hits) if (v := h.value(name))} for name in names)
    if one and other and not one & other:
        return tuple(hits)
    return tuple(
        tuple(hit for hit in clause if len([n for n in names if hit.value(n)]) != 1)
        for clause in hits
    )


def _all(hits: Sequence[tuple[Hit, ...]]) -> Iterator[Hit]:
    for clause in hits:
        yield from clause


def _satisfied(signature: Signature, hits: Sequence[tuple[Hit, ...]]) -> bool:
    needed = len(signature.match.all)
    return all(hits[:needed]) if needed else any(hits)
