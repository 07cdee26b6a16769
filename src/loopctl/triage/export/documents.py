"""Cuts a log's text into what it is made of: JSON objects, or lines of text. One pass.

The form is told by the content: an array, as `gcloud logging read --format=json` prints it, or
lines, of which some may be objects of one or of several lines. What is broken is passed over, and
said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from loopctl.triage.export.tables import csv_objects, is_csv, is_yaml, yaml_objects

_ARRAY: Final = re.compile(r"\s*\[\s*(?:\{|\]|\Z)")
_WRAPPED: Final = re.compile(
    r"\s*\{[^\[\]{}]{0,400}"
    r'"(?:entries|logs|events|items|results|records|data|messages|logEntries)"\s*:\s*(?=\[)'
    r'|\s*\{[^\[\]]{0,1000}"hits"\s*:\s*\{[^\[\]]{0,1000}"hits"\s*:\s*(?=\[)'
)
_NEXT: Final = re.compile(r"\n[ \t]{0,4}\{")
_BETWEEN: Final = re.compile(r"[ \t\r\n,]*")
_DECODER: Final = json.JSONDecoder(strict=False)
_LONGEST_LINE: Final = 1_048_576
_LARGEST_ENTRY: Final = 64 * 1_048_576
_MOST_LINES_OF_ONE: Final = 500_000

_ENOUGH: Final = 4096

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One object or one line of text. `number` is the 1-based entry or line it stands in."""

    number: int
    content: Object | str


@dataclass(slots=True)
class Documents:
    """The items of a log. `is_array` and `gaps` are known once all were taken."""

    chunks: Iterable[str]
    is_array: bool = False
    gaps: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Item]:
        chunks = iter(self.chunks)
        head = ""
        for chunk in chunks:
            head += chunk
            if len(head.lstrip()) >= _ENOUGH:
                break
        if found := _ARRAY.match(head):
            self.is_array = True
            yield from self._array(head[head.index("[", found.start()) + 1 :], chunks)
        elif found := _WRAPPED.match(head):
            yield from self._array(head[found.end() + 1 :], chunks)
        elif is_yaml(head):
            yield from _numbered(yaml_objects(_split(head, chunks), self.gaps))
        elif is_csv(head):
            yield from _numbered(csv_objects(_split(head, chunks), self.gaps))
        else:
            yield from self._lines(head, chunks)

    def _array(self, head: str, chunks: Iterator[str]) -> Iterator[Item]:
        window = _Window(head, chunks)
        number = 0
        while window.has_next():
            number += 1
            while (value := window.decoded()) is None:
                if window.grow():
                    continue
                if not window.resume():
                    self.gaps.append(f"it breaks off in entry {number}")
                    return
                self.gaps.append(f"entry {number} is no JSON")
                number += 1
            if isinstance(value, (dict, str)):
                yield Item(number, value)
        if not window.is_closed:
            self.gaps.append(f"it breaks off after entry {number}: the array has no end")

    def _lines(self, head: str, chunks: Iterator[str]) -> Iterator[Item]:
        opened: list[str] = []
        began = 0
        for number, line in enumerate(_split(head, chunks), 1):
            if opened:
                opened.append(line)
                if line[:1] in ("}", "]") or len(opened) > _MOST_LINES_OF_ONE:
                    yield from _joined(opened, began)
                    opened = []
            elif line.rstrip() == "{":
                opened, began = [line], number
            else:
                yield Item(number, _object(line) or line)
        if opened:
            self.gaps.append(f"it breaks off in the object that begins in line {began}")
            yield from _as_text(opened, began)


@dataclass(slots=True)
class _Window:
    """The part of an array that is being read."""

    text: str
    chunks: Iterator[str]
    at: int = 0
    is_closed: bool = False

    def has_next(self) -> bool:
        """Whether another element begins: go to it."""
        while True:
            match = _BETWEEN.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                self.is_closed = self.text[self.at] == "]"
                return not self.is_closed
            more = next(self.chunks, None)
            if more is None:
                return False
            self.text, self.at = more, 0

    def decoded(self) -> object | None:
        """The element; None where it is not whole, or no JSON."""
        try:
            value, end = _DECODER.raw_decode(self.text, self.at)
        except (ValueError, RecursionError):
            return None
        # A number may go on in the next piece; an entry ends in a brace.
        self.at = end
        return value if value is not None else ""

    def grow(self) -> bool:
        """Read on until there is about twice as much; whether there was more to read."""
        rest = self.text[self.at :]
        if len(rest) > _LARGEST_ENTRY:
            return False
        parts, wanted = [rest], max(1, len(rest))
        for chunk in self.chunks:
            parts.append(chunk)
            wanted -= len(chunk)
            if wanted <= 0:
                break
        self.text, self.at = "".join(parts), 0
        return len(parts) > 1

    def resume(self) -> bool:
        """Go to the next element that begins on a line of its own; whether there is one."""
        found = _NEXT.search(self.text, self.at + 1)
        if found is not None:
            self.at = found.end() - 1
        return found is not None


def _numbered(objects: Iterable[Object]) -> Iterator[Item]:
    return (Item(number, value) for number, value in enumerate(objects, 1))


def _split(head: str, chunks: Iterator[str]) -> Iterator[str]:
    """Lines without their ends; a very long one is cut, and its rest passed over."""
    rest = head
    cut = False
    while True:
        *whole, rest = rest.split("\n")
        for line in whole:
            if not cut:
                yield line[:_LONGEST_LINE].removesuffix("\r")
            cut = False
        if len(rest) > _LONGEST_LINE:
            if not cut:
                yield rest[:_LONGEST_LINE]
            rest, cut = "", True
        more = next(chunks, None)
        if more is None:
            break
        rest += more
    if rest and not cut:
        yield rest.removesuffix("\r")


def _object(line: str) -> Object | None:
    text = line.strip()
    if not text.startswith("{") or not text.endswith("}"):
        return None
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _joined(lines: list[str], began: int) -> Iterator[Item]:
    value = _object("\n".join(lines).rstrip().removesuffix(","))
    if value is not None:
        yield Item(began, value)
    else:
        yield from _as_text(lines, began)


def _as_text(lines: list[str], began: int) -> Iterator[Item]:
    for number, line in enumerate(lines, began):
        yield Item(number, line)
