"""Values that somebody shortened before we saw them: the beginning, three dots, the end.

pytest does that: its `saferepr` keeps both ends of a long value in an assertion (up to 118
characters each, in `_pytest/_io/saferepr.py`), its short summary the beginning of a message.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from loopctl.redact.escapes import utf8

SHORTEST: Final = 9
"""Values of fewer characters lose too little to be told from other text."""

_LONGEST_END: Final = 120
_BOTH_ENDS: Final = 3
_ONE_END: Final = 6
_DOTS: Final = rb"\.\.\."
CORE: Final = b"..."


def elided(word: str) -> tuple[re.Pattern[bytes], int] | None:
    """An expression for what is left of a value, and the length of its longest match.

    It matches both ends when each has 3 characters or more, a single one from 6 on.
    """
    if len(word) < SHORTEST:
        return None
    looks = dict.fromkeys((word, repr(word)[1:-1], json.dumps(word)[1:-1]))
    regex = b"|".join(expression for look in looks for expression in _expressions(look))
    return re.compile(regex), 2 * _LONGEST_END * 4 + len(CORE)


def _expressions(look: str) -> Iterator[bytes]:
    yield _beginning(look, _BOTH_ENDS) + _DOTS + _end(look, _BOTH_ENDS)
    yield _beginning(look, _ONE_END) + _DOTS
    yield _DOTS + _end(look, _ONE_END)


def _beginning(look: str, least: int) -> bytes:
    return _any_of(look, least, lambda count: look[:count])


def _end(look: str, least: int) -> bytes:
    return _any_of(look, least, lambda count: look[-count:])


def _any_of(look: str, least: int, part: Callable[[int], str]) -> bytes:
    """The part of each length, the longest first."""
    most = min(len(look), _LONGEST_END)
    parts = (re.escape(utf8(part(count))) for count in range(most, least - 1, -1))
    return b"(?:" + b"|".join(parts) + b")"
