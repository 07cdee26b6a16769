"""Regular expressions that a catalogue may hold: what re2 matches in linear time and little memory.

re2 never backtracks, so no pattern and no text can make it run away; what it cannot promise that
for, look-around and back-references, it does not know. Its classes (`\\w`, `\\d`, `\\b`) are ASCII.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, cast

import re2

_LONGEST: Final = 1000
_MEMORY: Final = 1 << 19
"""Bytes that one pattern may take, its program and what it remembers of states together."""
_SET_MEMORY: Final = 1 << 26
_LARGEST: Final = 10_000
"""Instructions of a program: bounded repeats are written out, `.{0,300}` takes 2400."""
_PROBE: Final = "\x00loopctl\x00"
_LONGEST_REMEMBERED: Final = 200
_MOST_REMEMBERED: Final = 2000
_REASONS: Final = (
    ("invalid perl operator: (?=", "look-around cannot be matched in linear time"),
    ("invalid perl operator: (?!", "look-around cannot be matched in linear time"),
    ("invalid perl operator: (?<=", "look-around cannot be matched in linear time"),
    ("invalid perl operator: (?<!", "look-around cannot be matched in linear time"),
    ("invalid perl operator: (?P", "a back-reference cannot be matched in linear time"),
    ("invalid perl operator: (?(", "a conditional group cannot be matched in linear time"),
    ("invalid perl operator: (?>", "an atomic group is needless here: nothing backtracks"),
    ("bad repetition operator: ", "a possessive or doubled repeat is not a repeat of re2"),
    ("invalid repetition size", "a repeat of more than 1000: write `*` or `+`, they cost less"),
    ("pattern too large", "needs too much memory: write `*` or `+` for bounded repeats"),
)


class Regex:
    """A pattern made ready. Any text may be searched; lone surrogates count as `?`."""

    __slots__ = ("_compiled", "names")

    def __init__(self, pattern: str) -> None:
        self._compiled = _compile(pattern)
        self.names = frozenset(cast("Mapping[str, int]", self._compiled.groupindex))

    def search(self, text: str) -> Mapping[str, str | None] | None:
        """What the first match captured by name, None without a match."""
        try:
            match = self._compiled.search(text)
        except UnicodeEncodeError:
            match = self._compiled.search(_plain(text))
        return None if match is None else cast("Mapping[str, str | None]", match.groupdict())


class RegexSet:
    """Patterns that are all looked for in one pass over a line."""

    __slots__ = ("_remembered", "_sets")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._sets = _sets(tuple(enumerate(patterns)))
        self._remembered: dict[str, Sequence[int]] = {}

    def among(self, text: str) -> Sequence[int]:
        """The indices of the patterns that match somewhere in the text, in no order."""
        found: Sequence[int] = ()
        for match, indices in self._sets:
            try:
                hit = match(text)
            except UnicodeEncodeError:
                hit = match(_plain(text))
            if hit:
                # The probe is a pattern too, the last of each set.
                found = [*found, *(indices[at] for at in hit if at < len(indices))]
        return found

    def among_recurring(self, text: str) -> Sequence[int]:
        """The same of a line that may well come again: a traceback is the same frames each time."""
        if len(text) > _LONGEST_REMEMBERED:
            return self.among(text)
        found = self._remembered.get(text)
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[text] = self.among(text)
        return found


@cache
def compiled(pattern: str) -> Regex:
    """The pattern made ready; raises ValueError where it is none that `problem_with` lets pass."""
    try:
        return Regex(pattern)
    except re2.error as error:
        raise ValueError(_reason(error)) from error


@cache
def problem_with(pattern: str) -> str | None:
    """Why a catalogue may not hold this pattern, None where it may."""
    if len(pattern) > _LONGEST:
        return f"longer than {_LONGEST} characters"
    try:
        regex = _compile(pattern)
    except UnicodeEncodeError:
        return "not a regular expression: it holds half a character, a lone surrogate"
    except re2.error as error:
        return _reason(error)
    if regex.programsize > _LARGEST:
        return "needs too much memory: write `*` or `+` for bounded repeats"
    if regex.search("") is not None:
        return "matches an empty text, and so every line"
    return None


def _options(memory: int) -> Any:
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    return options


def _compile(pattern: str) -> Any:
    return re2.compile(pattern, _options(_MEMORY))


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    for known, reason in _REASONS:
        if text.startswith(known):
            return reason
    if text.startswith("invalid escape sequence: \\") and text[-1:].isdigit():
        return "a back-reference cannot be matched in linear time"
    return f"not a regular expression of re2: {text}"


@lru_cache(maxsize=64)
def _sets(patterns: tuple[tuple[int, str], ...]) -> list[tuple[Any, list[int]]]:
    """One set, or several where one would not find room: it would then match nothing, silently.

    Compiled once in a process: a watch looks with the same catalogue over and over.
    """
    if not patterns:
        return []
    try:
        made = re2.Set.SearchSet(_options(_SET_MEMORY))
        for _, pattern in patterns:
            made.Add(pattern)
        made.Add(_PROBE)
        made.Compile()
        if made.Match(_PROBE) or len(patterns) == 1:
            return [(made.Match, [index for index, _ in patterns])]
    except re2.error:
        if len(patterns) == 1:
            raise
    half = len(patterns) // 2
    return [*_sets(patterns[:half]), *_sets(patterns[half:])]


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
