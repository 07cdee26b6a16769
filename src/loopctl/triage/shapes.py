"""Shapes of log lines: what is left of a line when its digits, and its random ids, are not told.

Most lines of a log are of a few hundred shapes. What holds for every line of a shape is found out
once and looked up from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

import re2

Span = tuple[int, int]

_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_HEX_DIGITS: Final = "0123456789abcdefABCDEF"
# Only ids that nothing else can be read from: what stands around one ends a word and a token.
# It begins with its first digit and looks back from there: ten times as fast as looking back first.
_ID: Final = re.compile(
    rb"[0-9a-fA-F](?<![^\s\"'=/(].)"
    rb"(?:[0-9a-fA-F]{7}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{7,})"
    rb"(?![^\s\"',;)\]}&])",
    re.DOTALL,
)
_HEXES_TO_ZERO: Final = bytes.maketrans(_HEX_DIGITS.encode(), b"0" * len(_HEX_DIGITS))
_DIGITS: Final = re.compile(rb"\d+")
_PART: Final = re.compile(
    r"(?P<as_is>\(\?P?<\w+>|\(\?[a-zA-Z-]*[:)]|\((?!\?)|[)|^$*+?]|\{\d+(?:,\d*)?\}|\\[bBAz])"
    r"|(?P<one>\\[dDsSwWntrfv]|\\[^a-zA-Z0-9]|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|[^\\(\[])",
    re.DOTALL,
)


def written_of(text: str) -> bytes:
    """The text in UTF-8; half a character counts as `?`, as it does for a regex."""
    return text.encode("utf-8", "replace")


def shape_of(written: bytes) -> bytes:
    """The line with every digit a zero. Of the same length, so places in it stay what they are."""
    return written.translate(_ZEROS)


def without_ids(shape: bytes) -> bytes:
    """The shape with its uuids and long hexadecimal numbers zeros too."""
    return _ID.sub(_zeroed, shape)


def _zeroed(found: re.Match[bytes]) -> bytes:
    # A word of these letters alone is a word.
    return found[0] if found[0].isalpha() else found[0].translate(_HEXES_TO_ZERO)


def digits_at(spans: Iterable[Span], written: bytes) -> bytes:
    """What a line has where the spans are."""
    return b" ".join([written[start:end] for start, end in spans])


def with_digits(shape: bytes, written: bytes, spans: Iterable[Span]) -> str:
    """The shape, with a line's own digits where the spans are."""
    told = bytearray(shape)
    for start, end in spans:
        told[start:end] = written[start:end]
    return told.decode()


def numbers_in(shape: bytes, line: bytes) -> list[Span]:
    """Where the line has digits that are no part of an id."""
    ids = {at for found in _ID.finditer(line) for at in range(*found.span())}
    return [found.span() for found in _DIGITS.finditer(shape) if found.start() not in ids]


@cache
def pattern_of_shapes(pattern: str) -> str | None:
    """A pattern that matches the shape of whatever this one matches, None if it cannot be told.

    Each character of a line stays or becomes a zero, and a zero ends a word just where a digit or a
    letter did. So it is enough that whatever takes one such character takes a zero as well.
    """
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        found = _PART.match(pattern, at)
        if found is None:
            return None
        at = found.end()
        parts.append(found[0] if found["as_is"] else _or_zero(found[0]))
    return "".join(parts)


@cache
def _or_zero(one: str) -> str:
    takes = re2.compile(f"(?i:{one})")
    if takes.fullmatch("0") or not any(takes.fullmatch(digit) for digit in _HEX_DIGITS):
        return one
    return f"(?:{one}|0)"
