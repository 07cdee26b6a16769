"""Whether a piece says by itself that something is wrong: before anyone asks what."""

from __future__ import annotations

import re
from typing import Final

from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.sayings import saying_of
from loopctl.triage.levels import is_called_bad, is_clients_doing
from loopctl.triage.regexes import Regex

_SEVERE: Final = frozenset({"ERROR", "CRITICAL", "FATAL", "ALERT", "EMERGENCY", "PANIC"})
_MILD: Final = frozenset({"DEBUG", "INFO", "NOTICE", "WARNING"})
_RAISED: Final = Regex(
    r"Traceback \(most recent call last\)|panic: |Exception in thread |[Uu]nhandled exception"
    r"|UnhandledPromiseRejection|Uncaught |^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception): "
    # Ruby, Rust, Elixir
    r"|:\d+:in ['`].{1,200}[A-Z]\w*(?:Error|Exception)\)|panicked at |^\*\* \([A-Z][\w.]*\) "
)
# It says itself what was done in place of it, or that it was to be so.
_TAKEN_BACK: Final = Regex(
    r"(?i)\b(?:fall(?:s|ing)? back (?:to|on)|fell back (?:to|on)|using \S+ instead|expected\)"
    r"|\(expected\b|as expected\b)"
)
_HEAD: Final = 80
# A warning is not among them: what is lost is lost, whatever level it is told at.
_TOLD_MILD: Final = re.compile(
    # PostgreSQL's LOG is its level of what is said for the record
    r"\b(?i:TRACE|DEBUG|INFO|NOTICE|VERBOSE)\b|\bLOG: |^npm (?:warn|WARN) deprecated\b"
)
_DOUBTFUL: Final = Regex(
    r"(?i)\b(?:stopped|disabled|dropped|mismatch|undefined symbol|does not|do not|did not|refused"
    r"|denied|timed out|unable|cannot|can't|could not|couldn't|giving up|gave up|abort(?:ed|ing)?"
    r"|corrupt(?:ed)?|lost|unexpected|violation|conflicts?|rejected|unreachable|killed|crash(?:ed)?"
    r"|exceeded|too (?:many|large|long|old)|no such|differs?|inconsistent|stuck|deadlock)\b"
    r"|(?-i:\b[A-Z]\w*(?:Error|Exception): )"
)


def is_trouble(piece: Piece) -> bool:
    """Whether it is an error by its level, an exception that nobody calls mild, a failed request,
    or the platform's own word for it.
    """
    if piece.request is not None and piece.request.status is not None:
        # A request that was refused is one only where the platform has a word for it.
        return piece.request.status >= 500 or bool(piece.request.status == 429 and piece.text)
    if (piece.severity or "") in _SEVERE:
        return True
    text = piece.text
    if not text:
        return False
    if saying_of(text) is not None:
        return True
    if (piece.severity or "") in _MILD:
        return False
    if is_called_bad(text):
        return not is_clients_doing(text)
    return _RAISED.search(text) is not None and _TAKEN_BACK.search(text) is None


def is_called_mild(severity: str | None, text: str) -> bool:
    """Whether a line says of itself that it is nothing bad."""
    return (severity or "") in _MILD or _TOLD_MILD.search(text, 0, _HEAD) is not None


def is_doubtful(piece: Piece) -> bool:
    """Whether the words of a line that has no level are those in which bad news are told."""
    text = piece.text
    if piece.severity is not None or piece.trouble or piece.request is not None or not text:
        return False
    if _DOUBTFUL.search(text[:500]) is None or _TOLD_MILD.search(text, 0, _HEAD):
        return False
    return _TAKEN_BACK.search(text) is None and not is_clients_doing(text)
