"""YAML as text, so that any text of a stranger reads back as itself and none ends its line."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from loopctl.loopfile.marks import inert
from loopctl.loopfile.nodes import typed
from loopctl.model.references import REFERENCE

_WIDTH: Final = 100
_COLUMN: Final = 40
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*")
# Text here, but not to every editor: YAML 1.1 has many words for true and false.
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off"})
_ESCAPED: Final = {'"': '\\"', "\\": "\\\\"}


def scalar(text: str) -> str:
    """A text as a YAML scalar, plain where nobody could take it for anything else."""
    plain = _PLAIN.fullmatch(text) and isinstance(typed(text), str)
    if plain and text.lower() not in _WORDS and not text[0].isdigit() and text[0] != ".":
        return text
    if text in (".", "..") or (plain and text.startswith(("../", "./"))):
        return text
    return '"' + "".join(map(_char, text)) + '"'


def _char(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def flow(texts: Iterable[str]) -> str:
    """A list of texts on one line."""
    return "[" + ", ".join(map(scalar, texts)) + "]"


def literal(text: str) -> str | None:
    """A text in which nothing is filled in. None: no loop file can hold it as it is."""
    return None if REFERENCE.search(text) or "\0" in text else text.replace("${", "$${")


def own(text: str) -> str:
    """A stranger's text as a scalar in which nothing is filled in; raises `ValueError` for none."""
    written = literal(text)
    if written is None:
        raise ValueError("no loop file can hold this text")
    return scalar(written)


class Lines:
    """The lines of a YAML document, with the comments that go with them."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self._lines)

    @property
    def has_keys(self) -> bool:
        """Whether there is anything but comments."""
        return any(not line.lstrip().startswith("#") for line in self._lines)

    def raw(self, other: Lines) -> None:
        """The lines of another one."""
        self._lines += other._lines

    def gap(self) -> None:
        """An empty line."""
        self._lines.append("")

    def comment(self, text: str, depth: int = 0, *, hanging: str = "") -> None:
        """A comment, on as many lines as it takes; `hanging` goes before all but the first."""
        indent = "  " * depth + "# "
        shown = inert(" ".join(text.split(" ")))
        lines = textwrap.wrap(
            shown,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
        self._lines += lines or [indent.rstrip()]

    def verbatim(self, texts: Sequence[str], depth: int = 0) -> None:
        """Comment lines that keep their blanks."""
        self._lines += [f"{'  ' * depth}# {inert(text)}".rstrip() for text in texts]

    def key(
        self, depth: int, key: str, value: str = "", note: str = "", *, item: bool = False
    ) -> None:
        """A key with a value that is YAML already; the note behind it, or above where it is long.

        `item`: the key is the first of a list's item.
        """
        indent = "  " * depth
        start = f"{indent[:-2]}- " if item else indent
        line = f"{start}{key}: {value}".rstrip()
        shown = inert(note)
        if shown:
            padded = f"{line:<{_COLUMN}}  # {shown}"
            if len(padded) <= _WIDTH:
                line = padded
            elif item:
                self.comment(note, depth - 1)
            else:
                self.comment(note, depth)
        self._lines.append(line)

    def item(self, depth: int, value: str, note: str = "") -> None:
        """An item of a list."""
        line = f"{'  ' * depth}- {value}"
        if note:
            self.comment(note, depth)
        self._lines.append(line)
