"""How bad a log line says it is."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from loopctl.triage.assemble import LogEvent


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
    "CRITICAL": Severity.CRITICAL,
    "FATAL": Severity.CRITICAL,
    "ALERT": Severity.CRITICAL,
    "EMERGENCY": Severity.CRITICAL,
    "PANIC": Severity.CRITICAL,
}
_LEVEL: Final = re.compile(r"\b(" + "|".join(_BY_NAME) + r")\b")
_WORDS: Final = re.compile(r"\b(?:[A-Za-z]*(?:Error|Exception)\b|[Ff]ailed|[Ff]atal|[Pp]anic)")
# A level stands near the start; further on the word is part of what is told.
_HEAD: Final = 80


def severity_of(event: LogEvent) -> Severity:
    """The platform's own level, else the one in the text; a traceback is an error."""
    if event.trace is not None:
        return Severity.ERROR
    stated = _BY_NAME.get((event.severity or "").upper(), Severity.NORMAL)
    return max(stated, _from_text(event.lines[0].text))


def _from_text(text: str) -> Severity:
    if level := _LEVEL.search(text, 0, _HEAD):
        return _BY_NAME[level[1]]
    return Severity.ERROR if _WORDS.search(text[:500]) else Severity.NORMAL
