"""What carries a log puts something before every line of it: which, is told by a sample.

Only what stands before nearly all lines is taken off, and so before those of a traceback as well; a
time that the program wrote itself stays in its text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_ALL: Final = 0.9
_DAY: Final = r"\d{4}[-/]\d\d[-/]\d\d"
_CLOCK: Final = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[ ]?[+-]\d\d:?\d\d)?"
_LEVEL: Final = (
    r"(?P<level>DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|CRITICAL|FATAL|TRACE|DEFAULT|ALERT)"
)
_NAMED: Final = rf"\[?{_LEVEL}\]?:? +\[(?P<service>[A-Za-z][\w.-]{{0,62}})\] "
_CARRIED: Final = re.compile(rf"{_DAY}T{_CLOCK} ")

# From the outermost to the innermost; the first of each group that fits is taken.
_FORMS: Final = (
    (re.compile(r"(?P<service>[A-Za-z0-9][\w.-]{0,80}?)(?:[-_]\d+)?[ \t]*\| ?"),),
    (re.compile(r"\[pod/(?P<instance>[^/\]\s]{1,253})/(?P<service>[^\]\s]{1,253})\] ?"),),
    (
        re.compile(rf"{_DAY}T{_CLOCK} (?P<stream>stdout|stderr) [FP] "),
        re.compile(rf"{_DAY}T{_CLOCK} (?P<service>app|heroku)\[(?P<instance>[\w.-]{{1,60}})\]: ?"),
        re.compile(
            rf"(?:[A-Z][a-z]{{2}} [ \d]\d {_CLOCK}|{_DAY}T{_CLOCK}) (?P<instance>[\w.-]{{1,64}}) "
            r"(?P<service>[\w./-]{1,64})(?:\[\d+\])?: ?"
        ),
        re.compile(rf"\[?{_DAY}[T ]{_CLOCK}\]? +{_NAMED}"),
        re.compile(rf"\[?{_DAY}[T ]{_CLOCK}\]? "),
    ),
    (re.compile(_NAMED),),
)


@dataclass(frozen=True, slots=True)
class Carried:
    """A line without what carried it, and what that said; empty where it said nothing."""

    text: str
    service: str = ""
    instance: str = ""
    stream: str = ""
    level: str = ""


class Prefixes:
    """What stands before the lines that the sample is of."""

    def __init__(self, sample: Sequence[str]) -> None:
        self._taken: list[re.Pattern[str]] = []
        lines = [line for line in sample if line.strip()]
        for group in _FORMS:
            for regex in group:
                rest = _without(regex, lines)
                if rest is not None and _is_carried(regex, rest, lines):
                    self._taken.append(regex)
                    lines = rest
                    break

    def off(self, line: str) -> Carried:
        """The line without them."""
        if not self._taken:
            return Carried(line)
        found: dict[str, str] = {}
        for regex in self._taken:
            if (match := regex.match(line)) is not None:
                found.update({name: value for name, value in match.groupdict().items() if value})
                line = line[match.end() :]
        return Carried(line, **found)


def _without(regex: re.Pattern[str], lines: Sequence[str]) -> list[str] | None:
    """The lines without the prefix; None where too few have it."""
    matches = [regex.match(line) for line in lines]
    if len(lines) < 2 or sum(map(bool, matches)) < _ALL * len(lines):
        return None
    return [line[m.end() :] if m else line for line, m in zip(lines, matches, strict=True)]


def _is_carried(regex: re.Pattern[str], rest: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether the prefix is no part of what the program wrote.

    A level with a name, and a time that a program may write too, is one only where it stands
    before lines that go on with another.
    """
    if "level" in regex.groupindex or not regex.groupindex:
        goes_on = any(line[:1] in " \t" or line.startswith("Traceback (most") for line in rest)
        stamped = not regex.groupindex and all(map(_CARRIED.match, lines[:50]))
        return goes_on or stamped
    return True
