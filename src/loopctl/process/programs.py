"""Which programs a shell line would look for and not find, told without running it."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import Final

# What a shell does itself, or what only opens a longer form that is not followed here.
_OWN: Final = frozenset(
    {"cd", "export", "set", "unset", "exec", "eval", "echo", "printf", "test", "[", "true", "false"}
    | {":", ".", "source", "umask", "ulimit", "trap", "wait", "exit", "read", "command", "type"}
    | {"if", "for", "while", "until", "case", "time", "!", "local", "alias", "shift", "return"}
)
# Behind these a missing program may be just what the line reckons with.
_NOT_PLAIN: Final = re.compile(r"\|\||[;`()\n]|(?:^|\s)[{}](?:\s|$)")
_ASSIGNED: Final = re.compile(r"([A-Za-z_]\w*)=.*", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.+-]*")


def missing_programs(line: str, path: str | None = None) -> tuple[str, ...]:
    """The programs of a line that are not on `path`, PATH unless given; none where it is not plain.

    Whatever is named with a slash, or found by a PATH that the line sets itself, is passed over.
    """
    if _NOT_PLAIN.search(line):
        return ()
    missing: dict[str, None] = {}
    for part in re.split(r"&&|\|", line):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            return ()
        while words and (assigned := _ASSIGNED.fullmatch(words[0])):
            if assigned[1] == "PATH":
                return ()
            words = words[1:]
        if words[:1] == ["exec"]:
            words = words[1:]
        first = words[0] if words else ""
        plain = _NAME.fullmatch(first) is not None and first not in _OWN
        if plain and shutil.which(first, path=path) is None:
            missing[first] = None
    return tuple(missing)
