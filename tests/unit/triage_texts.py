"""Logs as programs write them, for tests of what they are assembled into."""

from __future__ import annotations

from triage_fixtures import entries

from loopctl.triage.assemble import LogEvent, assemble
from loopctl.triage.traceback import StackTrace


def events_of(text: str) -> list[LogEvent]:
    """The events of a text, one entry a line."""
    return list(assemble(entries(text.strip("\n").split("\n"))))


def trace_of(text: str) -> StackTrace:
    """The traceback that the text is, the whole of it."""
    (event,) = events_of(text)
    assert event.trace is not None
    return event.trace


def types_of(trace: StackTrace) -> list[str]:
    """What was thrown, in the order printed."""
    return [raised.type for raised in trace.exceptions]
