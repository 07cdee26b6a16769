"""A graph of whys as inline SVG: one narrow column of boxes, legible in light and dark, and zoomed.

Built from strings alone: no script, no reference, no font of its own. The colours are those of the
page around it (`currentColor`).
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from loopctl.inert import for_terminal, for_xml
from loopctl.reports.why_graph import Node, WhyGraph

_WIDTH: Final = 356
_PAD: Final = 14
_LINE: Final = 19
_GAP: Final = 28
_INSET: Final = 28
_COLUMNS: Final = 38
"""Columns of text in a box: at 13 px the widest letters of most fonts fit so, and on a telephone
the drawing keeps its size.
"""


@dataclass(frozen=True, slots=True)
class _Box:
    node: Node
    lines: tuple[tuple[str, str], ...]
    left: int
    top: int

    @property
    def height(self) -> int:
        return len(self.lines) * _LINE + 2 * _PAD - 4

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def middle(self) -> int:
        return self.top + self.height // 2


def why_svg(graph: WhyGraph, name: str) -> str:
    """The drawing; `name` is an id of the page's own, unique in it."""
    boxes = _placed(graph)
    height = boxes[-1].bottom + 2
    told = "; ".join(f"{node.head} {node.text} ({node.foot})" for node in graph.nodes)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            f' width="{_WIDTH}" height="{height}" role="img"'
            f' aria-labelledby="{name}-title {name}-desc">',
            f'<title id="{name}-title">{_text(f"Why: {graph.title}")}</title>',
            f'<desc id="{name}-desc">{_text(told)}</desc>',
            *(_arrow(boxes[start], boxes[end]) for start, end in graph.edges),
            *(line for box in boxes for line in _drawn(box)),
            "</svg>",
        ]
    )


def _placed(graph: WhyGraph) -> list[_Box]:
    """One below the other, with a margin for the arrows that lead up where there are any."""
    left = _INSET if any(start > end for start, end in graph.edges) else 2
    boxes: list[_Box] = []
    for node in graph.nodes:
        top = boxes[-1].bottom + _GAP if boxes else 2
        boxes.append(_Box(node, tuple(_lines(node)), left, top))
    return boxes


def _lines(node: Node) -> Iterator[tuple[str, str]]:
    for style, text in (("head", node.head), ("text", node.text), ("foot", node.foot)):
        for line in wrapped(text, _COLUMNS):
            yield style, line


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most so many columns, between words where it has any."""
    lines: list[str] = []
    line, used = "", 0.0
    for word in for_terminal(text).split(" "):
        for piece in _pieces(word, columns):
            room = _columns(piece)
            if line and used + 1 + room > columns:
                lines.append(line)
                line, used = "", 0.0
            line, used = (f"{line} {piece}", used + 1 + room) if line else (piece, room)
    return [*lines, line]


def _pieces(word: str, columns: int) -> Iterator[str]:
    """A word cut to the width: ids and addresses are longer than any line."""
    piece, used = "", 0.0
    for char in word:
        room = _columns(char)
        if used + room > columns:
            yield piece
            piece, used = "", 0.0
        piece, used = piece + char, used + room
    yield piece


def _columns(text: str) -> float:
    return sum(map(_column, text))


def _column(char: str) -> float:
    """How wide it is at most, measured in small letters: no font is known here."""
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    if char in "MWmw@%":
        return 1.7
    return 1.3 if char.isupper() else 1


_DASHED: Final = ' stroke-dasharray="6 5"'
_STYLE: Final = {
    "head": 'font-size="13" font-weight="600"',
    "text": 'font-size="13"',
    "foot": 'font-size="11" fill-opacity="0.75"',
}


def _drawn(box: _Box) -> Iterator[str]:
    node = box.node
    weight = "2.5" if node.kind == "cause" else "1.2"
    rounded = 14 if node.kind == "symptom" else 4
    yield (
        f'<rect x="{box.left}" y="{box.top}" width="{_WIDTH - 2 - box.left}" height="{box.height}"'
        f' rx="{rounded}" fill="currentColor" fill-opacity="0.04" stroke="currentColor"'
        f' stroke-width="{weight}"{_DASHED if node.status == "hypothesis" else ""}/>'
    )
    for number, (style, line) in enumerate(box.lines):
        y = box.top + _PAD + _LINE * number + 9
        yield (
            f'<text x="{box.left + _PAD}" y="{y}" fill="currentColor"'
            f" {_STYLE[style]}>{_text(line)}</text>"
        )


def _arrow(start: _Box, end: _Box) -> str:
    """Down to the next box; to one above, along the margin."""
    guessed = "hypothesis" in (start.node.status, end.node.status)
    if start.top < end.top:
        x, y = _WIDTH // 2, end.top - 1
        path, tip = f"M{x} {start.bottom} V{y}", f"M{x - 5} {y - 8} L{x} {y} L{x + 5} {y - 8} Z"
    else:
        x, y = start.left - 1, end.middle
        path = f"M{x} {start.middle} H{_INSET // 2} V{y} H{x}"
        tip = f"M{x - 8} {y - 5} L{x} {y} L{x - 8} {y + 5} Z"
    return (
        f'<path d="{path}" fill="none" stroke="currentColor"{_DASHED if guessed else ""}/>'
        f'<path d="{tip}" fill="currentColor"/>'
    )


def _text(text: str) -> str:
    return html.escape(for_xml(for_terminal(text)))
