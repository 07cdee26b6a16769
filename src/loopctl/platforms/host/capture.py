"""Reading what a service prints: redacted, cut into lines, written at once, never held back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

from loopctl.platforms.host.log_file import LogFile, Stream
from loopctl.platforms.host.log_lines import LineCutter
from loopctl.redact import Redactor

# Small, so that one turn of the event loop is short: all else in the host waits for it.
_CHUNK: Final = 16 * 1024
_LAST_CHUNKS: Final = 256


class Reading:
    """Reads a descriptor until its end. Must be used within a running event loop.

    `feed` is given each chunk, `on_end` called once. The descriptor is closed at the end.
    """

    def __init__(self, fd: int, feed: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self.ended = asyncio.Event()
        self._fd = fd
        self._feed = feed
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def finish(self) -> None:
        """Take what is there now and end; for one that a stranger keeps open."""
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
        except ConnectionError:
            data = b""
        if not data:
            self._end()
        else:
            self._feed(data)
        return len(data)

    def _end(self) -> None:
        if self.ended.is_set():
            return
        self._on_end()
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self.ended.set()


class Transcript:
    """One stream of a service, on its way into the log: redacted and cut into lines."""

    def __init__(self, stream: Stream, log: LogFile, redactor: Redactor) -> None:
        self._stream = stream
        self._log = log
        self._redacted = redactor.stream()
        self._cutter = LineCutter()

    def feed(self, data: bytes) -> None:
        """Take bytes cut anywhere."""
        self._log.write(self._stream, self._cutter.feed(self._redacted.feed(data)))

    def flush(self) -> None:
        """Write the rest: nothing more comes."""
        rest = self._cutter.feed(self._redacted.flush()) + self._cutter.flush()
        self._log.write(self._stream, rest)


def capture_pipe(fd: int, stream: Stream, log: LogFile, redactor: Redactor) -> Reading:
    """Read one pipe of a process into the log."""
    transcript = Transcript(stream, log, redactor)
    return Reading(fd, transcript.feed, transcript.flush)
