"""What `.dockerignore` keeps out of a build, by the rules of the engine's own client.

The rules are those of moby/patternmatcher (`MatchesOrParentMatches`) and its `ignorefile`. An
engine that is sent a tar applies none of them: what is not to be in an image must not be sent.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

_Matches = Callable[[str], bool]
_WILD: Final = re.compile(r"[*?\[\]\\]")


class BadPatternError(ValueError):
    """A pattern that the engine's client would refuse."""


@dataclass(frozen=True, slots=True)
class _Rule:
    matches: _Matches
    readmits: bool


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """Patterns in their order; the last one that matches a path, or a folder above it, wins."""

    rules: tuple[_Rule, ...]
    _folders: dict[str, tuple[bool, ...]] = field(default_factory=dict, compare=False)

    @staticmethod
    def of(text: str) -> IgnoreRules:
        """The rules of a `.dockerignore`. Raises `BadPatternError`, naming the line."""
        rules = []
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
            if not line.startswith("#") and (pattern := _cleaned(line)):
                try:
                    rules.append(_rule(pattern))
                except (re.error, BadPatternError) as error:
                    raise BadPatternError(f"line {number}: {line.strip()!r}: {error}") from None
        return IgnoreRules(tuple(rules))

    def ignores(self, path: str) -> bool:
        """Whether a path, relative to the context's root, is kept out."""
        above = self._above(posixpath.dirname(path))
        ignored = False
        for rule, inherited in zip(self.rules, above, strict=True):
            if rule.readmits is ignored and (inherited or rule.matches(path)):
                ignored = not rule.readmits
        return ignored

    def _above(self, folder: str) -> tuple[bool, ...]:
        """For each rule, whether it matches this folder or one above it."""
        if not folder:
            return (False,) * len(self.rules)
        known = self._folders.get(folder)
        if known is None:
            above = self._above(posixpath.dirname(folder))
            known = tuple(
                inherited or rule.matches(folder)
                for rule, inherited in zip(self.rules, above, strict=True)
            )
            self._folders[folder] = known
        return known


def kept(rules: IgnoreRules, paths: Iterable[str]) -> Sequence[str]:
    """The paths that the rules let through."""
    return [path for path in paths if not rules.ignores(path)]


def glob_regex(pattern: str) -> re.Pattern[str]:
    """A pattern of Go's `filepath.Match`: `*`, `?` and `[…]` within one name, `\\` escapes.

    Raises `BadPatternError`.
    """
    return re.compile(f"(?s:{''.join(_pieces(pattern, deep=False))})\\Z")


def _cleaned(line: str) -> str:
    pattern = line.strip()
    readmits = pattern.startswith("!")
    if readmits:
        pattern = pattern[1:].strip()
    if pattern:
        # Two slashes in front mean something to POSIX, and nothing to Go.
        pattern = posixpath.normpath("/" + pattern if pattern.startswith("/") else pattern)
        pattern = pattern.lstrip("/") or "/"
    return ("!" if readmits else "") + pattern


def _rule(pattern: str) -> _Rule:
    readmits = pattern.startswith("!")
    if readmits:
        pattern = posixpath.normpath(pattern[1:]) if pattern[1:] else ""
        if not pattern:
            raise BadPatternError("an exclamation mark and nothing behind it")
    glob_regex(pattern)
    return _Rule(_matcher(pattern), readmits)


def _matcher(pattern: str) -> _Matches:
    """Go decides by the form: plain text, `text**`, `**text`, and only else by an expression."""
    if not _WILD.search(pattern):
        return pattern.__eq__
    head, tail = pattern[:-2], pattern[2:]
    if pattern.endswith("**") and not _WILD.search(head):
        return lambda path: path.startswith(head)
    if pattern.startswith("**") and not _WILD.search(tail):
        return lambda path: path.endswith(tail) or (tail[:1] == "/" and path == tail[1:])
    return re.compile(f"(?s:{''.join(_pieces(pattern, deep=True))})\\Z").match  # type: ignore[return-value]


def _pieces(pattern: str, *, deep: bool) -> Iterable[str]:
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and deep and pattern.startswith("*", at):
            at += 1
            at += pattern.startswith("/", at)
            yield "(?:.*/)?" if at < len(pattern) else ".*"
        elif char == "*":
            yield "[^/]*"
        elif char == "?":
            yield "[^/]"
        elif char == "[":
            end, klass = _class(pattern, at)
            at = end
            yield klass
        elif char == "\\":
            if at == len(pattern):
                raise BadPatternError("a backslash at its end")
            yield re.escape(pattern[at])
            at += 1
        else:
            yield re.escape(char)


def _class(pattern: str, at: int) -> tuple[int, str]:
    """A character class from behind its `[`: where it ends, and the same for Python."""
    negated = pattern.startswith("^", at)
    at += negated
    inside = []
    while True:
        low, at = _member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _member(pattern, at + 1)
        inside.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
        if pattern.startswith("]", at):
            break
    members = "".join(inside)
    if not members:
        return at + 1, "[^/]" if negated else "(?!)"
    return at + 1, f"(?!/)[{'^' if negated else ''}{members}]"


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith("\\", at):
        at += 1
    elif pattern[at : at + 1] in ("-", "]"):
        raise BadPatternError("a character class that is not well formed")
    if at >= len(pattern):
        raise BadPatternError("a character class without an end")
    return pattern[at], at + 1
