"""What a remedy's command prints: redacted, and bounded whatever it prints."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from loopctl.inert import decode, one_line
from loopctl.redact import Redactor, StreamRedactor

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 768 * 1024
_LAST_LINE_BYTES = 16 * 1024


class RemedyOutput:
    """Both streams of a command in one private file, line by line as they arrive.

    At most 1 MiB is kept: of more, the first 256 KiB and the last 768 KiB, and between them a
    line that says how much was left out. A file that cannot be written never stalls the command:
    the rest is drained, and `lost` says why it is missing.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        """Open the file from its start. Raises `OSError`."""
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._path = path
        self._redactor = redactor
        self._streams: list[StreamRedactor] = []
        self._written = 0
        self._printed = 0
        self._tail = bytearray()
        # The pumps of stdout and stderr take turns.
        self._lock = threading.Lock()
        self.lost = ""

    def stream(self) -> Callable[[bytes], None]:
        """What takes one stream: each has a redactor, so that the other never cuts its secrets."""
        stream = self._redactor.stream()
        self._streams.append(stream)

        def take(chunk: bytes) -> None:
            with self._lock:
                self._keep(stream.feed(chunk))

        return take

    def close(self) -> None:
        """Write out what was held back, and cut the file to its size; `lost` is final now."""
        with self._lock:
            for stream in self._streams:
                self._keep(stream.flush())
            if self._printed > HEAD_BYTES + TAIL_BYTES:
                self._trying(self._leave_out_the_middle)
            os.close(self._fd)

    @property
    def last_line(self) -> str:
        """The last line with anything on it, inert; empty when there is none."""
        lines = decode(bytes(self._tail[-_LAST_LINE_BYTES:])).splitlines()
        return next((one_line(line) for line in reversed(lines) if line.strip()), "")

    def first(self, lines: int, size: int) -> str:
        """The first lines of what was kept, as they are; for once it is closed."""
        try:
            with self._path.open("rb") as file:
                head = decode(file.read(size))
        except OSError:
            return ""
        return "\n".join(head.split("\n")[:lines])

    def _keep(self, clean: bytes) -> None:
        self._printed += len(clean)
        self._tail += clean
        # Seldom, as each cut moves all that stays: a flood of short lines would take for ever.
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        room = HEAD_BYTES + TAIL_BYTES - self._written
        if room > 0 and not self.lost:
            self._trying(lambda: self._write(clean[:room]))

    def _leave_out_the_middle(self) -> None:
        left_out = self._printed - HEAD_BYTES - TAIL_BYTES
        os.ftruncate(self._fd, HEAD_BYTES)
        os.lseek(self._fd, HEAD_BYTES, os.SEEK_SET)
        self._write(f"\n[loopctl: {left_out} bytes were left out here]\n".encode())
        self._write(self._tail[-TAIL_BYTES:])

    def _trying(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            self.lost = error.strerror or str(error)

    def _write(self, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:
            count = os.write(self._fd, rest)
            self._written += count
            rest = rest[count:]
