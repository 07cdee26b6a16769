"""The words of a filter in the Logging query language, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

OPERATORS = frozenset({"=", "!=", ">", "<", ">=", "<=", ":", "=~", "!~"})

_SPACE = re.compile(r"(?:\s+|--[^\n]*)+")
_SIGN = re.compile(r"=~|!~|!=|>=|<=|[=<>:(),*+-]")
# A minus inside a word is part of it (`my-service`, `1e-3`); at its start it is a NOT.
_WORD = re.compile(r"""[^\s"'=!<>:(),*~.+-][^\s"'=!<>:(),*~.]*""")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL
)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}


class FilterError(Exception):
    """A filter that Cloud Logging would refuse; the text names the line, column and word."""


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    """A value or a field's path: words and quoted strings joined by periods."""
    SIGN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a filter."""

    kind: Kind
    text: str
    """As written, for a sign and in messages."""
    start: int
    end: int
    segments: tuple[str, ...] = ()
    """A word's parts between its periods, quotes and escapes undone."""
    quoted: bool = False
    """Whether any part stood in quotes: then it is never a keyword nor a number's sign."""

    @property
    def value(self) -> str:
        """The word as a value: its parts joined again."""
        return ".".join(self.segments)

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of these signs."""
        return self.kind is Kind.SIGN and self.text in signs

    def is_keyword(self, *words: str) -> bool:
        """Whether it is one of AND, OR, NOT: upper case, unquoted."""
        return self.kind is Kind.WORD and not self.quoted and self.text in words


def syntax_error(source: str, at: int, token: str) -> FilterError:
    """The service's own words for a filter that cannot be read."""
    line = source.count("\n", 0, at) + 1
    column = at - (source.rfind("\n", 0, at) + 1) + 1
    return FilterError(
        f"Unparseable filter: syntax error at line {line}, column {column}, token '{token}'"
    )


def tokens(source: str) -> Iterator[Token]:
    """Every token of a filter, in order, the last of kind END.

    Raises FilterError.
    """
    at = 0
    while True:
        space = _SPACE.match(source, at)
        at = space.end() if space else at
        if at >= len(source):
            yield Token(Kind.END, "<EOF>", at, at)
            return
        token = _next(source, at)
        yield token
        at = token.end


def _next(source: str, at: int) -> Token:
    sign = _SIGN.match(source, at)
    if sign:
        return Token(Kind.SIGN, sign.group(), at, sign.end())
    return _word(source, at)


def _word(source: str, start: int) -> Token:
    segments: list[str] = []
    at, quoted = start, False
    while True:
        string, word = _QUOTED.match(source, at), _WORD.match(source, at)
        # The parts after the first may begin with a minus: `labels.-x`, `1.-5` do not occur,
        # and an empty part is no name.
        if string:
            segments.append(_unescaped(string.group(1)))
            at, quoted = string.end(), True
        elif word:
            segments.append(word.group())
            at = word.end()
        else:
            raise syntax_error(source, at, source[at : at + 1] or "<EOF>")
        if source[at : at + 1] != ".":
            return Token(Kind.WORD, source[start:at], start, at, tuple(segments), quoted)
        at += 1


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_escape, text) if "\\" in text else text


def _escape(match: re.Match[str]) -> str:
    short, long, byte, octal, letter = match.groups()
    if letter is None:
        return chr(int(octal, 8) if octal else int(short or long or byte, 16))
    # An escape that is none (`\d`) stays whole: regular expressions are written so.
    return _LETTERS.get(letter, f"\\{letter}")
