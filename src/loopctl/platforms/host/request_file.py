"""The request log of one service on disk: JSON lines, each written before its answer is whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from loopctl.platforms.host.log_file import stamp
from loopctl.platforms.host.request_log import RequestRecord
from loopctl.process import utc_now
from loopctl.redact import Redactor

#: Bytes of one file; there are two, the older one named `….1`.
LARGEST_FILE: Final = 64 * 1024 * 1024
_REMEMBERED_TEXTS: Final = 1024


class RequestFile:
    """Appends records, unbuffered, and marks where some are missing.

    A mark is `{"mark": …, "t": …}`: `opened` and `closed` by a host, `lost` with a count of records
    that the disk did not take, `continued` where the older file goes on, `rotated` where it does
    and what had stood in an even older one is gone.
    """

    def __init__(self, path: Path, largest: int = LARGEST_FILE) -> None:
        """Open the file for appending, mode 0600. Raises `OSError`."""
        self._path = path
        self._largest = largest
        self._lost = 0
        self.hide([Redactor({})])
        self._fd, self._size = _open(path)
        self._mark("opened", host=os.getpid())

    def hide(self, redactors: Sequence[Redactor]) -> None:
        """Keep from now on only what all `redactors` leave of a request's texts."""

        # The same few paths and user agents come again and again.
        @lru_cache(_REMEMBERED_TEXTS)
        def hidden(text: str) -> str:
            for redactor in redactors:
                text = redactor.text(text)
            return text

        self._hidden = hidden

    def write(self, record: RequestRecord) -> None:
        """Append a record; never raises."""
        if self._lost and self._mark("lost", count=self._lost):
            self._lost = 0
        if not self._append(record.hiding(self._hidden).to_json()):
            self._lost += 1
        if self._size > self._largest:
            self._rotate()

    def close(self) -> None:
        """Mark the end of a complete record and close."""
        if self._lost:
            self._mark("lost", count=self._lost)
        self._mark("closed")
        os.close(self._fd)

    def _rotate(self) -> None:
        older = self._path.with_suffix(".jsonl.1")
        forgets = older.exists()
        try:
            self._path.replace(older)
            fd, size = _open(self._path)
        except OSError:
            return
        os.close(self._fd)
        self._fd, self._size = fd, size
        self._mark("rotated" if forgets else "continued")

    def _mark(self, mark: str, **facts: object) -> bool:
        return self._append(json.dumps({"mark": mark, "t": stamp(utc_now()), **facts}))

    def _append(self, line: str) -> bool:
        data = line.encode("ascii") + b"\n"
        try:
            complete = os.write(self._fd, data) == len(data)
        except OSError:
            complete = False
        if not complete:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            return False
        self._size += len(data)
        return True


def _open(path: Path) -> tuple[int, int]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return fd, os.fstat(fd).st_size
