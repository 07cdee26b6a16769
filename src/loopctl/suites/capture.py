"""What a test process prints: redacted on its way into files, the end of it kept at hand."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import IO

from loopctl.redact import Redactor

TAIL_BYTES = 16 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""How much of one stream is kept, its end besides: a test that prints for ever fills no disk."""


def open_private(path: Path) -> IO[bytes]:
    """A file for this user alone, written from its start."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC, 0o600)
    return os.fdopen(descriptor, "wb", buffering=0)


class Capture:
    """One output stream of the processes of a suite, one after the other, in one file.

    `path` None keeps only the tail. Beyond `most` bytes the middle is left out, and the file says
    so. A file that cannot be written (full disk) never stalls the process: the rest is drained and
    `error` says why it is missing.
    """

    def __init__(self, path: Path | None, redactor: Redactor, most: int = MOST_BYTES) -> None:
        self._file = open_private(path) if path is not None else None
        self._stream = redactor.stream()
        self._most = most
        self._tail = b""
        self._written = 0
        self._left_out = 0
        # A process that left the group may still hold the pipe, and its pump go on feeding.
        self._lock = threading.Lock()
        self.error: OSError | None = None

    def feed(self, chunk: bytes) -> None:
        """Take what the process wrote."""
        with self._lock:
            self._keep(self._stream.feed(chunk))

    def process_ended(self) -> None:
        """Write out what was held back in case a secret was cut in two."""
        with self._lock:
            self._keep(self._stream.flush())

    def close(self) -> None:
        """Close the file; what is fed later is dropped."""
        with self._lock:
            if self._file is not None:
                self._tell_what_is_left_out()
                self._file.close()
                self._file = None

    @property
    def tail(self) -> str:
        """The end of the stream as text."""
        return self._tail.decode("utf-8", "replace")

    def last_line(self) -> str | None:
        """The last line with anything on it."""
        lines = [line.strip() for line in self.tail.splitlines() if line.strip()]
        return lines[-1] if lines else None

    def _keep(self, clean: bytes) -> None:
        self._tail = (self._tail + clean)[-TAIL_BYTES:]
        fits = clean[: max(self._most - self._written, 0)]
        self._left_out += len(clean) - len(fits)
        self._write(fits)

    def _write(self, data: bytes) -> None:
        if self._file is None or self.error is not None or not data:
            return
        try:
            self._file.write(data)
            self._written += len(data)
        except OSError as problem:
            self.error = problem

    def _tell_what_is_left_out(self) -> None:
        if self._left_out:
            tail = self._tail[-self._left_out :]
            cut = self._left_out - len(tail)
            self._write(f"\n[... {cut} bytes left out ...]\n".encode() + tail)
