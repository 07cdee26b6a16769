"""What a loop file is made of once it is read: maps, lists and scalars that know their places."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from loopctl.loopfile.marks import Mark

# Longer whole numbers stay text: no key of a loop file wants one, and ids are often all digits.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
}


class WrittenInt(int):
    """A whole number that still knows how it was written."""

    text: str = ""


class WrittenFloat(float):
    """A number with a point that still knows how it was written."""

    text: str = ""


Typed: TypeAlias = str | int | float | bool | None


def typed(text: str) -> Typed:
    """The value of a plain scalar: null, true, false, a decimal number, else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        whole = WrittenInt(text)
        whole.text = text
        return whole
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        number = WrittenFloat(text)
        number.text = text
        return number
    return text


class Origin(Enum):
    """Where the text of a scalar comes from. An UNRESOLVED one has no value anyone may judge."""

    WRITTEN = auto()
    FILLED = auto()
    REFERENCE = auto()
    UNRESOLVED = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One value. `plain` ones are typed; `end` is the line and column just behind it.

    `origin` FILLED has variables in it, REFERENCE is wholly one and therefore typed again.
    """

    mark: Mark
    end: tuple[int, int]
    text: str
    plain: bool
    origin: Origin = Origin.WRITTEN

    size = 1
    height = 0

    @property
    def value(self) -> Typed:
        """The typed value."""
        return typed(self.text) if self.plain else self.text

    @property
    def is_null(self) -> bool:
        """Whether it is a null that somebody wrote or a variable gave."""
        return self.origin is not Origin.UNRESOLVED and self.value is None


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A list. `size` counts nodes after aliases, `height` the levels below it."""

    mark: Mark
    items: tuple[Node, ...]
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One key of a map, with the place of the key."""

    key: str
    mark: Mark
    value: Node


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A map. `size` and `height` as for a list."""

    mark: Mark
    entries: Mapping[str, Entry]
    size: int = 1
    height: int = 1

    def get(self, *keys: str) -> Node | None:
        """The node below these keys; None when there is none or it is null."""
        node: Node | None = self
        for key in keys:
            entry = node.entries.get(key) if isinstance(node, Table) else None
            node = entry.value if entry else None
        return None if isinstance(node, Scalar) and node.is_null else node

    def table(self, *keys: str) -> Table:
        """The map below these keys; an empty one where there is none."""
        node = self.get(*keys)
        return node if isinstance(node, Table) else Table(self.mark, {})

    def items(self, *keys: str) -> tuple[Node, ...]:
        """The items of the list below these keys; none where there is no list."""
        node = self.get(*keys)
        return node.items if isinstance(node, Sequence) else ()

    def scalar(self, *keys: str) -> Scalar | None:
        """The scalar below these keys if it is one whose value is known."""
        node = self.get(*keys)
        known = isinstance(node, Scalar) and node.origin is not Origin.UNRESOLVED
        return node if known and isinstance(node, Scalar) else None

    def text(self, *keys: str) -> str | None:
        """The text of that scalar."""
        scalar = self.scalar(*keys)
        return scalar.text if scalar else None

    def named(self) -> Iterator[Entry]:
        """The entries but for the free ones, whose keys start with `x-`."""
        return (entry for key, entry in self.entries.items() if not is_free(key))


Node: TypeAlias = Scalar | Sequence | Table


def is_free(key: str) -> bool:
    """Whether a key is the author's own, to be passed over."""
    return key.startswith("x-")


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar at or below a node, keys not counted."""
    match node:
        case Scalar():
            yield node
        case Sequence():
            for item in node.items:
                yield from scalars(item)
        case Table():
            for entry in node.entries.values():
                yield from scalars(entry.value)


def plain(node: Node, as_text: frozenset[int] = frozenset()) -> object:
    """The node as plain values; scalars whose `id` is in `as_text` are not typed."""
    match node:
        case Scalar():
            return node.text if id(node) in as_text else node.value
        case Sequence():
            return [plain(item, as_text) for item in node.items]
        case Table():
            return {key: plain(entry.value, as_text) for key, entry in node.entries.items()}


def merged(under: Node, over: Node) -> Node:
    """`over` laid over `under`: maps merge key by key, anything else is replaced."""
    if not (isinstance(under, Table) and isinstance(over, Table)):
        return over
    entries = dict(under.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        value = merged(below.value, entry.value) if below else entry.value
        entries[key] = Entry(key, entry.mark, value)
    return Table(over.mark, entries)
