"""The stream of an attached container: stdout and stderr cut into frames. Pure.

Each frame has a header of 8 bytes: 1 for stdout or 2 for stderr, three zeros, the length of what
follows as a big-endian 32-bit number (Docker Engine API, "Attach to a container").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

_HEADER: Final = 8
_STDERR: Final = 2


class Frames:
    """Takes bytes cut anywhere and gives pieces of the two streams; holds a header at most."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._stream: Literal["stdout", "stderr"] = "stdout"

    def feed(self, data: bytes) -> Iterator[tuple[Literal["stdout", "stderr"], bytes]]:
        """The pieces that `data` holds, in their order."""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                yield self._stream, piece
                continue
            more = data[at : at + _HEADER - len(self._header)]
            self._header += more
            at += len(more)
            if len(self._header) == _HEADER:
                self._stream = "stderr" if self._header[0] == _STDERR else "stdout"
                self._left = int.from_bytes(self._header[4:])
                self._header = b""
