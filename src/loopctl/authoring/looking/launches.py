"""Commands that start a service: what Dockerfiles, Procfiles and compose files give."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from loopctl.authoring.looking.facts import Launch

_PORT_FLAGS: Final = ("--port", "-p", "--http-port", "--server.port", "-b", "--bind")
_PORT: Final = re.compile(r"(?:.*:)?(\d{2,5})")
_FIRST: Final = re.compile(r"(?:exec\s+)?(.*)", re.DOTALL)


def launch_of(words: Sequence[str], line: str | None) -> Launch | None:
    """A launch of words, or of a line for a shell; None of nothing."""
    if line is not None:
        bare = _FIRST.fullmatch(line.strip())
        text = bare[1].strip() if bare else ""
        # A line without anything for a shell in it is words, too.
        if text and not re.search(r"[$`|&;<>(){}*?\n\\]", text):
            words = split(text) or ()
        elif text:
            return Launch(line=text, port=port_in(split(text) or ()))
    words = _without_init(words)
    return Launch(words=words, port=port_in(words)) if words else None


def _without_init(words: Sequence[str]) -> tuple[str, ...]:
    """Without a first process that only starts the second one, which no local process needs."""
    rest = tuple(words)
    if rest and rest[0].rpartition("/")[2] in ("tini", "dumb-init", "catatonit"):
        rest = rest[rest.index("--") + 1 :] if "--" in rest else rest[1:]
    return rest


def split(line: str) -> tuple[str, ...] | None:
    """The words of a shell line; None where its quotes do not close."""
    try:
        return tuple(shlex.split(line))
    except ValueError:
        return None


def port_in(words: Sequence[str]) -> int | None:
    """The port that a command is told as a number."""
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in _PORT_FLAGS:
            value = value if equals else (words[at + 1] if at + 1 < len(words) else "")
        elif at and words[at - 1] == "runserver":
            value = word
        else:
            continue
        found = _PORT.fullmatch(value)
        if found and 0 < int(found[1]) < 65536:
            return int(found[1])
    return None
