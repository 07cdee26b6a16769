"""The private file through which a test process tells what it does, read while it grows."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopctl.suites.capture import open_private

Event = dict[str, Any]

# The plugin cuts every text it writes; a longer line was not written by it.
LONGEST_LINE = 16 * 1024 * 1024
_BLOCK = 1024 * 1024


class SpoolReader:
    """Reads the events appended to a file since the last look, in blocks of bounded size.

    Each line bears a hash by a key that only the plugin was given. `strangers` counts the lines
    that do not: a test wrote them. They are passed over unread.
    """

    def __init__(self, path: Path) -> None:
        """Make the file (0600), so that the test process only ever appends to it, and its key."""
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        self.folder = path.parent
        self.strangers = 0
        self._key = os.urandom(32)
        with open_private(path.with_name(f"{path.name}.key")) as file:
            file.write(self._key)
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
                elif (event := self._event(line)) is not None:
                    yield event
            if len(self._rest) > LONGEST_LINE:
                self._rest, self._skipping = b"", True
                self.strangers += 1

    def _event(self, line: bytes) -> Event | None:
        signature, _, text = line.partition(b" ")
        expected = hashlib.blake2b(text, key=self._key, digest_size=16).hexdigest()
        if not hmac.compare_digest(signature, expected.encode("ascii")):
            self.strangers += 1
            return None
        return _event(text)


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("e"), str) else None
