"""Text as it came, made fit to be read: without colours, null bytes and what agents put before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST_LINE: Final = 4096
"""Characters kept of a line: what comes after them is cut."""

_MOST_LINES: Final = 5000
_ANSI: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)?|[@-Z\\-_])|[\x00\x1b]"
)
_TIME: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?"
_TRANSPORT: Final = re.compile(
    # docker compose, kubectl --prefix
    r"(?:(?P<compose>[\w.-]{1,60}) *\| ?|(?P<pod>\[pod/[^\]\s]{1,200}\])(?: |$))?"
    # containerd; docker -t, GitHub, Heroku; systemd and syslog
    rf"(?:{_TIME} (?P<cri>std(?:out|err) [FP])(?: |$)"
    rf"|{_TIME} (?P<app>[\w.-]{{1,60}}(?: [\w./-]{{1,60}})?\[[\w.-]+\]): ?"
    rf"|(?:<\d+>)?[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d (?P<host>\S+ [\w./-]+(?:\[\d+\])?): ?"
    rf"|{_TIME}(?: (?![A-Z]{{4,8}}\b)|$))?"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line and its 1-based number in the capture; its message begins at `start`."""

    number: int
    text: str
    start: int = 0

    @property
    def body(self) -> str:
        """The line without what a logger or an agent puts before each."""
        return self.text[self.start :]


def cleaned(text: str) -> str:
    """The text without colours, null bytes, carriage returns and what UTF-8 cannot say."""
    if "\x1b" in text or "\x00" in text:
        text = _ANSI.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").strip("\r")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def lines_of(text: str) -> list[str]:
    """The lines of an entry, each cut at 4096 characters; at most 5000."""
    if len(text) > LONGEST_LINE * _MOST_LINES:
        text = text[: LONGEST_LINE * _MOST_LINES]
    return [line[:LONGEST_LINE] for line in text.split("\n", _MOST_LINES)[:_MOST_LINES]]


def transport(text: str) -> tuple[str, int]:
    """Who an agent says wrote the line, and where the line itself begins."""
    first = text[:1]
    if first in " \t" or (first.isalpha() and "|" not in text[:64] and text[3:4] != " "):
        # Most lines of a stack: nothing that the regex looks for begins so.
        return "", 0
    found = _TRANSPORT.match(text)
    if found is None or not found.end():
        return "", 0
    return " ".join(each for each in found.groups() if each), found.end()
