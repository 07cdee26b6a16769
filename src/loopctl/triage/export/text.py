"""Reads lines of plain text: takes off what a transport put before them, sees requests in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loopctl.model.logs import RequestEntry
from loopctl.triage.export.cloud_logging import path_of
from loopctl.triage.export.pieces import Piece, Stream
from loopctl.triage.export.prefixes import Prefixes
from loopctl.triage.export.times import UNKNOWN, found_in

_ANSI: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]"
)
_ASKED: Final = re.compile(
    r'"(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?P<path>\S{1,2000})'
    r' HTTP/\d(?:\.\d)?" (?P<status>[1-5]\d\d)\b'
)
_HEAD: Final = 40


class TextReader:
    """Reads the lines of one file. `sample` are some of its first: they tell what it looks like."""

    def __init__(self, sample: Sequence[str] = ()) -> None:
        self._prefixes = Prefixes([_plain(line) for line in sample])
        self._at = UNKNOWN

    def piece(self, number: int, line: str) -> Piece:
        """The line as a piece: its text as the program wrote it."""
        whole = _plain(line)
        if _may_be_stamped(whole) and (at := found_in(whole)) is not None:
            self._at = at
        carried = self._prefixes.off(whole)
        piece = Piece(
            number,
            carried.text,
            self._at,
            service=carried.service,
            instance=carried.instance,
            stream=_stream(carried.stream),
            severity=_severity(carried.level),
        )
        if "HTTP/" in carried.text and (asked := _ASKED.search(carried.text)):
            piece.request = RequestEntry(
                self._at,
                carried.service,
                "",
                asked["method"],
                path_of(asked["path"]),
                int(asked["status"]),
                line=carried.text,
            )
        return piece


def _plain(line: str) -> str:
    """Without colours, NULs, and what a carriage return has overwritten."""
    if "\x1b" in line or "\x9b" in line:
        line = _ANSI.sub("", line)
    if "\0" in line:
        line = line.replace("\0", "")
    if "\r" in line:
        line = next((part for part in reversed(line.split("\r")) if part.strip()), "")
    return line


def _may_be_stamped(text: str) -> bool:
    return ":" in text[:_HEAD] and any(char in text[:_HEAD] for char in "0123456789")


def _severity(level: str) -> str | None:
    told = {"WARN": "WARNING", "ERR": "ERROR", "FATAL": "CRITICAL"}.get(level, level)
    return told or None


def _stream(name: str) -> Stream:
    return "stdout" if name == "stdout" else "stderr"
