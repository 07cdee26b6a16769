"""Cutting a stream of bytes into the lines of a capture. Pure."""

from __future__ import annotations

from typing import Final

#: Bytes of one captured line; what is longer goes on in the next one.
LONGEST_LINE: Final = 64 * 1024
#: Ends a piece that goes on in the next captured line of its stream.
CONTINUES: Final = " [continues]"


class LineCutter:
    """Takes bytes cut anywhere and gives texts; bytes that are not UTF-8 are shown as `\\xff`."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their line feeds."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        texts: list[str] = []
        for line in whole:
            if len(line) <= LONGEST_LINE:
                texts.append(line.decode("utf-8", "backslashreplace"))
            else:
                texts.extend(_pieces(line))
        if len(self._rest) > LONGEST_LINE:
            texts.extend(self._cut_rest())
        return texts

    def flush(self) -> list[str]:
        """What is left at the end of the stream."""
        rest, self._rest = self._rest, b""
        return _pieces(rest) if rest else []

    def _cut_rest(self) -> list[str]:
        *pieces, last = _split(self._rest)
        self._rest = last
        return [_text(piece) + CONTINUES for piece in pieces]


def _pieces(line: bytes) -> list[str]:
    *pieces, last = _split(line)
    return [*(_text(piece) + CONTINUES for piece in pieces), _text(last)]


def _split(line: bytes) -> list[bytes]:
    """`line` in pieces of at most `LONGEST_LINE`, never within a UTF-8 character."""
    pieces: list[bytes] = []
    start = 0
    while len(line) - start > LONGEST_LINE:
        end = start + LONGEST_LINE
        for back in range(3):
            if line[end - back] & 0xC0 != 0x80:
                end -= back
                break
        pieces.append(line[start:end])
        start = end
    return [*pieces, line[start:]]


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "backslashreplace")
