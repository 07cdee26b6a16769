"""A terminal that a picture is kept on: only lines that have changed are written.

The picture has the alternate screen for itself, so that what was there before comes back whole.
Every line is put where it belongs, whatever somebody has typed or another program has written
meanwhile; nothing is cleared while it is shown.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Sequence
from typing import Final, TextIO

from loopctl.console.lines import Line, ansi, width_of

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[J"
_LEAVE: Final = "\x1b[0m\x1b[H\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l"
_BEGIN: Final = "\x1b[?2026h"
"""Synchronized output: a terminal that knows it shows the frame whole, others pass over it."""
_END: Final = "\x1b[1;1H\x1b[?2026l"

_HANDED_OVER_S: Final = 0.5
_MENDED_S: Final = 60.0
"""After so long all rows are written again: somebody may have typed, a library may have warned."""

_open: list[Screen] = []
_held_until = 0.0


def give_back() -> None:
    """Leave every screen that is open, for a process that is about to end or to be stopped.

    A signal handler may call it: nothing waits longer than a moment.
    """
    global _held_until  # noqa: PLW0603 - one process has one terminal
    _held_until = time.monotonic() + _HANDED_OVER_S
    for screen in tuple(_open):
        screen.leave(at_once=True)


class Screen:
    """One terminal. `draw` raises `OSError` or `ValueError` when it went away.

    One thread draws; any other may have it left at any time.
    """

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._shown: list[Line] = []
        self._size: tuple[int, int] | None = None
        self._entered = False
        self._whole_at = 0.0
        self._writing = threading.Lock()

    def size(self) -> tuple[int, int]:
        """Columns and rows, as of now; 80 by 24 where nobody says."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return (columns, rows) if columns > 0 and rows > 0 else (80, 24)

    def draw(self, lines: Sequence[Line], size: tuple[int, int]) -> None:
        """Show these lines, from the first row on; they fit the `size`, which is the newest."""
        if time.monotonic() < _held_until or not self._takes():
            return
        with self._writing:
            now = time.monotonic()
            if not self._entered or size != self._size or now - self._whole_at > _MENDED_S:
                self._shown, self._size, self._whole_at = [], size, now
            changes = self._changes(lines, size)
            if not changes:
                return
            enter = "" if self._entered else _ENTER
            if not self._entered:
                self._entered = True
                _open.append(self)
            self._shown = list(lines)
            try:
                self._write("".join([enter, _BEGIN, *changes, _END]))
            except BlockingIOError:
                # Half of it may be there: the next frame is written whole.
                self._size = None

    def _changes(self, lines: Sequence[Line], size: tuple[int, int]) -> list[str]:
        changes = []
        width, rows = size
        for row, line in enumerate(lines):
            if row >= len(self._shown) or line != self._shown[row]:
                # Behind the last column there is nothing to wipe, and some would wipe that column.
                rest = "\x1b[K" if width_of(line) < width else ""
                changes.append(f"\x1b[{row + 1};1H{ansi(line, colour=self._colour)}{rest}")
        if len(lines) < (len(self._shown) or rows):
            changes.append(f"\x1b[{len(lines) + 1};1H\x1b[J")
        return changes

    def _takes(self) -> bool:
        """Whether the terminal reads: one that is held (Ctrl-S) or hangs is not waited for."""
        try:
            return bool(select.select([], [self._stream.fileno()], [], 0)[1])
        except (OSError, ValueError):
            # No descriptor to ask: writing tells.
            return True

    def leave(self, *, at_once: bool = False) -> None:
        """Give the terminal back as it was found. The next picture would take it again.

        `at_once`: whoever writes to it, or holds it, is not waited for.
        """
        mine = self._writing.acquire(timeout=_HANDED_OVER_S if at_once else -1)
        try:
            if not self._entered:
                return
            self._entered = False
            _open.remove(self)
            if not at_once or self._takes():
                with contextlib.suppress(OSError, ValueError):
                    self._write(_LEAVE)
        finally:
            if mine:
                self._writing.release()

    def _write(self, text: str) -> None:
        # Past the stream's own lock and buffer: a signal handler may be in the middle of both.
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
            return
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(descriptor, data) :]
