"""A document cut to a number of bytes, worst first, never within a line, a fence or a table row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopctl.journal.wording import count

_FOR_THE_NOTE = 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a document: `head`, then `items`, the worst first, then `tail`.

    Each text is whole lines that end in a newline. An item is kept whole or left out: a table row,
    a heading with all that is under it, a fenced block. `noun` is what one item is: "failed case",
    `nouns` its plural where that is not formed by an s. `of` is how many there are, where `items`
    are only the first of them.
    """

    noun: str
    items: tuple[str, ...]
    head: str = ""
    tail: str = ""
    nouns: str | None = None
    of: int = 0

    @property
    def number(self) -> int:
        """How many items there are, made or not."""
        return max(self.of, len(self.items))

    def __str__(self) -> str:
        return f"{self.head}{''.join(self.items)}{self.tail}" if self.items else ""


def fitted(parts: Sequence[Part], limit: int, all_is_in: str) -> str:
    """The parts as one text of at most `limit` bytes of UTF-8, and what had to be left out of it.

    Of each part the first items that fit are kept; one without items is no part of the text.
    `all_is_in` says where the whole of it is, inert. Empty where not even a note fits.
    """
    whole = "".join(map(str, parts))
    if _size(whole) <= limit and all(part.number == len(part.items) for part in parts):
        return whole
    room = limit - _FOR_THE_NOTE
    kept, left_out = [], []
    for part in parts:
        fits = _fitting(part, room)
        if fits.items:
            kept.append(str(fits))
            room -= _size(str(fits))
        if missing := part.number - len(fits.items):
            told = count(part.number, part.noun, part.nouns)
            left_out.append(f"{missing} of {told}")
    note = (
        f"\nCut to the size that a CI system shows; left out: {', '.join(left_out)}. {all_is_in}\n"
    )
    cut = "".join((*kept, note))
    return cut if _size(cut) <= limit else ""


def _fitting(part: Part, room: int) -> Part:
    left = room - _size(part.head) - _size(part.tail)
    number = 0
    for item in part.items:
        left -= _size(item)
        if left < 0:
            break
        number += 1
    return replace(part, items=part.items[:number])


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
