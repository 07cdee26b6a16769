"""Every look that one secret value may take in a log, as searchable forms.

How a value is treated goes by how much hiding it can help:

- empty, a single character, a number below 1000, or an everyday word such as `true` or `dev`:
  never replaced. Anybody guesses these, and without them timestamps, exit codes and environment
  names would turn into labels. `Redactor.unprotected` names them, so that preflight can warn.
- shorter than 6 characters: replaced where letters, digits or `_` do not touch it.
- all others: replaced wherever they stand, and from every alignment of a base64 text.

White space around a value is not part of it: files end in a line feed that logs leave out.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from loopctl.redact.elided import CORE, elided
from loopctl.redact.escapes import backslash, either, html, percent, spelled, utf8

SHORT: Final = 6
"""Values of fewer characters are replaced as whole words only."""

_SHORTEST_LINE: Final = 8
_SHORTEST_WRAPPED: Final = 16
_LONGEST_CORE: Final = 32
_EVERYDAY: Final = {
    *("true", "false", "null", "none", "nil", "yes", "no", "on", "off", "ok"),
    *("dev", "test", "local", "staging", "prod", "development", "production"),
    *("debug", "info", "default", "localhost", "example"),
}
_BASE64_CHOICES: Final = {
    ord("+"): (b"+", b"-", b"%2B", b"%2b", rb"\u002b", rb"\u002B"),
    ord("/"): (b"/", b"_", b"%2F", b"%2f", rb"\/"),
}
_BASE64_END: Final = rb"(?![A-Za-z0-9+/_-])(?:=|%3[Dd]|\\u003[Dd]){0,2}"


@dataclass(frozen=True, slots=True)
class Form:
    """One look of a value.

    `core` is in every match, so data without it need not be searched; `longest` is the length of
    the longest match in bytes, with the byte that must follow it.
    """

    core: bytes
    regex: re.Pattern[bytes]
    longest: int


def is_everyday(value: str) -> bool:
    """Whether a value is too common to be hidden: the first rule above."""
    word = value.strip()
    number = word.isascii() and word.isdigit() and len(word) <= 3
    return len(word) < 2 or number or word.lower() in _EVERYDAY


def forms_of(value: str) -> tuple[Form, ...]:
    """All forms of a value, those of its lines included; none for an everyday value."""
    word = value.strip()
    if is_everyday(word):
        return ()
    whole_word = len(word) < SHORT
    texts = [word, *_long_lines(word)]
    forms = [_form(_as_text(text), text, whole_word) for text in texts]
    forms += [_form([found], found[2], whole_word) for found in _encoded(utf8(word), whole_word)]
    if (shortened := elided(word)) is not None:
        forms.append(Form(CORE, *shortened))
    return tuple(forms)


def line_prefixes(value: str) -> tuple[bytes, ...]:
    """What a text ends in when it holds the first lines of a value and more may come."""
    word = utf8(value.strip())
    if is_everyday(value):
        return ()
    texts = {word, word.replace(b"\n", b"\r\n")}
    return tuple(text[: at + 1] for text in texts for at, byte in enumerate(text) if byte == 10)


def _long_lines(word: str) -> Iterator[str]:
    lines = [line.strip() for line in word.splitlines()]
    if len(lines) > 1:
        yield from dict.fromkeys(
            line for line in lines if len(line) >= _SHORTEST_LINE and not is_everyday(line)
        )


_Spelling = tuple[bytes, int, str]
"""An expression, the length of its longest match, and the plain text in it."""


def _form(spellings: list[_Spelling], plain: str, whole_word: bool) -> Form:
    ordered = sorted(spellings, key=lambda spelling: -spelling[1])
    regex = b"|".join(dict.fromkeys(expression for expression, _, _ in ordered))
    if whole_word:
        regex = rb"(?<![A-Za-z0-9_])(?:" + regex + rb")(?![A-Za-z0-9_])"
    return Form(_core(plain), re.compile(regex), ordered[0][1] + whole_word)


def _core(plain: str) -> bytes:
    """The longest run of characters that no encoding changes."""
    runs = re.findall(r"[A-Za-z0-9]+", plain)
    return max(runs, key=len, default="")[:_LONGEST_CORE].encode()


def _as_text(text: str) -> list[_Spelling]:
    found = [(*spelled(text, family), text) for family in (percent, html, backslash)]
    literals = {utf8(text), *_system_bytes(text), *_shell_quoted(text), *_json_in_json(text)}
    literals |= {literal.replace(b"\n", b"\r\n") for literal in literals}
    return found + [(re.escape(literal), len(literal), text) for literal in literals]


def _system_bytes(text: str) -> Iterable[bytes]:
    """What the environment really held, if that was not UTF-8 (PEP 383)."""
    try:
        return [os.fsencode(text)]
    except UnicodeEncodeError:
        return []


def _shell_quoted(text: str) -> Iterable[bytes]:
    return [utf8(text.replace("'", quote)) for quote in ("'\\''", "'\"'\"'")]


def _json_in_json(text: str) -> Iterable[bytes]:
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield utf8(json.dumps(once, ensure_ascii=ascii_only)[1:-1])


def _encoded(data: bytes, whole_word: bool) -> Iterator[_Spelling]:
    for digits in {data.hex(), data.hex().upper()}:
        yield digits.encode(), len(digits), digits
    # In a short value's other alignments too little of it is left to be found safely.
    for shift in (0,) if whole_word else (0, 1, 2):
        yield _base64_at(data, shift)
    wrapped = base64.encodebytes(data).decode().split("\n")
    if len(wrapped) > 2:
        for line in wrapped:
            if len(line) >= _SHORTEST_WRAPPED:
                yield re.escape(line.encode()), len(line), line


def _base64_at(data: bytes, shift: int) -> _Spelling:
    """Data in base64 (standard, URL-safe, quoted) when `shift` bytes stand before it, modulo 3.

    Characters that hold bits of the bytes before are left out; the last one, which would hold
    bits of those after, is optional and matches only at the end of the encoded text.
    """
    encoded = base64.b64encode(bytes(shift) + data).rstrip(b"=")
    first, after = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
    choices = [_BASE64_CHOICES.get(byte, (bytes([byte]),)) for byte in encoded]
    body = b"".join(map(either, choices[first:after]))
    longest = sum(max(map(len, choice)) for choice in choices[first:])
    if len(encoded) > after:
        body += rb"(?:" + either(choices[after]) + _BASE64_END + rb")?"
        longest += 12
    return body, longest, encoded[first:after].decode()
