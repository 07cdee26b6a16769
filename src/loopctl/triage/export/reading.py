"""Reads one log file into pieces, in the order in which they were told, without secrets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import IO, Final

from loopctl.errors import Problem
from loopctl.triage.export.documents import Documents, Item
from loopctl.triage.export.hiding import Hider
from loopctl.triage.export.opening import STDIN, NoLogError, opened
from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.structured import json_within, read_object
from loopctl.triage.export.text import TextReader
from loopctl.triage.export.times import UNKNOWN
from loopctl.triage.export.trouble import is_doubtful, is_trouble

_LARGEST: Final = 384 * 1_048_576
"""Bytes of memory that the pieces of one file may take; then the older half is let go."""

_PIECE: Final = 400
_LONGEST: Final = 262_144
_SAMPLE: Final = 2000


@dataclass(frozen=True, slots=True)
class Export:
    """A log file, read. `name` is as the user typed it, `number` what quotes count: entries, lines.

    `gap` says what is missing of it, None: nothing is.
    """

    name: str
    pieces: list[Piece]
    is_array: bool
    gap: str | None = None

    @property
    def stem(self) -> str:
        """What a service is called that nothing names."""
        if self.name == "stdin":
            return "log"
        stem = Path(self.name).name.removesuffix(".gz")
        return stem.rpartition(".")[0] or stem or "log"


@dataclass(slots=True)
class _Kept:
    """The pieces, the newest where all would be too many."""

    pieces: list[Piece] = field(default_factory=list)
    size: int = 0
    dropped: int = 0

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.size += _PIECE + len(piece.text)
        if self.size > _LARGEST:
            _in_order(self.pieces)
            half = len(self.pieces) // 2
            self.dropped += half
            del self.pieces[:half]
            self.size = sum(_PIECE + len(each.text) for each in self.pieces)


def read_export(path: Path, stdin: IO[bytes]) -> Export:
    """The file's entries, the oldest first; raises NoLogError where it is no log."""
    kept = _Kept()
    with opened(path, stdin) as text:
        documents = Documents(text)
        for piece in _pieces(iter(documents)):
            if len(piece.text) > _LONGEST:
                piece.text = piece.text[:_LONGEST]
            if piece.text.strip() or piece.request is not None:
                kept.add(piece)
    _refuse_no_log(path, kept.pieces)
    _in_order(kept.pieces)
    hider = Hider()
    for piece in kept.pieces:
        hider.hide(piece)
        piece.trouble = is_trouble(piece)
        if is_doubtful(piece):
            piece.severity, piece.doubtful = "WARNING", True
    gaps = [*documents.gaps[:3], *([text.gap] if text.gap else [])]
    if kept.dropped:
        gaps.append(f"its {kept.dropped} oldest entries are not looked at: it is too large")
    name = "stdin" if str(path) == STDIN else str(path)
    return Export(name, kept.pieces, documents.is_array, "; ".join(gaps) or None)


def _refuse_no_log(path: Path, pieces: list[Piece]) -> None:
    """Raises NoLogError for one JSON document that is nothing that was logged."""
    if len(pieces) == 1 and pieces[0].at == UNKNOWN and pieces[0].text.startswith('{"'):
        raise NoLogError(
            Problem(
                "is JSON, and no log: nothing in it has a message or a time",
                where=str(path),
                hint="give an array of entries, as `gcloud logging read --format=json` prints it",
            )
        )


def _pieces(items: Iterator[Item]) -> Iterator[Piece]:
    sample = list(itertools.islice(items, _SAMPLE))
    texts = TextReader([item.content for item in sample if isinstance(item.content, str)])
    strings: dict[str, str] = {}
    for item in itertools.chain(sample, items):
        piece = _piece(item, texts)
        # The same few names in a million entries: one copy of each is enough.
        piece.service = strings.setdefault(piece.service, piece.service)
        piece.revision = strings.setdefault(piece.revision, piece.revision)
        piece.instance = strings.setdefault(piece.instance, piece.instance)
        piece.project = strings.setdefault(piece.project, piece.project)
        yield piece


def _piece(item: Item, texts: TextReader) -> Piece:
    if not isinstance(item.content, str):
        return read_object(item.number, item.content, texts)
    piece = texts.piece(item.number, item.content)
    if piece.text[:1] == "{" and (inner := json_within(piece.text.strip())) is not None:
        found = read_object(item.number, inner, texts)
        found.service = found.service or piece.service
        found.instance = found.instance or piece.instance
        if found.at == UNKNOWN:
            found.at = piece.at
        return found
    return piece


def _in_order(pieces: list[Piece]) -> None:
    """By time, stable; a file that tells the newest first is turned round.

    What has one and the same time is ordered by its id where those are in any order at all.
    """
    if not pieces:
        return
    timed = [piece for piece in pieces if piece.at != UNKNOWN]
    if len(timed) < len(pieces) or not any(piece.identity for piece in timed):
        if len(timed) == len(pieces) and _descends(timed):
            pieces.reverse()
            pieces.sort(key=attrgetter("at", "fine"))
        return
    if _descends(pieces):
        pieces.reverse()
    pieces.sort(key=attrgetter("at", "fine"))
    _order_ties(pieces)


def _descends(pieces: list[Piece]) -> bool:
    first, last = pieces[0], pieces[-1]
    return (first.at, first.fine) > (last.at, last.fine)


def _order_ties(pieces: list[Piece]) -> None:
    start = 0
    for _, group in itertools.groupby(pieces, key=attrgetter("at", "fine")):
        same = list(group)
        if len(same) > 1:
            ids = [piece.identity for piece in same]
            if all(ids) and (ids == sorted(ids) or ids == sorted(ids, reverse=True)):
                pieces[start : start + len(same)] = sorted(same, key=attrgetter("identity"))
        start += len(same)
