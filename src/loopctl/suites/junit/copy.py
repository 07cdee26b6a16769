"""A redacted copy of small reports, for people and other tools.

It is written anew from what the parser saw, not filtered: so no encoding, reference or CDATA edge
can carry a secret past the redactor, and the copy of a report that breaks off is whole XML.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from loopctl.redact import Redactor
from loopctl.suites.capture import open_private
from loopctl.suites.event_redaction import EventRedaction

MOST_CHARACTERS = 1024 * 1024
_MOST_COPIES = 20


class JUnitCopies:
    """The copies of one run's reports in a folder: `junit.xml`, `junit-2.xml` and so on.

    They are small, all together. `error` says why one could not be written.
    """

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self._folder = folder
        self._redactor = redactor
        self._size = 0
        self._count = 0
        self.error: str | None = None

    def begin(self) -> JUnitCopy | None:
        """What takes the elements of the next report; None when there is no room for more."""
        room = MOST_CHARACTERS - self._size
        return JUnitCopy(self._redactor, room) if self._count < _MOST_COPIES else None

    def keep(self, copy: JUnitCopy, broken: str | None) -> None:
        """Write it down; `broken` says why its report was not read to the end."""
        text = copy.whole(broken)
        if text is None:
            return
        self._count += 1
        self._size += len(text)
        name = "junit.xml" if self._count == 1 else f"junit-{self._count}.xml"
        try:
            with open_private(self._folder / name) as file:
                file.write(text.encode("utf-8", "backslashreplace"))
        except OSError as problem:
            self.error = f"{name} could not be kept: {problem.strerror}"


class JUnitCopy:
    """One report, taken as `junit_reader.Markup`; dropped when it has more than `room`."""

    def __init__(self, redactor: Redactor, room: int) -> None:
        self._room = room
        self._redaction = EventRedaction(redactor)
        self._parts: list[str] = ['<?xml version="1.0" encoding="UTF-8"?>\n']
        self._open: list[str] = []
        self._texts: list[str] = []
        self._size = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._settle()
        self._size += sum(map(len, attributes.values()))
        if self.is_small:
            told = (f" {self._name(n)}={quoteattr(self._clean(v))}" for n, v in attributes.items())
            self._open.append(self._name(tag))
            self._add(f"<{self._open[-1]}{''.join(told)}>")

    def text(self, text: str) -> None:
        """A piece of text: kept until the next tag, so that no secret is cut in two."""
        self._size += len(text)
        self._texts.append(text)
        if not self.is_small:
            self._texts.clear()

    def end(self, tag: str) -> None:
        """The element ends."""
        self._settle()
        if self.is_small:
            self._add(f"</{self._open.pop()}>")

    @property
    def is_small(self) -> bool:
        """Whether it can be kept."""
        return self._size <= self._room

    def whole(self, broken: str | None) -> str | None:
        """The copy, all its elements closed; None of a report that is not small, or empty."""
        self._settle()
        if not self.is_small or not self._size:
            return None
        closing = [f"</{name}>" for name in reversed(self._open)]
        if broken is not None:
            why = self._clean(broken).replace("--", "- -")
            closing.append(f"\n<!-- the report breaks off here: {why} -->")
        return "".join([*self._parts, *closing, "\n"])

    def _settle(self) -> None:
        if self._texts:
            self._parts.append(escape(self._clean("".join(self._texts))))
            self._texts.clear()

    def _add(self, markup: str) -> None:
        self._size += len(markup)
        self._parts.append(markup)
        if not self.is_small:
            self._parts.clear()

    def _clean(self, text: str) -> str:
        return self._redaction.text(text)

    def _name(self, name: str) -> str:
        return name if self._clean(name) == name else "redacted"
