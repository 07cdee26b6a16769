"""The private file through which a test process tells what it does, read while it grows."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]

# The plugin cuts every text it writes; a longer line was not written by it.
LONGEST_LINE = 16 * 1024 * 1024
_BLOCK = 1024 * 1024


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, gone afterwards: what is in it is not yet redacted."""
    folder = Path(tempfile.mkdtemp(prefix="loopctl-spool-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class SpoolReader:
    """Reads the events appended to a file since the last look, in blocks of bounded size."""

    def __init__(self, path: Path) -> None:
        """Make the file (0600), so that the test process only ever appends to it."""
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        self._file = path.open("rb", buffering=0)
        self._rest = b""
        self._skipping = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def events(self) -> Iterator[Event]:
        """Every complete line since the last call; what is no JSON object is left out."""
        while block := self._file.read(_BLOCK):
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                if self._skipping:
                    self._skipping = False
                elif (event := _event(line)) is not None:
                    yield event
            if len(self._rest) > LONGEST_LINE:
                self._rest, self._skipping = b"", True


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("e"), str) else None
