"""Puts log entries together again into the events they were written as.

Platforms deliver a traceback as one entry a line, with those of other streams between. Lines
belong together when revision, instance and stream are the same and little time passed between them
(facts/log-triage.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from loopctl.model.logs import LogEntry
from loopctl.triage.lines import LONGEST_LINE, Line, cleaned, lines_of, transport
from loopctl.triage.stacks import Stack, opened_by, read_whole
from loopctl.triage.structured import fields_of, read_structured
from loopctl.triage.traceback import StackTrace

_MOST_OPEN: Final = 64

Writer = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One thing that was logged: a line, a traceback of several lines, or a structured entry.

    `entry` is what it begins in. `said` is its message, without what was put around it. `level` is
    the one that a structured entry gives itself.
    """

    entry: LogEntry
    said: str
    trace: StackTrace | None = None
    parts: tuple[Line, ...] = ()
    level: str | None = None

    @property
    def lines(self) -> tuple[Line, ...]:
        """Its lines, those of a structured entry decoded first and as captured last."""
        return self.parts or (Line(self.entry.number, self.said),)

    def kept(self) -> LogEvent:
        """The event with no more of its traceback than is shown of one that is kept for long."""
        if self.trace is None:
            return self
        return replace(self, trace=self.trace.kept(), parts=self.parts[:1])

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
    assembler = _Assembler()
    waiting = assembler.waiting
    for entry in entries:
        text = entry.text
        # Plain tests of the whole text: this is done for every line of every log.
        if (
            waiting
            or "rror" in text
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
            or _is_named(text)
        ):
            yield from assembler.take(entry)
        else:
            yield LogEvent(entry, text)
    yield from assembler.rest()


def _is_named(text: str) -> bool:
    """Whether it may name an exception that is not called one: `CardDeclined: …`."""
    name = text[: text.find(": ", 1, 48)]
    return name.isalpha() and not name.isupper() and name[0].isupper()


class _Assembler:
    """What is still open, by who writes it."""

    def __init__(self) -> None:
        self.waiting: dict[Writer, Stack] = {}

    def take(self, entry: LogEntry) -> Iterator[LogEvent]:
        """The events that are over with this entry, itself among them where it is one."""
        text = cleaned(entry.text)
        if len(text) > LONGEST_LINE:
            # What is kept of a line must not keep the whole of it.
            entry = replace(entry, text=text[:LONGEST_LINE])
        if "{" in text and (found := _structured(entry, text)):
            tag, event = found
            yield from self._end((entry.revision, entry.instance, entry.stream, tag))
            yield event
            return
        for line in lines_of(text):
            yield from self._line(entry, line)

    def rest(self) -> Iterator[LogEvent]:
        """What is open when the log ends."""
        for stack in self.waiting.values():
            yield from _ended(stack)

    def _line(self, entry: LogEntry, text: str) -> Iterator[LogEvent]:
        tag, start = transport(text)
        writer = (entry.revision, entry.instance, entry.stream, tag)
        stack = self.waiting.get(writer)
        if stack is not None and stack.confirmed and stack.takes(entry, text, start):
            return
        opened = opened_by(entry, text, start)
        if stack is not None:
            if stack.may_go_on_with(opened) and stack.takes(entry, text, start):
                return
            yield from self._end(writer)
        yield from self._outdated(entry)
        if opened is None:
            yield LogEvent(entry, text)
            return
        self.waiting[writer] = opened
        if len(self.waiting) > _MOST_OPEN:
            yield from self._end(next(iter(self.waiting)))

    def _outdated(self, entry: LogEntry) -> Iterator[LogEvent]:
        """Let go of what nothing can be added to: while any is open every line is looked at."""
        for writer, stack in list(self.waiting.items()):
            stack.passed += 1
            if stack.is_over(entry.at):
                yield from self._end(writer)

    def _end(self, writer: Writer) -> Iterator[LogEvent]:
        stack = self.waiting.pop(writer, None)
        if stack is not None:
            yield from _ended(stack)


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


def _structured(entry: LogEntry, text: str) -> tuple[str, LogEvent] | None:
    """The event that the line is where it is a JSON object, and who an agent says wrote it."""
    if text.rstrip()[-1:] != "}":
        return None
    tag, start = ("", 0) if text[0] == "{" else transport(text)
    if text[start : start + 1] != "{" or (fields := fields_of(text[start:])) is None:
        return None
    told = read_structured(fields)
    raw = Line(entry.number, text[:LONGEST_LINE], start)
    if not told.said and told.stack is None:
        return tag, LogEvent(entry, raw.body, None, (raw,), told.level)
    lines = [Line(entry.number, each[:LONGEST_LINE]) for each in told.texts]
    trace = None
    if told.stack is not None:
        stack = [Line(entry.number, line) for line in lines_of(cleaned(told.stack))]
        trace = read_whole(stack, told.kind, told.message)
        seen = {line.text for line in stack}
        lines = [*(line for line in lines if line.text not in seen), *stack]
    said = told.said or lines[0].text
    return tag, LogEvent(entry, said[:LONGEST_LINE], trace, (*lines, raw), told.level)
