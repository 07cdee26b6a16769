"""Python's tracebacks: chains, groups, errors of syntax, and what faulthandler writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loopctl.triage.lines import Line
from loopctl.triage.traceback import RaisedLine, StackFrame, StackTrace

_MARGIN: Final = r"[ |]*"  # what an exception group puts before the lines of its members
_HEADER: Final = re.compile(
    r"(?P<before>.*?)(?P<group>\+ Exception Group )?Traceback \(most recent call last\):\s*$"
)
_SYNTAX_FILE: Final = re.compile(r'\s*File "[^"]+", line \d+$')
_CHAIN: Final = re.compile(
    _MARGIN + r"(?:During handling of the above exception, another exception occurred:"
    r"|The above exception was the direct cause of the following exception:)\s*$"
)
_FRAME: Final = re.compile(
    _MARGIN + r'File "(?P<file>[^"]+)", line (?P<line>\d{1,9})(?:,? in (?P<function>.+))?$'
)
_RAISED: Final = re.compile(
    _MARGIN + r"(?P<type>[A-Za-z_][\w.]*(?:<locals>[\w.]*)?)(?:: (?P<message>.*)|:)?$", re.ASCII
)
_LEVEL: Final = re.compile(r"(?:DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE)\b")
_RULER: Final = re.compile(r"\s*\+[-+]+ (?:\d+|\.\.\.) -+$")
_AFTERWORD: Final = re.compile(
    r'"""|\'\'\'|\[SQL: |\[parameters: |\(Background on this error at|DETAIL: |HINT: |LINE \d+: '
)
_THREAD: Final = re.compile(r"(?:Current t|T)hread 0x[0-9a-f]+.*\(most recent call first\):")
_NOT_OURS: Final = ("/site-packages/", "/dist-packages/", "/lib/python", "<frozen ", "<string>")
_SYNTAX_ERRORS: Final = ("SyntaxError", "IndentationError", "TabError")
_VALIDATION: Final = re.compile(r"\d+ validation errors? for ")
_MOST_FIELDS: Final = 60


class PythonBlock:
    """The lines of one traceback, as they come in."""

    def __init__(self, before: str, fatal: bool, syntax: bool) -> None:
        self.before = before
        self.confirmed = not syntax
        self._fatal = fatal
        self._group = False
        self._raised = False
        self._chained = False
        self._fields = 0

    @staticmethod
    def opened_by(body: str) -> PythonBlock | None:
        """A block where the line is a header, None where it is none."""
        if "Traceback (most" in body and (header := _HEADER.match(body)):
            block = PythonBlock(header["before"], fatal=False, syntax=False)
            block._group = bool(header["group"])
            return block
        if body.startswith("Fatal Python error: "):
            return PythonBlock("", fatal=True, syntax=False)
        if 'File "' in body and _SYNTAX_FILE.match(body):
            return PythonBlock("", fatal=False, syntax=True)
        return None

    def takes(self, body: str) -> bool:
        """Whether the line belongs to this traceback; it is taken then."""
        if not body.strip() or body[0] in " \t":
            return True
        if self._fatal:
            return bool(_THREAD.match(body)) or body.startswith("Extension modules: ")
        if self._group:
            # Every line of an exception group is indented: this one is of something else.
            return False
        if "Traceback (most" in body and _HEADER.match(body):
            taken, self._raised, self._chained = self._chained, False, False
            return taken
        if _CHAIN.match(body):
            self._chained = True
            return self._raised
        return self._after(body) if self._raised else self._raises(body)

    def _raises(self, body: str) -> bool:
        found = _RAISED.match(body)
        if found is None or _LEVEL.match(body):
            return False
        if not self.confirmed and found["type"] not in _SYNTAX_ERRORS:
            return False
        self.confirmed = self._raised = True
        self._fields = _MOST_FIELDS if _VALIDATION.match(found["message"] or "") else 0
        return True

    def _after(self, body: str) -> bool:
        """What still belongs to an exception whose line was seen."""
        self._chained = False
        if (
            self._fields
            and not _LEVEL.match(body)
            and not body[0].isdigit()
            and body[0] not in "[{"
        ):
            self._fields -= 1
            return True
        return bool(_AFTERWORD.match(body))


def read_python(lines: Sequence[Line]) -> StackTrace | None:
    """Read the lines of a traceback; None where no exception is named (it was cut short)."""
    if lines[0].body.startswith("Fatal Python error: "):
        return _read_fatal(lines)
    exceptions: list[RaisedLine] = []
    frames: list[StackFrame] = []
    edge = 0
    bodies = [line.body for line in lines]
    for index, line in enumerate(lines):
        body = bodies[index]
        if 'File "' in body and (frame := _FRAME.match(body)):
            frames.append(_frame(frame, line, _code_below(bodies, index)))
            edge = _indent(body)
        elif (raised := _RAISED.match(body)) and _ends(bodies, index, edge if frames else None):
            exceptions.append(
                RaisedLine(
                    raised["type"],
                    raised["message"] or "",
                    line.number,
                    line.text,
                    raised.start("type"),
                    tuple(frames),
                )
            )
            frames = []
    return StackTrace(tuple(exceptions)) if exceptions else None


def _read_fatal(lines: Sequence[Line]) -> StackTrace:
    """Of the thread that was running, printed first; faulthandler prints the innermost first."""
    head = lines[0]
    frames: list[StackFrame] = []
    for line in lines[1:]:
        if found := _FRAME.match(line.body):
            frames.append(_frame(found, line, ""))
        elif frames:
            break
    _, _, message = head.body.partition(": ")
    raised = RaisedLine(
        "Fatal Python error", message, head.number, head.text, 0, tuple(reversed(frames))
    )
    return StackTrace((raised,))


def _frame(found: re.Match[str], line: Line, code: str) -> StackFrame:
    file = found["file"]
    in_app = not any(mark in file for mark in _NOT_OURS)
    function = found["function"] or "<module>"
    return StackFrame(file, int(found["line"]), function, code, line.number, in_app, line.text)


def _code_below(bodies: Sequence[str], index: int) -> str:
    below = bodies[index + 1] if index + 1 < len(bodies) else ""
    return "" if _FRAME.match(below) else below.strip(" |")


def _ends(bodies: Sequence[str], index: int, edge: int | None) -> bool:
    """An exception stands as far out as its header; the code of a frame stands further in.

    A member of a group that was never raised has no frames, only the ruler above it.
    """
    if edge is None:
        return index > 0 and bool(
            _RULER.match(bodies[index - 1]) or _HEADER.match(bodies[index - 1])
        )
    return _indent(bodies[index]) < edge


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" |"))
