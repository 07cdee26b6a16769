"""Reading a journal, also one that is still being written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from loopctl.files import storage
from loopctl.journal.codec import JournalError, parse
from loopctl.model.events import Event

_NOT_TRUSTED = (
    "the file was edited or damaged, or two processes wrote to it: it is not to be trusted; "
    "what its reports beside it say was written before, start anew with loopctl run"
)


class Tail:
    """A place in a journal: what stands behind it is news."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._line = 0

    def news(self) -> Iterator[Event]:
        """The events since the last call, in order.

        A torn last line, of a write that goes on, of a run that was killed or of a power cut,
        waits for the next call. Anything else that is malformed, or a number that is missing or
        there twice, raises `JournalError` with its line; a file that cannot be read raises
        `StorageError`.
        """
        with storage("read the journal", self._path), self._path.open("rb") as lines:
            lines.seek(self._offset)
            for raw in lines:
                if not raw.endswith(b"\n") or (b"\0" in raw and not lines.peek(1)):
                    return
                event = self._event(raw)
                self._offset += len(raw)
                self._line += 1
                yield event

    def _event(self, raw: bytes) -> Event:
        number = self._line + 1
        try:
            event = parse(raw.decode("utf-8"))
        except (JournalError, UnicodeDecodeError) as error:
            raise JournalError(
                f"line {number} of the journal cannot be read: {error}",
                where=str(self._path),
                hint=_NOT_TRUSTED,
            ) from error
        if event.seq != number:
            raise JournalError(
                f"line {number} of the journal is event {event.seq}, not {number}",
                where=str(self._path),
                hint=_NOT_TRUSTED,
            )
        return event


@contextlib.contextmanager
def folding(path: Path) -> Iterator[None]:
    """Gives a `JournalError` of the fold, which knows no files, its place and what to do."""
    try:
        yield
    except JournalError as error:
        if error.where is not None:
            raise
        raise JournalError(error.what, where=str(path), hint=error.hint or _NOT_TRUSTED) from error


def read(path: Path) -> Iterator[Event]:
    """The events of a whole journal in order; raises as `Tail.news` does."""
    return Tail(path).news()
