"""What was thrown, in any language: exceptions with their frames, in chains and groups."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}-\d{5}-[a-z0-9]{3}")
_IMPORTS: Final = ("import ", "from ")
_LOADERS: Final = {
    "node": ("Object.<anonymous>", "<module>"),
    "java": ("<clinit>",),
    "go": ("main.init", "init"),
    "ruby": ("<main>", "<top (required)>"),
}


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One frame. `number` is the capture's line that names it, `quote` that line.

    `in_app`: it is the service's own code and not a library's. `text` is the code, where it is
    shown.
    """

    file: str
    line: int
    function: str
    text: str
    number: int
    in_app: bool = True
    quote: str = ""

    @property
    def place(self) -> str:
        """`file:function` with the file's last two parts: the same in every copy of the code.

        A folder that is named as a revision holds such a copy, and is no part of it.
        """
        *above, name = self.file.replace("\\", "/").split("/")
        folder = [part for part in above[-1:] if not _REVISION.fullmatch(part)]
        return f"{'/'.join([*folder, name])}:{self.function}"


@dataclass(frozen=True, slots=True)
class RaisedLine:
    """One exception of a traceback, its frames the innermost last.

    `depth` grows towards where it began: members of a group and causes that are printed after what
    they caused stand further in.
    """

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
        own = self.own_frames or self.innermost.frames
        return own[-1] if own else None

    @property
    def own_frames(self) -> tuple[StackFrame, ...]:
        """The frames in the service's own code, innermost last: those of the innermost exception.

        Java leaves out what a cause shares with the exception around it: then it is that one's.
        """
        nearest = sorted(self.exceptions, key=lambda raised: -raised.depth)
        every = (tuple(f for f in raised.frames if f.in_app) for raised in nearest)
        return next((own for own in every if own), ())

    def kept(self) -> StackTrace:
        """Where it began, and the frame that counts: what is shown of a traceback."""
        frames = () if self.frame is None else (self.frame,)
        return StackTrace((replace(self.innermost, frames=frames),), self.language)

    @property
    def at_import(self) -> bool:
        """Whether it was raised while a module was being imported or a class set up."""
        frames = [frame for raised in self.exceptions for frame in raised.frames]
        if self.language == "python":
            return any(map(_imports, frames))
        loaders = _LOADERS.get(self.language, ())
        return any(frame.in_app and frame.function in loaders for frame in frames)


def _imports(frame: StackFrame) -> bool:
    by_code = frame.function == "<module>" and frame.text.startswith(_IMPORTS)
    return by_code or frame.file.startswith("<frozen importlib")
