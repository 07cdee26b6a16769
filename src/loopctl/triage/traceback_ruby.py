"""Ruby's backtraces: those that end a process, and those that Rails logs below a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loopctl.triage.lines import Line
from loopctl.triage.traceback import RaisedLine, StackFrame, StackTrace

_FRAME: Final = re.compile(
    r"\s*(?:from |\d+: from )?(?P<file>(?:<internal:[^>]+>|[^\s:]+\.(?:rb|ru|rake|erb|haml|slim)"
    r"|[^\s:]*/[^\s:]+|-e)):?(?P<line>\d{1,9}):in ['`](?P<function>.{1,300}?)'(?P<rest>.*)$"
)
# `FILE:LINE:in 'NAME': MESSAGE (TYPE)`
_ENDED: Final = re.compile(
    r"(?P<before>.{0,80}?)(?<![^\s])(?P<frame>[^\s:]+:\d{1,9}:in ['`].{1,300}?'): "
    r"(?P<message>.*?) ?\((?P<type>[A-Z]\w*(?:::[A-Z]\w*)*)\)$"
)
# `TYPE (MESSAGE):`, as Rails writes it
_LOGGED: Final = re.compile(
    r"(?P<before>.{0,80}?)(?<![\w:.])(?P<type>[A-Z]\w*(?:::[A-Z]\w*)*) \((?P<message>.*)\):\s*$"
)
_NOT_OURS: Final = re.compile(
    r"/gems/|/lib/ruby/|^<internal:|/vendor/bundle/|/rubygems/|(?:^|/)bin/[\w-]+$"
)
_MOST_HELD: Final = 4


class RubyBlock:
    """The lines of one backtrace, as they come in; `confirmed` once a frame was seen."""

    def __init__(self, before: str, confirmed: bool) -> None:
        self.before = before
        self.confirmed = confirmed
        self._held = 1

    @staticmethod
    def opened_by(body: str) -> RubyBlock | None:
        """A block where the line may be the first of a backtrace, None where it cannot."""
        if ":in " in body and body[-1:] == ")" and (found := _ENDED.match(body)):
            return RubyBlock(found["before"], confirmed=True)
        if body.rstrip()[-2:] == "):" and (found := _LOGGED.match(body)):
            return RubyBlock(found["before"], confirmed=False)
        return None

    def takes(self, body: str) -> bool:
        """Whether the line belongs to this backtrace, or may; it is taken then."""
        if ":in " in body and _FRAME.match(body) and not _ENDED.match(body):
            self.confirmed = True
            return True
        if not self.confirmed:
            # Rails leaves a line empty, and may show the template's lines.
            self._held += 1
            return self._held <= _MOST_HELD and not body.strip()
        return not body.strip()


def read_ruby(lines: Sequence[Line]) -> StackTrace:
    """Read the lines of a backtrace, what was raised first and the innermost frame after it."""
    head = lines[0]
    frames = [_frame(found, line) for line in lines[1:] if (found := _FRAME.match(line.body))]
    if (ended := _ENDED.match(head.body)) and (found := _FRAME.match(ended["frame"])):
        frames[:0] = [_frame(found, head)]
    named = ended or _LOGGED.match(head.body)
    kind, message = (named["type"], named["message"]) if named else ("Error", head.body.strip())
    raised = RaisedLine(kind, message, head.number, head.text, 0, tuple(reversed(frames)))
    return StackTrace((raised,), "ruby")


def _frame(found: re.Match[str], line: Line) -> StackFrame:
    file = found["file"]
    in_app = _NOT_OURS.search(file) is None
    return StackFrame(
        file, int(found["line"]), found["function"], "", line.number, in_app, line.text
    )
