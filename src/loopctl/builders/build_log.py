"""What a build printed: redacted on its way into a file, quoted from there when a step fails."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from loopctl.inert import decode, one_line
from loopctl.model.finding import Quote
from loopctl.redact import Redactor

_LONGEST_LINE: Final = 64 * 1024


class BuildLog:
    """A private file, written at once: what a step printed is quoted the moment it fails.

    Opening and writing raise `OSError`. Not safe to share by threads.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self.path = path
        self._redactor = redactor
        self._stream = redactor.stream()

    def __enter__(self) -> Self:
        self._file = self.path.open("wb", buffering=0)
        self.path.chmod(0o600)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            self.settle()
        finally:
            self._file.close()

    def feed(self, chunk: bytes) -> None:
        """Append output; what may be the beginning of a secret is held back."""
        self._file.write(self._stream.feed(chunk))

    def settle(self) -> None:
        """Write what is held back: the step that printed it has ended."""
        self._file.write(self._stream.flush())
        self._stream = self._redactor.stream()

    def note(self, text: str) -> None:
        """A line of our own."""
        self.settle()
        self._file.write(f"{self._redactor.text(text)}\n".encode())

    def quotes(self, lines: int, mark: str | None = None) -> tuple[Quote, ...]:
        """The last lines that are not empty, each with its place.

        Only those that begin with `mark`, which is how steps side by side are told apart.
        """
        self.settle()
        return tuple(
            Quote("build", f"build/{self.path.parent.name}/{self.path.name}#{number}", shown)
            for number, line in _last_lines(self.path, lines, (mark or "").encode())
            if (shown := one_line(line, limit=400)).strip()
        )


def _last_lines(log: Path, count: int, mark: bytes) -> list[tuple[int, str]]:
    """The last lines with their numbers, counted as editors do; of a very long one the end."""
    last: deque[tuple[int, bytes]] = deque(maxlen=count)
    number, begins, marked = 1, True, False
    with log.open("rb") as kept:
        # Piece by piece: a step may have printed more than there is memory.
        while piece := kept.readline(_LONGEST_LINE):
            if begins:
                marked = piece.startswith(mark)
            elif marked:
                last.pop()
            if marked:
                last.append((number, piece))
            begins = piece.endswith(b"\n")
            number += begins
    return [(number, decode(piece)) for number, piece in last]
