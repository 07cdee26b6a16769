"""Finds the WebSocket close frame in bytes that pass by, without touching or keeping them.

Source of the layout: RFC 6455, sections 5.2 (framing), 5.5.1 (close) and 7.1.5 (no code: 1005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_CODE: Final = 1005
_CLOSE: Final = 0x8
_LONGEST_CONTROL: Final = 125
_EXTENDED_LENGTH: Final = {126: 2, 127: 8}


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """What a close frame says: its code (1005 when it carries none) and its reason."""

    code: int
    reason: str


class FrameWalker:
    """Walks one direction of a WebSocket connection and remembers its first close frame.

    Only headers are read; payloads are stepped over by their length, except a close frame's
    at most 125 bytes. Control frames are never compressed or fragmented (RFC 6455 and 7692),
    so extensions do not matter here. After a close frame, or bytes that cannot be one, the
    walker looks no further.
    """

    __slots__ = ("_done", "_held", "_skip", "close")

    def __init__(self) -> None:
        self.close: CloseFrame | None = None
        self._held = bytearray()
        self._skip = 0
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of this direction, cut anywhere."""
        view = memoryview(data)
        while view and not self._done:
            stepped = min(self._skip, len(view))
            self._skip -= stepped
            view = view[stepped:]
            view = view[self._take(view) :]

    def _take(self, view: memoryview) -> int:
        """Hold what the frame at hand still wants of `view`; return how much that was."""
        missing = min(self._wanted() - len(self._held), len(view))
        self._held += view[:missing]
        if self._held and len(self._held) == self._wanted():
            self._finish_frame()
        return missing

    def _wanted(self) -> int:
        """How many bytes must be held before the frame's next step is known."""
        held = self._held
        if len(held) < 2:
            return 2
        header = 2 + _EXTENDED_LENGTH.get(held[1] & 0x7F, 0) + (4 if held[1] & 0x80 else 0)
        if held[0] & 0x0F == _CLOSE and held[1] & 0x7F <= _LONGEST_CONTROL:
            return header + (held[1] & 0x7F)
        return header

    def _finish_frame(self) -> None:
        held = bytes(self._held)
        self._held.clear()
        if held[0] & 0x0F == _CLOSE:
            self._done = True
            if held[1] & 0x7F <= _LONGEST_CONTROL:
                self.close = _close_frame(held)
            return
        short = held[1] & 0x7F
        size = _EXTENDED_LENGTH.get(short, 0)
        self._skip = int.from_bytes(held[2 : 2 + size], "big") if size else short


def _close_frame(frame: bytes) -> CloseFrame:
    payload = frame[2:]
    if frame[1] & 0x80:
        mask, masked = frame[2:6], frame[6:]
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
    if len(payload) < 2:
        return CloseFrame(code=NO_CODE, reason="")
    return CloseFrame(
        code=int.from_bytes(payload[:2], "big"), reason=payload[2:].decode("utf-8", "replace")
    )
