"""Which bad lines of a log went over: a later attempt went well, or their tests passed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from loopctl.triage.export.pieces import Piece
from loopctl.triage.templates import mask_message

_TRIES: Final = re.compile(
    r"(?i)\b(?:retry(?:ing)?|retries|re-?connect\w*|try(?:ing)? again|attempt \d|will (?:re)?try"
    r"|waiting for|not (?:yet )?(?:ready|available|up)|back-?off)\b"
)
_UNREACHED: Final = re.compile(
    r"(?i)refused|timed out|timeout|reset by peer|unreachable|unavailable|not (?:yet )?ready"
    r"|could not connect|cannot connect|can't connect|failed to connect|Operational"
    r"|name (?:or service not known|resolution)|connection"
)
_WELL: Final = re.compile(
    r"(?i)\b(?:connected to|re-?connected|connection (?:\S+ )?(?:re-?)?(?:established|restored|ok)"
    r"|recovered|succeeded|successful(?:ly)?|is (?:now )?(?:ready|available|up|healthy|reachable)"
    r"|application startup complete|ready to accept connections|attempt \d+ (?:succeeded|ok))\b"
)
_PASSED: Final = re.compile(
    r"^ok  ?\t? *\S+\s+(?:[\d.]+s|\(cached\))|^PASS$|^Tests:\s+(?:.*\s)?[1-9]\d* passed\b"
    r"|^\s*[1-9]\d* passing\b|\btest result: ok\b|^OK \([1-9]\d* tests?|^BUILD SUCCESS"
    r"|^\s+[1-9]\d* passed \([\d.]+ ?m?s\)$"
)
_TRACEBACK: Final = "Traceback (most recent call last)"
_NEAR: Final = 40


def taken_back(pieces: Sequence[Piece]) -> frozenset[int]:
    """The numbers of the bad pieces of one log that what came later shows to be over."""
    bad = [index for index, piece in enumerate(pieces) if piece.trouble or piece.doubtful]
    if not bad:
        return frozenset()
    return frozenset(pieces[index].number for index in {*_tests(pieces, bad), *_tried(pieces, bad)})


def _tests(pieces: Sequence[Piece], bad: Sequence[int]) -> Iterator[int]:
    """What tests printed that passed, all of them: `levels` calls each that failed bad itself."""
    passed = [i for i, piece in enumerate(pieces) if _PASSED.search(piece.text)]
    if passed and not any(_is_an_end(pieces[index].text) for index in bad):
        yield from (index for index in bad if index < passed[-1])


def _is_an_end(text: str) -> bool:
    return re.search(r"##\[error\]|exit code|[Ff]ail(?:ed|ing|ures?)\b|\bFAIL", text) is not None


def _tried(pieces: Sequence[Piece], bad: Sequence[int]) -> Iterator[int]:
    """What was tried again, and went well after the last time that it failed."""
    last_well = next((i for i in range(len(pieces) - 1, -1, -1) if _is_well(pieces[i])), -1)
    last: dict[str, int] = {}
    for index in bad:
        last[mask_message(pieces[index].text)] = index
    for index in bad:
        text = pieces[index].text
        if last[mask_message(text)] < last_well and _is_tried(pieces, index):
            yield index


def _is_well(piece: Piece) -> bool:
    return not (piece.trouble or piece.doubtful) and _WELL.search(piece.text) is not None


def _is_tried(pieces: Sequence[Piece], index: int) -> bool:
    """Whether it is about something that was not there yet, and is said to be tried again."""
    near = pieces[index : index + _NEAR]
    if _TRACEBACK in pieces[index].text:
        near_bad = (each for each in near[1:] if each.trouble)
        text = next((each.text for each in near_bad if _TRACEBACK not in each.text), "")
    else:
        text = pieces[index].text
    again = any(_TRIES.search(each.text) for each in _same(near))
    return again and _UNREACHED.search(text) is not None


def _same(pieces: Iterable[Piece]) -> Iterator[Piece]:
    return (piece for piece in pieces if piece.text)
