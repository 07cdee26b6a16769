"""Text of unknown length, of which the beginning and the end are kept."""

from __future__ import annotations

from loopctl.suites.event_redaction import CUT_MARGIN


class BoundedText:
    """Takes text piece by piece and keeps `head` characters of its start and `tail` of its end.

    Beside a cut it keeps as much again as `event_redaction` takes off after redaction, so that
    no half of a secret is left standing there.
    """

    def __init__(self, head: int, tail: int) -> None:
        self._most_head = head + CUT_MARGIN
        self._most_tail = tail + CUT_MARGIN
        self._head = ""
        self._tail = ""
        self._length = 0

    def add(self, text: str) -> None:
        """Take the next piece."""
        self._length += len(text)
        room = self._most_head - len(self._head)
        if room > 0:
            self._head, text = self._head + text[:room], text[room:]
        if text:
            self._tail = (self._tail + text)[-self._most_tail :]

    @property
    def value(self) -> str:
        """What was kept; between the two ends a line says how much was not."""
        cut = self._length - len(self._head) - len(self._tail)
        if not cut:
            return self._head + self._tail
        return f"{self._head}\n[... {cut} characters cut ...]\n{self._tail}"


def bounded(text: str, head: int, tail: int = 0) -> str:
    """The text, cut as `BoundedText` does it."""
    kept = BoundedText(head, tail)
    kept.add(text)
    return kept.value
