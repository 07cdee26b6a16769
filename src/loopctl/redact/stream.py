"""Redacts bytes as they arrive, whatever the chunks, in linear time and bounded memory."""

from collections.abc import Callable
from typing import Final, NamedTuple

from loopctl.redact.patterns import LONGEST_PRIVATE_KEY

_WINDOW: Final = 64 * 1024
"""Bytes of one line that are searched at once."""

_OVERLAP: Final = 8 * 1024
"""Bytes of a long line that two windows share; more if a secret is longer."""


class Span(NamedTuple):
    """Bytes to hide, from start to before end; a lower rank wins the label at the same start."""

    start: int
    rank: int
    end: int
    label: bytes


class StreamRedactor:
    """Gives out what it is fed, with labels in place of secrets.

    Whole lines leave at once. Held back are: a line that has not ended, because patterns look at
    lines; the lines that a secret of several lines may have begun with; and an open private key
    block (up to 16 kB). A line that reaches 64 kB is searched in windows: all but its last 8 kB
    (more if a value's longest form is longer) leaves. So values are found on lines of any
    length, while a match of a pattern longer than those 8 kB may lose its end on such a line.

    Not for use by several threads at once.
    """

    def __init__(
        self, find: Callable[[bytes], list[Span]], prefixes: tuple[bytes, ...], longest: int
    ) -> None:
        self._find: Final = find
        self._prefixes: Final = prefixes
        self._overlap: Final = max(_OVERLAP, longest)
        self._window: Final = max(_WINDOW, 4 * self._overlap)
        self._held = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes; returns those that may leave by now."""
        pieces = (chunk[at : at + _WINDOW] for at in range(0, len(chunk), _WINDOW))
        return b"".join(map(self._take, pieces))

    def flush(self) -> bytes:
        """Returns what was held back; the stream may go on afterwards, as on a new line."""
        data = bytes(self._held)
        self._held.clear()
        return self._replace(data, len(data), final=True)[0]

    def _take(self, piece: bytes) -> bytes:
        self._held += piece
        if b"\n" not in piece and len(self._held) < self._window:
            return b""
        data = bytes(self._held)
        cut = self._before_open_key(data, self._line_cut(data))
        if cut == 0:
            return b""
        redacted, used = self._replace(data, cut, final=False)
        del self._held[:used]
        return redacted

    def _line_cut(self, data: bytes) -> int:
        """Up to where no secret that starts there can reach beyond data."""
        cut = data.rfind(b"\n") + 1
        if len(data) - cut >= self._window:
            return len(data) - self._overlap
        if data.endswith(self._prefixes, 0, cut):
            cut -= next(len(text) for text in self._prefixes if data.endswith(text, 0, cut))
        return cut

    def _before_open_key(self, data: bytes, cut: int) -> int:
        name = data.rfind(b"PRIVATE KEY", 0, cut)
        start = data.rfind(b"-----BEGIN ", max(0, name - 64), max(0, name))
        still_open = start >= 0 and data.find(b"-----END ", name) < 0
        return min(cut, start) if still_open and len(data) - start < LONGEST_PRIVATE_KEY else cut

    def _replace(self, data: bytes, cut: int, *, final: bool) -> tuple[bytes, int]:
        """Redacts data up to about cut, and says up to where: no secret is cut in two."""
        parts: list[bytes] = []
        done, last = 0, b""
        for start, _, end, label in self._find(data):
            if start >= cut:
                break
            if end > cut:
                # A match that touches the end may go on: it waits, unless it fills the window.
                if end == len(data) and start > done and not final:
                    cut = start
                    break
                cut = end
            if start >= done:
                parts += (data[done:start], label)
            elif end > done and label != last:
                parts.append(label)
            if end > done:
                done, last = end, label
        parts.append(data[done:cut])
        return b"".join(parts), cut
