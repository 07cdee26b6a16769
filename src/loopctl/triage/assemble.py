"""Puts log entries together again into the events they were written as.

Platforms deliver a traceback as one entry a line, with those of other streams between. Lines
belong together when revision, instance and stream are the same and little time passed between them
(facts/log-triage.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from loopctl.model.logs import LogEntry
from loopctl.triage.lines import LONGEST_LINE, Line, cleaned, lines_of, transport
from loopctl.triage.stacks import Stack, opened_by, read_whole
from loopctl.triage.structured import fields_of, may_throw, read_structured, unwrapped
from loopctl.triage.traceback import StackTrace

_MOST_OPEN: Final = 64
_MOST_TAGS: Final = 16

Writer = tuple[str, str, str]


class LogEvent(NamedTuple):
    """One thing that was logged: a line, a traceback of several lines, or a structured entry.

    `entry` is what it begins in. `said` is its message, without what was put around it. `level` is
    the one that a structured entry gives itself, `texts` are its values that a person reads, the
    message first and the whole of it as captured last. `parts` are the lines of a traceback.
    """

    # A tuple, since a million of them are made of a million lines, and that takes half as long.
    entry: LogEntry
    said: str
    trace: StackTrace | None = None
    parts: tuple[Line, ...] = ()
    level: str | None = None
    texts: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """Its lines, those of a structured entry decoded first and as captured last."""
        number = self.entry.number
        return self.parts or tuple([Line(number, text) for text in self.texts or (self.said,)])

    @property
    def searched(self) -> tuple[str, ...]:
        """The texts that hold whatever stands in its lines: few, for every regex is tried on each.

        A structured entry without escapes shows all its values as they are.
        """
        if self.parts:
            return tuple([line.text for line in self.parts])
        if not self.texts:
            return (self.said,)
        return self.texts if "\\" in self.texts[-1] else self.texts[-1:]

    def kept(self) -> LogEvent:
        """The event with no more of its traceback than is shown of one that is kept for long."""
        if self.trace is None:
            return self
        return self._replace(trace=self.trace.kept(), parts=self.parts[:1])

    @property
    def number(self) -> int:
        """The line it begins at."""
        return self.entry.number

    @property
    def service(self) -> str:
        """Who logged it."""
        return self.entry.service

    @property
    def revision(self) -> str:
        """The revision that did."""
        return self.entry.revision

    @property
    def stream(self) -> str:
        """Where to."""
        return self.entry.stream

    @property
    def at(self) -> datetime:
        """When it began."""
        return self.entry.at

    @property
    def severity(self) -> str | None:
        """The level that the platform gave it."""
        return self.entry.severity


def assemble(entries: Iterable[LogEntry]) -> Iterator[LogEvent]:
    """Yield the events of a service's log, in the order of their last lines; one pass."""
    assembler = Assembler()
    for entry in entries:
        yield from assembler.take(entry)
    yield from assembler.rest()


def _is_plain(text: str) -> bool:
    """Whether a line is nothing but itself; plain tests, done for every line that is not known."""
    return not (
        "rror" in text
        or "xcept" in text
        or "{" in text
        or "anic" in text
        or "Trace" in text
        or "\n" in text
        or "\x1b" in text
        or "\x00" in text
        or text[:1] in "\tg /."
        or (text[-1] in "\r0123456789" and " " not in text)
        or len(text) > LONGEST_LINE
        or not text.isascii()
        or ("A" <= text[0] <= "Z" and "a" <= text[1:2] <= "z" and _is_named(text))
    )


def _is_named(text: str) -> bool:
    """Whether it may name an exception that is not called one: `CardDeclined: …`."""
    name = text[: text.find(": ", 1, 48)]
    return name.isalpha() and not name.isupper()


class Assembler:
    """What is still open: by writer, and by what an agent says of who wrote a line.

    `hot` are the instances that have something open: of all others, what a line comes to can be
    told by the line alone.
    """

    def __init__(self) -> None:
        self.waiting: dict[Writer, dict[str, Stack]] = {}
        self.hot: set[str] = set()

    def take(self, entry: LogEntry) -> Iterable[LogEvent]:
        """The events that are over with this entry, itself among them where it is one."""
        if not (self.hot and entry.instance in self.hot) and _is_plain(entry.text):
            return (LogEvent(entry, entry.text),)
        return self._take(entry)

    def _take(self, entry: LogEntry) -> Iterable[LogEvent]:
        text = cleaned(entry.text)
        if len(text) > LONGEST_LINE:
            # What is kept of a line must not keep the whole of it.
            entry = replace(entry, text=text[:LONGEST_LINE])
        if "{" in text and text.rstrip()[-1:] == "}":
            tag, start = ("", 0) if text[0] == "{" else transport(text)
            fields = fields_of(text, start)
            if fields is not None:
                line = unwrapped(fields)
                if line is not None:
                    return self._take(replace(entry, text=line))
                event = _structured(entry, text, start, fields)
                over = self._end(_writer(entry), tag) if self.waiting else ()
                return (*over, event)
        if "\n" not in text:
            return self._line(entry, text[:LONGEST_LINE])
        return (event for line in lines_of(text) for event in self._line(entry, line))

    def rest(self) -> Iterator[LogEvent]:
        """What is open when the log ends."""
        for stacks in self.waiting.values():
            for stack in stacks.values():
                yield from _ended(stack)

    def _line(self, entry: LogEntry, text: str) -> Iterable[LogEvent]:
        writer = _writer(entry)
        stacks = self.waiting.get(writer)
        tag, start = transport(text)
        over: list[LogEvent] = []
        opened = None
        if stacks is not None:
            stack = stacks.get(tag)
            if stack is not None and stack.confirmed and stack.takes(entry, text, start):
                return ()
            opened = opened_by(entry, text, start)
            if stack is not None:
                if stack.may_go_on_with(opened) and stack.takes(entry, text, start):
                    return ()
                over += self._end(writer, tag)
            over += self._outdated(writer, entry)
        else:
            opened = opened_by(entry, text, start)
        if opened is None:
            over.append(LogEvent(entry, text))
            return over
        if len(self.waiting) >= _MOST_OPEN:
            oldest = next(iter(self.waiting))
            over += self._end(oldest, next(iter(self.waiting[oldest])))
        mine = self.waiting.setdefault(writer, {})
        if len(mine) >= _MOST_TAGS:
            over += self._end(writer, next(iter(mine)))
            mine = self.waiting.setdefault(writer, {})
        mine[tag] = opened
        self.hot.add(entry.instance)
        return over

    def _outdated(self, writer: Writer, entry: LogEntry) -> Iterator[LogEvent]:
        """Let go of what nothing can be added to: while any is open every line is looked at."""
        for tag, stack in list(self.waiting.get(writer, {}).items()):
            stack.passed += 1
            if stack.is_over(entry.at):
                yield from self._end(writer, tag)

    def _end(self, writer: Writer, tag: str) -> Iterator[LogEvent]:
        stacks = self.waiting.get(writer, {})
        stack = stacks.pop(tag, None)
        if stack is None:
            return
        if not stacks:
            del self.waiting[writer]
            if not any(other[1] == writer[1] for other in self.waiting):
                self.hot.discard(writer[1])
        yield from _ended(stack)


def _writer(entry: LogEntry) -> Writer:
    return entry.revision, entry.instance, entry.stream


def _ended(stack: Stack) -> Iterator[LogEvent]:
    if not stack.confirmed:
        for entry, text in stack.pieces:
            yield LogEvent(entry, text)
        return
    lines = stack.lines
    while len(lines) > 1 and not lines[-1].body.strip():
        lines.pop()
    trace = stack.read()
    said = trace.innermost.text.strip() if trace else lines[0].body
    yield LogEvent(stack.entry, said, trace, tuple(lines))


def _structured(entry: LogEntry, text: str, start: int, fields: dict[str, Any]) -> LogEvent:
    """The event that a JSON object is."""
    told = read_structured(fields, throws=may_throw(text))
    raw = text[:LONGEST_LINE]
    if told.stack is None:
        said = told.said[:LONGEST_LINE] or raw[start:]
        texts = [each[:LONGEST_LINE] for each in told.texts]
        return LogEvent(entry, said, None, (), told.level, (*texts, raw))
    stack = [Line(entry.number, line) for line in lines_of(cleaned(told.stack))]
    trace = read_whole(stack, told.kind, told.message)
    below = {line.text for line in stack}
    above = [Line(entry.number, text[:LONGEST_LINE]) for text in told.texts if text not in below]
    said = told.said[:LONGEST_LINE] or stack[0].text
    parts = (*above, *stack, Line(entry.number, raw, start))
    return LogEvent(entry, said, trace, parts, told.level)
