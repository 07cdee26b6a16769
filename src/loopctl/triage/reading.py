"""Reads a service's log: each event counted by its template, and shown to the signatures.

A log says the same few hundred things over and over. What a line comes to is found out for its
shape (triage/shapes.py): no more than a template to be counted under, as it is of nearly all, and
then the next line of that shape is one look into a dictionary. All others are read in full.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from loopctl.model.logs import LogEntry
from loopctl.triage.assemble import Assembler, LogEvent
from loopctl.triage.baseline import Counted, Window
from loopctl.triage.match import Matcher
from loopctl.triage.records import log_record
from loopctl.triage.shapes import (
    Span,
    digits_at,
    numbers_in,
    shape_of,
    with_digits,
    without_ids,
    written_of,
)
from loopctl.triage.structured import may_throw
from loopctl.triage.symptoms import ServiceLog
from loopctl.triage.templates import telling_digits

_LONGEST: Final = 1000
_MOST_SHAPES: Final = 5000
_MOST_AWAITED: Final = 4
_MOST_SAID: Final = 1000
_MOST_TRIES: Final = 8
_MOST_NUMBERS: Final = 16
# The template of a structured entry has the status in it.
_STATUS: Final = re.compile(
    rb"\"(?:status|statusCode|status_code|responseStatus)\"\s*:\s*(\d{3})(?!\d)"
)


@dataclass(slots=True)
class _Shape:
    """Lines of one shape, counted by the digits that they have in `spans`.

    None is for digits with which a signature may want the line. `only` is the span, where it is
    but one: so it is of requests, which are half of many a log.
    """

    spans: tuple[Span, ...] = ()
    only: slice | None = None
    counted: dict[bytes, Counted | None] = field(default_factory=dict)
    tries: int = 0


_SEEN_ONCE: Final = _Shape()


class Reading:
    """One log, read once, in bounded memory."""

    def __init__(self, log: ServiceLog, window: Window, matcher: Matcher) -> None:
        self._log = log
        self._window = window
        self._matcher = matcher
        self._assembler = Assembler()
        # By what the matcher looks for. A shape that no digit matters to is counted right away.
        self._known: dict[frozenset[int], dict[bytes, Counted | _Shape]] = {}
        self._shapes = self._known.setdefault(matcher.awaited, {})

    def read(self) -> None:
        """Count every event, and show the matcher those that it wants."""
        shapes, hot = self._shapes, self._assembler.hot
        for entry in self._log.entries:
            text = entry.text
            if len(text) > _LONGEST or (hot and entry.instance in hot):
                self._read(entry)
                shapes = self._shapes
                continue
            written = written_of(text)
            shape = shape_of(written)
            known = shapes.get(shape)
            if known is None:
                shape = without_ids(shape)
                known = shapes.get(shape)
            if isinstance(known, _Shape):
                only = known.only
                said = digits_at(known.spans, written) if only is None else written[only]
                known = known.counted.get(said)
            if known is None:
                self._find_out(entry, written, shape)
                shapes = self._shapes
            else:
                known.count += 1
        for event in self._assembler.rest():
            self._see(event)

    def _find_out(self, entry: LogEntry, written: bytes, shape: bytes) -> None:
        """Read the line, and learn from it; a shape that is seen but once is not worth that."""
        counted = self._read(entry)
        known = self._shapes.get(shape)
        if known is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = _SEEN_ONCE
        elif isinstance(known, _Shape) and counted is not None:
            if known is _SEEN_ONCE:
                known = self._shapes[shape] = _Shape()
            if known.counted or known.tries < _MOST_TRIES:
                known.tries += 1
                self._learn(known, shape, written, counted)

    def _read(self, entry: LogEntry) -> Counted | None:
        """Where the line was counted, if all lines of its shape are one event each, as it is."""
        counted = None
        for event in self._assembler.take(entry):
            counted = self._see(event)
            if not _is_lone(entry, event):
                counted = None
        return counted

    def _see(self, event: LogEvent) -> Counted:
        window = self._window
        template = window.add(event)
        novel = window.is_novel(template)
        if self._matcher.wants(event, novel):
            self._matcher.see(log_record(self._log, event, novel))
            self._turn_to(self._matcher.awaited)
        return window.counted(template)

    def _turn_to(self, awaited: frozenset[int]) -> None:
        """Go by what is known of shapes while these ends are looked for."""
        if awaited not in self._known and len(self._known) >= _MOST_AWAITED:
            self._known.clear()
        self._shapes = self._known.setdefault(awaited, {})

    def _learn(self, known: _Shape, shape: bytes, written: bytes, counted: Counted) -> None:
        if known.counted:
            said = digits_at(known.spans, written)
            if said not in known.counted and len(known.counted) < _MOST_SAID:
                wanted = self._matcher.may_want(with_digits(shape, written, known.spans))
                known.counted[said] = None if wanted else counted
            return
        telling = _telling(written)
        spans = self._deciding(shape, written, telling)
        if spans:
            known.spans, known.counted = spans, {digits_at(spans, written): counted}
            known.only = slice(*spans[0]) if len(spans) == 1 else None
        elif spans is not None:
            self._shapes[shape] = counted

    def _deciding(
        self, shape: bytes, written: bytes, telling: tuple[Span, ...]
    ) -> tuple[Span, ...] | None:
        """The digits by which no signature wants the line, few: of a request those of its status.

        None where one may want it whatever they are.
        """
        may_want = self._matcher.may_want
        if not may_want(with_digits(shape, written, telling)):
            return telling
        others = [span for span in numbers_in(shape, written) if span not in telling]
        if len(others) > _MOST_NUMBERS or may_want(
            with_digits(shape, written, (*telling, *others))
        ):
            return None
        for span in tuple(others):
            fewer = [other for other in others if other != span]
            if not may_want(with_digits(shape, written, (*telling, *fewer))):
                others = fewer
        return (*telling, *others)


def _is_lone(entry: LogEntry, event: LogEvent) -> bool:
    """Whether the entry is the event as it stands, and so is every entry of its shape.

    What opens a stack, a structured entry's message and whether it throws hang on no digit. Where
    it escapes characters it does, and what it throws is put together with what it says.
    """
    if event.entry is not entry or event.parts:
        return False
    text = entry.text
    if not event.texts:
        return event.said == text
    return event.texts[-1] == text and "\\" not in text and not may_throw(text)


def _telling(written: bytes) -> tuple[Span, ...]:
    """The digits that its template keeps."""
    return (*telling_digits(written), *(found.span(1) for found in _STATUS.finditer(written)))
