"""Variables, quotes and escapes in the words of a Dockerfile, as BuildKit's own lexer reads them.

The rules are those of `frontend/dockerfile/shell/lex.go`; what it does with patterns
(`${x#…}`, `${x/…}`) is left out, and said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = re.compile(r"[0-9]+|[@*#?\-$!]|[^\W\d]\w*")


class NotUnderstoodError(ValueError):
    """The text means something that is not known here."""


def expand(word: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """A word with its variables filled in and its quotes taken away; unset ones are empty.

    Raises `NotUnderstoodError`.
    """
    reader = _Reader(word, variables, escape)
    return reader.until("")


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text = text
        self._at = 0
        self._variables = variables
        self._escape = escape

    def until(self, end: str) -> str:
        """What comes up to `end`, which is passed over; `""` is the end of the text."""
        out: list[str] = []
        while (char := self._next()) != "":
            if char == end:
                return "".join(out)
            if char == "'":
                out.append(self._single())
            elif char == '"':
                out.append(self._double())
            elif char == "$":
                out.append(self._dollar())
            elif char == self._escape:
                out.append(self._next())
            else:
                out.append(char)
        if end:
            raise NotUnderstoodError(f"`{self._text}` has no matching {end}")
        return "".join(out)

    def _next(self) -> str:
        char = self._text[self._at : self._at + 1]
        self._at += len(char)
        return char

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise NotUnderstoodError(f"`{self._text}` has no matching '")
        inside, self._at = self._text[self._at : end], end + 1
        return inside

    def _double(self) -> str:
        out: list[str] = []
        while (char := self._next()) != '"':
            if char == "":
                raise NotUnderstoodError(f'`{self._text}` has no matching "')
            if char == "$":
                out.append(self._dollar())
            elif char == self._escape and self._text[self._at : self._at + 1] in (
                *('"', "$"),
                self._escape,
            ):
                out.append(self._next())
            else:
                out.append(char)
        return "".join(out)

    def _dollar(self) -> str:
        if not self._text.startswith("{", self._at):
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._at += 1
        name = self._name()
        if not name:
            raise NotUnderstoodError(f"`{self._text}` has a substitution without a name")
        sign = self._next()
        if sign == "}":
            return self._variables.get(name, "")
        empty_is_unset = sign == ":"
        if empty_is_unset:
            sign = self._next()
        if sign not in {"-", "+", "?"}:
            raise NotUnderstoodError(f"the substitution in `{self._text}` is not known")
        word = self.until("}")
        value = self._variables.get(name)
        is_set = value is not None and not (empty_is_unset and value == "")
        if sign == "+":
            return word if is_set else ""
        if sign == "?" and not is_set:
            raise NotUnderstoodError(f"{name} is not set")
        return (value or "") if is_set else word

    def _name(self) -> str:
        found = _NAME.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found.group()
