"""A suite's shell line with what it refers to filled in, quoted as the shell wants it there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from loopctl.model.references import REFERENCE, Endpoint
from loopctl.suites.suite_environment import filled

JUNIT = "{junit}"
SHELL = "sh"

_PLACE = re.compile(re.escape(JUNIT) + "|" + REFERENCE.pattern)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
# Words that stand first and are no program.
_OF_THE_SHELL = frozenset({
    "!", "(", "{", ".", ":", "[", "cd", "case", "command", "eval", "exec", "export", "for", "if",
    "set", "test", "trap", "ulimit", "umask", "until", "while", "time", "true",
})  # fmt: skip


def shell_line(run: str, endpoints: Mapping[str, Endpoint], junit: str, where: str) -> str:
    """`run` with the path of the report and the addresses in it.

    Each value stays one word whether it stands in quotes there or not. Raises `SuiteError` for a
    service that has no address.
    """
    parts: list[str] = []
    quoting = _Quoting()
    at = 0
    for match in _PLACE.finditer(run):
        before = run[at : match.start()]
        quoting.read(before)
        value = junit if match[0] == JUNIT else filled(match[0], endpoints, where)
        parts += (before, quoting.quoted(value))
        at = match.end()
    return "".join([*parts, run[at:]])


def program_of(run: str) -> str:
    """The name of the program that the line starts, as far as its first word tells; else `sh`."""
    try:
        words = shlex.split(run, comments=True)
    except ValueError:
        return SHELL
    first = next((word for word in words if not _ASSIGNMENT.match(word)), SHELL)
    name = first.rpartition("/")[2]
    return SHELL if not name or first in _OF_THE_SHELL or first.startswith(("(", "$")) else name


class _Quoting:
    """Which quotes are open at a place in a shell line.

    Each entry of the stack is what ends it: a quote, a backtick, or the bracket of `$(…)` and
    `(…)`, within which quotes begin anew. Here-documents are not followed.
    """

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._before = " "

    def read(self, text: str) -> None:
        """Go on through a piece of the line."""
        for char in text:
            self._step(char)

    def quoted(self, value: str) -> str:
        """The value as one word, or as a part of the one that is open here."""
        self._before = "x"
        match self._inner:
            case '"':
                return re.sub(r'([\\"$`])', r"\\\1", value)
            case "'":
                return value.replace("'", "'\"'\"'")
            case _:
                return shlex.quote(value)

    @property
    def _inner(self) -> str:
        return self._stack[-1] if self._stack else ""

    def _step(self, char: str) -> None:
        inner, before = self._inner, self._before
        self._before = char
        if inner in ("'", "\n"):
            if char == inner:
                self._stack.pop()
        elif before == "\\":
            self._before = "x"
        elif char == inner:
            self._stack.pop()
        elif char == "(" and (before == "$" or inner != '"'):
            self._stack.append(")")
        elif char in '"`' or (char == "'" and inner != '"'):
            self._stack.append(char)
        elif char == "#" and inner != '"' and before in " \t\n;&|(":
            self._stack.append("\n")
