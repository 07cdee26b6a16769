"""Lines of styled text for a terminal, measured in its columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rich.cells import cell_len, set_cell_size

_GAP: Final = 2


class Style(StrEnum):
    """How text stands out; the value is what SGR is given for it."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    GREEN = "32"
    RED = "31"
    BAD = "1;31"
    GOOD = "1;32"
    NOW = "1;36"
    DOUBT = "1;33"


@dataclass(frozen=True, slots=True)
class Span:
    """Inert text of one style. `column` is where it begins, for what stands below something else.

    Terminals do not agree on how wide every character is: what has a column is put there.
    """

    text: str
    style: Style = Style.PLAIN
    column: int | None = None


Line = tuple[Span, ...]


def line(text: str, style: Style = Style.PLAIN) -> Line:
    """A line of one style."""
    return (Span(text, style),)


def joined(cells: Iterable[Line], separator: str) -> Line:
    """Several on one line."""
    made: list[Span] = []
    for cell in cells:
        if made:
            made.append(Span(separator, Style.DIM))
        made += cell
    return tuple(made)


def width_of(spans: Line) -> int:
    """In columns."""
    return sum(cell_len(span.text) for span in spans)


def text_of(spans: Line) -> str:
    """Without its styles."""
    return "".join(span.text for span in spans)


def cut(spans: Line, width: int, mark: str) -> Line:
    """The line in at most `width` columns; `mark` ends it where something is missing."""
    if width_of(spans) <= width:
        return spans
    room = max(0, width - cell_len(mark))
    kept: list[Span] = []
    for span in spans:
        cells = cell_len(span.text)
        if cells > room:
            fitting = set_cell_size(span.text, room).rstrip()
            kept.append(Span((fitting + mark)[: max(width, 0)], span.style, span.column))
            break
        kept.append(span)
        room -= cells
    return tuple(kept)


def table(rows: Sequence[Sequence[Line]], limits: Sequence[int], mark: str) -> list[Line]:
    """Rows in columns as wide as their widest cell; one wider than its limit is cut."""
    if not rows:
        return []
    widths = [
        min(limit, max(width_of(row[index]) for row in rows)) for index, limit in enumerate(limits)
    ]
    return [_row(row, widths, mark) for row in rows]


def _row(row: Sequence[Line], widths: Sequence[int], mark: str) -> Line:
    made: list[Span] = []
    column = 0
    for cell, width in zip(row, widths, strict=True):
        fitting = cut(cell, width, mark) or line("")
        made += (Span(fitting[0].text, fitting[0].style, column), *fitting[1:])
        made.append(Span(" " * (width - width_of(fitting) + _GAP)))
        column += width + _GAP
    return _stripped(tuple(made))


def _stripped(spans: Line) -> Line:
    """Without what is blank at its end."""
    kept = list(spans)
    while kept and not kept[-1].text.strip():
        kept.pop()
    return tuple(kept)


def ansi(spans: Line, *, colour: bool) -> str:
    """The line as a terminal is told it, from its first column on; no style is left open."""
    said: list[str] = []
    told = ""
    for span in spans:
        if span.column and not told.isascii():
            # What was there before is wiped: nobody knows how far the text has reached.
            said.append(f"\x1b[K\x1b[{span.column + 1}G")
        told += span.text
        styled = colour and span.style
        said.append(f"\x1b[{span.style.value}m{span.text}\x1b[0m" if styled else span.text)
    return "".join(said)
