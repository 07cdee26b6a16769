"""A place in a file, and how such a place is shown to a person."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

_BEFORE, _WIDTH = 78, 120
_MASK = "***"
_NEAR_AMONG = 300


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file that was read. `lines` have no line ends; `digest` is `sha256:…` of its bytes."""

    path: Path
    lines: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1, in characters."""

    source: Source
    line: int
    column: int

    @property
    def folder(self) -> Path:
        """What relative paths written here are relative to."""
        return self.source.path.parent

    def __str__(self) -> str:
        return f"{shown_path(self.source.path)}:{self.line}:{self.column}"


def inert(text: str) -> str:
    """`text` with everything that a terminal would act on made visible."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def quoted(text: str, width: int = 60) -> str:
    """`text` in double quotes, inert, and cut to about `width` characters."""
    cut = text if len(text) <= width else text[: width - 1] + "…"
    return f'"{inert(cut)}"'


def near(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest of the known names, or None when none is near."""
    matches = get_close_matches(name[:100], list(islice(known, _NEAR_AMONG)), n=1, cutoff=0.6)
    return f"did you mean {quoted(matches[0])}?" if matches else None


def shown_path(path: Path) -> str:
    """A path as a person wants it: relative to the working directory where that is shorter."""
    try:
        cwd = Path.cwd()
    except FileNotFoundError:
        return inert(str(path))
    return inert(str(path.relative_to(cwd) if path.is_relative_to(cwd) else path))


def excerpt(line: str, column: int, masked: Sequence[tuple[int, int]] = ()) -> str:
    """The line and, below it, a caret at `column`, cut to about 120 columns.

    `masked` are half-open ranges of columns, counted from 1, that must not be shown.
    """
    first = max(1, column - _BEFORE)
    shown = [_shown(line, at, masked) for at in range(first, min(len(line), column + _WIDTH) + 1)]
    before = "".join(shown[: column - first])
    after = "".join(shown[column - first :])
    if first > 1 or len(before) > _BEFORE:
        before = "…" + before[-(_BEFORE - 1) :]
    room = _WIDTH - len(before)
    if len(after) > room:
        after = after[: room - 1] + "…"
    return f"{before}{after}\n{' ' * _columns(before)}^"


def _shown(line: str, column: int, masked: Sequence[tuple[int, int]]) -> str:
    for start, end in masked:
        if start <= column < end:
            return _MASK if column == start else ""
    return inert(line[column - 1])


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
