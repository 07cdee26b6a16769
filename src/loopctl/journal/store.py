"""Writing and reading a run's journal file.

Each event is one write; what a resumed run must know is fsynced before anything follows it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from loopctl.errors import LoopctlError
from loopctl.files import AppendFile
from loopctl.journal.codec import redacted
from loopctl.journal.fold import WorklogFold
from loopctl.journal.tail import folding, read
from loopctl.model.events import (
    BuildStep,
    CasesGraded,
    ChangeSeen,
    CommitChanged,
    Event,
    Intent,
    Note,
    NovelLine,
    Payload,
    Result,
    SuiteCollected,
)
from loopctl.process import utc_now
from loopctl.redact import Redactor

_NOT_SYNCED = (
    BuildStep,
    CasesGraded,
    ChangeSeen,
    CommitChanged,
    Note,
    NovelLine,
    SuiteCollected,
)
"""Kinds whose loss costs nothing but detail: the next synced event makes them durable too."""

Subscriber = Callable[[Event], None]


class Journal:
    """The journal of a run that is going on; safe to use from several threads.

    `cycle` and `wave` are set by the machine and stamped on every event. Subscribers are called in
    order, with redacted events, inside the lock: they must be quick and must not raise.

    A file that holds events already is gone on with: they are folded, and what a killed process
    left of a last line is cut off. Raises `StorageError`, `LockedError` while another process
    writes to it, and `JournalError` where it is not to be trusted.
    """

    def __init__(
        self, path: Path, redactor: Redactor, subscribers: Sequence[Subscriber] = ()
    ) -> None:
        self.path = path
        self.cycle = 0
        self.wave: int | None = None
        self._redactor = redactor
        self._subscribers = tuple(subscribers)
        self._file: AppendFile | None = AppendFile(path)
        self._lock = threading.Lock()
        self._seq = 0
        self._missed: list[bytes] = []
        self._began = time.monotonic()
        self._ran_before = 0.0
        self.fold = WorklogFold()
        try:
            self._replay()
        except BaseException:
            self.close()
            raise

    def _replay(self) -> None:
        for event in read(self.path):
            with folding(self.path):
                self.fold.add(event)
            self._seq = event.seq
            self._ran_before = max(self._ran_before, event.ran)

    @property
    def ran_s(self) -> float:
        """For how many seconds the run has been going on, pauses left out."""
        return self._ran_before + time.monotonic() - self._began

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.path.parent

    def redacted(self, document: dict[str, object]) -> dict[str, object]:
        """What may stand beside the journal in the run's folder, without any secret."""
        return self._redactor.json(document)

    def append(
        self, payload: Payload, *, service: str | None = None, suite: str | None = None
    ) -> Event:
        """Write one event; raises `StorageError` when the disk does not take it."""
        with self._lock:
            event, line = redacted(
                Event(
                    seq=self._seq + 1,
                    at=utc_now(),
                    cycle=self.cycle,
                    payload=payload,
                    wave=self.wave,
                    service=service,
                    suite=suite,
                    ran=self.ran_s,
                ),
                self._redactor,
            )
            record = line.encode("utf-8", "replace")
            if self._file is not None:
                self._file.append(record)
            else:
                self._missed.append(record)
            # Counted before the sync: a line that may be there must never get a twin.
            self._seq += 1
            if self._file is not None and not isinstance(payload, _NOT_SYNCED):
                self._file.sync()
            self.fold.add(event)
            for subscriber in self._subscribers:
                subscriber(event)
        return event

    @contextlib.contextmanager
    def effect(
        self, intent: Intent, *, service: str | None = None, suite: str | None = None
    ) -> Iterator[None]:
        """Write the intent, let the effect happen, write its result, whichever it is."""
        self.append(intent, service=service, suite=suite)
        try:
            yield
        except BaseException as error:
            result = Result(intent.effect, intent.key, ok=False, detail=_one_line(error))
            self.append(result, service=service, suite=suite)
            raise
        self.append(Result(intent.effect, intent.key, ok=True), service=service, suite=suite)

    def detach(self) -> None:
        """Go on in memory alone: the disk has failed, and what was changed must be put back."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None

    @property
    def is_durable(self) -> bool:
        """Whether every event so far is on disk."""
        return self._file is not None

    def close(self) -> None:
        """No more events on disk, but those that it did not take when they came, if it does now."""
        if self._file is not None:
            self._file.close()
        elif self._missed:
            self._catch_up()

    def _catch_up(self) -> None:
        """Write how the run went on, so that it is not taken for one that was killed.

        That the disk failed has been told; that it still does is no news.
        """
        missed, self._missed = self._missed, []
        with contextlib.suppress(LoopctlError), AppendFile(self.path) as file:
            there = sum(1 for _ in read(self.path))
            if there + len(missed) != self._seq:
                return
            for record in missed:
                file.append(record)
            file.sync()


def _one_line(error: BaseException) -> str:
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0][:300] if first else 'no message'}"
