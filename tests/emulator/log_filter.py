"""A filter of the Logging query language, ready to be asked about entries."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from google.protobuf.message import Message

from emulator.log_filter_fields import Cells, Field, every_cell
from emulator.log_filter_functions import Predicate, cells, predicate
from emulator.log_filter_grammar import (
    And,
    Anywhere,
    Apply,
    Compare,
    Node,
    Not,
    Or,
    Path,
    Present,
    Value,
    parse,
)
from emulator.log_filter_kinds import STRING, FieldKind, instant
from emulator.log_filter_tokens import FilterError

FOREVER = 1 << 63
"""Later than every timestamp, in nanoseconds."""

_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    ":": operator.eq,
}
# What Python's `re` takes and RE2 does not.
_NOT_RE2 = re.compile(r"\(\?(?:[=!]|<[=!]|\(|P=|>)|(?<!\\)(?:\\\\)*\\[1-9]|[*+?}]\+")
# An escape, a class or an end: RE2's `$` is the end of the text alone, Python's also the place
# before a last newline, and RE2 writes \Z as \z.
_END = re.compile(r"\\.|\[\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)
_UNREAD = object()


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries are asked for."""

    matches: Predicate
    earliest: int
    """No entry before this instant matches, in nanoseconds since the epoch."""
    latest: int
    """… and none after this one."""


@lru_cache(maxsize=256)
def log_filter(source: str) -> LogFilter:
    """Read a filter; an empty one matches everything.

    Raises FilterError, whose text is what the service answers.
    """
    tree = parse(source)
    matches = _compiled(tree)
    earliest, latest = _bounds(tree)
    return LogFilter(matches, earliest, latest)


def _bounds(tree: Node) -> tuple[int, int]:
    """What the terms that must all hold say of the timestamp."""
    earliest, latest = -FOREVER, FOREVER
    for term in tree.terms if isinstance(tree, And) else (tree,):
        if isinstance(term, And):
            low, high = _bounds(term)
        else:
            low, high = _bound(term)
        earliest, latest = max(earliest, low), min(latest, high)
    return earliest, latest


def _bound(term: Node) -> tuple[int, int]:
    everything = (-FOREVER, FOREVER)
    match term:
        case Compare(field=Path(segments=(name,)), operator=sign, value=Value(text=text)):
            at = instant(text) if name.lower() == "timestamp" else None
        case _:
            return everything
    if at is None:
        return everything
    return {
        ">": (at + 1, FOREVER),
        ">=": (at, FOREVER),
        "<": (-FOREVER, at - 1),
        "<=": (-FOREVER, at),
        "=": (at, at),
    }.get(sign, everything)


def _compiled(node: Node) -> Predicate:
    match node:
        case And(terms=terms):
            return _all([_compiled(term) for term in terms])
        case Or(terms=terms):
            return _any([_compiled(term) for term in terms])
        case Not(term=term):
            inner = _compiled(term)
            return lambda entry: not inner(entry)
        case Anywhere(value=value):
            return _has(every_cell, value)
        case Apply():
            return predicate(node)
        case Compare():
            return _compared(node)


def _all(parts: list[Predicate]) -> Predicate:
    def holds(entry: Message) -> bool:
        for part in parts:  # noqa: SIM110 (called for every entry: twice as fast as all())
            if not part(entry):
                return False
        return True

    return holds


def _any(parts: list[Predicate]) -> Predicate:
    def holds(entry: Message) -> bool:
        for part in parts:  # noqa: SIM110 (as above)
            if part(entry):
                return True
        return False

    return holds


def _compared(node: Compare) -> Predicate:
    match node:
        case Compare(field=Path() as path, value=Present()):
            return Field(path).present
        case Compare(field=Apply() as call, value=Present()):
            there = cells(call)
            return lambda entry: next(iter(there(entry)), None) is not None
        case Compare(field=field, operator=sign, value=Value() as value):
            values = Field(field).cells if isinstance(field, Path) else cells(field)
            if sign in ("=~", "!~"):
                return _searched(values, value, found=sign == "=~")
            return _has(values, value) if sign == ":" else _tested(values, value, _TESTS[sign])
        case _:
            raise AssertionError(node)


def _converted(value: Value) -> Callable[[FieldKind], Any]:
    """A filter's value as each type that it meets, made once."""
    known: dict[FieldKind, Any] = {}

    def convert(kind: FieldKind) -> Any:
        wanted = known.get(kind, _UNREAD)
        if wanted is _UNREAD:
            wanted = known[kind] = kind.convert(value)
        return wanted

    return convert


def _tested(values: Cells, value: Value, test: Callable[[Any, Any], bool]) -> Predicate:
    convert = _converted(value)

    def holds(entry: Message) -> bool:
        for kind, found in values(entry):
            wanted = convert(kind)
            if wanted is not None and test(kind.key(found), wanted):
                return True
        return False

    return holds


def _has(values: Cells, value: Value) -> Predicate:
    """The operator `:`; a part of a text, or an equal value of another type."""
    convert = _converted(value)

    def holds(entry: Message) -> bool:
        for kind, found in values(entry):
            wanted = convert(kind)
            if wanted is None:
                continue
            if kind is STRING:
                if wanted in STRING.key(found):
                    return True
            elif found == wanted:
                return True
        return False

    return holds


def _searched(values: Cells, value: Value, *, found: bool) -> Predicate:
    pattern = _pattern(value.text)

    def holds(entry: Message) -> bool:
        for kind, text in values(entry):
            if kind is STRING and (pattern.search(text) is not None) is found:
                return True
        return False

    return holds


def _pattern(source: str) -> re.Pattern[str]:
    """A regular expression as RE2 understands it. Raises FilterError."""
    foreign = _NOT_RE2.search(source)
    if foreign:
        raise FilterError(
            f"Unparseable filter: regex '{source}': invalid perl operator '{foreign.group()}'"
        )
    try:
        return re.compile(_END.sub(_end, source), re.ASCII)
    except re.error as error:
        raise FilterError(f"Unparseable filter: regex '{source}': {error}") from None


def _end(match: re.Match[str]) -> str:
    text = match.group()
    multiline = "(?m" in match.string or "(?im" in match.string or "(?sm" in match.string
    return r"\Z" if text == r"\z" or (text == "$" and not multiline) else text
