"""The captured log of one revision: a bounded file of JSON lines that many streams write."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from loopctl.process import utc_now

Stream = Literal["stdout", "stderr", "system"]

#: Bytes of one revision's log; beyond it only the end is kept, for when the process ends.
LARGEST_LOG: Final = 64 * 1024 * 1024
_TAIL_BYTES: Final = 256 * 1024
_LAST_LINES: Final = 5

_encode = json.JSONEncoder().encode


def stamp(at: datetime) -> str:
    """A time as it stands in captures: ISO 8601 in UTC, with microseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class _Line:
    at: str
    stream: Stream
    text: str
    facts: Mapping[str, object] | None = None

    def encoded(self, number: int, revision: str) -> str:
        more = f", {_encode(self.facts)[1:-1]}" if self.facts else ""
        return (
            f'{{"t": "{self.at}", "n": {number}, "stream": "{self.stream}", '
            f'"revision": "{revision}", "text": {_encode(self.text)}{more}}}\n'
        )


class LogFile:
    """`{"t", "n", "stream", "revision", "text"}` per line; `n` is the line's number in the file.

    Writing never raises and memory is bounded: when the disk is full or the log has reached its
    bound, lines are counted instead, and the log says how many are missing. `settle` writes the
    end of what was dropped, because the last words are what a diagnosis wants.
    """

    def __init__(self, path: Path, revision: str, largest: int = LARGEST_LOG) -> None:
        """Make the file, mode 0600. Raises `OSError`."""
        self._last: dict[Stream, deque[tuple[int, str]]] = {}
        self._revision = revision
        self._largest = largest
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._size = 0
        self._number = 0
        self._full = False
        self._dropped = 0
        self._tail: deque[_Line] = deque()
        self._tail_bytes = 0

    def write(self, stream: Stream, texts: Sequence[str]) -> None:
        """Append lines that came just now."""
        if not texts:
            return
        at = stamp(utc_now())
        lines = [_Line(at, stream, text) for text in texts]
        if self._full:
            self._hold(lines)
            return
        self._mention_dropped()
        if not self._append(lines):
            self._dropped += len(lines)
        elif self._size >= self._largest:
            self._full = True
            text = f"the log has {self._size} bytes: of what follows only the end is kept"
            self.system(text, full=True)

    def system(self, text: str, **facts: object) -> None:
        """Append a line of the host's own, with facts for programs beside the text."""
        self._append([_Line(stamp(utc_now()), "system", text, facts)])

    def settle(self) -> None:
        """Write the end of what was held back: the process that wrote it is gone."""
        self._mention_dropped()
        self._append(list(self._tail))
        self._tail.clear()
        self._tail_bytes = 0

    def close(self) -> None:
        """Write nothing more."""
        os.close(self._fd)

    def last_lines(self, stream: Stream) -> list[tuple[int, str]]:
        """The last five lines of a stream, each with its number."""
        return list(self._last.get(stream, ()))

    def _append(self, lines: Sequence[_Line]) -> bool:
        """Write all of the lines, or none of them when the disk does not take them."""
        numbers = range(self._number + 1, self._number + 1 + len(lines))
        encoded = [line.encoded(n, self._revision) for n, line in zip(numbers, lines, strict=True)]
        data = "".join(encoded).encode("ascii")
        try:
            written = 0
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            return False
        self._size += len(data)
        self._number += len(lines)
        self._remember(list(zip(numbers, lines, strict=True))[-50:])
        return True

    def _remember(self, numbered: Iterable[tuple[int, _Line]]) -> None:
        for number, line in numbered:
            last = self._last.setdefault(line.stream, deque(maxlen=_LAST_LINES))
            last.append((number, line.text))

    def _hold(self, lines: Sequence[_Line]) -> None:
        for line in lines:
            self._tail.append(line)
            self._tail_bytes += len(line.text)
        while self._tail_bytes > _TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft().text)
            self._dropped += 1

    def _mention_dropped(self) -> None:
        if not self._dropped:
            return
        facts = {"dropped": self._dropped}
        text = f"dropped {self._dropped} lines"
        if self._append([_Line(stamp(utc_now()), "system", text, facts)]):
            self._dropped = 0
