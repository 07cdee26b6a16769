"""Stacks of any language that are still being written: one line after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from loopctl.model.logs import LogEntry
from loopctl.triage.lines import Line
from loopctl.triage.traceback import StackTrace
from loopctl.triage.traceback_at import AtBlock, is_frame
from loopctl.triage.traceback_go import GoBlock, read_go
from loopctl.triage.traceback_java import JAVA_FRAME, read_java
from loopctl.triage.traceback_node import NODE_FRAME, read_node
from loopctl.triage.traceback_python import PythonBlock, read_python
from loopctl.triage.traceback_ruby import RubyBlock, read_ruby

Block = PythonBlock | GoBlock | RubyBlock | AtBlock

_GAP: Final = timedelta(seconds=2)
_MOST_LINES: Final = 1000
_MOST_PASSED: Final = 200
_VARIES: Final = re.compile(
    r"\\?\d{4}(?:\\?-|/)\d\d(?:\\?-|/)\d\d|\d\d:\d\d:\d\d(?:[.,]\d+)?|\d{9,}(?:\\?\.\d+)?"
)


class Stack:
    """A traceback that may not be over, or a line that may be the first of one."""

    def __init__(self, entry: LogEntry, text: str, start: int, block: Block) -> None:
        self.entry = entry
        self.lines = [Line(entry.number, text, start + len(block.before))]
        self.pieces = [(entry, text)]
        self.passed = 0
        self._last = entry.at
        self._block = block
        self._prefix = _prefix_of(block.before)

    @property
    def confirmed(self) -> bool:
        """Whether it is a stack for sure."""
        return self._block.confirmed

    def is_over(self, at: datetime) -> bool:
        """Whether so much time passed, or so many lines, that nothing will follow."""
        return abs(at - self._last) > _GAP or self.passed > _MOST_PASSED

    def may_go_on_with(self, opened: Stack | None) -> bool:
        """Whether the line that would open this other stack may belong to this one."""
        if self.confirmed or opened is None or isinstance(opened._block, AtBlock):
            return not self.confirmed
        return isinstance(self._block, GoBlock) and isinstance(opened._block, GoBlock)

    def takes(self, entry: LogEntry, text: str, start: int) -> bool:
        """Take the line where it belongs to this stack; says whether it did."""
        if abs(entry.at - self._last) > _GAP or len(self.lines) >= _MOST_LINES:
            return False
        if self._prefix is not None:
            start = self._past_prefix(text, start)
        if not self._block.takes(text[start:]):
            return False
        self._last = entry.at
        self.lines.append(Line(entry.number, text, start))
        self.pieces.append((entry, text))
        return True

    def _past_prefix(self, text: str, start: int) -> int:
        """Where the line begins after what stood before the header, if it stands here too."""
        assert self._prefix is not None
        found = self._prefix.match(text, start)
        return found.end() if found else start

    def read(self) -> StackTrace | None:
        """What was thrown; None where it was cut short before that was said."""
        return read_stack(self.lines, self._block)


def opened_by(entry: LogEntry, text: str, start: int) -> Stack | None:
    """A stack where the line is, or may be, the first of one."""
    body = text[start:]
    block = _block_of(body)
    return None if block is None else Stack(entry, text, start, block)


def _block_of(body: str) -> Block | None:
    own = PythonBlock.opened_by(body) or GoBlock.opened_by(body) or RubyBlock.opened_by(body)
    return own or AtBlock.opened_by(body)


def read_whole(lines: Sequence[Line], kind: str | None, message: str | None) -> StackTrace | None:
    """What a stack that stands by itself says; `kind` and `message` are used where it does not."""
    block: Block | None = None
    first = 0
    for first, line in enumerate(lines):  # noqa: B007 - where it begins
        block = _block_of(line.body)
        if block is not None:
            break
    if block is None:
        return _bare_go(lines, kind or "error", message or "")
    trace = read_stack(lines[first:], block)
    return trace if block.confirmed or any(is_frame(line.body) for line in lines) else None


def _bare_go(lines: Sequence[Line], kind: str, message: str) -> StackTrace | None:
    """Go's loggers write the frames alone."""
    raised = read_go(lines).innermost
    if not raised.frames:
        return None
    return StackTrace((replace(raised, type=kind, message=message),), "go")


def read_stack(lines: Sequence[Line], block: Block) -> StackTrace | None:
    """What these lines say was thrown."""
    match block:
        case PythonBlock():
            return read_python(lines)
        case GoBlock():
            return read_go(lines)
        case RubyBlock():
            return read_ruby(lines)
        case AtBlock():
            return read_java(lines) if _is_java(lines) else read_node(lines)


def _is_java(lines: Sequence[Line]) -> bool:
    """By the first frame: both begin with `at`."""
    for line in lines:
        stripped = line.body.lstrip()
        if stripped.startswith("at "):
            if JAVA_FRAME.match(stripped) and not re.search(r":\d+:\d+\)?$", stripped):
                return "<anonymous>)" not in stripped
            if NODE_FRAME.match(stripped):
                return False
    return False


def _prefix_of(before: str) -> re.Pattern[str] | None:
    """What a logger may put before every line: as before the header, at another time."""
    if not before.strip():
        return None
    escaped = _VARIES.sub("@", before.rstrip()).replace("\\", "\\\\")
    pattern = re.escape(escaped).replace("@", r"[\d:./,T-]+")
    return re.compile(pattern + " ?")
