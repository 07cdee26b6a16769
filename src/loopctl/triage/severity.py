"""How bad a log line says it is."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from loopctl.triage.assemble import LogEvent
from loopctl.triage.levels import is_called_bad


class Severity(IntEnum):
    """What matters of a log's levels, the worst last."""

    NORMAL = 0
    WARNING = 1
    ERROR = 2
    CRITICAL = 3


_BY_NAME: Final = {
    "WARN": Severity.WARNING,
    "WARNING": Severity.WARNING,
    "ERROR": Severity.ERROR,
    "ERR": Severity.ERROR,
    "SEVERE": Severity.ERROR,
    "CRITICAL": Severity.CRITICAL,
    "CRIT": Severity.CRITICAL,
    "FATAL": Severity.CRITICAL,
    "ALERT": Severity.CRITICAL,
    "EMERGENCY": Severity.CRITICAL,
    "EMERG": Severity.CRITICAL,
    "PANIC": Severity.CRITICAL,
    "DPANIC": Severity.CRITICAL,
}
_NAMES: Final = "|".join(sorted(_BY_NAME, key=len, reverse=True))
_LEVEL: Final = re.compile(
    rf"\b({_NAMES})\b"
    # logfmt, nginx and Apache, winston and npm: these write small
    rf"|\b(?i:level|lvl|severity)[=:] ?\"?((?i:{_NAMES}))\b"
    rf"|\[(?:[\w.-]+:)?((?i:{_NAMES}))\]|^(?:\S{{1,40}} )?((?i:{_NAMES}))[:!] "
)
_KLOG: Final = re.compile(r"([WEF])\d{4} \d\d:\d\d:\d\d\.\d+ ")
_BY_LETTER: Final = {"W": Severity.WARNING, "E": Severity.ERROR, "F": Severity.CRITICAL}
_WORDS: Final = re.compile(
    r"\b(?:[A-Za-z]*(?:Error|Exception)\b|[Ff]ailed|[Ff]atal|[Pp]anic)|[\u274c\U0001f6a8\U0001f4a5]"
)
# A level stands near the start; further on the word is part of what is told.
_HEAD: Final = 80


def severity_of(event: LogEvent) -> Severity:
    """The platform's own level, else the one in the text; a traceback is an error."""
    if event.trace is not None:
        # Node prints warnings with their stacks as well.
        warns = event.trace.innermost.type.endswith("Warning")
        return Severity.WARNING if warns else Severity.ERROR
    stated = (event.severity, event.level)
    levels = (_BY_NAME.get((level or "").upper(), Severity.NORMAL) for level in stated)
    return max(*levels, _from_text(event.said))


def _from_text(text: str) -> Severity:
    if level := _LEVEL.search(text, 0, _HEAD):
        return _BY_NAME[next(filter(None, level.groups())).upper()]
    if letter := _KLOG.match(text):
        return _BY_LETTER[letter[1]]
    bad = _WORDS.search(text[:500]) is not None or is_called_bad(text)
    return Severity.ERROR if bad else Severity.NORMAL
