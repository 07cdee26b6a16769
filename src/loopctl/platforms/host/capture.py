"""Reading what a service prints: redacted, cut into lines, written at once, never held back."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

from loopctl.platforms.host.log_file import LogFile, Stream
from loopctl.platforms.host.log_lines import LineCutter
from loopctl.redact import Redactor

# Small, so that one turn of the event loop is short: all else in the host waits for it.
_CHUNK: Final = 16 * 1024
_LAST_CHUNKS: Final = 256


class StreamCapture:
    """Reads one pipe into the log until its end. Must be used within a running event loop."""

    def __init__(self, fd: int, stream: Stream, log: LogFile, redactor: Redactor) -> None:
        self.ended = asyncio.Event()
        self._fd = fd
        self._stream = stream
        self._log = log
        self._redacted = redactor.stream()
        self._cutter = LineCutter()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def finish(self) -> None:
        """Take what is in the pipe and end; for one that a stranger keeps open."""
        for _ in range(_LAST_CHUNKS):
            if not self._take():
                break
        self._end()

    def _read(self) -> None:
        began = time.monotonic()
        if self._take() == _CHUNK:
            # A service that floods its log gets half of the event loop at most, so that it does
            # not hold up the front doors of all others; the pipe makes it wait.
            self._loop.remove_reader(self._fd)
            self._pause = self._loop.call_later(time.monotonic() - began, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._fd, self._read)

    def _take(self) -> int:
        """Take one chunk and return its length: 0 when there is none now, or never again."""
        if self.ended.is_set():
            return 0
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            self._end()
        else:
            self._log.write(self._stream, self._cutter.feed(self._redacted.feed(data)))
        return len(data)

    def _end(self) -> None:
        if self.ended.is_set():
            return
        rest = self._cutter.feed(self._redacted.flush()) + self._cutter.flush()
        self._log.write(self._stream, rest)
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self.ended.set()
