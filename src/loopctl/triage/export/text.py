"""Reads lines of plain text: takes off what a transport put before them, sees requests in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loopctl.model.logs import RequestEntry
from loopctl.triage.export.cloud_logging import path_of
from loopctl.triage.export.pieces import Piece, Stream
from loopctl.triage.export.times import UNKNOWN, found_in

_ANSI: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]"
)
_COMPOSE: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,80}?)(?:[-_]\d+)?[ \t]*\| ?")
_POD: Final = re.compile(r"\[pod/(?P<pod>[^/\]\s]{1,253})/(?P<name>[^\]\s]{1,253})\] ?")
_CRI: Final = re.compile(r"(?P<at>\d{4}-\d\d-\d\dT\S{8,40}) (?P<stream>stdout|stderr) [FP] ")
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) ")
_ASKED: Final = re.compile(
    r'"(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?P<path>\S{1,2000})'
    r' HTTP/\d(?:\.\d)?" (?P<status>[1-5]\d\d)\b'
)
_MOST: Final = 0.9
_SAMPLE: Final = 200


class TextReader:
    """Reads the lines of one file. `sample` are some of its first: they tell what it looks like."""

    def __init__(self, sample: Sequence[str] = ()) -> None:
        lines = [_plain(line) for line in sample[:_SAMPLE]]
        lines = [line for line in lines if line.strip()]
        self._composed = _share(_COMPOSE, lines) >= _MOST
        if self._composed:
            lines = [line[match.end() :] for line in lines if (match := _COMPOSE.match(line))]
        # A stamp on every line, those of a traceback too, was put there by what carried them.
        self._stamped = len(lines) > 1 and _share(_STAMP, lines) >= _MOST
        self._at = UNKNOWN

    def piece(self, number: int, line: str) -> Piece:
        """The line as a piece: its text as the program wrote it."""
        text = _plain(line)
        service, instance, stream = "", "", "stderr"
        if self._composed and (match := _COMPOSE.match(text)):
            service, text = match["name"], text[match.end() :]
        elif text.startswith("[pod/") and (match := _POD.match(text)):
            service, instance, text = match["name"], match["pod"], text[match.end() :]
        at = found_in(text) if "0" <= text[:1] <= "9" or _may_be_stamped(text) else None
        if at is not None:
            self._at = at
            if match := _CRI.match(text):
                stream, text = match["stream"], text[match.end() :]
            elif self._stamped and (match := _STAMP.match(text)):
                text = text[match.end() :]
        piece = Piece(number, text, self._at, service=service, instance=instance)
        piece.stream = _stream(stream)
        if "HTTP/" in text and (asked := _ASKED.search(text)):
            piece.request = RequestEntry(
                self._at,
                service,
                "",
                asked["method"],
                path_of(asked["path"]),
                int(asked["status"]),
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
    return any("0" <= char <= "9" for char in text[:40])


def _share(regex: re.Pattern[str], lines: Sequence[str]) -> float:
    return sum(bool(regex.match(line)) for line in lines) / len(lines) if lines else 0.0


def _stream(name: str) -> Stream:
    return "stdout" if name == "stdout" else "stderr"
