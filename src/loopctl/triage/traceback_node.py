"""Node's stacks: thrown and logged ones, causes, aggregates, and what node prints as it dies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loopctl.triage.lines import Line
from loopctl.triage.traceback import RaisedLine, StackFrame, StackTrace

NODE_FRAME: Final = re.compile(
    r"at (?:async )?(?:(?P<function>(?:new )?[^()]{1,300}?(?: \[as [^\]]+\])?) \()?"
    r"(?P<file>(?:file://|node:|https?://|webpack[^:]*://)?[^()]{1,300}?)"
    r"(?::(?P<line>\d{1,9}):\d+|(?<=<anonymous>)|(?<=native)|(?<=index \d))\)?(?:,|,? \{)?$"
)
_CAUSE: Final = re.compile(r"(?P<indent>\s*)(?:\[cause\]: |Caused by: |caused by: )(?P<rest>.*)")
_THROWN: Final = re.compile(
    r"(?<![\w$.])(?P<type>[\w$.]{0,100}?(?:Error|Exception|Warning|Failure))(?: \[[\w.-]+\])?"
    r"(?:: (?P<message>.*?)|:)?\]?(?: \{)?$"
)
_NAMED: Final = re.compile(r"(?<![\w$.])(?P<type>[A-Z][\w$]*)(?: \[[\w.-]+\])?: (?P<message>.*)$")
_MEMBER: Final = re.compile(r"(?P<indent>\s{4,})(?P<rest>[A-Z][\w$]*(?: \[\w+\])?: .*)$")
_PLACE: Final = re.compile(r"(?P<file>\S+):(?P<line>\d{1,9})$")
_NOT_OURS: Final = re.compile(
    r"/node_modules/|/\.yarn/|^(?:node:|internal/|<anonymous>|native|index \d)|^\w+\.js$"
)


def read_node(lines: Sequence[Line]) -> StackTrace | None:
    """Read the lines of a stack, its header among the first; None where nothing is named."""
    exceptions: list[RaisedLine] = []
    head, depth, frames = _head(lines), 0, list[StackFrame]()
    for line in lines:
        body = line.body
        stripped = body.lstrip()
        if stripped.startswith("at ") and (found := NODE_FRAME.match(stripped)):
            frames.append(_frame(found, line))
        elif frames and (below := _below(body, depth)):
            exceptions.append(_raised(head, depth, frames))
            (depth, rest), frames = below, []
            head = (line, rest)
    if not any(frame.in_app for frame in frames):
        frames[:0] = _placed(lines[0])
    exceptions.append(_raised(head, depth, frames))
    return StackTrace(tuple(exceptions), "node")


def _placed(line: Line) -> list[StackFrame]:
    """The place that node prints above an error of syntax: no frame leads to it."""
    found = _PLACE.match(line.body)
    if found is None or _NOT_OURS.search(found["file"]):
        return []
    file = found["file"].removeprefix("file://")
    return [StackFrame(file, int(found["line"]), "<module>", "", line.number, quote=line.text)]


def _head(lines: Sequence[Line]) -> tuple[Line, str]:
    """The line that names the exception, and where on it that begins."""
    before: list[Line] = []
    for line in lines:
        if line.body.lstrip().startswith("at ") and NODE_FRAME.match(line.body.lstrip()):
            break
        before.append(line)
    for line in before:
        if _THROWN.search(line.body):
            return line, line.body
    named = next((line for line in before if _NAMED.match(line.body)), (before or lines)[0])
    return named, named.body


def _below(body: str, depth: int) -> tuple[int, str] | None:
    """The depth and the text of a cause or of a member of an aggregate."""
    if cause := _CAUSE.match(body):
        return depth + 1, cause["rest"]
    if member := _MEMBER.match(body):
        return max(1, len(member["indent"]) // 4), member["rest"]
    return None


def _raised(head: tuple[Line, str], depth: int, frames: Sequence[StackFrame]) -> RaisedLine:
    line, text = head
    found = _THROWN.search(text) or _NAMED.search(text)
    kind, message = (found["type"], found["message"] or "") if found else ("Error", text.strip())
    return RaisedLine(kind, message, line.number, line.text, depth, tuple(reversed(frames)))


def _frame(found: re.Match[str], line: Line) -> StackFrame:
    file = found["file"].removeprefix("file://").removeprefix("async ")
    function = (found["function"] or "<anonymous>").removeprefix("async ")
    in_app = _NOT_OURS.search(file) is None
    return StackFrame(file, int(found["line"] or 0), function, "", line.number, in_app, line.text)
