"""Stacks whose frames begin with `at`: which lines belong to one. Node, Java and .NET print them.

The line that names the exception comes first and looks like any other: it is held until the next
one shows what it was.
"""

from __future__ import annotations

import re
from typing import Final

from loopctl.triage.traceback_java import JAVA_FRAME
from loopctl.triage.traceback_node import NODE_FRAME

_KIND: Final = re.compile(r"(?:Error|Exception|Throwable|Failure|Fault)\b")
_OF_NAME: Final = "".join(map(chr, [*range(48, 58), *range(65, 91), *range(97, 123)])) + "_.$"
_NAMED: Final = re.compile(
    r"(?:\[?[A-Z][\w$]*(?:\.[\w$]+)*(?: \[\w+\])?|(?:[a-z][\w$]*\.)+[\w$]+): "
)
_NODE_PLACE: Final = re.compile(r"(?:file://|node:|/|\.{0,2}/|[A-Za-z]:\\)?[^\s:]+:\d+$")
_STEP: Final = re.compile(r"\s*(?:Suppressed|Wrapped by|Caused by|caused by|\[cause\]): ")
_AFTER: Final = re.compile(r"[}\]]|Node\.js v\d|--- End of |Require stack:|- /|\.\.\. \d+ more")
_FRESH: Final = re.compile(
    r"\[?\d{4}[-/]\d\d[-/]\d\d|[{\[<]|\d+\.\d+\.\d+\.\d+|\[?\d\d:\d\d:\d\d"
    r"|\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:"
)
_MOST_HELD: Final = 8
_LONGEST_FRAME: Final = 1000


def is_frame(body: str) -> bool:
    """Whether the line is a frame of such a stack."""
    stripped = body.lstrip()
    return (
        len(body) <= _LONGEST_FRAME
        and stripped.startswith("at ")
        and bool(JAVA_FRAME.match(stripped) or NODE_FRAME.match(stripped))
    )


class AtBlock:
    """The lines of one stack, as they come in; `confirmed` once a frame was seen."""

    def __init__(self, before: str = "", confirmed: bool = False, placed: bool = False) -> None:
        self.before = before
        self.confirmed = confirmed
        self._placed = placed
        self._held = 1
        self._message = 0

    @staticmethod
    def opened_by(body: str) -> AtBlock | None:
        """A block where the line may be the first of a stack, None where it cannot."""
        if body[:1] in " \t" or body.startswith("at "):
            if is_frame(body):
                return AtBlock(confirmed=True)
            # .NET's console logger indents all that belongs to an entry.
            rest = body.lstrip()
            return AtBlock(body[: -len(rest)]) if rest and _is_head(rest) else None
        if thrown := _KIND.search(body):
            return AtBlock(body[: thrown.start()].rstrip(_OF_NAME))
        if _NAMED.match(body):
            return AtBlock()
        if body[-1:].isdigit() and _NODE_PLACE.match(body):
            return AtBlock(placed=True)
        return None

    def takes(self, body: str) -> bool:
        """Whether the line belongs to this stack, or may; it is taken then."""
        if self.confirmed:
            return self._goes_on(body)
        if is_frame(body):
            self.confirmed = True
            return True
        self._held += 1
        if self._held > _MOST_HELD:
            return False
        if not body.strip() or body[0] in " \t":
            return True
        return self._placed or not (_FRESH.match(body) or _is_head(body))

    def _goes_on(self, body: str) -> bool:
        if not body.strip():
            return True
        if _STEP.match(body):
            self._message = _MOST_HELD
            return True
        if body[0] in " \t" or is_frame(body):
            self._message = 0
            return True
        if self._message and not _FRESH.match(body):
            self._message -= 1
            return True
        return bool(_AFTER.match(body))


def _is_head(body: str) -> bool:
    """Whether the line begins with the name of something thrown."""
    kind = _KIND.search(body, 0, 200)
    return _NAMED.match(body) is not None or (
        kind is not None and not body[: kind.start()].rstrip(_OF_NAME)
    )
