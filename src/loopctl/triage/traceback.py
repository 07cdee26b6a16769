"""Reads the text of a Python traceback: exceptions, frames, chains and groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MARGIN: Final = r"[ |]*"
"""What an exception group puts before the lines of its members."""

_FRAME: Final = re.compile(
    MARGIN + r'File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$'
)
_RAISED: Final = re.compile(MARGIN + r"(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$", re.ASCII)
_RULER: Final = re.compile(r"\s*\+[-+]+ \d+ -+$")
_NOT_OURS: Final = ("/site-packages/", "/dist-packages/", "/lib/python3", "<frozen ", "<string>")
_IMPORTS: Final = ("import ", "from ")


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One frame. `number` is the capture's line that names it."""

    file: str
    line: int
    function: str
    text: str
    number: int

    @property
    def in_app(self) -> bool:
        """Whether the frame is the service's own code and not a library's."""
        return not any(mark in self.file for mark in _NOT_OURS)

    @property
    def place(self) -> str:
        """`file:function` with the file's last two parts: the same in every copy of the code."""
        return f"{'/'.join(self.file.split('/')[-2:])}:{self.function}"


@dataclass(frozen=True, slots=True)
class RaisedLine:
    """One exception of a traceback. `depth` is its indent: members of a group stand further in."""

    type: str
    message: str
    number: int
    text: str
    depth: int
    frames: tuple[StackFrame, ...]


@dataclass(frozen=True, slots=True)
class StackTrace:
    """A whole traceback, its exceptions in the order printed; never empty."""

    exceptions: tuple[RaisedLine, ...]
    language: str = "python"

    @property
    def innermost(self) -> RaisedLine:
        """Where it began: of a chain the first, of a group the first of the deepest members."""
        deepest = max(raised.depth for raised in self.exceptions)
        return next(raised for raised in self.exceptions if raised.depth == deepest)

    @property
    def frame(self) -> StackFrame | None:
        """The innermost frame in the service's own code, else the innermost at all."""
        frames = self.innermost.frames
        own = [frame for frame in frames if frame.in_app] or frames
        return own[-1] if own else None

    @property
    def at_import(self) -> bool:
        """Whether it was raised while a module was being imported."""
        return any(
            frame.file.startswith("<frozen importlib")
            or (frame.function == "<module>" and frame.text.startswith(_IMPORTS))
            for raised in self.exceptions
            for frame in raised.frames
        )


def read_traceback(lines: Sequence[tuple[int, str]]) -> StackTrace | None:
    """Read numbered lines; None where no exception is named (a traceback cut short)."""
    exceptions: list[RaisedLine] = []
    frames: list[StackFrame] = []
    for index, (number, text) in enumerate(lines):
        if frame := _FRAME.match(text):
            source = _code_below(lines, index)
            frames.append(
                StackFrame(
                    frame["file"],
                    int(frame["line"]),
                    frame["function"] or "<module>",
                    source,
                    number,
                )
            )
        elif (raised := _RAISED.match(text)) and _ends(lines, index, bool(frames)):
            exceptions.append(_raised(raised, number, text, frames))
            frames = []
    return StackTrace(tuple(exceptions)) if exceptions else None


def _code_below(lines: Sequence[tuple[int, str]], index: int) -> str:
    below = lines[index + 1][1] if index + 1 < len(lines) else ""
    return "" if _FRAME.match(below) else below.strip(" |")


def _ends(lines: Sequence[tuple[int, str]], index: int, has_frames: bool) -> bool:
    """An exception stands as far out as its header; the code of a frame stands further in.

    A member of a group that was never raised has no frames, only the ruler above it.
    """
    if not has_frames:
        return index > 0 and bool(_RULER.match(lines[index - 1][1]))
    frame = next(text for _, text in reversed(lines[:index]) if _FRAME.match(text))
    return _indent(lines[index][1]) < _indent(frame)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" |"))


def _raised(
    match: re.Match[str], number: int, text: str, frames: Sequence[StackFrame]
) -> RaisedLine:
    depth = match.start("type")
    return RaisedLine(match["type"], match["message"] or "", number, text, depth, tuple(frames))
