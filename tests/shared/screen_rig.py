"""A command on a terminal of its own, which is kept in memory and can be looked at."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

ALTERNATE = "\x1b[?1049"
_PRIVATE = 5  # pyte keeps private modes apart by shifting them so far


_TAKES_IT = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command that has a terminal of `columns` by `rows` for its stdin, stdout and stderr.

    Everything it writes is kept (`written`) and drawn (`shown`). A thread reads it as it comes.
    """

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.written = bytearray()
        self._ours, theirs = pty.openpty()
        self._set_size(columns, rows)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKES_IT, *command],
            cwd=cwd,
            # The Python that takes the terminal must not choose a locale for the other.
            env={"TERM": "xterm-256color", "PYTHONCOERCECLOCALE": "0", **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 65536):
                with self._lock:
                    self.written += data
                    self._stream.feed(data)

    def shown(self) -> str:
        """What a person would see now."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def until(self, found: str | Callable[[str], object], seconds: float = 30.0) -> str:
        """What is shown once it holds that text; fails when it never does."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.shown()
            if found in shown if isinstance(found, str) else found(shown):
                return shown
            assert time.monotonic() < deadline, f"never {found!r}:\n{shown}"
            time.sleep(0.02)

    def resize(self, columns: int, rows: int) -> None:
        """As a person does with the mouse."""
        with self._lock:
            self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def type(self, keys: bytes) -> None:
        """As a person does."""
        os.write(self._ours, keys)

    def hang_up(self) -> None:
        """The window is closed: whoever wrote to it has no terminal any more."""
        os.close(self._ours)

    def end(self, seconds: float = 60.0) -> int:
        """The exit code, and everything that was written is drawn."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            raise AssertionError(f"no end:\n{self.shown()}") from None
        self._reader.join(10)
        return code

    def is_as_found(self) -> bool:
        """Whether cursor, wrapping and the first screen are there as on a new terminal."""
        with self._lock:
            modes = self._screen.mode
            entered, left = (self.written.count(f"{ALTERNATE}{end}".encode()) for end in "hl")
            return (
                not self._screen.cursor.hidden
                and pyte.modes.DECAWM in modes
                and (2026 << _PRIVATE) not in modes
                and entered == left
            )

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
